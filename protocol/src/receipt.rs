//! Receipts: what a platform vouches for about one match, and how others verify it (SPEC §19).
//!
//! The steps of §19.4 are functions, each with a cause of its own; what they compare with is the caller's to fetch.

mod commitment;
mod fault;
mod level_two;

use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

pub use commitment::{Salt, commit};
pub use fault::Fault;
pub use level_two::{ElementOpening, OpenedBlind, verify_blind};

use crate::{
    Error,
    artifact::LookUps,
    derive::{MatchSecret, Tag},
    frame::{BatchId, FrameSize},
    json,
    manifest::{Hash, Manifest, Timestamp},
    merkle,
    name::{AgencyName, Epoch, ListId, PlatformId, Version},
    note::{self, Verifier},
};

/// First line of a receipt.
const FIRST_LINE: &str = "veilmatch/receipt/v1\n";

/// Longest label of a list.
const MAX_LABEL_LEN: usize = 64;

/// Longest pseudonym of an object.
const MAX_OBJECT_LEN: usize = 64;

/// What a receipt says: this entry of this agency's list was met, by the evaluation at this place of this frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The agency.
    pub agency: AgencyName,
    /// The frame that evaluated the item.
    pub batch: BatchId,
    /// The epoch.
    pub epoch: Epoch,
    /// The label, as it opened.
    #[serde(with = "json::bytes")]
    pub label: Vec<u8>,
    /// The list.
    pub list: ListId,
    /// Leaf hash of the version's manifest.
    pub manifest: Hash,
    /// The minute at which the match was found.
    pub matched: Timestamp,
    /// The platform's own pseudonym for the object: at most 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`; may be empty.
    pub object: String,
    /// The platform.
    pub platform: PlatformId,
    /// The item's place in the frame.
    pub position: u16,
    /// The entry's tag.
    pub tag: Tag,
    /// The version in which it matched.
    pub version: Version,
}

impl Receipt {
    /// Signs the receipt with the platform's receipt key, bound to the entry by its match secret.
    ///
    /// # Errors
    /// [`Error::Receipt`] if a member is outside its limits, or the secret is another entry's.
    pub fn sign(self, secret: &MatchSecret, key: &SigningKey) -> Result<SignedReceipt, Error> {
        if !self.within_limits() || secret.tag() != self.tag {
            return Err(Error::Receipt);
        }
        let bind = Hash(self.mac(secret)?.finalize().into_bytes().into());
        let note = note::sign(&self.text(Some(&bind))?, &key_name(&self.platform), key)?.into_bytes();
        Ok(SignedReceipt { receipt: self, bind, note })
    }

    /// HMAC-SHA-256(match secret, text without `bind`).
    fn mac(&self, secret: &MatchSecret) -> Result<Hmac<Sha256>, Error> {
        let mac = Hmac::<Sha256>::new_from_slice(secret.danger_as_bytes()).expect("HMAC takes keys of any length");
        Ok(mac.chain_update(self.text(None)?))
    }

    /// The two lines with their newlines.
    fn text(&self, bind: Option<&Hash>) -> Result<String, Error> {
        let mut members = serde_json::to_value(self).map_err(|_| Error::Receipt)?;
        if let (Some(bind), Some(members)) = (bind, members.as_object_mut()) {
            members.insert("bind".to_owned(), serde_json::to_value(bind).map_err(|_| Error::Receipt)?);
        }
        let line = json::encode(&members).ok_or(Error::Receipt)?;
        Ok(format!("{FIRST_LINE}{}\n", String::from_utf8(line).map_err(|_| Error::Receipt)?))
    }

    fn within_limits(&self) -> bool {
        let object = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        self.epoch.0 >= 1
            && self.version.0 >= self.epoch.0
            && usize::from(self.position) < FrameSize::Full.len()
            && self.label.len() <= MAX_LABEL_LEN
            && self.object.len() <= MAX_OBJECT_LEN
            && self.object.bytes().all(object)
            && self.matched == self.matched.minute()
    }
}

/// Name of the key that a platform's receipts are signed with.
#[must_use]
pub fn key_name(platform: &PlatformId) -> String {
    format!("{platform}/veilmatch/receipt")
}

/// A receipt of which the platform's signature was verified or made, with the exact bytes of its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    receipt: Receipt,
    bind: Hash,
    note: Vec<u8>,
}

impl SignedReceipt {
    /// Step 1: reads a note that the platform's receipt key signed.
    ///
    /// # Errors
    /// [`Fault::Signature`] for every cause: signature, form, a platform that is not the key's.
    pub fn open(note: &[u8], receipt_key: &Verifier) -> Result<Self, Fault> {
        let text = note::open(note, receipt_key).map_err(|_| Fault::Signature)?;
        let (receipt, bind) = read(text).ok_or(Fault::Signature)?;
        let named = key_name(&receipt.platform) == receipt_key.name();
        if named { Ok(Self { receipt, bind, note: note.to_vec() }) } else { Err(Fault::Signature) }
    }

    /// What it says.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The signed note.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// Step 2: the secret is the entry's, and the receipt is bound to it. Constant time in the secret.
    ///
    /// # Security
    /// The agency takes the secret from its own entry; an auditor from the opening.
    ///
    /// # Errors
    /// [`Fault::Secret`].
    pub fn verify_secret(&self, secret: &MatchSecret) -> Result<(), Fault> {
        let mac = self.receipt.mac(secret).map_err(|_| Fault::Secret)?;
        let bound = mac.verify_slice(&self.bind.0).is_ok();
        if bound && secret.tag() == self.receipt.tag { Ok(()) } else { Err(Fault::Secret) }
    }

    /// Step 3, first half: the version's artifact has a record of the tag.
    ///
    /// # Errors
    /// [`Fault::NotListed`] if it has none, or has been altered where it would be.
    pub fn verify_listed<B: AsRef<[u8]>>(&self, artifact: &LookUps<'_, B>) -> Result<(), Fault> {
        artifact.find(&self.receipt.tag).ok().flatten().map(drop).ok_or(Fault::NotListed)
    }

    /// Step 3, second half: this is the manifest that is named, and it was valid at that minute. That it is in the manifest
    /// log is the caller's to see to.
    ///
    /// # Errors
    /// [`Fault::Manifest`].
    pub fn verify_manifest(&self, manifest: &Manifest) -> Result<(), Fault> {
        let this = &self.receipt;
        let leaf = manifest.encode().map_err(|_| Fault::Manifest)?;
        let named = this.manifest.0 == merkle::leaf_hash(&leaf)
            && this.agency.as_str() == manifest.agency
            && this.list.as_str() == manifest.list
            && this.epoch.0 == manifest.epoch
            && this.version.0 == manifest.version
            && this.label.len() == manifest.artifact.label_bytes as usize;
        // A minute is the start of one: the first of a version may begin before it.
        let valid = (manifest.not_before.minute()..=manifest.not_after).contains(&this.matched);
        if named && valid { Ok(()) } else { Err(Fault::Manifest) }
    }

    /// Step 4: the match leaf's commitment opens to this note, and the leaf names this frame. That the leaf is in the match
    /// log is the caller's to see to.
    ///
    /// # Errors
    /// [`Fault::Commitment`].
    pub fn verify_commitment(&self, c: &Hash, batch: &BatchId, salt: &Salt) -> Result<(), Fault> {
        let opens = commit(salt, &self.note) == *c && self.receipt.batch == *batch;
        if opens { Ok(()) } else { Err(Fault::Commitment) }
    }

    /// Step 5: the position is one of the frame's. That both logs have the frame, answered and with equal digests, is the
    /// caller's to see to.
    ///
    /// # Errors
    /// [`Fault::Frame`].
    pub fn verify_position(&self, n: FrameSize) -> Result<(), Fault> {
        if usize::from(self.receipt.position) < n.len() { Ok(()) } else { Err(Fault::Frame) }
    }

    /// Step 6, for the agency: its own record of the tag has this label.
    ///
    /// # Errors
    /// [`Fault::Label`].
    pub fn verify_label(&self, label: &[u8]) -> Result<(), Fault> {
        if self.receipt.label == label { Ok(()) } else { Err(Fault::Label) }
    }
}

/// The receipt and its `bind`, if the text is exactly what they make.
fn read(text: &str) -> Option<(Receipt, Hash)> {
    let line = text.strip_prefix(FIRST_LINE)?.strip_suffix('\n')?;
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let bind: Hash = serde_json::from_value(members.remove("bind")?).ok()?;
    let receipt: Receipt = serde_json::from_value(members.into()).ok()?;
    let canonical = receipt.within_limits() && receipt.text(Some(&bind)).ok()? == text;
    canonical.then_some((receipt, bind))
}

#[cfg(test)]
mod tests;
