//! The manifest: what an agency signs about one version of a list (SPEC §8).

mod chain;
mod time;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use chain::Chain;
pub use time::Timestamp;

use crate::{
    Error, artifact,
    frame::{FrameSize, View},
    item::Kind,
    json,
    label::FIELDS_LEN,
    merkle,
    name::{AgencyName, Epoch, ListId, Origin, Version},
    note::{self, Verifier},
    oprf::PublicKey,
};

/// `type` of the leaf.
const TYPE: &str = "veilmatch/manifest/v1";

/// `suite`: the only one of this version of the protocol.
const SUITE: &str = "ristretto255-SHA512";

/// Longest leaf.
pub const MAX_LEAF_LEN: usize = 15 * 1_024;

/// Most certificates that a version names.
const MAX_CERTS: usize = 16;

/// 32 bytes, padded base64 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(#[serde(with = "json::bytes")] pub [u8; 32]);

/// The members of the leaf, as they stand in the JSON object. [`Manifest::decode`] and [`Manifest::encode`] are the only
/// ways in and out; what they give has been checked as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "type")]
    kind: String,
    /// Name of the agency.
    pub agency: String,
    /// Name of the list.
    pub list: String,
    /// The epoch whose key made the tags.
    pub epoch: u32,
    /// This version; one counter per list across its epochs.
    pub version: u32,
    /// SHA-256 of the previous version's leaf; none for version 1.
    #[serde(with = "json::maybe")]
    pub prev: Option<Hash>,
    /// Not to be used before.
    pub not_before: Timestamp,
    /// Expired after: items are then *not checked*.
    pub not_after: Timestamp,
    suite: String,
    /// The epoch's public key, 32 bytes.
    pub oprf_key: Hash,
    /// The published list.
    pub artifact: ArtifactRef,
    /// How to come here from an earlier version of the epoch.
    pub delta: DeltaRef,
    /// Kinds of digests that the list has, with their encoding.
    pub kinds: Vec<KindRef>,
    /// SHA-256 of the code book behind the labels; none where labels are opaque.
    #[serde(with = "json::maybe")]
    pub categories: Option<Hash>,
    /// Frame sizes that the agency accepts, ascending.
    pub frame_sizes: Vec<u32>,
    /// Daily budget of a platform unless its invitation says otherwise.
    pub quota: Quota,
    /// Root over commitments to this version's canaries; the root of the empty tree if there are none.
    pub canary_root: Hash,
    /// SHA-256 of each certificate's note, ascending.
    pub certs: Vec<Hash>,
    /// SHA-256 of the log policy in force, if the agency publishes one.
    #[serde(with = "json::maybe")]
    pub policy: Option<Hash>,
    /// Version text of the software that published.
    pub software: String,
}

/// The artifact that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRef {
    /// Format number of the file: 1.
    pub format: u32,
    /// Records, dummies included.
    pub count: u64,
    /// Length of every label.
    pub label_bytes: u32,
    /// Length of every record.
    pub record_bytes: u32,
    /// log2 of the number of shards.
    pub shard_bits: u32,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// Root over the shard hashes.
    pub root: Hash,
}

/// The delta that a manifest names; `from` 0 and no digest if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaRef {
    /// The version of the same epoch that it applies to.
    pub from: u32,
    /// Tags removed.
    pub removed: u64,
    /// Records added.
    pub added: u64,
    /// Length of the file, padding included.
    pub bytes: u64,
    /// SHA-256 of the file.
    #[serde(with = "json::maybe")]
    pub sha256: Option<Hash>,
}

impl DeltaRef {
    /// No delta: the first version of an epoch.
    pub const NONE: Self = Self { from: 0, removed: 0, added: 0, bytes: 0, sha256: None };
}

/// A kind of digest and its item encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRef {
    /// First byte of the item.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Length of the raw digest.
    pub bytes: u32,
}

impl From<Kind> for KindRef {
    fn from(kind: Kind) -> Self {
        let bytes = u32::try_from(kind.digest_len()).expect("at most 64");
        Self { id: kind.id().into(), name: kind.name().to_owned(), bytes }
    }
}

/// What a platform may ask per day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Elements, dummies included.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

/// What the agency decides about a version; the rest of a manifest is fixed by the protocol.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The agency.
    pub agency: AgencyName,
    /// The list.
    pub list: ListId,
    /// The epoch.
    pub epoch: Epoch,
    /// The version.
    pub version: Version,
    /// SHA-256 of the previous leaf; none for version 1.
    pub prev: Option<Hash>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// The epoch's public key.
    pub oprf_key: PublicKey,
    /// The artifact.
    pub artifact: ArtifactRef,
    /// The delta.
    pub delta: DeltaRef,
    /// Kinds, any order.
    pub kinds: Vec<Kind>,
    /// SHA-256 of the code book; none where labels are opaque.
    pub categories: Option<Hash>,
    /// Frame sizes, any order.
    pub frame_sizes: Vec<FrameSize>,
    /// Default daily budget.
    pub quota: Quota,
    /// Root over the commitments to this version's canaries; [`no_canaries`] without any.
    pub canary_root: Hash,
    /// Version text of the software.
    pub software: String,
}

/// `canary_root` of a version without canaries: the root of the empty tree.
#[must_use]
pub fn no_canaries() -> Hash {
    Hash(merkle::root([]))
}

impl From<Publication> for Manifest {
    fn from(mut publication: Publication) -> Self {
        publication.kinds.sort_unstable();
        publication.frame_sizes.sort_unstable();
        Self {
            kind: TYPE.to_owned(),
            agency: publication.agency.as_str().to_owned(),
            list: publication.list.as_str().to_owned(),
            epoch: publication.epoch.0,
            version: publication.version.0,
            prev: publication.prev,
            not_before: publication.not_before,
            not_after: publication.not_after,
            suite: SUITE.to_owned(),
            oprf_key: Hash(*publication.oprf_key.as_bytes()),
            artifact: publication.artifact,
            delta: publication.delta,
            kinds: publication.kinds.into_iter().map(KindRef::from).collect(),
            categories: publication.categories,
            frame_sizes: publication.frame_sizes.into_iter().map(|size| size as u32).collect(),
            quota: publication.quota,
            canary_root: publication.canary_root,
            certs: Vec::new(),
            policy: None,
            software: publication.software,
        }
    }
}

impl Manifest {
    /// The leaf: canonical JSON (RFC 8785) without a newline.
    ///
    /// # Errors
    /// [`Error::Manifest`] if a member is outside its limits.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let leaf = serde_json_canonicalizer::to_vec(self).map_err(|_| Error::Manifest)?;
        if leaf.len() <= MAX_LEAF_LEN { Ok(leaf) } else { Err(Error::Manifest) }
    }

    /// Reads a leaf: exactly the canonical bytes, no member more or less, every member within its limits.
    ///
    /// # Errors
    /// [`Error::Manifest`].
    pub fn decode(leaf: &[u8]) -> Result<Self, Error> {
        if leaf.len() > MAX_LEAF_LEN {
            return Err(Error::Manifest);
        }
        let manifest: Self = serde_json::from_slice(leaf).map_err(|_| Error::Manifest)?;
        if manifest.encode()? == leaf { Ok(manifest) } else { Err(Error::Manifest) }
    }

    /// The list that it is about.
    ///
    /// # Panics
    /// Never for a decoded manifest.
    #[must_use]
    pub fn list_id(&self) -> ListId {
        ListId::parse(&self.list).expect("checked when decoded")
    }

    /// The public key of its epoch.
    ///
    /// # Panics
    /// Never for a decoded manifest.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(&self.oprf_key.0).expect("checked when decoded")
    }

    /// The kinds of the list, ascending.
    ///
    /// # Panics
    /// Never for a decoded manifest.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        self.kinds.iter().map(|kind| Kind::from_name(&kind.name).expect("checked when decoded")).collect()
    }

    /// The frame sizes that the agency accepts, ascending.
    ///
    /// # Panics
    /// Never for a decoded manifest.
    #[must_use]
    pub fn frame_sizes(&self) -> Vec<FrameSize> {
        let size = |&size: &u32| FrameSize::try_from(size as usize).expect("checked when decoded");
        self.frame_sizes.iter().map(size).collect()
    }

    /// Whether a client may use it at this time.
    ///
    /// # Errors
    /// [`Error::ManifestExpired`] outside `not_before` … `not_after`, both included.
    pub fn valid_at(&self, now: Timestamp) -> Result<(), Error> {
        if (self.not_before..=self.not_after).contains(&now) { Ok(()) } else { Err(Error::ManifestExpired) }
    }

    fn check(&self) -> Result<(), Error> {
        let agency = AgencyName::parse(&self.agency).is_ok();
        let names = agency && ListId::parse(&self.list).is_ok() && self.kind == TYPE && self.suite == SUITE;
        let numbers = self.epoch >= 1 && self.version >= self.epoch && self.prev.is_none() == (self.version == 1);
        let times = self.not_before < self.not_after;
        let key = PublicKey::from_bytes(&self.oprf_key.0).is_ok();
        let certs = self.certs.len() <= MAX_CERTS && self.certs.is_sorted_by(|a, b| a < b);
        let software = self.software.len() <= 64 && self.software.bytes().all(|b| (b' '..=b'~').contains(&b));
        let quota = self.quota.elements < 1 << 53 && self.quota.frames < 1 << 53;
        let all = names && numbers && times && key && certs && software && quota;
        if all && self.check_files() && self.check_sets() { Ok(()) } else { Err(Error::Manifest) }
    }

    fn check_files(&self) -> bool {
        let (file, delta) = (&self.artifact, &self.delta);
        let Ok(label_bytes) = u8::try_from(file.label_bytes) else { return false };
        let Ok(layout) = artifact::Layout::new(label_bytes) else { return false };
        let coded = self.categories.is_none() || usize::from(label_bytes) >= FIELDS_LEN;
        let shape = file.format == 1
            && file.record_bytes as usize == layout.record_len()
            && file.count < 1 << 48
            && file.count == artifact::padded_count(file.count)
            && file.shard_bits == u32::from(artifact::shard_bits(file.count))
            && file.bytes == artifact::file_len(layout, file.count);
        let no_delta = *delta == DeltaRef::NONE;
        let a_delta = delta.from >= 1
            && delta.from < self.version
            && delta.sha256.is_some()
            && delta.removed < 1 << 48
            && delta.added <= file.count
            && delta.bytes == crate::delta::file_len(layout, delta.removed, delta.added);
        shape && coded && (no_delta || a_delta)
    }

    fn check_sets(&self) -> bool {
        let known = |kind: &KindRef| Kind::from_name(&kind.name).is_ok_and(|known| *kind == known.into());
        let kinds =
            !self.kinds.is_empty() && self.kinds.iter().all(known) && self.kinds.is_sorted_by(|a, b| a.id < b.id);
        let sizes = !self.frame_sizes.is_empty()
            && self.frame_sizes.iter().all(|&size| FrameSize::try_from(size as usize).is_ok())
            && self.frame_sizes.is_sorted_by(|a, b| a < b)
            // All kinds of a file travel in one frame, so the largest must hold them.
            && self.frame_sizes.last().is_some_and(|&size| size as usize >= self.kinds.len());
        kinds && sizes
    }
}

/// A manifest whose signature was verified, with the exact bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    manifest: Manifest,
    leaf: Vec<u8>,
    note: Vec<u8>,
}

impl SignedManifest {
    /// Signs a manifest with the agency's manifest-log key.
    ///
    /// # Errors
    /// [`Error::Manifest`] if a member is outside its limits.
    pub fn sign(manifest: Manifest, key: &SigningKey) -> Result<Self, Error> {
        let leaf = manifest.encode()?;
        let agency = AgencyName::parse(&manifest.agency).map_err(|_| Error::Manifest)?;
        let text = String::from_utf8(leaf.clone()).map_err(|_| Error::Manifest)? + "\n";
        let note = note::sign(&text, Origin::of(&agency).as_str(), key)?.into_bytes();
        Ok(Self { manifest, leaf, note })
    }

    /// Verifies a note under the pinned key and reads its one line.
    ///
    /// # Errors
    /// [`Error::Note`], [`Error::Manifest`]; the latter also if agency and key name differ.
    pub fn verify(note: &[u8], verifier: &Verifier) -> Result<Self, Error> {
        let text = note::open(note, verifier)?;
        let leaf = text.strip_suffix('\n').expect("a note's text ends with one").as_bytes();
        let manifest = Manifest::decode(leaf)?;
        let agency = AgencyName::parse(&manifest.agency).map_err(|_| Error::Manifest)?;
        if Origin::of(&agency).as_str() != verifier.name() {
            return Err(Error::Manifest);
        }
        Ok(Self { leaf: leaf.to_vec(), manifest, note: note.to_vec() })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The exact bytes of the leaf.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// The signed note, as on the wire.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// SHA-256 of the leaf: what the next manifest names as `prev`.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash(Sha256::digest(&self.leaf).into())
    }

    /// The view that a client cites when this is the newest manifest it verified (SPEC §8.6).
    #[must_use]
    pub fn view(&self) -> View {
        View { size: self.manifest.version.into(), root: merkle::leaf_hash(&self.leaf) }
    }

    /// Whether this is the next link after `previous`, or the first link if there is none. This is what two neighbours
    /// show; [`Chain`] also looks at the epoch's earlier manifests.
    ///
    /// # Errors
    /// [`Error::StaleManifest`] if it is not newer, [`Error::BrokenChain`] if a version is left out, `prev` differs, the
    /// epoch goes below what the chain allows, or list or agency differ.
    pub fn follows(&self, previous: Option<&Self>) -> Result<(), Error> {
        let this = &self.manifest;
        let Some(previous) = previous else {
            return if this.version == 1 { Ok(()) } else { Err(Error::BrokenChain) };
        };
        let before = &previous.manifest;
        if this.version <= before.version {
            return Err(Error::StaleManifest);
        }
        let linked = this.agency == before.agency
            && this.list == before.list
            && this.version == before.version + 1
            && this.prev == Some(previous.digest())
            // While two epochs overlap they take turns; a third never appears beside them.
            && this.epoch.abs_diff(before.epoch) <= 1;
        if linked { Ok(()) } else { Err(Error::BrokenChain) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
