//! How the process ends.

use super::{failure::Failure, tally::Tally};

/// Exit codes, as `--help` and docs/output.md say them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; where something was checked: all of it, and none is listed.
    Done = 0,
    /// At least one match.
    Match = 1,
    /// No match, but something was not checked.
    NotChecked = 2,
    /// Stopped before the end; what was written is right as far as it goes.
    Stopped = 3,
    /// The command line was not understood.
    Usage = 64,
    /// The command could not run.
    Failed = 70,
    /// Ctrl-C, twice.
    Interrupted = 130,
    /// Nobody reads stdout any more.
    Pipe = 141,
}

/// What `--help` says.
pub const HELP: &str = "Exit codes: 0 all checked, none listed (or: done), 1 at least one match, 2 no match but something \
                        not checked, 3 stopped before the end (run the same scan again to go on), 64 the command line was \
                        not understood, 70 the command could not run.";

impl Exit {
    /// After a check that came to its end.
    pub fn after(tally: &Tally) -> Self {
        Self::of_counts(tally.matches, tally.not_checked())
    }

    /// After so many matches, and so many things that were not checked.
    pub fn of_counts(matches: u64, not_checked: u64) -> Self {
        if matches > 0 {
            Self::Match
        } else if not_checked > 0 {
            Self::NotChecked
        } else {
            Self::Done
        }
    }

    /// After a failure.
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Print(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Self::Pipe,
            Failure::WhichList { .. } => Self::Usage,
            _ => Self::Failed,
        }
    }
}
