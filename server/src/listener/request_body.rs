//! The body of a request, with its deadlines: the rest of a message, the next message, the stream's age.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use veilmatch_proto::{Reason, Refused};

use super::{framing::Framing, streams::StreamClock};

/// Reads a request's body as long as its peer keeps to the limits.
///
/// Only the time counts in which we wait for the peer: a busy server does not make its peers late.
pub(super) struct RequestBody<B> {
    inner: B,
    clock: Arc<StreamClock>,
    framing: Framing,
    // How much longer we wait, counted from `since` while we do.
    patience: Duration,
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    soon: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, clock: Arc<StreamClock>) -> Self {
        Self {
            inner,
            framing: Framing::default(),
            patience: clock.times.idle,
            since: None,
            timer: Box::pin(tokio::time::sleep_until(clock.aged_at())),
            soon: Box::pin(clock.ending.until_soon()),
            ended: false,
            clock,
        }
    }

    // The end of reading: an end of the stream if it has brought something, else a refusal.
    fn end(&mut self, reason: Reason) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        let whole = self.framing.complete() > 0 && !self.framing.within_message();
        Poll::Ready((!whole).then(|| Err(Status::from(Refused::from(reason)))))
    }

    // Why no further message is to be read, if so.
    fn closing(&self) -> Option<Reason> {
        if self.clock.ending.is_soon() {
            Some(Reason::NotServing)
        } else if Instant::now() >= self.clock.aged_at() {
            Some(Reason::DeadlineExceeded)
        } else {
            None
        }
    }

    fn arrived(&mut self, data: &mut Bytes) {
        if let Some(since) = self.since.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
        }
        let was_within = self.framing.within_message();
        let end = self.framing.advance(data);
        if let Some(end) = end.filter(|_| self.closing().is_some()) {
            // The peer has begun another message that nobody will read: it is sent again elsewhere.
            data.truncate(end);
            self.ended = true;
        }
        if !self.framing.within_message() {
            self.patience = self.clock.times.idle;
        } else if end.is_some() || !was_within {
            self.patience = self.clock.times.message;
        }
    }

    // Between messages a stream on which we have just answered is not idle.
    fn deadline(&self, since: Instant) -> Instant {
        let own = since + self.patience;
        if self.framing.within_message() {
            return own;
        }
        let idle = self.clock.last_output().map_or(own, |last| own.max(last + self.clock.times.idle));
        idle.min(self.clock.aged_at())
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let me = &mut *self;
        if me.ended {
            return Poll::Ready(None);
        }
        if let Some(reason) = me.closing().filter(|_| me.framing.complete() > 0 && !me.framing.within_message()) {
            return me.end(reason);
        }
        if let Poll::Ready(read) = Pin::new(&mut me.inner).poll_frame(cx) {
            let Some(read) = read else { return Poll::Ready(None) };
            let mut frame = match read {
                Ok(frame) => frame,
                Err(error) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            };
            if let Some(data) = frame.data_mut().filter(|data| !data.is_empty()) {
                me.arrived(data);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        // What has begun is read to its end even now, within its deadline.
        if !me.framing.within_message() && me.soon.as_mut().poll(cx).is_ready() {
            return me.end(Reason::NotServing);
        }
        let since = *me.since.get_or_insert_with(Instant::now);
        loop {
            let deadline = me.deadline(since);
            if me.timer.deadline() != deadline {
                me.timer.as_mut().reset(deadline);
            }
            ready!(me.timer.as_mut().poll(cx));
            // Output may have moved the deadline while we slept.
            if me.deadline(since) <= Instant::now() {
                return me.end(Reason::DeadlineExceeded);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
