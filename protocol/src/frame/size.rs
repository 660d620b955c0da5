//! Size classes of frames (SPEC §6.1).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Error;

/// How many elements a frame has. A frame shows its class and nothing else about the number of real items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum FrameSize {
    /// One element, with RFC 9497's proof.
    One = 1,
    /// Four: every kind of one file.
    Four = 4,
    /// Sixteen: some uploads at once.
    Sixteen = 16,
    /// 256.
    Quarter = 256,
    /// 1,024.
    Thousand = 1024,
    /// 4,096: bulk.
    Full = 4096,
}

impl FrameSize {
    /// Every class, ascending.
    pub const ALL: [Self; 6] = [Self::One, Self::Four, Self::Sixteen, Self::Quarter, Self::Thousand, Self::Full];

    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    #[must_use]
    pub fn len(self) -> usize {
        usize::from(self as u16)
    }

    /// The smallest class among `allowed` that holds `items`, or the largest if none does.
    #[must_use]
    pub fn smallest_for(items: usize, allowed: &[Self]) -> Option<Self> {
        allowed.iter().copied().filter(|size| size.len() >= items).min().or_else(|| allowed.iter().copied().max())
    }
}

impl TryFrom<usize> for FrameSize {
    type Error = Error;

    fn try_from(len: usize) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|size| size.len() == len).ok_or(Error::BadFrame)
    }
}

impl Serialize for FrameSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(*self as u16)
    }
}

impl<'de> Deserialize<'de> for FrameSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(usize::from(u16::deserialize(deserializer)?)).map_err(D::Error::custom)
    }
}
