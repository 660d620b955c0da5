//! What is wrong with a receipt (SPEC §19.4).

use thiserror::Error;

/// The step at which a receipt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// The note is not signed by the platform's receipt key, or is no receipt of that platform's.
    #[error("receipt does not verify under the platform's key")]
    Signature,
    /// The secret is not the entry's, or the receipt is not bound to it.
    #[error("receipt is not bound to the entry's secret")]
    Secret,
    /// The version has no record of the tag.
    #[error("tag is not in the version's artifact")]
    NotListed,
    /// The manifest is another than the one named, or was not valid.
    #[error("manifest is another, or was not valid at that time")]
    Manifest,
    /// The match leaf's commitment is to something else.
    #[error("commitment does not open to the receipt")]
    Commitment,
    /// The frame is not in both logs with equal digests, or has no such position.
    #[error("frame or position is not in the logs")]
    Frame,
    /// The agency's record has another label.
    #[error("label differs from the agency's record")]
    Label,
    /// The element is not in the frame, or the opened blind does not make it of the item.
    #[error("element is not the blinded item at that place of the frame")]
    Element,
}

impl Fault {
    /// The code of the finding (SPEC §21.1).
    #[must_use]
    pub fn finding(self) -> &'static str {
        match self {
            Self::Signature => "R01",
            Self::Secret | Self::NotListed => "R02",
            Self::Manifest => "M06",
            Self::Commitment => "R03",
            Self::Frame => "R04",
            Self::Label => "R06",
            Self::Element => "R07",
        }
    }
}
