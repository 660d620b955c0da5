//! Why a value of a log was refused.

use thiserror::Error;

/// What a log, a checkpoint or a leaf is refused for. No variant carries an item, an element or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint has another form or origin, or a proof does not lead to its root (SPEC §17.4).
    #[error("checkpoint is malformed, of another log, or not proven")]
    BadCheckpoint,
    /// A leaf is not canonical, of an unknown type, or a member is outside its limits (SPEC §18.1).
    #[error("leaf is malformed or of an unknown type")]
    BadLeaf,
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
    BadLeaf = "BAD_LEAF";
}
