//! Key changes, and logs that go on from others (SPEC §18.2).

mod verifier;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use veilmatch_protocol::{json, manifest::Timestamp};

pub use verifier::VerifierKey;

use super::{Nonce, Signature, leaf};
use crate::{Error, origin::LogOrigin};

/// A key begins, or changes; a log goes on from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/key/v1", deny_unknown_fields)]
pub struct Key {
    /// The old key's signature of the change; none without an old key.
    #[serde(with = "json::maybe")]
    pub cross: Option<Signature>,
    /// The key from now on.
    pub key: VerifierKey,
    /// First index of `previous` that is lost.
    #[serde(with = "json::integer")]
    pub lost_from: u64,
    /// First index behind what is lost; the same where nothing is.
    #[serde(with = "json::integer")]
    pub lost_to: u64,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The key before.
    #[serde(with = "json::maybe")]
    pub old: Option<VerifierKey>,
    /// The log that this one goes on from.
    #[serde(with = "json::maybe")]
    pub previous: Option<LogOrigin>,
    /// What the key is for.
    pub role: Role,
    /// When.
    pub t: Timestamp,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs manifests and checkpoints of the manifest log.
    ManifestLog,
    /// Signs checkpoints of the query log.
    QueryLog,
    /// Acknowledges frames.
    Ack,
    /// Cosigns checkpoints.
    Witness,
    /// Signs requests.
    Request,
    /// Signs checkpoints of match logs.
    MatchLog,
    /// Signs receipts.
    Receipt,
}

impl Role {
    /// The name as it stands in the leaf.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManifestLog => "manifest-log",
            Self::QueryLog => "query-log",
            Self::Ack => "ack",
            Self::Witness => "witness",
            Self::Request => "request",
            Self::MatchLog => "match-log",
            Self::Receipt => "receipt",
        }
    }
}

impl Key {
    /// Signs the change with the old key.
    pub fn cross_sign(&mut self, old: &SigningKey) {
        self.cross = Some(Signature(old.sign(&self.message()).to_bytes()));
    }

    /// Verifies that the holder of the old key made the change.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if there is no old key, or its signature does not verify.
    pub fn verify_cross(&self) -> Result<(), Error> {
        let (Some(old), Some(cross)) = (&self.old, &self.cross) else { return Err(Error::BadLeaf) };
        let signature = ed25519_dalek::Signature::from_bytes(&cross.0);
        old.key().verify_strict(&self.message(), &signature).map_err(|_| Error::BadLeaf)
    }

    /// lp2("veilmatch/v1/key-change") ‖ lp2(role) ‖ lp2(key) ‖ lp2(t)
    fn message(&self) -> Vec<u8> {
        let fields = ["veilmatch/v1/key-change", self.role.name(), &self.key.to_string(), &self.t.to_string()];
        let mut message = Vec::new();
        for field in fields {
            message.extend_from_slice(&u16::try_from(field.len()).expect("names are short").to_be_bytes());
            message.extend_from_slice(field.as_bytes());
        }
        message
    }

    fn within_limits(&self) -> bool {
        let lost = self.lost_from <= self.lost_to && (self.previous.is_some() || self.lost_to == 0);
        let witness = self.role == Role::Witness;
        lost && self.old.is_some() == self.cross.is_some()
            && self.key.is_witness() == witness
            && self.old.as_ref().is_none_or(|old| old.is_witness() == witness && old.key() != self.key.key())
    }
}

leaf!(Key);
