//! What an auditor finds (SPEC §21): a stable code, the exact place, and the evidence to keep.

mod code;
mod read;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use code::{Code, Proves, Severity};

/// Where something was found: in which log or whose papers, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Origin of the log, or the name of the party whose papers are meant.
    pub origin: String,
    /// What of it.
    #[serde(flatten)]
    pub part: Part,
}

/// The part of a log or of a party's papers that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// The checkpoint.
    Checkpoint,
    /// A file of the log, and the first place in it that differs, if there is one.
    File {
        /// Path within the log: `tile/0/000`.
        path: String,
        /// Number of the hash or entry within the whole level, from 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<u64>,
    },
    /// A leaf.
    Leaf {
        /// Its index.
        index: u64,
    },
    /// A file of one version of a list: its artifact, delta, code book or certificates.
    Version {
        /// The list.
        list: String,
        /// The version.
        version: u32,
        /// `artifact`, `delta`, `codes` or `certificates`.
        file: &'static str,
    },
    /// A line of a file that a party handed over: acknowledgements, openings, canaries.
    Line {
        /// `acknowledgement`, `opening` or `canary`.
        paper: &'static str,
        /// Number of the line, from 1.
        line: u64,
    },
    /// A UTC day of one list and epoch.
    Day {
        /// `YYYY-MM-DD`.
        date: String,
        /// The list.
        list: String,
        /// The epoch, 0 where a day is of all epochs.
        epoch: u32,
    },
}

impl Place {
    /// The checkpoint of a log.
    #[must_use]
    pub fn checkpoint(origin: &str) -> Self {
        Self { origin: origin.to_owned(), part: Part::Checkpoint }
    }

    /// A leaf of a log.
    #[must_use]
    pub fn leaf(origin: &str, index: u64) -> Self {
        Self { origin: origin.to_owned(), part: Part::Leaf { index } }
    }

    /// A file of a log, and the first hash or entry in it that is meant.
    #[must_use]
    pub fn file(origin: &str, path: impl fmt::Display, index: Option<u64>) -> Self {
        Self { origin: origin.to_owned(), part: Part::File { path: path.to_string(), index } }
    }

    /// A line of a paper that `party` handed over, from 1.
    #[must_use]
    pub fn line(party: &str, paper: &'static str, line: u64) -> Self {
        Self { origin: party.to_owned(), part: Part::Line { paper, line } }
    }

    /// A file of a version of a list.
    #[must_use]
    pub fn version(origin: &str, list: &str, version: u32, file: &'static str) -> Self {
        Self { origin: origin.to_owned(), part: Part::Version { list: list.to_owned(), version, file } }
    }

    /// A day of a list, of one epoch or (0) of all.
    #[must_use]
    pub fn day(party: &str, date: &str, list: &str, epoch: u32) -> Self {
        Self { origin: party.to_owned(), part: Part::Day { date: date.to_owned(), list: list.to_owned(), epoch } }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Checkpoint => write!(f, "{}: checkpoint", self.origin),
            Part::File { path, index: None } => write!(f, "{}: {path}", self.origin),
            Part::File { path, index: Some(index) } => write!(f, "{}: {path}, number {index}", self.origin),
            Part::Leaf { index } => write!(f, "{}: leaf {index}", self.origin),
            Part::Version { list, version, file } => write!(f, "{}: {file} of {list} version {version}", self.origin),
            Part::Line { paper, line } => write!(f, "{}: {paper} {line}", self.origin),
            Part::Day { date, list, epoch: 0 } => write!(f, "{}: {list}, {date}", self.origin),
            Part::Day { date, list, epoch } => write!(f, "{}: {list} epoch {epoch}, {date}", self.origin),
        }
    }
}

/// What speaks for a finding: a sentence, and the bytes to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What was seen, in one sentence and without anything that a restricted log would not show.
    pub text: String,
    /// Names and contents of the files to keep with the report.
    pub files: Vec<(String, Vec<u8>)>,
    /// Leaves that the place was compared with: they are kept, too.
    pub others: Vec<Place>,
}

/// One thing that an auditor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// Whom it speaks against: whom its code does, unless the evidence is thinner.
    pub proves: Proves,
    /// What speaks for it.
    pub evidence: Evidence,
}

impl Finding {
    /// A finding with a sentence.
    #[must_use]
    pub fn new(code: Code, place: Place, text: impl Into<String>) -> Self {
        Self { code, place, proves: code.proves(), evidence: Evidence { text: text.into(), ..Evidence::default() } }
    }

    /// The same, where the evidence speaks against another than the code's.
    #[must_use]
    pub fn against(mut self, proves: Proves) -> Self {
        self.proves = proves;
        self
    }

    /// The same with a leaf that the place was compared with.
    #[must_use]
    pub fn beside(mut self, other: Place) -> Self {
        self.evidence.others.push(other);
        self
    }

    /// The same with a file to keep.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.evidence.files.push((name.to_owned(), bytes.into()));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.code, self.code.severity(), self.place, self.evidence.text)
    }
}

#[cfg(test)]
mod tests;
