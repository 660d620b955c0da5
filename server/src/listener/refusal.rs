//! A connection that is refused: each call hears why, and nothing of it is read.
//!
//! Its peer has a certificate of our authority, so it may know what is wrong; closing in silence would look like a broken
//! network, and would be tried again for ever.

use std::{convert::Infallible, pin::pin};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::timeout,
};
use tonic::{Status, body::Body};
use veilmatch_proto::Refused;

use super::ms;
use crate::limits::Limits;

/// Streams that may ask at one time.
const STREAMS: u32 = 8;

/// Answers the first call and closes; without a call, closes after the time for a preface.
pub(super) async fn refuse<S>(limits: &Limits, stream: S, refused: Refused)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answered = Notify::new();
    let service = service_fn(|_: http::Request<Incoming>| {
        answered.notify_one();
        async move { Ok::<_, Infallible>(Status::from(refused).into_http::<Body>()) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(limits.header_list_bytes)
        .max_frame_size(limits.frame_bytes);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let talk = async {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = answered.notified() => connection.as_mut().graceful_shutdown(),
        }
        // An error here is the peer's leaving.
        drop(connection.await);
    };
    // Out of time is as good an end as any.
    drop(timeout(ms(limits.preface_ms), talk).await);
}
