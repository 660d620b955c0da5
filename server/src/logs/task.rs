//! The thread that publishes the query log while the server runs: every so many seconds what was recorded since, in the
//! shard that it belongs to.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use veilmatch_audit::origin::{LogOrigin, Shard};
use veilmatch_protocol::{manifest::Timestamp, name::AgencyName};

use super::{
    LogHealth, LogKeys, LogState,
    keeper::{Keeper, MOST_LEAVES},
};
use crate::{
    Error,
    background::Background,
    clock::Clock,
    state_dir::StateDir,
    status::Chain,
    store::{Store, is_busy},
};

/// How often a log that cannot be published is tried again.
const PROBE: Duration = Duration::from_secs(1);

/// How long others may keep the store from us: half of the time within which a leaf is under a published checkpoint
/// (SPEC §17.7). The other half has passed, at most, when the first attempt is made.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leaves that are published before the server answers: each tile of 256 is two files to be flushed.
const AT_START: u64 = 1_024;

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
pub struct QueryLogTask(Background);

impl QueryLogTask {
    /// Finishes what was begun and publishes some of what is there already, then starts the thread, which goes on with it: a
    /// server that was killed at work is not kept from answering by all that it has recorded. `on_fatal` is called if the
    /// process must end.
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
        let more = task.publish_some(AT_START)?;
        let run = move |stopped: &Receiver<()>| task.run(stopped, &health, more, on_fatal);
        Background::start("query-log", "the thread of the query log", run).map(Self)
    }

    /// Publishes what is left and ends. For a thread that may wait.
    pub fn stop(self) {
        self.0.stop();
    }
}

struct Task {
    options: TaskOptions,
    store: Store,
}

impl Task {
    fn run(&mut self, stopped: &Receiver<()>, health: &LogHealth, mut more: bool, on_fatal: impl Fn()) {
        let mut due = Instant::now() + self.options.every;
        let mut failing = None;
        loop {
            if more {
                due = Instant::now();
            }
            let ended = match stopped.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => false,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            };
            due = Instant::now() + self.options.every;
            let began = Instant::now();
            more = false;
            match self.publish_some(MOST_LEAVES) {
                Ok(is_left) => {
                    more = is_left;
                    failing = None;
                    health.become_state(LogState::Sound);
                }
                Err(error) => {
                    let (reason, cause) = (error.reason(), Chain(&error));
                    tracing::error!(reason, %cause, "the query log cannot be published");
                    if matches!(error, Error::HeadUnclear(_)) {
                        return on_fatal();
                    }
                    if let Some(state) = state_after(&error, failing.get_or_insert(began).elapsed()) {
                        health.become_state(state);
                    }
                    // One that is halted does not come back.
                    if !matches!(error, Error::LogHalted { .. }) {
                        due = due.min(Instant::now() + PROBE);
                    }
                }
            }
            if ended && !more {
                return;
            }
        }
    }

    // The shard of this moment, which may be new, and those before it that have gained leaves since: some leaves of each.
    // Gives whether more were there.
    fn publish_some(&mut self, most: u64) -> Result<bool, Error> {
        let Task { options, store } = self;
        let now = options.clock.now();
        let current = LogOrigin::Query(options.agency.clone(), Shard::of(Timestamp::from_unix(now)));
        let mut due = vec![store.newest_of(&current)?];
        for row in store.logs()? {
            let origin = LogOrigin::parse(&row.origin)?;
            if matches!(origin, LogOrigin::Query(..))
                && row.lost.is_none()
                && !due.contains(&origin)
                && store.log_len(row.id)? > row.published_size
            {
                due.push(origin);
            }
        }
        let mut more = false;
        for origin in due {
            more |= Keeper::new(&options.dir, origin, &options.keys.query).publish_some(store, now, most)?;
        }
        Ok(more)
    }
}

// How the logs stand if they could not be published for so long; `None` if that says nothing yet.
fn state_after(error: &Error, failing: Duration) -> Option<LogState> {
    match error {
        Error::LogHalted { .. } => Some(LogState::Halted),
        // Frames are being recorded without a pause, and there is time.
        error if is_busy(error) && failing < PATIENCE => None,
        _ => Some(LogState::Unpublished),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_store_is_waited_for_as_long_as_the_promise_can_be_kept() {
        // SPEC §17.7
        let busy =
            || Error::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None));
        assert_eq!(state_after(&busy(), Duration::from_secs(29)), None);
        assert_eq!(state_after(&busy(), Duration::from_secs(30)), Some(LogState::Unpublished));
        assert_eq!(state_after(&Error::Internal("else"), Duration::ZERO), Some(LogState::Unpublished));
        let halted = Error::LogHalted { origin: String::new(), why: String::new() };
        assert_eq!(state_after(&halted, Duration::ZERO), Some(LogState::Halted));
    }
}
