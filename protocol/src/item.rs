//! Items: one byte of kind and the raw digest (SPEC §3).

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// What computed a digest. The id is the item's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// MD5, 16 bytes. Collision-broken: two files with one digest can be prepared.
    Md5 = 1,
    /// SHA-1, 20 bytes. Collision-broken like MD5.
    Sha1 = 2,
    /// SHA-256, 32 bytes.
    Sha256 = 3,
    /// SHA-512, 64 bytes.
    Sha512 = 4,
}

impl Kind {
    /// Every kind that exact matching serves, by ascending id. Ids 5 (PDQ) and 6 (PhotoDNA) are reserved.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// First byte of an item of this kind.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Length of the raw digest in bytes.
    #[must_use]
    pub fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Name in manifests and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The kind with this id.
    ///
    /// # Errors
    /// [`Error::UnsupportedKind`] if the id is unknown or reserved.
    pub fn from_id(id: u8) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.id() == id).ok_or(Error::UnsupportedKind)
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// [`Error::UnsupportedKind`] if there is none.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(Error::UnsupportedKind)
    }
}

/// Longest item: the kind byte and a SHA-512 digest.
pub const MAX_ITEM_LEN: usize = 65;

/// A set member: kind ‖ raw digest. Either side's set is a secret, so an item shows nothing in `Debug` and is wiped.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Zeroize, ZeroizeOnDrop)]
pub struct Item {
    len: u8,
    bytes: [u8; MAX_ITEM_LEN],
}

impl Item {
    /// Makes an item of a raw digest.
    ///
    /// # Errors
    /// [`Error::DigestLength`] unless the digest has exactly its kind's length, which makes the encoding injective.
    pub fn new(kind: Kind, digest: &[u8]) -> Result<Self, Error> {
        if digest.len() != kind.digest_len() {
            return Err(Error::DigestLength);
        }
        let mut bytes = [0; MAX_ITEM_LEN];
        bytes[0] = kind.id();
        bytes[1..=digest.len()].copy_from_slice(digest);
        let len = 1 + u8::try_from(digest.len()).expect("at most 64");
        Ok(Self { len, bytes })
    }

    /// Decodes kind ‖ digest.
    ///
    /// # Errors
    /// [`Error::UnsupportedKind`] or [`Error::DigestLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (&id, digest) = bytes.split_first().ok_or(Error::DigestLength)?;
        Self::new(Kind::from_id(id)?, digest)
    }

    /// The item's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::from_id(self.bytes[0]).expect("checked when the item was made")
    }

    /// The raw digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.as_bytes()[1..]
    }

    /// The encoding that the PRF takes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_another_length_is_refused() {
        // SPEC §3.2
        for kind in Kind::ALL {
            for len in 0..=66 {
                let made = Item::new(kind, &vec![7; len]);
                assert_eq!(made.is_ok(), len == kind.digest_len(), "{kind:?} {len}");
            }
        }
    }

    #[test]
    fn reserved_and_unknown_kinds_are_refused() {
        // SPEC §3.3
        for id in [0, 5, 6, 7, 255] {
            let bytes = [&[id][..], &[0; 32]].concat();
            assert_eq!(Item::from_bytes(&bytes), Err(Error::UnsupportedKind));
        }
        assert_eq!(Item::from_bytes(&[]), Err(Error::DigestLength));
    }

    #[test]
    fn an_item_does_not_show_its_digest() {
        let item = Item::new(Kind::Md5, &[0xab; 16]).unwrap();
        assert_eq!(format!("{item:?}"), "Item");
        assert_eq!(Item::from_bytes(item.as_bytes()).unwrap(), item);
    }
}
