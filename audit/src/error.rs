//! Why a value of a log was refused.

use thiserror::Error;

/// What a log, a checkpoint or a leaf is refused for. No variant carries an item, an element or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint has another form or origin, or a proof does not lead to its root (SPEC §17.4).
    #[error("checkpoint is malformed, of another log, or not proven")]
    BadCheckpoint,
    /// A tile or a bundle of entries has another length than its path says, or does not hash to its root (SPEC §17.3).
    #[error("tile or entry bundle does not fit its path or the root")]
    BadTile,
    /// A policy has another form, names what it does not define, or a key twice (SPEC §17.5).
    #[error("policy is malformed")]
    BadPolicy,
    /// An index or a size is asked for that the tree does not have.
    #[error("index or size is outside the tree")]
    NotInTree,
    /// The files of a log are of a larger tree than its keeper's records: these were restored from a backup (SPEC §17.7).
    #[error("files of the log are ahead of its keeper's records")]
    LogAhead,
    /// A leaf is not canonical, of an unknown type, or a member is outside its limits (SPEC §18.1).
    #[error("leaf is malformed or of an unknown type")]
    BadLeaf,
    /// A report is not signed by the key it is read with, or has another form (SPEC §21.3).
    #[error("report is malformed or not signed by this key")]
    BadReport,
    /// An acknowledgement is not signed by the pinned key, has another form, or promises another leaf (SPEC §18.4).
    #[error("acknowledgement does not verify, or is of another leaf")]
    BadAcknowledgement,
    /// A closing statement is not signed by both sides, or has another form (SPEC §18.6).
    #[error("closing statement does not verify or is malformed")]
    BadClosing,
    /// An opening is malformed, or does not lead to what it opens (SPEC §18.7, §19.1).
    #[error("opening is malformed, or opens something else")]
    BadOpening,
}

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:ident = $name:literal;)*) => {
        impl Error {
            /// Every error, for docs/errors.md.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name of this error, as in SPEC §10 and docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    BadCheckpoint = "BAD_CHECKPOINT";
    BadTile = "BAD_TILE";
    BadPolicy = "BAD_POLICY";
    NotInTree = "NOT_IN_TREE";
    LogAhead = "LOG_AHEAD";
    BadLeaf = "BAD_LEAF";
    BadReport = "BAD_REPORT";
    BadAcknowledgement = "BAD_ACKNOWLEDGEMENT";
    BadClosing = "BAD_CLOSING";
    BadOpening = "BAD_OPENING";
}

/// For what reads files or a network and judges what it finds there.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}
