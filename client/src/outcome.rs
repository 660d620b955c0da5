//! What is asked, and the three answers (SPEC §12).

use std::{fmt, time::Duration};

use veilmatch_proto::Reason;
use veilmatch_protocol::item::{Item, Kind};

use crate::label::Label;

/// One thing to check: a file with the digests of all its kinds, or one bare digest.
#[derive(Clone)]
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

impl Subject {
    /// Whether there are two digests of one kind: those are of two subjects.
    pub(crate) fn has_a_kind_twice(&self) -> bool {
        let mut items = self.items.iter();
        while let Some(item) = items.next() {
            if items.clone().any(|other| other.kind() == item.kind()) {
                return true;
            }
        }
        false
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A reference can be a path or a digest.
        f.debug_struct("Subject").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The answer about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A digest of the subject is listed.
    Match {
        /// The list's label, opened.
        label: Label,
        /// The kind that matched; the strongest if several did.
        kind: Kind,
        /// The version that lists it.
        version: u32,
        /// Whether only digests of kinds match for which collisions can be made, although the list has the same content
        /// under a stronger kind: somebody may have planted a file that only looks listed. For a person to look at.
        weak_only: bool,
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
    /// The subject has two digests of one kind.
    KindTwice,
    /// The kept result was damaged, or destroyed with the key of its epoch.
    ResultLost,
    /// No answer within the deadline.
    Deadline,
    /// The agency's server cannot be reached.
    Offline,
    /// The answer's proof does not verify; the frame is kept as evidence.
    BadProof,
    /// The acknowledgement of the answer does not say that this frame is recorded; the frame is kept as evidence.
    BadAcknowledgement,
    /// No checkpoint of the manifest log is proven to have the version in use.
    UnprovenLog,
    /// No cosignature of the manifest log is fresh enough.
    StaleLog,
    /// The manifest log shows two trees that do not extend each other.
    LogFork,
    /// The manifest log shows a smaller tree than before.
    LogRollback,
    /// A published record was altered on disk: its shard has not the signed hash.
    AlteredRecord,
    /// A published label does not open under the entry's own key: the agency published something else.
    LabelMismatch,
    /// The item has no place in the group. Nobody can make one on purpose.
    InvalidInput,
    /// One of the two sides refuses the other's certificate.
    Certificate,
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

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:pat => $name:literal, $action:literal;)*) => {
        impl NotChecked {
            /// Every reason of this program's own with what to do next, for docs/errors.md. A refusal has the server's
            /// reason ([`Reason::ALL`]), a source that could not be read its caller's.
            pub const REASONS: &[(&str, &str)] = &[$(($name, $action)),*];

            /// The stable name, as in docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self {
                    $($variant => $name,)*
                    Self::Refused { reason, .. } => reason.name(),
                    Self::Source(reason) => reason,
                }
            }

            /// What to do next; nothing is known about a reason of the caller's.
            #[must_use]
            pub fn action(&self) -> Option<&'static str> {
                match self {
                    $($variant => Some($action),)*
                    Self::Refused { reason, .. } => Some(reason.action()),
                    Self::Source(_) => None,
                }
            }
        }
    };
}

reasons! {
    Self::NoList => "NO_LIST", "run `veilmatch sync`";
    Self::Expired => "EXPIRED", "run `veilmatch sync`; if that brings nothing newer, call the agency";
    Self::KindMissing(_) => "KIND_MISSING", "give the digests of every kind that `veilmatch status` names";
    Self::KindNotListed(_) => "KIND_NOT_LISTED", "give a digest of a kind that `veilmatch status` names";
    Self::KindTwice => "KIND_TWICE", "give one digest of a kind; those of other files by themselves";
    Self::ResultLost => "RESULT_LOST", "scan again what was checked; then, or if it is there no more, `veilmatch forget --lost`";
    Self::Deadline => "DEADLINE", "ask again; raise check_deadline_ms if it happens often";
    Self::Offline => "OFFLINE", "ask again when the agency's server can be reached";
    Self::BadProof => "BAD_PROOF", "stop, call the agency and send it the file in evidence/";
    Self::BadAcknowledgement => "BAD_ACKNOWLEDGEMENT", "stop, call the agency and send it the file in evidence/";
    Self::UnprovenLog => "UNPROVEN_LOG", "run `veilmatch sync`; if that does not help, call the agency";
    Self::StaleLog => "STALE_LOG", "run `veilmatch sync`; if that does not help, call the agency and the witnesses";
    Self::LogFork => "LOG_FORK", "stop, call the agency and an auditor, and send them the files in evidence/";
    Self::LogRollback => "LOG_ROLLBACK", "stop, call the agency and an auditor, and send them the files in evidence/";
    Self::AlteredRecord => "ALTERED_RECORD", "look after the disk; `veilmatch sync` fetches the list anew";
    Self::LabelMismatch => "LABEL_MISMATCH", "call the agency: a published label is not the entry's";
    Self::InvalidInput => "INVALID_INPUT", "tell us: this should not happen";
    Self::Certificate => "CERTIFICATE", "look at the clock and at `veilmatch sync`; ask the agency for a new invitation";
    Self::Storage => "STORAGE", "make room or mend the disk of the platform's directory, then ask again";
    Self::ShutDown => "SHUT_DOWN", "ask again";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_shows_no_reference_and_no_digest() {
        // Its reference was printed, and that of a line without a name is the digest in hexadecimal.
        let item = Item::new(Kind::Md5, &[0x5a; 16]).unwrap();
        let subject = Subject { key: 7, reference: b"md5:5a5a".to_vec(), items: vec![item], whole: false };
        assert_eq!(format!("{subject:?}"), "Subject { key: 7, .. }");
    }

    #[test]
    fn reasons_are_stable_names_and_each_its_own() {
        let names: std::collections::HashSet<_> = NotChecked::REASONS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), NotChecked::REASONS.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
    }
}
