//! A witness over HTTP/1.1: `POST /add-checkpoint`, `GET /<SHA-256 of the origin>/checkpoint` (C2SP tlog-witness v1.0.0).

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Bytes},
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    MAX_REQUEST, SIZE_TYPE,
    register::{Declined, Register},
};

/// Connections at one time; beyond it new ones wait in the system's queue.
const CONNECTIONS: usize = 256;

/// For the TLS handshake, for the head of a request, for its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest life of a connection: what a peer that reads no answers can hold on to.
const LIFE: Duration = Duration::from_secs(600);

/// From the wish to stop to the end of connections that are still busy.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// After a failure to accept, which is one of the machine (no more file descriptors), how long to wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a witness until `stop` is cancelled and its connections have ended.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, register: Arc<Register>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, register, stop) = (tls.clone(), Arc::clone(&register), stop.clone());
        connections.spawn(async move {
            let _place = place;
            match tls {
                None => live(stream, register, stop).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                        live(stream, register, stop).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whoever is cut off here has no answer; what was stored for it is stored.
    let _ = timeout(LAST_WORDS, ended).await;
}

async fn live<S: AsyncRead + AsyncWrite + Unpin>(stream: S, register: Arc<Register>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let register = Arc::clone(&register);
        async move { Ok::<_, std::convert::Infallible>(answer(&register, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(64).max_buf_size(64 * 1_024);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let life = timeout(LIFE, async {
        tokio::select! {
            ended = &mut connection => return ended,
            () = stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    // A peer that goes away or is too slow is none of our errors.
    let _ = life.await;
}

type Answer = Response<Full<Bytes>>;

async fn answer<B>(register: &Arc<Register>, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path().to_owned();
    let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
    match (hash, request.method()) {
        (Some(hash), &Method::GET | &Method::HEAD) => show(register, hash.to_owned()).await,
        (Some(_), _) => not_allowed("GET, HEAD"),
        (None, &Method::POST) if path == "/add-checkpoint" => add(register, request.into_body()).await,
        (None, _) if path == "/add-checkpoint" => not_allowed("POST"),
        _ => plain(StatusCode::NOT_FOUND, "nothing is here\n"),
    }
}

async fn add<B>(register: &Arc<Register>, body: B) -> Answer
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = match timeout(PATIENCE, Limited::new(body, MAX_REQUEST).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return closing(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long or broke off\n")),
        Err(_) => return closing(plain(StatusCode::REQUEST_TIMEOUT, "the request took too long\n")),
    };
    let register = Arc::clone(register);
    // Reading, syncing and signing block; a request whose peer is gone is still stored whole or not at all.
    let added = tokio::task::spawn_blocking(move || register.add(&body, unix_seconds())).await;
    match added.unwrap_or_else(|_| Err(Declined::State(io::Error::other("the request ended in a panic")))) {
        Ok(line) => plain(StatusCode::OK, &line),
        Err(Declined::Refused(refusal)) => {
            let status = StatusCode::from_u16(refusal.status()).expect("a refusal has a status of HTTP");
            let kind = if matches!(refusal, super::Refusal::Stale(_)) { SIZE_TYPE } else { PLAIN };
            respond(status, kind, refusal.text().into())
        }
        Err(declined) => unable(&declined),
    }
}

async fn show(register: &Arc<Register>, hash: String) -> Answer {
    let register = Arc::clone(register);
    let read = tokio::task::spawn_blocking(move || register.newest(&hash)).await;
    match read.unwrap_or_else(|_| Err(io::Error::other("the request ended in a panic"))) {
        Ok(Some(note)) => respond(StatusCode::OK, PLAIN, note.into()),
        Ok(None) => plain(StatusCode::NOT_FOUND, "nothing was cosigned for such a log\n"),
        Err(error) => unable(&Declined::State(error)),
    }
}

/// The peer learns that it is our fault; the operator learns why.
fn unable(declined: &Declined) -> Answer {
    let cause = std::error::Error::source(declined).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%declined, cause, "cannot cosign");
    plain(StatusCode::SERVICE_UNAVAILABLE, "the witness cannot cosign at present\n")
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn plain(status: StatusCode, text: &str) -> Answer {
    respond(status, PLAIN, text.to_owned().into())
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here\n");
    answer.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(methods));
    answer
}

/// What is left of the request is not read; the connection cannot go on.
fn closing(mut answer: Answer) -> Answer {
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert(hyper::header::CONNECTION, hyper::header::HeaderValue::from_static("close"));
    answer
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
