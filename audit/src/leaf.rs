//! Leaves: what logs say, each one canonical JSON object (SPEC §18).

mod certificate;
mod key;
mod matching;
mod member;
mod published;
mod query;
mod totals;

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{json, manifest::Manifest, merkle};

pub use certificate::{Certificate, Scope};
pub use key::{Key, Role, VerifierKey};
pub use matching::{Action, Adopt, Erase, Frame, FrameStatus, Match, Pad};
pub use member::{Code, Nonce, Signature};
pub use published::{Absent, Withdraw};
pub use query::{Query, QueryStatus};
pub use totals::{Close, Day};

use crate::Error;

/// Longest leaf in bytes.
pub const MAX_LEAF_LEN: usize = 16_384;

/// A leaf of any log, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type")]
pub enum Leaf {
    /// A published version.
    #[serde(skip)]
    Manifest(Box<Manifest>),
    /// A key begins, or one log goes on from another.
    #[serde(rename = "veilmatch/key/v1")]
    Key(Key),
    /// A version or a tag is withdrawn.
    #[serde(rename = "veilmatch/withdraw/v1")]
    Withdraw(Withdraw),
    /// A named item is not listed.
    #[serde(rename = "veilmatch/absent/v1")]
    Absent(Absent),
    /// A frame that the agency answered or refused.
    #[serde(rename = "veilmatch/query/v1")]
    Query(Query),
    /// The platform began to use a version.
    #[serde(rename = "veilmatch/adopt/v1")]
    Adopt(Adopt),
    /// A frame of the platform's that has ended.
    #[serde(rename = "veilmatch/frame/v1")]
    Frame(Frame),
    /// A match, as a commitment.
    #[serde(rename = "veilmatch/match/v1")]
    Match(Match),
    /// What was done about a match, as a commitment.
    #[serde(rename = "veilmatch/action/v1")]
    Action(Action),
    /// A day's totals.
    #[serde(rename = "veilmatch/day/v1")]
    Day(Day),
    /// A day's closing statement, by its digest.
    #[serde(rename = "veilmatch/close/v1")]
    Close(Close),
    /// Openings were destroyed.
    #[serde(rename = "veilmatch/erase/v1")]
    Erase(Erase),
    /// Filler.
    #[serde(rename = "veilmatch/pad/v1")]
    Pad(Pad),
}

impl Leaf {
    /// Reads a leaf: exactly the canonical bytes of a known type, no member more or less, every member within its limits.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] for every cause.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEAF_LEN {
            return Err(Error::BadLeaf);
        }
        if let Ok(manifest) = Manifest::decode(bytes) {
            return Ok(Self::Manifest(Box::new(manifest)));
        }
        let leaf: Self = serde_json::from_slice(bytes).map_err(|_| Error::BadLeaf)?;
        if leaf.encode()? == bytes { Ok(leaf) } else { Err(Error::BadLeaf) }
    }

    /// The exact bytes that are hashed and kept.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if a member is outside its limits, or all of them are too long together.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Manifest(leaf) => leaf.encode().map_err(|_| Error::BadLeaf),
            Self::Key(leaf) => leaf.encode(),
            Self::Withdraw(leaf) => leaf.encode(),
            Self::Absent(leaf) => leaf.encode(),
            Self::Query(leaf) => leaf.encode(),
            Self::Adopt(leaf) => leaf.encode(),
            Self::Frame(leaf) => leaf.encode(),
            Self::Match(leaf) => leaf.encode(),
            Self::Action(leaf) => leaf.encode(),
            Self::Day(leaf) => leaf.encode(),
            Self::Close(leaf) => leaf.encode(),
            Self::Erase(leaf) => leaf.encode(),
            Self::Pad(leaf) => leaf.encode(),
        }
    }
}

/// The hash of a leaf's exact bytes in its tree.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    merkle::leaf_hash(bytes)
}

/// The bytes of a leaf whose members were checked.
fn encode(leaf: &impl Serialize, within_limits: bool) -> Result<Vec<u8>, Error> {
    let bytes = json::encode(leaf).filter(|bytes| within_limits && bytes.len() <= MAX_LEAF_LEN);
    bytes.ok_or(Error::BadLeaf)
}

/// Gives a leaf its `encode` and its place in [`Leaf`].
macro_rules! leaf {
    ($name:ident) => {
        impl $name {
            /// The exact bytes that are hashed and kept.
            ///
            /// # Errors
            /// [`Error::BadLeaf`](crate::Error::BadLeaf) if a member is outside its limits.
            pub fn encode(&self) -> Result<Vec<u8>, $crate::Error> {
                super::encode(self, self.within_limits())
            }
        }

        impl From<$name> for super::Leaf {
            fn from(leaf: $name) -> Self {
                Self::$name(leaf)
            }
        }
    };
}
use leaf;

#[cfg(test)]
mod tests;
