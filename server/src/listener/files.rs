//! The logs as files, for tools that are not ours (SPEC §20.1): TLS, HTTP/1.1 and 2, no certificate needed, nothing but
//! GET and HEAD of the paths of C2SP tlog-tiles.

mod place;
mod response;

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{ms, next, report_panic, stalled::FailsWhenStalled};
use crate::{catalogue::Catalogue, limits::Limits, state_dir::StateDir, tls::ServerTls};

use place::Place;
use response::Body;

/// Most connections to the files at once; each holds a chunk of one file for each of its streams.
const CONNECTIONS: usize = 256;

/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 16;

/// How long an idle HTTP/1.1 connection is kept, and how long request headers may take.
const HEADERS: Duration = Duration::from_secs(30);

/// Serves the files of the logs until `stop` is cancelled.
pub struct FileEdge {
    /// Our certificate, and the authority of the auditors'.
    pub tls: ServerTls,
    /// The limits of connections that fit here, too.
    pub limits: Limits,
    /// Where the files are.
    pub dir: StateDir,
    /// Who is an auditor.
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
}

struct Shared {
    acceptor: TlsAcceptor,
    edge: FileEdge,
}

/// Accepts connections until `stop` is cancelled; what is open then is cut.
pub async fn serve_files(listener: TcpListener, edge: FileEdge, stop: CancellationToken) {
    let shared = Arc::new(Shared { acceptor: TlsAcceptor::from(edge.tls.config()), edge });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(ended) = connections.join_next() => report_panic(ended),
            (stream, _, place) = next(&listener, &places) => {
                connections.spawn(converse(Arc::clone(&shared), stream, place));
            }
        }
    }
}

async fn converse(shared: Arc<Shared>, stream: TcpStream, _place: OwnedSemaphorePermit) {
    let limits = &shared.edge.limits;
    let Ok(Ok(stream)) = timeout(ms(limits.handshake_ms), shared.acceptor.accept(stream)).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let key = certificate.and_then(|leaf| crate::tls::certificate_key(leaf).ok()).map(|(key, _)| key);
    let stream = FailsWhenStalled::new(stream, ms(limits.keepalive_interval_ms + limits.keepalive_timeout_ms));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(16 * 1_024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(limits.header_list_bytes)
        .keep_alive_interval(ms(limits.keepalive_interval_ms))
        .keep_alive_timeout(ms(limits.keepalive_timeout_ms));
    let answering = Arc::clone(&shared);
    let answers = service_fn(move |request| {
        let shared = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(answer(&shared.edge, key, &request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), answers);
    // An error is the peer's or the network's; the age is that of every connection.
    drop(timeout(ms(limits.connection_age_ms), connection).await);
}

async fn answer(edge: &FileEdge, key: Option<[u8; 32]>, request: &Request<Incoming>) -> Response<Body> {
    let head = match *request.method() {
        http::Method::GET => false,
        http::Method::HEAD => true,
        _ => return response::not_allowed(),
    };
    let is_auditor = || {
        let catalogue = Arc::clone(&edge.catalogue.borrow());
        key.is_some_and(|key| catalogue.is_auditor(&key))
    };
    match Place::parse(request.uri().path()) {
        Some(_) if request.uri().query().is_some() => response::not_found(),
        Some(place) if place.is_restricted() && !is_auditor() => response::forbidden(),
        Some(place) => response::file(&place.file(&edge.dir), &place, head).await,
        None => response::not_found(),
    }
}

#[cfg(test)]
mod tests;
