//! What a peer may take of the connection layer: how many, how large, how long. The `[limits]` of the configuration.
//!
//! Sizes of messages are not here: they follow from the protocol and stand beside the services' codecs.

mod defaults;

use serde::Deserialize;

use crate::config::Setting;

// Makes the struct, its defaults and its rows of the configuration's settings from one list.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty, $unit:literal;)*) => {
        /// The limits of connections, streams and time. Times are in milliseconds, sizes in bytes.
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits { $($(#[doc = $doc])+ pub $field: $type,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: defaults::$field().0,)* }
            }
        }

        impl Limits {
            /// Every limit as a key of the configuration.
            #[must_use]
            pub fn settings() -> Vec<Setting> {
                vec![$({
                    let (default, reason) = defaults::$field();
                    Setting {
                        table: "limits",
                        key: stringify!($field),
                        default: Some(default.to_string()),
                        unit: $unit,
                        meaning: [$($doc),+].map(str::trim).join(" "),
                        reason,
                    }
                }),*]
            }

            fn zero(&self) -> Option<&'static str> {
                $(if self.$field == 0 { return Some(stringify!($field)); })*
                None
            }
        }
    };
}

limits! {
    /// Connections at one time. Beyond it a new one is closed at once.
    connections: u32, "connections";
    /// Connections at one time of one certificate's key. Beyond it a new one is told to come back later.
    connections_per_certificate: u32, "connections";
    /// Connections at one time whose peer is not known yet. Beyond it new ones wait in the system's queue.
    connections_in_handshake: u32, "connections";
    /// From the connection to the end of the TLS handshake.
    handshake_ms: u64, "milliseconds";
    /// From the end of the TLS handshake to the last byte of the HTTP/2 preface.
    preface_ms: u64, "milliseconds";
    /// A peer that was silent for so long is sent a PING.
    keepalive_interval_ms: u64, "milliseconds";
    /// A peer that does not answer a PING for so long is cut.
    keepalive_timeout_ms: u64, "milliseconds";
    /// Streams at one time on one connection.
    streams_per_connection: u32, "streams";
    /// Streams of one connection that the peer reset before they were looked at. Beyond it the connection is ended.
    pending_accept_resets: u32, "streams";
    /// Streams of one connection that we reset for the peer's errors. Beyond it the connection is ended.
    local_resets: u32, "streams";
    /// Size of a request's headers, each counted with 32 bytes more than its name and value.
    header_list_bytes: u32, "bytes";
    /// Size of an HTTP/2 frame that a peer may send, 16,384 to 16,777,215.
    frame_bytes: u32, "bytes";
    /// Bytes that a peer may send on one stream before they are read.
    stream_window_bytes: u32, "bytes";
    /// Bytes that a peer may send on one connection before they are read.
    connection_window_bytes: u32, "bytes";
    /// Bytes of one stream that wait for a peer to read them.
    send_buffer_bytes: u32, "bytes";
    /// How long we wait for the rest of a message after its first byte.
    message_ms: u64, "milliseconds";
    /// How long we wait for a peer to begin its next message, or to read ours. A stream that only the server has
    /// something to say on is not idle.
    idle_stream_ms: u64, "milliseconds";
    /// Life of a stream: then no further message is read, and after `message_ms` it ends.
    stream_age_ms: u64, "milliseconds";
    /// Life of a connection, each 10 % longer or shorter at random: then the peer is asked to open another.
    connection_age_ms: u64, "milliseconds";
    /// From that request until the connection is cut.
    connection_age_grace_ms: u64, "milliseconds";
    /// From the signal to stop, when health turns to not serving, until peers are asked to leave.
    drain_notice_ms: u64, "milliseconds";
    /// From that request until what is still open is cut.
    drain_ms: u64, "milliseconds";
    /// How often a live connection's peer is looked up again: a suspended one is cut within this time.
    admission_poll_ms: u64, "milliseconds";
}

/// Sizes that HTTP/2 allows for a frame (RFC 9113, Section 4.2).
const FRAME_BYTES: std::ops::RangeInclusive<u32> = 16_384..=16_777_215;

/// Largest window of HTTP/2 (RFC 9113, Section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// Smallest header list that holds the headers of a gRPC call with room for the client's own.
const MIN_HEADER_LIST: u32 = 1_024;

/// A year: no limit of time is longer, so that no sum of them overflows.
const MAX_MS: u64 = 365 * 86_400_000;

impl Limits {
    /// Whether the values can work together.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if let Some(key) = self.zero() {
            return Err(format!("limits.{key}: must not be 0"));
        }
        let longest = [
            ("handshake_ms", self.handshake_ms),
            ("preface_ms", self.preface_ms),
            ("keepalive_interval_ms", self.keepalive_interval_ms),
            ("keepalive_timeout_ms", self.keepalive_timeout_ms),
            ("message_ms", self.message_ms),
            ("idle_stream_ms", self.idle_stream_ms),
            ("stream_age_ms", self.stream_age_ms),
            ("connection_age_ms", self.connection_age_ms),
            ("connection_age_grace_ms", self.connection_age_grace_ms),
            ("drain_notice_ms", self.drain_notice_ms),
            ("drain_ms", self.drain_ms),
            ("admission_poll_ms", self.admission_poll_ms),
        ];
        if let Some((key, _)) = longest.into_iter().find(|(_, value)| *value > MAX_MS) {
            return Err(format!("limits.{key}: must be at most {MAX_MS}"));
        }
        if !FRAME_BYTES.contains(&self.frame_bytes) {
            let (low, high) = (FRAME_BYTES.start(), FRAME_BYTES.end());
            return Err(format!("limits.frame_bytes: must be {low} to {high}"));
        }
        if self.header_list_bytes < MIN_HEADER_LIST {
            return Err(format!("limits.header_list_bytes: must be at least {MIN_HEADER_LIST}"));
        }
        let windows = [
            ("stream_window_bytes", self.stream_window_bytes),
            ("connection_window_bytes", self.connection_window_bytes),
        ];
        // A message that does not fit its stream's window would be late for our own fault.
        let smallest = u32::try_from(veilmatch_proto::MAX_EVALUATE_MESSAGE).unwrap_or(MAX_WINDOW);
        match windows.into_iter().find(|(_, value)| !(smallest..=MAX_WINDOW).contains(value)) {
            Some((key, _)) => Err(format!("limits.{key}: must be {smallest} to {MAX_WINDOW}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work_together() {
        Limits::default().check().unwrap();
        let read: Limits = toml::from_str("").unwrap();
        assert_eq!(read, Limits::default());
    }

    #[test]
    fn every_limit_can_be_set_and_none_may_be_zero() {
        for setting in Limits::settings() {
            let default = setting.default.unwrap();
            let read: Limits = toml::from_str(&format!("{} = {default}", setting.key)).unwrap();
            assert_eq!(read, Limits::default());
            let zero: Limits = toml::from_str(&format!("{} = 0", setting.key)).unwrap();
            assert_eq!(zero.check().unwrap_err(), format!("limits.{}: must not be 0", setting.key));
        }
        assert!(toml::from_str::<Limits>("handshake = 1").is_err());
    }

    #[test]
    fn values_that_cannot_work_are_refused_with_their_key() {
        let year = format!("drain_ms = {}", MAX_MS + 1);
        let cases = ["frame_bytes = 16383", "header_list_bytes = 100", "stream_window_bytes = 65535", year.as_str()];
        for case in cases {
            let refused = toml::from_str::<Limits>(case).unwrap().check().unwrap_err();
            let (key, _) = case.split_once(" =").unwrap();
            assert!(refused.starts_with(&format!("limits.{key}: must be ")), "{refused}");
        }
    }
}
