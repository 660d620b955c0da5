//! The manifest log: no version is used whose leaf is not proven to be in it (SPEC §17.6).

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use veilmatch_audit::{checkpoint::Checkpoint, tree};
use veilmatch_proto::{
    Inclusion, Reason,
    pb::{self, logs_client::LogsClient},
};
use veilmatch_protocol::note::Note;

use super::{COSIGN_AGAIN, Watch, is_stale, with_line};
use crate::{
    Error,
    connection::{Backoff, Connection},
    frames::now,
    store::Watched,
};

/// No fault of the agency's by itself: its witnesses may be a moment behind.
const UNCOSIGNED: &str = "too few of the policy's witnesses have cosigned it";

fn is_uncosigned(error: &Error) -> bool {
    matches!(error, Error::UnprovenLog { why: UNCOSIGNED, .. })
}

impl Watch {
    /// Verifies the newest checkpoint, and that a manifest's leaf is in it; gives what stands from now on.
    ///
    /// # Errors
    /// [`Error::UnprovenLog`], [`Error::StaleLog`], [`Error::LogFork`], [`Error::LogRollback`], and what keeps it from being
    /// asked. As long as one of the first four stands, nothing is asked under any version.
    pub(crate) async fn prove(&self, connection: &Connection, leaf: &[u8]) -> Result<Watched, Error> {
        let _turn = self.turn.lock().await;
        let proven = self.prove_soon(connection, &tree::Hash::from(veilmatch_protocol::merkle::leaf_hash(leaf))).await;
        let mut state = self.state();
        match &proven {
            Ok(standing) => (state.standing, state.fault) = (Some(standing.clone()), None),
            // Witnesses are a moment behind each new checkpoint. What was proven before stands until it is stale.
            Err(error) if is_uncosigned(error) && state.standing(now().unix()).is_ok() => {}
            Err(error) => {
                if let Some(fault) = error.fault() {
                    state.fault = Some(fault);
                }
            }
        }
        proven
    }

    /// A version is announced when it is published, which is a moment before the log has it.
    async fn prove_soon(&self, connection: &Connection, leaf: &tree::Hash) -> Result<Watched, Error> {
        let (start, mut backoff) = (Instant::now(), Backoff::new());
        loop {
            let uncosigned = match self.prove_now(connection, leaf).await {
                Err(Error::Refused(refused)) if is_not_yet(refused.reason) => None,
                Err(error) if is_uncosigned(&error) => Some(error),
                other => return other,
            };
            let wait = backoff.next(Duration::ZERO);
            if start.elapsed() + wait > self.soon {
                let missing = || self.unproven(self.manifests.name(), &[], "the version's manifest is not in it");
                return Err(uncosigned.unwrap_or_else(missing));
            }
            sleep(wait).await;
        }
    }

    async fn prove_now(&self, connection: &Connection, leaf: &tree::Hash) -> Result<Watched, Error> {
        let origin = self.manifests.name();
        let before = self.store.watched(origin)?;
        let (note, checkpoint) = self.next(connection, origin, &self.manifests, before.as_ref()).await?;
        if !self.state().included.contains(leaf) {
            self.included(connection, &note, &checkpoint, leaf).await?;
        }
        let now = now().unix();
        // Where the policy counts this platform, it counts that the platform has just verified the checkpoint. The line
        // leaves this function when the checkpoint is stored.
        let line = self.cosigner.cosign(&checkpoint, now);
        let cosigned = with_line(&note, &line);
        let unproven = |why| self.unproven(origin, &note, why);
        let parsed = Note::parse(&cosigned).map_err(|_| unproven("its checkpoint has too many signatures"))?;
        let counted = self.policy()?.count(&parsed, now);
        let counted = counted.map_err(|_| unproven("a cosignature of a known witness does not verify"))?;
        if !counted.met {
            return Err(Error::UnprovenLog { log: origin.to_owned(), why: UNCOSIGNED, evidence: None });
        }
        // A policy that asks for nobody has no clock either.
        let newest = counted.newest.unwrap_or(now);
        if is_stale(newest, now) {
            return Err(self.stale(origin, &note));
        }
        let same = before.filter(|before| before.size == checkpoint.size);
        let handed_in = same.map_or(0, |same| same.cosigned);
        let Checkpoint { size, root, .. } = checkpoint;
        let watched = Watched { size, root, note: cosigned, counted: newest, cosigned: handed_in };
        self.store.set_watched(origin, &watched)?;
        self.state().included.insert(*leaf);
        if handed_in + COSIGN_AGAIN <= now {
            self.hand_in(connection, origin, &note, &line, now).await;
        }
        Ok(watched)
    }

    /// Where a leaf is in the tree of a checkpoint, proven.
    pub(super) async fn included(
        &self,
        connection: &Connection,
        note: &[u8],
        checkpoint: &Checkpoint,
        leaf: &tree::Hash,
    ) -> Result<u64, Error> {
        let (origin, size) = (checkpoint.origin.clone(), checkpoint.size);
        let request = pb::GetInclusionRequest { origin, leaf_hash: leaf.to_vec(), size };
        let ask = |mut logs: LogsClient<Channel>| {
            let request = request.clone();
            async move { logs.get_inclusion(request).await }
        };
        let answer = connection.read_logs(ask).await?;
        let Inclusion { index, proof } =
            Inclusion::try_from(answer).map_err(|_| Error::BadAnswer { what: "its inclusion proof is too long" })?;
        tree::verify_inclusion(leaf, index, size, &proof, &checkpoint.root)
            .map_err(|_| self.unproven(&checkpoint.origin, note, "a leaf that must be in it is not proven to be"))?;
        Ok(index)
    }
}

/// Whether the log may have what it is asked for in a moment.
fn is_not_yet(reason: Reason) -> bool {
    matches!(reason, Reason::UnknownLog | Reason::CheckpointAhead)
}
