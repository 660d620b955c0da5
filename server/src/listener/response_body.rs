//! The body of a response: tells the stream's clock how it moves, and ends with a status when the connection or the
//! stream must.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use veilmatch_proto::{Reason, Refused};

use super::streams::StreamClock;

/// Sends a response's body as long as it may.
pub(super) struct ResponseBody {
    inner: tonic::body::Body,
    clock: Arc<StreamClock>,
    now: Pin<Box<WaitForCancellationFutureOwned>>,
    over: Pin<Box<Sleep>>,
    ended: bool,
}

impl ResponseBody {
    pub(super) fn new(inner: tonic::body::Body, clock: Arc<StreamClock>) -> Self {
        let now = Box::pin(clock.ending.until_now());
        let over = Box::pin(tokio::time::sleep_until(clock.over_at()));
        Self { inner, clock, now, over, ended: false }
    }

    // Pieces of a body are whole messages, so a status may follow any of them.
    fn end(&mut self, refused: Refused) -> Option<Result<Frame<Bytes>, Status>> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Some(Status::from(refused).add_header(&mut trailers).map(|()| Frame::trailers(trailers)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let me = &mut *self;
        me.clock.output_taken();
        if me.ended {
            return Poll::Ready(None);
        }
        if me.now.as_mut().poll(cx).is_ready() {
            let refused = me.clock.ending.refusal().unwrap_or(Reason::NotServing.into());
            return Poll::Ready(me.end(refused));
        }
        if let Poll::Ready(next) = Pin::new(&mut me.inner).poll_frame(cx) {
            if matches!(&next, Some(Ok(frame)) if frame.is_data()) {
                me.clock.output_given();
            }
            return Poll::Ready(next);
        }
        if me.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(me.end(Reason::NotServing.into()));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
