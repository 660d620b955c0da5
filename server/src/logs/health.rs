//! Whether the logs can go on: if not, nothing is answered (SPEC §9.7, §17.7).

use std::sync::{Mutex, PoisonError};

/// How the logs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogState {
    /// They grow and are published.
    Sound,
    /// What is recorded cannot be published: the disk is full, the folder cannot be written, or the clock went back.
    Unpublished,
    /// Another tree than ours was seen under our key. No answer is given any more.
    Halted,
}

type OnChange = Box<dyn Fn(LogState) + Send + Sync>;

/// The state, and who hears of its changes.
pub struct LogHealth {
    state: Mutex<LogState>,
    on_change: OnChange,
}

impl LogHealth {
    /// Sound; `on_change` hears of each new state.
    #[must_use]
    pub fn new(on_change: impl Fn(LogState) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::new(LogState::Sound), on_change: Box::new(on_change) }
    }

    /// How the logs stand now.
    #[must_use]
    pub fn state(&self) -> LogState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a new state. From `Halted` nothing leads back.
    pub fn become_state(&self, next: LogState) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != next && *state != LogState::Halted {
            *state = next;
            // Under the lock, so that what is heard last is how things are.
            (self.on_change)(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn each_change_is_heard_and_a_halt_is_for_good() {
        // SPEC §17.7
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let health = LogHealth::new(move |state| hearing.lock().unwrap().push(state));
        for state in [LogState::Sound, LogState::Unpublished, LogState::Sound, LogState::Halted, LogState::Sound] {
            health.become_state(state);
        }
        assert_eq!(*heard.lock().unwrap(), [LogState::Unpublished, LogState::Sound, LogState::Halted]);
        assert_eq!(health.state(), LogState::Halted);
    }
}
