//! How long to wait before something is tried again (SPEC §9.6).

use std::time::Duration;

use rand::{RngExt, rand_core::UnwrapErr, rngs::SysRng};

/// First wait; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait between two tries, unless the server asks for more.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double, with jitter, so that clients which a restart cut off together do not come back together.
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self::up_to(LONGEST)
    }

    /// For what costs more than a call.
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { next: FIRST, longest }
    }

    /// The next wait, never shorter than what the server asked for.
    pub(crate) fn next(&mut self, asked: Duration) -> Duration {
        let wait = self.next.mul_f64(UnwrapErr(SysRng).random_range(0.8..1.2));
        self.next = (self.next * 2).min(self.longest);
        wait.max(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_some_seconds_and_are_never_shorter_than_asked() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..10).map(|_| backoff.next(Duration::ZERO)).collect();
        assert!(waits[0] >= FIRST.mul_f64(0.8) && waits[0] <= FIRST.mul_f64(1.2), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST.mul_f64(1.2)), "{waits:?}");
        assert!(waits[9] >= LONGEST.mul_f64(0.8), "{waits:?}");
        assert_eq!(backoff.next(LONGEST * 9), LONGEST * 9);
    }
}
