//! A version of a list that this platform holds: its manifest, and its artifact mapped from a private file.

use std::{ops::Deref, sync::Arc};

use mmap_guard::FileData;
use veilmatch_protocol::{
    Error as ProtocolError,
    artifact::{Artifact, LookUps},
    codebook::CodeBook,
    derive::Okm,
    item::Kind,
    label,
    manifest::{Manifest, SignedManifest, Timestamp},
    merkle,
    name::{Epoch, ListId, Version},
    oprf::PublicKey,
};

use crate::{Error, label::Label, state_dir::StateDir};

/// What checks are answered from. Replaced as a whole when a newer version is verified.
pub(crate) struct Held {
    signed: SignedManifest,
    artifact: Arc<Artifact<FileData>>,
    /// What its labels mean; none where they are opaque, or where it is kept no more.
    book: Option<Arc<CodeBook>>,
    /// The epoch's key, with its table once a frame was unblinded.
    key: PublicKey,
}

impl Held {
    /// Maps the artifact of a version; its directory must give the manifest's root. The code book was verified.
    pub(crate) fn open(dir: &StateDir, signed: SignedManifest, book: Option<Arc<CodeBook>>) -> Result<Self, Error> {
        let manifest = signed.manifest();
        let list = manifest.list_id();
        let path = dir.artifact(&list, Version(manifest.version));
        let bytes = mmap_guard::map_file(&path).map_err(Error::io("map", &path))?;
        let artifact = Artifact::open(bytes, &manifest.artifact, Epoch(manifest.epoch))
            .map_err(|source| Error::Untrusted { list: list.to_string(), source, evidence: None })?;
        let key = manifest.public_key();
        Ok(Self { signed, artifact: Arc::new(artifact), book, key })
    }

    /// The same version once more. What was hashed of it since it was opened need not be hashed again.
    pub(crate) fn with_book(&self, book: Option<Arc<CodeBook>>) -> Self {
        let artifact = Arc::clone(&self.artifact);
        Self { signed: self.signed.clone(), artifact, book, key: self.key.clone() }
    }

    /// The key that answers are verified against.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.signed.manifest()
    }

    pub(crate) fn artifact(&self) -> &Artifact<FileData> {
        &self.artifact
    }

    pub(crate) fn list(&self) -> ListId {
        self.manifest().list_id()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.manifest().epoch)
    }

    pub(crate) fn version(&self) -> Version {
        Version(self.manifest().version)
    }

    /// Hash of the manifest's leaf: what receipts name the version by.
    pub(crate) fn leaf_hash(&self) -> [u8; 32] {
        merkle::leaf_hash(self.signed.leaf())
    }

    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.manifest().kinds()
    }

    pub(crate) fn valid_at(&self, now: Timestamp) -> bool {
        self.manifest().valid_at(now).is_ok()
    }

    /// Whether labels have the form that a code book explains.
    pub(crate) fn has_coded_labels(&self) -> bool {
        self.manifest().categories.is_some()
    }

    /// What the bytes of a label say.
    pub(crate) fn label(&self, bytes: Vec<u8>) -> Label {
        if self.has_coded_labels() { Label::coded(bytes, self.book.as_ref()) } else { bytes.into() }
    }

    /// Begins look-ups that belong together: those of a frame, or of a rescan.
    pub(crate) fn look_ups(&self) -> Looking<'_> {
        Looking { held: self, kinds: self.kinds(), look_ups: self.artifact.look_ups() }
    }
}

/// A version that is being looked up in.
pub(crate) struct Looking<'a> {
    held: &'a Held,
    kinds: Vec<Kind>,
    look_ups: LookUps<'a, FileData>,
}

impl Looking<'_> {
    /// The kinds of the list.
    pub(crate) fn listed(&self) -> &[Kind] {
        &self.kinds
    }

    /// The label's bytes of the entry with this evaluation, if it is listed. An altered record is an error, never *no match*.
    pub(crate) fn find(&self, okm: &Okm) -> Result<Option<Vec<u8>>, ProtocolError> {
        let Some(record) = self.look_ups.find(&okm.tag())? else { return Ok(None) };
        label::open(&okm.label_key(), record.sealed_label()).map(Some)
    }
}

impl Deref for Looking<'_> {
    type Target = Held;

    fn deref(&self) -> &Held {
        self.held
    }
}
