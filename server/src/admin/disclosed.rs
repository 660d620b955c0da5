//! `list items`: the agency's own records of the entries that receipts name, for an auditor who may read digests (SPEC §21.4).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    ops::ControlFlow,
    path::Path,
};

use rayon::prelude::*;
use veilmatch_audit::{opening::Opening, origin::LogOrigin, reconcile::Items};
use veilmatch_protocol::{
    derive::{EpochContext, Tag},
    name::{Epoch, ListId, PlatformId, Version},
    note::Verifier,
    oprf::{self, Mode},
    receipt::Receipt,
};

use super::Agency;
use crate::{
    Error,
    publish::{OnProgress, Progress, Stage},
    state_dir::write_private,
    store::{Edition, Entries, Labels, PendingEntry},
};

/// Entries that are evaluated together, on all processors, and those of one call of the batch arithmetic.
const BATCH: usize = 16_384;
const CHUNK: usize = 512;

/// What became of the receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disclosed {
    /// Entries that were written.
    pub written: usize,
    /// Lines without a receipt that a platform of this agency signed.
    pub unread: usize,
    /// Tags that no entry of the version has that is named beside them, or whose key is destroyed.
    pub unknown: usize,
}

/// What receipts name: tags by epoch and version, the newest version first.
type Named = BTreeMap<(Epoch, Reverse<Version>), HashSet<Tag>>;

/// Entries with their tags.
type Found = Vec<(Tag, PendingEntry)>;

impl Agency {
    /// Writes a line for each entry of the list that a receipt of the file names, with its item and label as the version of the
    /// receipt had them. Evaluates each of these versions once. The file is its owner's alone: it has digests.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Io`], [`Error::Argument`] if what a version had was forgotten, [`Error::Store`],
    /// [`Error::KeyFile`].
    pub fn items(
        &self,
        list: &ListId,
        openings: &Path,
        out: &Path,
        progress: OnProgress<'_>,
    ) -> Result<Disclosed, Error> {
        let label_bytes = self.store.list(list)?.label_bytes;
        let (named, mut done) = self.named(list, openings)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        let labels = entries.labels(list, label_bytes)?;
        let (mut met, mut lines) = (HashSet::new(), Vec::new());
        for ((epoch, Reverse(version)), mut tags) in named {
            tags.retain(|tag| !met.contains(&(epoch, *tag)));
            let key = if tags.is_empty() { None } else { self.epoch_key(list, epoch)? };
            let Some(key) = key else {
                done.unknown += tags.len();
                continue;
            };
            let search = Search { key, context: EpochContext { list: list.clone(), epoch }, tags: &tags, progress };
            let found = search.among(&entries, &labels, &self.edition(list, version, &entries)?)?;
            done.unknown += tags.len() - found.len();
            done.written += found.len();
            for (tag, entry) in found {
                let line = Items::line(list, epoch, tag, &entry.item, &entry.label);
                lines.extend(line.ok_or(Error::Internal("the line of an entry cannot be written"))?);
                lines.push(b'\n');
                met.insert((epoch, tag));
            }
        }
        write_private(out, &lines)?;
        Ok(done)
    }

    /// What the receipts of this list name that platforms signed, and how many lines have none.
    fn named(&self, list: &ListId, openings: &Path) -> Result<(Named, Disclosed), Error> {
        let text = fs::read(openings).map_err(Error::io("read", openings))?;
        let keys = self.receipt_keys()?;
        let (mut named, mut done) = (Named::new(), Disclosed::default());
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match receipt(line, &keys) {
                Some(receipt) if receipt.list == *list => {
                    let version = (receipt.epoch, Reverse(receipt.version));
                    named.entry(version).or_default().insert(receipt.tag);
                }
                Some(_) => {}
                None => done.unread += 1,
            }
        }
        Ok((named, done))
    }

    /// The keys that platforms sign receipts with.
    fn receipt_keys(&self) -> Result<HashMap<PlatformId, Verifier>, Error> {
        let clients = self.store.clients()?.into_iter();
        let keys = clients.filter_map(|client| Some((client.evidence_keys?, client.platform)));
        keys.map(|(keys, platform)| Ok((platform.clone(), keys.receipt_verifier(&platform)?))).collect()
    }
}

/// The receipt of a line, if it is one that a platform of this agency signed.
fn receipt(line: &[u8], keys: &HashMap<PlatformId, Verifier>) -> Option<Receipt> {
    let opening = Opening::decode(line).ok()?;
    let LogOrigin::Match(platform, ..) = &opening.log else { return None };
    Some(opening.receipt(keys.get(platform)?).ok()?.receipt().clone())
}

/// Tags that are looked for among the entries of a version.
struct Search<'a> {
    key: oprf::SecretKey,
    context: EpochContext,
    tags: &'a HashSet<Tag>,
    progress: OnProgress<'a>,
}

impl Search<'_> {
    /// The entries that have one of the tags. Ends with the last of them.
    fn among(&self, entries: &Entries, labels: &Labels, edition: &Edition) -> Result<Found, Error> {
        let EpochContext { list, epoch } = &self.context;
        let total = entries.pending_at_most(list, &Edition::EMPTY, edition)?;
        let (mut found, mut batch, mut seen, mut failed) = (Found::new(), Vec::with_capacity(BATCH), 0, None);
        entries.visit(list, &Edition::EMPTY, edition, labels, None, |entry| {
            batch.push(entry);
            if batch.len() < BATCH {
                return ControlFlow::Continue(());
            }
            seen += batch.len() as u64;
            (self.progress)(Progress { epoch: *epoch, stage: Stage::Evaluate, done: seen, total: total.max(seen) });
            failed = self.look(&mut batch, &mut found).err();
            let more = failed.is_none() && found.len() < self.tags.len();
            if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failed.map_or_else(|| self.look(&mut batch, &mut found), Err)?;
        Ok(found)
    }

    /// Takes from a batch what is looked for.
    fn look(&self, batch: &mut Vec<PendingEntry>, found: &mut Found) -> Result<(), Error> {
        let of_chunk = |chunk: &[PendingEntry]| -> Result<Vec<Tag>, Error> {
            let inputs: Vec<&[u8]> = chunk.iter().map(|entry| entry.item.as_bytes()).collect();
            let okms = self.context.okms(&oprf::evaluate(Mode::Voprf, &self.key, &inputs)?);
            Ok(okms.iter().map(|okm| okm.tag()).collect())
        };
        let tags: Vec<Vec<Tag>> = batch.par_chunks(CHUNK).map(of_chunk).collect::<Result<_, _>>()?;
        found.extend(tags.into_iter().flatten().zip(batch.drain(..)).filter(|(tag, _)| self.tags.contains(tag)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
