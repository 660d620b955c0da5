//! `list items`: the agency's own records of the entries that receipts name, for an auditor who may read digests (SPEC §21.4).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    fs,
    ops::ControlFlow,
    path::Path,
};

use ed25519_dalek::VerifyingKey;
use rayon::prelude::*;
use veilmatch_audit::{opening::Opening, origin::LogOrigin, reconcile::Items};
use veilmatch_protocol::{
    derive::{EpochContext, Tag},
    name::{Epoch, ListId, Version},
    note::Verifier,
    oprf::{self, Mode},
    receipt::{self, Receipt},
};

use super::Agency;
use crate::{
    Error,
    keys::EpochSeeds,
    publish::{OnProgress, Progress, Stage},
    state_dir::write_private,
    store::{Edition, Entries, PendingEntry},
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
        let (mut met, mut lines) = (HashSet::new(), Vec::new());
        for ((epoch, Reverse(version)), mut tags) in named {
            tags.retain(|tag| !met.contains(&(epoch, *tag)));
            let found = match tags.is_empty() || self.is_destroyed(list, epoch)? {
                true => Vec::new(),
                false => self.find(list, label_bytes, (epoch, version), &tags, progress)?,
            };
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

    fn is_destroyed(&self, list: &ListId, epoch: Epoch) -> Result<bool, Error> {
        Ok(self.store.epochs(list)?.iter().any(|row| row.epoch == epoch && row.destroyed_at.is_some()))
    }

    /// The entries of a version that have one of the tags.
    fn find(
        &self,
        list: &ListId,
        label_bytes: u8,
        (epoch, version): (Epoch, Version),
        tags: &HashSet<Tag>,
        progress: OnProgress<'_>,
    ) -> Result<Found, Error> {
        let key = EpochSeeds::read(&self.dir.epoch_seed(list, epoch))?.secret_key(list, epoch)?;
        let search = Search { key, context: EpochContext { list: list.clone(), epoch }, tags };
        let entries = Entries::open(&self.dir.entries_database())?;
        let (labels, edition) = (entries.labels(list, label_bytes)?, self.edition(list, version, &entries)?);
        let total = entries.pending_at_most(list, &Edition::EMPTY, &edition)?;
        let (mut batch, mut seen, mut found) = (Vec::with_capacity(BATCH), 0, Ok(Vec::new()));
        entries.visit(list, &Edition::EMPTY, &edition, &labels, None, |entry| {
            batch.push(entry);
            if batch.len() == BATCH {
                seen += batch.len() as u64;
                found = search.add(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)), &mut found);
                progress(Progress { epoch, stage: Stage::Evaluate, done: seen, total: total.max(seen) });
            }
            match &found {
                Ok(found) if found.len() < tags.len() => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })?;
        search.add(batch, &mut found)
    }

    /// What the receipts of this list name that platforms signed, and how many lines have none.
    fn named(&self, list: &ListId, openings: &Path) -> Result<(Named, Disclosed), Error> {
        let text = fs::read(openings).map_err(Error::io("read", openings))?;
        let (mut named, mut done) = (Named::new(), Disclosed::default());
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match self.receipt(line)? {
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

    /// The receipt of a line, if it is one that a platform of this agency signed.
    fn receipt(&self, line: &[u8]) -> Result<Option<Receipt>, Error> {
        let Ok(opening) = Opening::decode(line) else { return Ok(None) };
        let LogOrigin::Match(platform, ..) = &opening.log else { return Ok(None) };
        let Some(keys) = self.store.client(platform)?.and_then(|client| client.evidence_keys) else { return Ok(None) };
        let verifier = VerifyingKey::from_bytes(&keys.receipt)
            .ok()
            .and_then(|key| Verifier::new(&receipt::key_name(platform), key).ok());
        Ok(verifier.and_then(|verifier| opening.receipt(&verifier).ok()).map(|signed| signed.receipt().clone()))
    }
}

/// Tags that are looked for among the entries of a version.
struct Search<'a> {
    key: oprf::SecretKey,
    context: EpochContext,
    tags: &'a HashSet<Tag>,
}

impl Search<'_> {
    /// Adds the entries of a batch that are looked for to those that were found before.
    fn add(&self, batch: Vec<PendingEntry>, found: &mut Result<Found, Error>) -> Result<Found, Error> {
        let mut found = std::mem::replace(found, Ok(Vec::new()))?;
        let of_chunk = |chunk: &[PendingEntry]| -> Result<Vec<Tag>, Error> {
            let inputs: Vec<&[u8]> = chunk.iter().map(|entry| entry.item.as_bytes()).collect();
            let okms = self.context.okms(&oprf::evaluate(Mode::Voprf, &self.key, &inputs)?);
            Ok(okms.iter().map(|okm| okm.tag()).collect())
        };
        let tags: Vec<Vec<Tag>> = batch.par_chunks(CHUNK).map(of_chunk).collect::<Result<_, _>>()?;
        found.extend(tags.into_iter().flatten().zip(batch).filter(|(tag, _)| self.tags.contains(tag)));
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
