//! The thread that publishes the query log while the server runs: every so many seconds what was recorded since, in the
//! shard that it belongs to.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use veilmatch_audit::origin::{LogOrigin, Shard};
use veilmatch_protocol::{manifest::Timestamp, name::AgencyName};

use super::{LogHealth, LogKeys, LogState, keeper::Keeper};
use crate::{
    Error,
    clock::Clock,
    state_dir::StateDir,
    status::Chain,
    store::{Store, is_busy},
};

/// How often a log that cannot be published is tried again.
const PROBE: Duration = Duration::from_secs(1);

/// Within what time a leaf is under a published checkpoint (SPEC §17.7).
const PROMISED: Duration = Duration::from_secs(60);

/// What a task is told.
pub struct TaskOptions {
    /// The agency's directory.
    pub dir: StateDir,
    /// The agency.
    pub agency: AgencyName,
    /// The keys.
    pub keys: Arc<LogKeys>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How often to publish.
    pub every: Duration,
}

/// The running task. Dropped, it ends after what it is at.
pub struct QueryLogTask {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl QueryLogTask {
    /// Publishes what is there already, then starts the thread. `on_fatal` is called if the process must end.
    ///
    /// # Errors
    /// Those of [`Keeper::publish`].
    pub fn start(
        options: TaskOptions,
        health: Arc<LogHealth>,
        on_fatal: impl Fn() + Send + 'static,
    ) -> Result<Self, Error> {
        let store = Store::open(&options.dir.database())?;
        let mut task = Task { options, store };
        task.publish()?;
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("query-log".into())
            .spawn(move || task.run(&stopped, &health, on_fatal))
            .map_err(Error::io("start", Path::new("the thread of the query log")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Publishes what is left and ends. For a thread that may wait.
    pub fn stop(mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            drop(thread.join());
        }
    }
}

impl Drop for QueryLogTask {
    // Does not wait: this may be a worker of a runtime.
    fn drop(&mut self) {
        self.stop = None;
    }
}

struct Task {
    options: TaskOptions,
    store: Store,
}

impl Task {
    fn run(&mut self, stopped: &Receiver<()>, health: &LogHealth, on_fatal: impl Fn()) {
        let mut due = Instant::now() + self.options.every;
        let mut published = Instant::now();
        loop {
            let ended = match stopped.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => false,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            };
            due = Instant::now() + self.options.every;
            match self.publish() {
                Ok(()) => {
                    published = Instant::now();
                    health.become_state(LogState::Sound);
                }
                Err(error) => {
                    let (reason, cause) = (error.reason(), Chain(&error));
                    tracing::error!(reason, %cause, "the query log cannot be published");
                    match error {
                        Error::HeadUnclear(_) => return on_fatal(),
                        Error::LogHalted { .. } => health.become_state(LogState::Halted),
                        // Frames are being recorded without a pause. There is time: half of what is promised is left.
                        error if is_busy(&error) && published.elapsed() < PROMISED => {}
                        _ => health.become_state(LogState::Unpublished),
                    }
                    due = due.min(Instant::now() + PROBE);
                }
            }
            if ended {
                return;
            }
        }
    }

    // The shard of this moment, which may be new, and those before it that have gained leaves since.
    fn publish(&mut self) -> Result<(), Error> {
        let Task { options, store } = self;
        let now = options.clock.now();
        let current = LogOrigin::Query(options.agency.clone(), Shard::of(Timestamp::from_unix(now)));
        let mut due = vec![current];
        for row in store.logs()? {
            let origin = LogOrigin::parse(&row.origin)?;
            if matches!(origin, LogOrigin::Query(..))
                && !due.contains(&origin)
                && store.log_len(row.id)? > row.published_size
            {
                due.push(origin);
            }
        }
        for origin in due {
            Keeper::new(&options.dir, origin, &options.keys.query).publish(store, now)?;
        }
        Ok(())
    }
}
