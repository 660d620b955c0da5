//! Members that several leaves have (SPEC §18.1).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use veilmatch_protocol::{
    json,
    name::{Epoch, Version},
};

use crate::Error;

/// 16 random bytes, so that a leaf's hash cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(#[serde(with = "json::bytes")] pub [u8; 16]);

/// An Ed25519 signature, 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(#[serde(with = "json::bytes")] pub [u8; 64]);

/// The name of a reason: 1 to 32 of `A-Z` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(String);

impl Code {
    /// Takes a name that fits the grammar.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] otherwise.
    pub fn parse(name: &str) -> Result<Self, Error> {
        if is_code(name) { Ok(Self(name.to_owned())) } else { Err(Error::BadLeaf) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// 1 to 32 of `A-Z` and `_`.
fn is_code(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// 1 to 32 of `a-z`, `0-9` and `-`.
pub(super) fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Epochs and versions count from 1, and a list has at least a version for each epoch.
pub(super) fn counted(epoch: Epoch, version: Version) -> bool {
    epoch.0 >= 1 && version >= Version(epoch.0)
}
