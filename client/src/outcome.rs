//! What is asked, and the three answers (SPEC §12).

use std::time::Duration;

use veilmatch_proto::Reason;
use veilmatch_protocol::item::{Item, Kind};

/// One thing to check: a file with the digests of all its kinds, or one bare digest.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The caller's number, given back with the outcome.
    pub key: u64,
    /// What a later rescan names it by, such as a path. Kept sealed; never sent.
    pub reference: Vec<u8>,
    /// Its digests, one per kind.
    pub items: Vec<Item>,
    /// Whether the digests are all that a list's kinds ask for: a file, as against a bare digest of one kind.
    pub whole: bool,
}

/// The answer about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A digest of the subject is listed.
    Match {
        /// The list's label, opened: as many bytes as the list's labels have.
        label: Vec<u8>,
        /// The kind that matched; the strongest if several did.
        kind: Kind,
        /// The version that lists it.
        version: u32,
    },
    /// None of its digests is listed in this version.
    NoMatch {
        /// The version that does not list it.
        version: u32,
    },
    /// It could not be looked up. Never to be taken for *no match*.
    NotChecked(NotChecked),
}

/// Why something was not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotChecked {
    /// No version of the list is held.
    NoList,
    /// The newest version held is expired.
    Expired,
    /// The file lacks a digest of a kind that the list has.
    KindMissing(Kind),
    /// The list has no entry of this kind at all.
    KindNotListed(Kind),
    /// No answer within the deadline.
    Deadline,
    /// The agency's server cannot be reached.
    Offline,
    /// The answer's proof does not verify; the frame is kept as evidence.
    BadProof,
    /// A published record was altered, on disk or by the agency.
    AlteredRecord,
    /// The server refused the frame.
    Refused {
        /// Its reason.
        reason: Reason,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// The platform's own state could not be written.
    Storage,
    /// The client was shut down.
    ShutDown,
    /// The subject could not be read: a reason of the caller, such as `UNREADABLE`.
    Source(&'static str),
}

impl NotChecked {
    /// The stable name, as in docs/errors.md.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoList => "NO_LIST",
            Self::Expired => "EXPIRED",
            Self::KindMissing(_) => "KIND_MISSING",
            Self::KindNotListed(_) => "KIND_NOT_LISTED",
            Self::Deadline => "DEADLINE",
            Self::Offline => "OFFLINE",
            Self::BadProof => "BAD_PROOF",
            Self::AlteredRecord => "ALTERED_RECORD",
            Self::Refused { reason, .. } => reason.name(),
            Self::Storage => "STORAGE",
            Self::ShutDown => "SHUT_DOWN",
            Self::Source(reason) => reason,
        }
    }
}
