//! Why an audit could not be made, what to do, and the exit code.

use std::{io, path::Path};

use thiserror::Error;

/// How the process ends, as `--help` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing was found.
    Clean = 0,
    /// Something was found.
    Findings = 1,
    /// The audit could not be made.
    Failed = 2,
    /// A source did not answer; try again.
    Unreachable = 75,
}

/// Why an audit could not be made. Findings are none of these.
#[derive(Debug, Error)]
pub enum Failure {
    /// A file of the auditor's own cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The configuration is not understood.
    #[error("{path}: {why}")]
    Config {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// Something that was given is not what it should be.
    #[error("{what} {value:?} {why}")]
    Given {
        /// What.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A source did not answer.
    #[error("a source did not answer: {0}")]
    Unreachable(#[from] io::Error),
    /// A program that serves could not start.
    #[error("cannot {what}: {source}")]
    Serve {
        /// What it could not do.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A report could not be signed, or does not verify.
    #[error("{0}")]
    Report(#[from] crate::Error),
}

impl Failure {
    /// A file that could not be read or written.
    #[must_use]
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }

    pub(super) fn serve(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Serve { what, source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "look at the path and its permissions; nothing was changed",
            Self::Config { .. } => "docs/auditing.md shows a whole audit.toml",
            Self::Given { .. } => "keys come from the party itself, over another channel than the log",
            Self::Serve { .. } => "is the address free, and no other witness running on this state?",
            Self::Unreachable(_) => "nothing was concluded and the state stands; try again",
            Self::Report(_) => {
                "a report is read with the key of the auditor who signed it; `veilmatch-audit new-key` makes one"
            }
        }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if matches!(self, Self::Unreachable(_)) { Exit::Unreachable } else { Exit::Failed }
    }
}
