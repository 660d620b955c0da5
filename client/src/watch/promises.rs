//! What the agency acknowledged must be in its published log within a minute (SPEC §17.7). Which frames are asked about, and
//! how many, does not depend on what was found in them.

use tonic::transport::Channel;
use veilmatch_audit::{leaf, origin::LogOrigin, tree};
use veilmatch_proto::{
    Inclusion, Reason,
    pb::{self, logs_client::LogsClient},
};

use super::Watch;
use crate::{
    Error,
    connection::Connection,
    evidence::{self, About},
    store::{Broken, PromiseRow, Watched},
};

/// Seconds within which an acknowledged leaf is under a published checkpoint.
const PROMISE: u64 = 60;

/// Leaves that are asked for at a time: what is left is asked for the next time.
const MOST: u32 = 256;

impl Watch {
    /// Has every leaf proven that a tree must have, and takes note of promises that are broken. `began` is when the
    /// tree's checkpoint was asked for; none was published where there is no tree.
    pub(super) async fn hold_to_promises(
        &self,
        connection: &Connection,
        log: &LogOrigin,
        tree: Option<&Watched>,
        began: u64,
    ) -> Result<(), Error> {
        let (origin, size) = (log.to_string(), tree.map_or(0, |tree| tree.size));
        let (mut kept, mut broken, mut failed) = (Vec::new(), Vec::new(), None);
        if let Some(tree) = tree {
            for row in self.store.due_in(&origin, size, MOST)? {
                match self.has_leaf(connection, &row, tree).await {
                    Ok(true) => kept.push(row.acknowledged.id),
                    Ok(false) => {
                        self.keep_promise(&row, Some(tree), "Q01: it is not in the query log");
                        broken.push((row.acknowledged.id, Broken::Absent));
                    }
                    // What was asked before is settled, and not asked again.
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        for row in self.store.late_in(&origin, size, began.saturating_sub(PROMISE), MOST)? {
            self.keep_promise(&row, tree, "it is not published within a minute");
            broken.push((row.acknowledged.id, Broken::Late));
        }
        if !(kept.is_empty() && broken.is_empty()) {
            self.store.settle_promises(&kept, &broken)?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// What was promised in a log of which the agency shows less than it did, or nothing, is lost with it.
    pub(super) fn lost_with(&self, log: &LogOrigin) -> Result<(), Error> {
        let origin = log.to_string();
        let (seen, mut broken) = (self.store.watched(&origin)?, Vec::new());
        for row in self.store.due_in(&origin, i64::MAX.cast_unsigned(), MOST)? {
            self.keep_promise(&row, seen.as_ref(), "Q01: the query log that it was promised in is lost");
            broken.push((row.acknowledged.id, Broken::Absent));
        }
        self.store.settle_promises(&[], &broken)
    }

    /// Whether the agency proves that the leaf is where it said.
    async fn has_leaf(&self, connection: &Connection, row: &PromiseRow, tree: &Watched) -> Result<bool, Error> {
        let (hash, size) = (leaf::hash(&row.acknowledged.leaf), tree.size);
        let ask = |mut logs: LogsClient<Channel>| {
            let origin = row.promise.origin.clone();
            let request = pb::GetInclusionRequest { origin, leaf_hash: hash.to_vec(), size };
            async move { logs.get_inclusion(request).await }
        };
        let answer = match connection.read_logs(ask).await {
            Err(Error::Refused(refused)) if refused.reason == Reason::UnknownLog => return Ok(false),
            answer => answer?,
        };
        let Ok(Inclusion { index, proof }) = Inclusion::try_from(answer) else { return Ok(false) };
        let proven = tree::verify_inclusion(&hash, index, size, &proof, &tree.root).is_ok();
        Ok(proven && index == row.promise.number)
    }

    /// The acknowledgement with its leaf, as auditors take it, and the checkpoint that does not have the leaf.
    fn keep_promise(&self, row: &PromiseRow, tree: Option<&Watched>, why: &str) {
        let batch = hex::encode(row.batch.0);
        tracing::error!(batch, log = row.promise.origin, why, "the agency has not kept an acknowledgement");
        if let Some(line) = row.acknowledged.line() {
            let line = [&line[..], b"\n"].concat();
            evidence::keep(&self.dir, About::Acknowledgement, &format!("{batch}.jsonl"), &line);
        }
        if let Some(tree) = tree {
            evidence::keep(&self.dir, About::Acknowledgement, &format!("{batch}.note"), &tree.note);
        }
    }
}
