//! The agency as witness of the platforms' match logs (SPEC §20.2): it cosigns only what extends what it cosigned, and
//! stores before it signs.

use std::sync::Arc;

use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    origin::LogOrigin,
    tree::verify_consistency,
};
use veilmatch_proto::Submitted;
use veilmatch_protocol::{
    name::AgencyName,
    note::{Note, Verifier},
};

use super::{LogKeys, PublicKeys, reading::LogReader};
use crate::{
    clock::Clock,
    status::CallError,
    store::{ClientRow, Watched},
};

/// How old a cosignature may be to be given again for the same tree. It spares the store a write.
const FRESH: u64 = 60;

/// Watches match logs. Its calls wait for the disk: they are for threads that may.
pub struct MatchLogs {
    agency: AgencyName,
    keys: Arc<LogKeys>,
    reader: Arc<LogReader>,
    clock: Arc<dyn Clock>,
}

impl MatchLogs {
    /// Watches the logs that platforms keep about this agency.
    #[must_use]
    pub fn new(agency: AgencyName, keys: Arc<LogKeys>, reader: Arc<LogReader>, clock: Arc<dyn Clock>) -> Self {
        Self { agency, keys, reader, clock }
    }

    /// Cosigns a checkpoint that extends the one that was cosigned last. Gives the signature line.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::BadCheckpoint`], [`CallError::CheckpointConflict`], [`CallError::Store`].
    pub fn cosign(&self, client: &ClientRow, submitted: &Submitted) -> Result<String, CallError> {
        let claimed = checkpoint::claimed_origin(&submitted.note).map_err(|_| CallError::BadCheckpoint)?;
        let verifier = self.verifier(client, &claimed)?;
        let bad = |_| CallError::BadCheckpoint;
        let next = checkpoint::open(&submitted.note, &claimed, &verifier).map_err(bad)?;
        self.reader.stores().with(|store| {
            let last = store.watched(&claimed)?;
            let last_size = last.as_ref().map_or(0, |last| last.size);
            if submitted.old_size != last_size {
                return Err(CallError::CheckpointConflict);
            }
            if let Some(last) = &last {
                if next.size == last.size && next.root != last.root {
                    return Err(CallError::CheckpointConflict);
                }
                let proof = &submitted.consistency;
                verify_consistency(last.size, &last.root, next.size, &next.root, proof).map_err(bad)?;
            } else if !submitted.consistency.is_empty() {
                return Err(CallError::BadCheckpoint);
            }
            let now = self.clock.now();
            if let Some(last) = last.as_ref().filter(|last| last.size == next.size && now < last.at + FRESH) {
                return Ok(self.keys.witness.cosign(&next, last.at));
            }
            // A clock that was set back does not take a cosignature back in time.
            let at = last.map_or(now, |last| now.max(last.at));
            let note = without_cosignatures(&submitted.note, &next, &verifier)?;
            let watched = Watched { origin: claimed.clone(), size: next.size, root: next.root, note, at };
            if store.watch(&client.platform, submitted.old_size, &watched)? {
                Ok(self.keys.witness.cosign(&next, at))
            } else {
                Err(CallError::CheckpointConflict)
            }
        })
    }

    /// The checkpoint that was cosigned last, with the cosignature.
    ///
    /// # Errors
    /// [`CallError::UnknownLog`], [`CallError::Store`].
    pub fn cosigned(&self, client: &ClientRow, origin: &str) -> Result<Option<Vec<u8>>, CallError> {
        self.verifier(client, origin)?;
        let Some(last) = self.reader.stores().with(|store| Ok(store.watched(origin)?))? else { return Ok(None) };
        Ok(Some(cosigned_note(&self.keys.witness, last)))
    }

    fn verifier(&self, client: &ClientRow, origin: &str) -> Result<Verifier, CallError> {
        let unknown = CallError::UnknownLog;
        match LogOrigin::parse(origin) {
            Ok(LogOrigin::Match(platform, agency, _)) if platform == client.platform && agency == self.agency => {}
            _ => return Err(unknown),
        }
        let keys = client.evidence_keys.ok_or(unknown)?;
        let key = PublicKeys::decode(&keys.match_log)?;
        Verifier::new(origin, key).map_err(|_| CallError::UnknownLog)
    }
}

fn cosigned_note(witness: &Cosigner, last: Watched) -> Vec<u8> {
    let checkpoint = Checkpoint { origin: last.origin, size: last.size, root: last.root };
    let mut note = last.note;
    note.extend_from_slice(witness.cosign(&checkpoint, last.at).as_bytes());
    note
}

// Text and the log's own line: what others have added is not ours to keep.
fn without_cosignatures(note: &[u8], checkpoint: &Checkpoint, verifier: &Verifier) -> Result<Vec<u8>, CallError> {
    let note = Note::parse(note).map_err(|_| CallError::BadCheckpoint)?;
    let mut kept = checkpoint.text() + "\n";
    for line in note.lines_of(verifier.name(), verifier.key_id()).take(1) {
        kept += &veilmatch_protocol::note::signature_line(verifier.name(), verifier.key_id(), &line.signature);
    }
    Ok(kept.into_bytes())
}
