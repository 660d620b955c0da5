//! Verifier keys as text: of signers, and of witnesses (SPEC §17.2).

use std::fmt;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use veilmatch_protocol::note;

use crate::Error;

/// Type byte of a key that signs notes.
const SIGNER: u8 = 0x01;

/// Type byte of a key that cosigns checkpoints.
const WITNESS: u8 = 0x04;

/// Longest name of a key: the longest origin that names allow is shorter.
const MAX_NAME_LEN: usize = 255;

/// `name+hhhhhhhh+base64(type ‖ key)`, of either type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: u8,
    // A decoded point is six times as large as its bytes, and most leaves have none.
    key: Box<VerifyingKey>,
}

impl VerifierKey {
    /// The key of somebody who signs notes, or requests.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] for a name that is not 1 to 255 printable ASCII characters without blanks and `+`, or a key of
    /// small order.
    pub fn signer(name: &str, key: VerifyingKey) -> Result<Self, Error> {
        Self::new(name, SIGNER, key)
    }

    /// The key of a witness.
    ///
    /// # Errors
    /// As [`Self::signer`].
    pub fn witness(name: &str, key: VerifyingKey) -> Result<Self, Error> {
        Self::new(name, WITNESS, key)
    }

    fn new(name: &str, kind: u8, key: VerifyingKey) -> Result<Self, Error> {
        let named = (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        if named && !key.is_weak() {
            Ok(Self { name: name.to_owned(), kind, key: Box::new(key) })
        } else {
            Err(Error::BadLeaf)
        }
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if form, type or key id is not right.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (name, kind, key) = note::read_vkey(text).map_err(|_| Error::BadLeaf)?;
        let key = VerifyingKey::try_from(&key[..]).map_err(|_| Error::BadLeaf)?;
        if [SIGNER, WITNESS].contains(&kind) { Self::new(name, kind, key) } else { Err(Error::BadLeaf) }
    }

    /// The name that signature lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether it cosigns checkpoints instead of signing notes.
    #[must_use]
    pub fn is_witness(&self) -> bool {
        self.kind == WITNESS
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&note::vkey(&self.name, self.kind, self.key.as_bytes()))
    }
}

impl Serialize for VerifierKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifierKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
