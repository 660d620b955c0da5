//! The network edge: accepts connections, finds out who is there, and serves HTTP/2 within [`Limits`].
//!
//! A connection passes TLS, the HTTP/2 preface and admission by the [`PeerTable`], each with its deadline. Then every
//! call of it carries [`PeerIdentity`](crate::tls::PeerIdentity) and [`Peer`] in its extensions. tonic's own server knows neither the deadlines
//! nor the table, hence a loop of our own.

mod admission;
mod calls;
mod connection;
mod ending;
mod files;
mod framing;
mod preface;
mod refusal;
mod request_body;
mod response_body;
mod stalled;
mod streams;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use admission::{Methods, Peer, PeerTable};
pub use connection::Closed;
pub use files::{FileEdge, serve_files};

use crate::{limits::Limits, tls::ServerTls};
use admission::Keys;

/// After a failure to accept, which is one of the machine (no more file descriptors), how long to wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is served, to whom, within which limits.
pub struct Edge {
    /// Our certificate and the authority of the peers'.
    pub tls: ServerTls,
    /// Every limit.
    pub limits: Limits,
    /// Who may connect.
    pub peers: Arc<dyn PeerTable>,
    /// What is served.
    pub routes: Routes,
}

/// How serving ends: asked by the owner, in steps that others follow.
pub struct Stop {
    /// Cancelled by the owner when the server shall stop.
    pub requested: CancellationToken,
    /// Called at once: turns health to not serving.
    pub not_serving: Box<dyn FnOnce() + Send>,
    /// Cancelled here `drain_notice_ms` later, when peers are asked to leave: long-lived streams then end themselves.
    pub leaving: CancellationToken,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open when their time was over, and were cut.
    pub cut: usize,
}

/// Serves until `stop` is requested and every connection has ended.
///
/// Requested: health says not serving, and connections are still taken for `drain_notice_ms` (or until there are none).
/// Then no more are taken, and the peers are asked to leave with GOAWAY. What is still open after `drain_ms` is cut.
pub async fn serve(listener: TcpListener, edge: Edge, stop: Stop) -> Drained {
    let shared = Arc::new(Shared::new(edge, stop.leaving.clone()));
    let mut accepting = Accepting { listener, shared: Arc::clone(&shared), connections: JoinSet::new() };
    accepting.until(stop.requested.cancelled(), false).await;
    (stop.not_serving)();
    accepting.until(tokio::time::sleep(ms(shared.limits.drain_notice_ms)), true).await;

    let Accepting { listener, mut connections, .. } = accepting;
    drop(listener);
    stop.leaving.cancel();
    let drained = tokio::time::timeout(ms(shared.limits.drain_ms), all_ended(&mut connections)).await;
    let cut = if drained.is_ok() { 0 } else { connections.len() };
    shared.cut.cancel();
    all_ended(&mut connections).await;
    Drained { cut }
}

/// What every connection needs.
struct Shared {
    acceptor: TlsAcceptor,
    limits: Limits,
    peers: Arc<dyn PeerTable>,
    routes: Routes,
    total: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    keys: Keys,
    leaving: CancellationToken,
    cut: CancellationToken,
}

impl Shared {
    fn new(edge: Edge, leaving: CancellationToken) -> Self {
        let Edge { tls, limits, peers, routes } = edge;
        let permits = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self {
            acceptor: TlsAcceptor::from(tls.config()),
            total: permits(limits.connections),
            unknown: permits(limits.connections_in_handshake),
            keys: Keys::new(limits.connections_per_certificate),
            limits,
            peers,
            routes: routes.prepare(),
            leaving,
            cut: CancellationToken::new(),
        }
    }
}

/// A connection's places: one among all, and one among those whose peer is not known yet.
struct Places {
    total: OwnedSemaphorePermit,
    unknown: OwnedSemaphorePermit,
}

struct Accepting {
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

impl Accepting {
    async fn until(&mut self, end: impl Future<Output = ()>, or_none_left: bool) {
        let mut end = std::pin::pin!(end);
        while !(or_none_left && self.connections.is_empty()) {
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(ended) = self.connections.join_next() => report_panic(ended),
                (stream, address, unknown) = next(&self.listener, &self.shared.unknown) => {
                    self.begin(stream, address, unknown);
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr, unknown: OwnedSemaphorePermit) {
        match Arc::clone(&self.shared.total).try_acquire_owned() {
            Ok(total) => {
                let places = Places { total, unknown };
                self.connections.spawn(connection::run(Arc::clone(&self.shared), stream, address, places));
            }
            Err(_) => Closed::TooMany.log(address),
        }
    }
}

// The place comes first: while there is none, new connections wait in the system's queue, and each handshake's deadline
// makes room.
async fn next(listener: &TcpListener, unknown: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(unknown).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, place),
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn all_ended(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        report_panic(ended);
    }
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended in a panic");
    }
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}
