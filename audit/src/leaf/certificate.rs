//! Certificates: what another body says about a version, as a signed note (SPEC §18.2).

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    json,
    manifest::{Hash, Manifest, Timestamp},
    name::{AgencyName, Epoch, ListId, Version},
    note::{self, Verifier},
};

use super::member::counted;
use crate::Error;

/// First line of a certificate.
const FIRST_LINE: &str = "veilmatch/cert/v1\n";

/// What a certifier looked at, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The agency.
    pub agency: AgencyName,
    /// The epoch.
    pub epoch: Epoch,
    /// The epoch's public key.
    pub key: Hash,
    /// The list.
    pub list: ListId,
    /// How many entries were looked at.
    #[serde(with = "json::integer")]
    pub number: u64,
    /// The version's root over its shards.
    pub root: Hash,
    /// How far the look went.
    pub scope: Scope,
    /// When.
    pub t: Timestamp,
    /// The version.
    pub version: Version,
}

/// How far a certifier looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Somebody vouches for the process.
    Attested,
    /// Some entries were looked at.
    Sampled,
    /// Every tag was computed again.
    Recomputed,
}

impl Certificate {
    /// Signs it.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if a member is outside its limits or the name is not legal.
    pub fn sign(&self, name: &str, key: &SigningKey) -> Result<String, Error> {
        let line = json::encode(self).filter(|_| counted(self.epoch, self.version)).ok_or(Error::BadLeaf)?;
        let line = String::from_utf8(line).map_err(|_| Error::BadLeaf)?;
        note::sign(&format!("{FIRST_LINE}{line}\n"), name, key).map_err(|_| Error::BadLeaf)
    }

    /// Reads a certificate of a known certifier.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if the signature does not verify, or for any other form.
    pub fn open(note: &[u8], certifier: &Verifier) -> Result<Self, Error> {
        let text = note::open(note, certifier).map_err(|_| Error::BadLeaf)?;
        let line = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_suffix('\n')).ok_or(Error::BadLeaf)?;
        let certificate: Self = json::decode(line.as_bytes()).ok_or(Error::BadLeaf)?;
        if counted(certificate.epoch, certificate.version) { Ok(certificate) } else { Err(Error::BadLeaf) }
    }

    /// Whether it is about this version.
    #[must_use]
    pub fn is_of(&self, manifest: &Manifest) -> bool {
        self.agency.as_str() == manifest.agency
            && self.list.as_str() == manifest.list
            && self.epoch.0 == manifest.epoch
            && self.version.0 == manifest.version
            && self.key == manifest.oprf_key
            && self.root == manifest.artifact.root
    }

    /// SHA-256 of a note: what a manifest's `certs` has.
    #[must_use]
    pub fn digest(note: &[u8]) -> Hash {
        Hash(Sha256::digest(note).into())
    }
}
