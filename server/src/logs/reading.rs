//! What platforms read of the agency's logs (SPEC §20.1), and the cosignatures that they hand in (SPEC §20.2).

use std::sync::Arc;

use veilmatch_audit::{
    checkpoint,
    cosignature::Witness,
    folder::LogFolder,
    origin::{LogOrigin, platform_witness_key},
    policy::MAX_AHEAD,
    tree::{consistency_proof, inclusion_proof},
};
use veilmatch_proto::{
    CheckpointAsked, Cosigned, Inclusion, InclusionAsked, LeavesAsked, ListedLeaves, MAX_LISTED_BYTES,
    MAX_LISTED_LEAVES, ProvenCheckpoint,
};
use veilmatch_protocol::{name::PlatformId, note::Note};

use super::{
    LogHealth, LogState, PublicKeys,
    keeper::{folder, publish_cosignatures, with_cosignatures},
};
use crate::{
    Error,
    clock::Clock,
    service::Readers,
    state_dir::StateDir,
    status::CallError,
    store::{ClientRow, Cosignature, LogRow, Store},
};

/// The agency's logs, to be read. Its calls wait for the disk: they are for threads that may.
pub struct LogReader {
    dir: StateDir,
    pub(super) keys: PublicKeys,
    pub(super) health: Arc<LogHealth>,
    pub(super) clock: Arc<dyn Clock>,
    stores: Readers,
}

impl LogReader {
    /// Reads the logs in an agency's directory.
    #[must_use]
    pub fn new(dir: StateDir, keys: PublicKeys, health: Arc<LogHealth>, clock: Arc<dyn Clock>) -> Self {
        let stores = Readers::new(dir.database());
        Self { dir, keys, health, clock, stores }
    }

    /// Nothing more is promised once a log cannot go on.
    ///
    /// # Errors
    /// [`CallError::AuditUnavailable`].
    pub(crate) fn require_sound(&self) -> Result<(), CallError> {
        if self.health.state() == LogState::Sound { Ok(()) } else { Err(CallError::AuditUnavailable) }
    }

    pub(crate) fn stores(&self) -> &Readers {
        &self.stores
    }

    /// The newest checkpoint, and the proof that it extends a tree.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::CheckpointAhead`], [`CallError::Store`].
    pub fn checkpoint(&self, asked: &CheckpointAsked) -> Result<ProvenCheckpoint, CallError> {
        self.stores.with(|store| {
            let (origin, row) = self.published(store, &asked.origin)?;
            let size = row.published_size;
            if asked.old_size > size {
                return Err(CallError::CheckpointAhead);
            }
            let consistency = if asked.old_size == 0 || asked.old_size == size {
                Vec::new()
            } else {
                self.prove(&origin, |files| consistency_proof(&files.view(size), asked.old_size, size))?
            };
            let note = with_cosignatures(&row, store.cosignatures(row.id, size)?);
            Ok(ProvenCheckpoint { note, consistency })
        })
    }

    /// Where a leaf is in a tree, if the platform may read it, and the proof.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::CheckpointAhead`], [`CallError::Store`].
    pub fn inclusion(&self, platform: &PlatformId, asked: &InclusionAsked) -> Result<Inclusion, CallError> {
        self.stores.with(|store| {
            let (origin, row) = self.published(store, &asked.origin)?;
            if asked.size > row.published_size {
                return Err(CallError::CheckpointAhead);
            }
            let (index, of) = store.leaf_index(row.id, &asked.leaf_hash)?.ok_or(CallError::UnknownLog)?;
            let is_open = reads_all(&origin) || of.is_empty() || of == platform.as_str();
            if !is_open || index >= asked.size {
                return Err(CallError::UnknownLog);
            }
            let size = row.published_size;
            let proof = self.prove(&origin, |files| inclusion_proof(&files.view(size), index, asked.size))?;
            Ok(Inclusion { index, proof })
        })
    }

    /// The published leaves from an index on: all of the manifest log; of a query log the platform's own, and before them
    /// the first one where it says from which log this one goes on.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::CheckpointAhead`], [`CallError::Store`].
    pub fn leaves(&self, platform: &PlatformId, asked: &LeavesAsked) -> Result<ListedLeaves, CallError> {
        self.stores.with(|store| {
            let (origin, row) = self.published(store, &asked.origin)?;
            let size = row.published_size;
            if asked.from > size {
                return Err(CallError::CheckpointAhead);
            }
            if asked.from == 0 && size > 0 && origin.shard().is_some_and(|shard| shard.generation() > 1) {
                let first = store.leaves(row.id, 0..1)?;
                return Ok(ListedLeaves { leaves: first.into_iter().map(|leaf| (0, leaf)).collect(), next: 1 });
            }
            let of = if reads_all(&origin) { None } else { Some(platform) };
            let leaves = store.leaves_of(row.id, of, asked.from..size, MAX_LISTED_LEAVES + 1, MAX_LISTED_BYTES)?;
            Ok(listed(leaves, size))
        })
    }

    /// Takes a platform's cosignature of a checkpoint of ours, and publishes it if the checkpoint is the newest.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::BadCheckpoint`], [`CallError::Store`]; [`CallError::AuditUnavailable`] if
    /// the note shows that our key has signed another tree than ours: then the log is halted.
    pub fn add_cosignature(&self, client: &ClientRow, cosigned: &Cosigned) -> Result<(), CallError> {
        let claimed = checkpoint::claimed_origin(&cosigned.note).map_err(|_| CallError::BadCheckpoint)?;
        let claimed = LogOrigin::parse(&claimed).map_err(|_| CallError::UnknownLog)?;
        let opened = self.judge(&claimed, &cosigned.note)?;
        self.stores.with(|store| {
            let (origin, row) = self.published(store, &opened.origin)?;
            let keys = client.evidence_keys.ok_or(CallError::BadCheckpoint)?;
            let key = PublicKeys::decode(&keys.witness)?;
            let witness = Witness::new(&platform_witness_key(&client.platform), key).map_err(Error::from)?;
            let now = self.clock.now();
            verify(&witness, &opened.text(), &cosigned.line, now.saturating_add(MAX_AHEAD))?;
            let witness = witness.name().to_owned();
            let cosignature = Cosignature { witness, line: cosigned.line.clone(), at: now };
            if store.add_cosignature(row.id, opened.size, &cosignature)? {
                publish_cosignatures(&self.dir, store, &origin)?;
            }
            Ok(())
        })
    }

    fn published(&self, store: &Store, claimed: &str) -> Result<(LogOrigin, LogRow), CallError> {
        let origin = LogOrigin::parse(claimed).map_err(|_| CallError::UnknownLog)?;
        self.keys.of(&origin).ok_or(CallError::UnknownLog)?;
        let row = store.log(claimed)?.filter(|row| !row.published_note.is_empty()).ok_or(CallError::UnknownLog)?;
        Ok((origin, row))
    }

    pub(super) fn prove<T>(
        &self,
        origin: &LogOrigin,
        read: impl FnOnce(&LogFolder) -> std::io::Result<T>,
    ) -> Result<T, CallError> {
        let path = folder(&self.dir, origin);
        Ok(read(&LogFolder::new(&path)).map_err(Error::io("read", &path))?)
    }
}

fn reads_all(origin: &LogOrigin) -> bool {
    matches!(origin, LogOrigin::Manifest(_))
}

// One more was asked for than is given, to know whether there are more.
fn listed(mut leaves: Vec<(u64, Vec<u8>)>, size: u64) -> ListedLeaves {
    let bytes: usize = leaves.iter().map(|(_, leaf)| leaf.len()).sum();
    let next = if leaves.len() > MAX_LISTED_LEAVES {
        leaves.pop().map_or(size, |(index, _)| index)
    } else if bytes + veilmatch_proto::MAX_LEAF > MAX_LISTED_BYTES {
        // The answer may have ended for its length.
        leaves.last().map_or(size, |(index, _)| index + 1)
    } else {
        size
    };
    ListedLeaves { leaves, next }
}

// The line is the witness's, over exactly this text.
fn verify(witness: &Witness, text: &str, line: &str, latest: u64) -> Result<(), CallError> {
    let note = format!("{text}\n{line}");
    let note = Note::parse(note.as_bytes()).map_err(|_| CallError::BadCheckpoint)?;
    match witness.cosigned(&note, latest) {
        Ok(Some(_)) => Ok(()),
        _ => Err(CallError::BadCheckpoint),
    }
}
