//! One connection from its first byte to its last.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::RngExt;
use thiserror::Error;
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_rustls::server::TlsStream;
use veilmatch_proto::{Reason, Refused};

use super::{
    Places, Shared,
    admission::Peer,
    calls::Calls,
    ending::Ending,
    ms,
    preface::{self, NoPreface, Prefaced},
    refusal::refuse,
    stalled::FailsWhenStalled,
    streams::Streams,
};
use crate::{
    limits::Limits,
    tls::{HTTP_2, PeerIdentity},
};

/// When every call of a connection has been told its end, how long they may take to send it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a peer waits that has all the connections of its certificate.
const TOO_MANY_WAIT: Duration = Duration::from_secs(10);

/// Why a connection was closed before anything was served on it, or cut later.
#[derive(Debug, Error)]
pub enum Closed {
    /// All connections are taken.
    #[error("all connections are taken")]
    TooMany,
    /// The TLS handshake took too long.
    #[error("no TLS handshake in time")]
    HandshakeDeadline,
    /// The TLS handshake failed: no certificate, a wrong one, an old protocol, or no TLS at all.
    #[error("TLS handshake")]
    Handshake(#[source] std::io::Error),
    /// ALPN settled on no protocol: the peer did not offer any.
    #[error("the peer does not offer HTTP/2")]
    NoHttp2,
    /// The certificate cannot be read although its chain verified.
    #[error("certificate")]
    Certificate(#[source] crate::Error),
    /// No HTTP/2 preface in time.
    #[error("no HTTP/2 preface in time")]
    PrefaceDeadline,
    /// Something else than the HTTP/2 preface.
    #[error("no HTTP/2 preface")]
    Preface(#[source] NoPreface),
    /// The peer is not in the client table, or has too many connections.
    #[error("the peer is refused")]
    Refused(#[source] Refused),
    /// The peer was suspended.
    #[error("the peer may not stay")]
    NoLongerAdmitted(#[source] Refused),
    /// The peer did not leave in time.
    #[error("the peer did not leave in time")]
    Overstayed,
    /// HTTP/2 ended in an error of the peer or of the network.
    #[error("HTTP/2")]
    Http2(#[source] hyper::Error),
    /// The server stops.
    #[error("the server stops")]
    Stopped,
}

impl Closed {
    /// The stable name of this cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooMany => "CONNECTION_LIMIT",
            Self::HandshakeDeadline => "HANDSHAKE_DEADLINE",
            Self::Handshake(_) => "HANDSHAKE",
            Self::NoHttp2 => "NO_HTTP2",
            Self::Certificate(_) => "CERTIFICATE",
            Self::PrefaceDeadline => "PREFACE_DEADLINE",
            Self::Preface(_) => "PREFACE",
            Self::Refused(refused) | Self::NoLongerAdmitted(refused) => refused.reason.name(),
            Self::Overstayed => "OVERSTAYED",
            Self::Http2(_) => "HTTP2",
            Self::Stopped => "STOPPED",
        }
    }

    pub(super) fn log(&self, peer: SocketAddr) {
        let reason = self.reason();
        let cause = crate::status::Chain(self);
        match self {
            // A peer that is gone leaves such errors behind every day.
            Self::Http2(_) | Self::Stopped => tracing::debug!(%peer, reason, %cause, "connection ended"),
            _ => tracing::info!(%peer, reason, %cause, "connection closed"),
        }
    }
}

pub(super) async fn run(shared: Arc<Shared>, stream: TcpStream, address: SocketAddr, places: Places) {
    let closed = tokio::select! {
        biased;
        closed = live(&shared, stream, places) => closed,
        // The owner waits no longer. What runs is told so first; what has not begun is dropped.
        () = overdue(&shared) => Err(Closed::Stopped),
    };
    if let Err(closed) = closed {
        closed.log(address);
    }
}

async fn overdue(shared: &Shared) {
    shared.cut.cancelled().await;
    tokio::time::sleep(2 * LAST_WORDS).await;
}

async fn live(shared: &Arc<Shared>, stream: TcpStream, places: Places) -> Result<(), Closed> {
    let Places { total: _total, unknown } = places;
    let (stream, identity) = greet(shared, stream).await?;
    let refused = match shared.peers.admit(&identity) {
        Ok(peer) => match shared.keys.enter(identity.spki_sha256) {
            Some(_place) => {
                drop(unknown);
                return converse(shared, stream, identity, peer).await;
            }
            None => Refused { reason: Reason::Overloaded, retry_after: Some(TOO_MANY_WAIT) },
        },
        Err(refused) => refused,
    };
    // It keeps its place among the unknown until it has heard why.
    refuse(&shared.limits, stream, refused).await;
    Err(Closed::Refused(refused))
}

type Stream = Prefaced<FailsWhenStalled<TlsStream<TcpStream>>>;

// TLS, HTTP/2 and the name behind the certificate.
async fn greet(shared: &Shared, stream: TcpStream) -> Result<(Stream, PeerIdentity), Closed> {
    // Answers are small and awaited: they leave at once. A failure shows at the next read.
    drop(stream.set_nodelay(true));
    let limits = &shared.limits;
    let stream = timeout(ms(limits.handshake_ms), shared.acceptor.accept(stream))
        .await
        .map_err(|_| Closed::HandshakeDeadline)?
        .map_err(Closed::Handshake)?;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(HTTP_2) {
        return Err(Closed::NoHttp2);
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let identity = PeerIdentity::of(certificate.expect("the verifier demands one")).map_err(Closed::Certificate)?;
    // Whoever is alive answers a PING within this time, so it also reads something.
    let stream = FailsWhenStalled::new(stream, ms(limits.keepalive_interval_ms + limits.keepalive_timeout_ms));
    let stream = timeout(ms(limits.preface_ms), preface::read(stream))
        .await
        .map_err(|_| Closed::PrefaceDeadline)?
        .map_err(Closed::Preface)?;
    Ok((stream, identity))
}

// Serves calls until the peer leaves or must.
async fn converse(shared: &Shared, stream: Stream, identity: PeerIdentity, peer: Peer) -> Result<(), Closed> {
    let limits = &shared.limits;
    let ending = Ending::new();
    let streams = Streams::new(limits, ending.clone());
    // When this function is left, whatever is left of its streams ends with it.
    let _gone = streams.end_with_guard();
    let calls = Calls::new(shared.routes.clone(), identity.clone(), peer, ending.clone());
    let connection = builder(limits, streams).serve_connection(TokioIo::new(stream), calls);
    let mut connection = pin!(connection);

    let mut admission = interval(ms(limits.admission_poll_ms));
    admission.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    let mut next = Instant::now() + lifetime(limits);
    let closed = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(Closed::Http2),
            () = shared.cut.cancelled() => {
                ending.now(Reason::NotServing.into());
                break Closed::Stopped;
            }
            _ = admission.tick() => if let Err(refused) = shared.peers.still_admitted(&identity) {
                ending.now(refused);
                break Closed::NoLongerAdmitted(refused);
            },
            () = shared.leaving.cancelled(), if !leaving => {
                // The owner cuts what stays too long.
                leaving = true;
                next = Instant::now() + ms(limits.drain_ms) + LAST_WORDS;
                ending.soon();
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(next) => {
                if leaving {
                    ending.now(Reason::NotServing.into());
                    break Closed::Overstayed;
                }
                leaving = true;
                next = Instant::now() + ms(limits.connection_age_grace_ms);
                ending.soon();
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    connection.as_mut().graceful_shutdown();
    // Whether the peer hears it or not, this is the end.
    drop(timeout(LAST_WORDS, connection).await);
    Err(closed)
}

// Ten percent more or less, so that peers that came together do not come together again.
fn lifetime(limits: &Limits) -> Duration {
    ms(limits.connection_age_ms).mul_f64(rand::rng().random_range(0.9..=1.1))
}

fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_pending_accept_reset_streams(limits.pending_accept_resets as usize)
        .max_local_error_reset_streams(limits.local_resets as usize)
        .max_header_list_size(limits.header_list_bytes)
        .max_frame_size(limits.frame_bytes)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes as usize)
        .keep_alive_interval(ms(limits.keepalive_interval_ms))
        .keep_alive_timeout(ms(limits.keepalive_timeout_ms));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_came_together_do_not_grow_old_together() {
        // SPEC §9.6: 10 min ± 10 %
        let limits = Limits::default();
        let lives: Vec<f64> = (0..1_000).map(|_| lifetime(&limits).as_secs_f64() / 600.0).collect();
        assert!(lives.iter().all(|life| (0.9..=1.1).contains(life)));
        // A thousand draws that all miss a quarter of the range at either end: less than once in 10^100 runs.
        assert!(lives.iter().any(|life| *life < 0.95) && lives.iter().any(|life| *life > 1.05));
    }
}
