//! The life of streams: each one's task, its clock, and the cut of what neither moves nor ends.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ending::Ending, ms};
use crate::limits::Limits;

tokio::task_local! {
    // Leads from the task of a stream, which hyper makes, to the bodies within it, which we make.
    static CLOCK: Arc<StreamClock>;
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    times: StreamTimes,
    ending: Ending,
    gone: CancellationToken,
}

/// The limits of a stream's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamTimes {
    pub(super) message: Duration,
    pub(super) idle: Duration,
    pub(super) age: Duration,
}

impl Streams {
    pub(super) fn new(limits: &Limits, ending: Ending) -> Self {
        let times = StreamTimes {
            message: ms(limits.message_ms),
            idle: ms(limits.idle_stream_ms),
            age: ms(limits.stream_age_ms),
        };
        Self { times, ending, gone: CancellationToken::new() }
    }

    /// Ends every stream when it is dropped.
    pub(super) fn end_with_guard(&self) -> DropGuard {
        self.gone.clone().drop_guard()
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let clock = Arc::new(StreamClock::start(self.times, self.ending.clone()));
        let gone = self.gone.clone();
        let watched = watch(Arc::clone(&clock), gone, stream);
        tokio::spawn(CLOCK.scope(clock, watched));
    }
}

// Dropping a stream's future resets the stream.
async fn watch(clock: Arc<StreamClock>, gone: CancellationToken, stream: impl Future<Output = ()>) {
    let mut stream = pin!(stream);
    loop {
        tokio::select! {
            biased;
            () = &mut stream => return,
            () = gone.cancelled() => return,
            () = sleep_until(clock.next_look()) => if clock.is_over() {
                tracing::info!("a stream was reset: its peer does not read, or it is too old");
                return;
            },
        }
    }
}

/// What one stream's bodies and its task know of each other.
pub(super) struct StreamClock {
    pub(super) times: StreamTimes,
    pub(super) ending: Ending,
    begun: Instant,
    output: Mutex<Output>,
}

#[derive(Debug, Default)]
struct Output {
    last: Option<Instant>,
    // Since when a piece of ours waits for the peer to make room.
    blocked: Option<Instant>,
}

impl StreamClock {
    fn start(times: StreamTimes, ending: Ending) -> Self {
        Self { times, ending, begun: Instant::now(), output: Mutex::default() }
    }

    /// The clock of the stream whose task runs now.
    pub(super) fn of_this_stream() -> Arc<Self> {
        CLOCK.with(Arc::clone)
    }

    /// When no further message is read.
    pub(super) fn aged_at(&self) -> Instant {
        self.begun + self.times.age
    }

    /// When the response ends by itself.
    pub(super) fn over_at(&self) -> Instant {
        self.aged_at() + self.times.message
    }

    /// A piece of the response was handed over.
    pub(super) fn output_given(&self) {
        let now = Instant::now();
        *self.lock() = Output { last: Some(now), blocked: Some(now) };
    }

    /// The next piece is asked for: what was handed over has found room.
    pub(super) fn output_taken(&self) {
        self.lock().blocked = None;
    }

    /// When the last piece of the response was handed over.
    pub(super) fn last_output(&self) -> Option<Instant> {
        self.lock().last
    }

    fn is_over(&self) -> bool {
        let now = Instant::now();
        let blocked = self.lock().blocked;
        // One message deadline more than the response has, which ends more politely than by a reset.
        now >= self.over_at() + self.times.message || blocked.is_some_and(|since| now >= since + self.times.idle)
    }

    fn next_look(&self) -> Instant {
        let blocked = self.lock().blocked.unwrap_or_else(Instant::now);
        (blocked + self.times.idle).min(self.over_at() + self.times.message)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
