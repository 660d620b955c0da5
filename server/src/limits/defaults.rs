//! Every default with its reason.

pub(super) fn connections() -> (u32, &'static str) {
    (4_096, "with 41 KiB for each idle connection they take 164 MiB")
}

pub(super) fn connections_per_certificate() -> (u32, &'static str) {
    (64, "dozens of a platform's machines share a certificate; one platform cannot take all connections")
}

pub(super) fn connections_in_handshake() -> (u32, &'static str) {
    (256, "a handshake takes a millisecond of a processor: more would only wait for each other")
}

pub(super) fn handshake_ms() -> (u64, &'static str) {
    (5_000, "several round trips to anywhere; a silent peer is gone soon")
}

pub(super) fn preface_ms() -> (u64, &'static str) {
    (5_000, "the preface follows the handshake at once; who sends none is no gRPC client")
}

pub(super) fn keepalive_interval_ms() -> (u64, &'static str) {
    (30_000, "below the idle limits of common firewalls")
}

pub(super) fn keepalive_timeout_ms() -> (u64, &'static str) {
    (10_000, "a peer that is gone frees its streams within 40 seconds")
}

pub(super) fn streams_per_connection() -> (u32, &'static str) {
    (128, "more than a connection's share of the processors can serve at a time")
}

pub(super) fn pending_accept_resets() -> (u32, &'static str) {
    (20, "rapid reset (CVE-2023-44487); honest peers seldom cancel what they have just begun")
}

pub(super) fn local_resets() -> (u32, &'static str) {
    (128, "a peer with so many errors does not mend")
}

pub(super) fn header_list_bytes() -> (u32, &'static str) {
    (8_192, "a gRPC call has a few hundred bytes of headers; proxies and tracing add some")
}

pub(super) fn frame_bytes() -> (u32, &'static str) {
    (16_384, "the smallest that HTTP/2 allows; larger ones only cost memory")
}

pub(super) fn stream_window_bytes() -> (u32, &'static str) {
    (262_144, "the largest message and a part of the next one")
}

pub(super) fn connection_window_bytes() -> (u32, &'static str) {
    (1_048_576, "seven of the largest frames on their way; the most that a peer can make us hold unread")
}

pub(super) fn send_buffer_bytes() -> (u32, &'static str) {
    (65_536, "half of the largest answer: a slow reader holds little, a fast one is not slowed")
}

pub(super) fn message_ms() -> (u64, &'static str) {
    (10_000, "the largest message in ten seconds is 13 KB a second, less than a modem")
}

pub(super) fn idle_stream_ms() -> (u64, &'static str) {
    (60_000, "opening another stream costs a client nothing")
}

pub(super) fn stream_age_ms() -> (u64, &'static str) {
    (900_000, "no stream outlives an upgrade or a change of rights for long")
}

pub(super) fn connection_age_ms() -> (u64, &'static str) {
    (600_000, "peers spread over the servers again after one was replaced")
}

pub(super) fn connection_age_grace_ms() -> (u64, &'static str) {
    (30_000, "a call takes ten seconds at most; a download continues where it ended")
}

pub(super) fn drain_notice_ms() -> (u64, &'static str) {
    (5_000, "load balancers ask for health every few seconds; skipped when nobody is connected")
}

pub(super) fn drain_ms() -> (u64, &'static str) {
    (30_000, "as for an aged connection; service managers wait 90 seconds before they kill")
}

pub(super) fn admission_poll_ms() -> (u64, &'static str) {
    (500, "a suspended platform is gone within a second; a look into a table costs nothing")
}
