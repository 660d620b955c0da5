//! What an opening holds while it is sealed: all that a commitment commits to, and what people ask about a match later.

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use serde::{Deserialize, Serialize};
use veilmatch_protocol::{json, receipt::Salt};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A record beside the log. Either is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
pub(crate) enum Record {
    /// Of a match.
    Match(Box<MatchRecord>),
    /// Of what was done about one.
    Action(ActionRecord),
}

/// Of a match.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MatchRecord {
    #[serde(with = "json::bytes")]
    pub(crate) salt: [u8; 32],
    /// The receipt, a signed note: everything else about the entry stands in it.
    pub(crate) receipt: String,
    #[serde(with = "json::bytes")]
    pub(crate) secret: [u8; 32],
    /// The kind of the digest that matched.
    pub(crate) kind: String,
    /// Root of the version's artifact.
    #[serde(with = "json::bytes")]
    pub(crate) root: [u8; 32],
    pub(crate) label: LabelSays,
    /// What opens the frame at that place, where the blind was there still when the match was found.
    pub(crate) blind: Option<OpenedBlind>,
}

/// What the code book of the time said of the label; all empty where there was none.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct LabelSays {
    pub(crate) scheme: String,
    pub(crate) code: String,
    pub(crate) source: String,
    pub(crate) reference: String,
}

/// The blind of one element and the way from the element to the frame.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct OpenedBlind {
    /// `add`: the only form that this program blinds with.
    pub(crate) form: String,
    #[serde(with = "json::bytes")]
    pub(crate) blind: [u8; 32],
    #[serde(with = "json::bytes")]
    pub(crate) element: [u8; 32],
    pub(crate) path: Vec<[u8; 32]>,
}

/// Of what was done about a match.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ActionRecord {
    #[serde(with = "json::bytes")]
    pub(crate) salt: [u8; 32],
    /// Canonical JSON: what the commitment is over.
    pub(crate) text: String,
}

impl Record {
    /// Its bytes, to be sealed.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("strings and numbers always serialise"))
    }

    /// A record from an opened seal.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A salt for one commitment.
pub(crate) fn salt() -> Salt {
    Salt::random(&mut UnwrapErr(SysRng))
}
