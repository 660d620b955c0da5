//! The kept results of one (list, epoch): what is known of a subject already, where new results go, and the walk over all
//! of them.
//!
//! A frame's results are one sealed block, durable with the end of the frame. Its entries for the index wait in memory
//! and in `fresh` until there are many; then [`Keeper::settle`] puts them into the index in one sweep and joins the small
//! blocks that single checks leave behind.

mod settle;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rayon::prelude::*;
use veilmatch_protocol::{
    item::Item,
    name::{Epoch, ListId},
};

use crate::{
    Error,
    outcome::Subject,
    results::{Kept, Row, Seal},
    state_dir::StateDir,
    store::{BlockId, IdOf, NewBlock, Place, Shelf, Store},
};
pub(crate) use settle::Due;
use settle::Fresh;

/// Opened blocks that stay in memory: a scan that is run again meets its subjects in the order of the first time.
const OPEN_BLOCKS: usize = 8;

/// How often a block that was joined with others between index and look-up is looked for again.
const LOOKS: usize = 3;

/// Sealed blocks that a walk opens at once.
const WALK_BLOCKS: usize = 8;

/// Keeps, finds and walks the sealed results of one (list, epoch).
pub(crate) struct Keeper {
    store: Arc<Store>,
    list: ListId,
    epoch: Epoch,
    shelf: Shelf,
    seal: Seal,
    fresh: Mutex<Fresh>,
    // Held by the one thread that settles.
    settling: Mutex<()>,
    open: Mutex<Vec<(BlockId, Arc<Vec<Kept>>)>>,
}

/// What is known of a subject.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// Per item, in the subject's order.
    pub(crate) rows: Vec<Option<Row>>,
    /// Whether the subject itself, by reference and items, is kept already.
    pub(crate) kept: bool,
}

impl Keeper {
    pub(crate) fn open(dir: &StateDir, store: Arc<Store>, list: ListId, epoch: Epoch) -> Result<Self, Error> {
        // The shelf comes before its key, so that no key is left over when old shelves are forgotten.
        let shelf = store.shelf(&list, epoch)?;
        let seal = Seal::open(dir, &list, epoch)?;
        let fresh = Mutex::new(Fresh::read(&store, shelf)?);
        Ok(Self { store, list, epoch, shelf, seal, fresh, settling: Mutex::new(()), open: Mutex::default() })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What is known of some subjects. One pass over the index, each block opened once.
    pub(crate) fn known(&self, subjects: &[Subject]) -> Result<Vec<Known>, Error> {
        let ids: Vec<IdOf> = subjects.iter().flat_map(|s| &s.items).map(|item| self.seal.item_id(item)).collect();
        let mut known: Vec<Known> = Vec::with_capacity(subjects.len());
        let mut found = self.find(&ids)?.into_iter();
        for subject in subjects {
            let mut same = false;
            let mut rows = Vec::with_capacity(subject.items.len());
            for item in &subject.items {
                let kept = found.next().flatten();
                same |= kept.as_ref().is_some_and(|kept| is_same(kept, subject));
                rows.push(kept.and_then(|kept| kept.rows.into_iter().find(|row| row.kind == item.kind())));
            }
            known.push(Known { rows, kept: same });
        }
        self.find_duplicates(subjects, &mut known)?;
        Ok(known)
    }

    /// A subject whose items were all met under another reference has an entry of its own.
    fn find_duplicates(&self, subjects: &[Subject], known: &mut [Known]) -> Result<(), Error> {
        let complete = |known: &Known| !known.kept && !known.rows.is_empty() && known.rows.iter().all(Option::is_some);
        let open: Vec<usize> = (0..known.len()).filter(|&at| complete(&known[at])).collect();
        let ids: Vec<IdOf> =
            open.iter().map(|&at| self.seal.subject_id(&subjects[at].reference, &subjects[at].items)).collect();
        for (at, place) in open.into_iter().zip(self.places(&ids)?) {
            known[at].kept = place.is_some();
        }
        Ok(())
    }

    /// The kept subjects that ids lead to.
    fn find(&self, ids: &[IdOf]) -> Result<Vec<Option<Kept>>, Error> {
        let mut found: Vec<Option<Kept>> = vec![None; ids.len()];
        let mut open: Vec<usize> = (0..ids.len()).collect();
        for _ in 0..LOOKS {
            let asked: Vec<IdOf> = open.iter().map(|&at| ids[at]).collect();
            let mut by_block: BTreeMap<BlockId, Vec<(usize, u16)>> = BTreeMap::new();
            for (at, place) in open.drain(..).zip(self.places(&asked)?) {
                if let Some(Place { block, subject }) = place {
                    by_block.entry(block).or_default().push((at, subject));
                }
            }
            for (id, places) in by_block {
                // A block that is not there any more was joined with others just now: its subjects have new places.
                let Some(block) = self.block(id)? else {
                    open.extend(places.into_iter().map(|(at, _)| at));
                    continue;
                };
                for (at, subject) in places {
                    found[at] = Some(block.get(usize::from(subject)).ok_or_else(|| self.damaged())?.clone());
                }
            }
            if open.is_empty() {
                return Ok(found);
            }
        }
        Err(self.damaged())
    }

    fn places(&self, ids: &[IdOf]) -> Result<Vec<Option<Place>>, Error> {
        let mut places: Vec<Option<Place>> = {
            let fresh = self.fresh();
            ids.iter().map(|id| fresh.place(id)).collect()
        };
        // Entries leave memory only when they are in the index, so whoever looks there second misses nothing.
        let rest: Vec<usize> = (0..ids.len()).filter(|&at| places[at].is_none()).collect();
        let asked: Vec<IdOf> = rest.iter().map(|&at| ids[at]).collect();
        for (at, place) in rest.into_iter().zip(self.store.seen(self.shelf, &asked)?) {
            places[at] = place;
        }
        Ok(places)
    }

    /// Seals these subjects with their results as one block, for the transaction that ends their frame. `Known` says which
    /// items have a row elsewhere already.
    pub(crate) fn block_of(&self, subjects: Vec<(&Subject, &Known, Vec<Row>)>) -> Result<Option<NewBlock>, Error> {
        if subjects.is_empty() {
            return Ok(None);
        }
        let mut entered: HashSet<IdOf> = HashSet::new();
        let mut kept: Vec<(Kept, Vec<IdOf>)> = Vec::with_capacity(subjects.len());
        for (subject, known, rows) in subjects {
            let new = |item: &Item| rows.iter().any(|row| row.kind == item.kind());
            let unknown = subject.items.iter().zip(&known.rows).filter(|(item, row)| row.is_none() && new(item));
            let mut ids: Vec<IdOf> = unknown.map(|(item, _)| self.seal.item_id(item)).collect();
            ids.retain(|id| entered.insert(*id));
            if ids.is_empty() {
                ids.push(self.seal.subject_id(&subject.reference, &subject.items));
            }
            kept.push((Kept { reference: subject.reference.clone(), whole: subject.whole, rows }, ids));
        }
        kept.sort_by_cached_key(|(kept, _)| kept.rows.first().map(|row| row.okm.tag()));
        let (mut ids, mut subjects) = (Vec::new(), Vec::with_capacity(kept.len()));
        for (at, (kept, of_subject)) in kept.into_iter().enumerate() {
            let at = u16::try_from(at).expect("a batch has fewer subjects than 65,536");
            ids.extend(of_subject.into_iter().map(|id| (id, at)));
            subjects.push(kept);
        }
        let id = self.store.next_block();
        let sealed = self.seal.seal(&self.list, self.epoch, id, &subjects)?;
        Ok(Some(NewBlock { id, shelf: self.shelf, subjects: subjects.len(), sealed, ids }))
    }

    /// Takes note of a block that is durable now, and tells whether to [`Self::settle`].
    pub(crate) fn added(&self, block: &NewBlock) -> Due {
        self.fresh().add(block)
    }

    /// Shows every kept subject of the epoch as it is now, block by block, in bounded memory; blocks are looked at in
    /// parallel, `found` gets what `look` finds in their order. Gives how many subjects there were.
    pub(crate) fn walk<T: Send>(
        &self,
        look: impl Fn(&Kept) -> Option<T> + Sync,
        mut found: impl FnMut(T),
    ) -> Result<u64, Error> {
        let mut snapshot = self.store.snapshot(self.shelf)?;
        let mut count = 0;
        loop {
            let mut sealed = Vec::with_capacity(WALK_BLOCKS);
            while sealed.len() < WALK_BLOCKS {
                let Some(block) = snapshot.next()? else { break };
                sealed.push(block);
            }
            if sealed.is_empty() {
                return Ok(count);
            }
            let looked_at: Vec<Result<(u64, Vec<T>), Error>> = sealed
                .par_iter()
                .map(|(id, sealed)| {
                    let kept = self.seal.unseal(&self.list, self.epoch, *id, sealed)?;
                    Ok((kept.len() as u64, kept.iter().filter_map(&look).collect()))
                })
                .collect();
            for block in looked_at {
                let (subjects, of_block) = block?;
                count += subjects;
                of_block.into_iter().for_each(&mut found);
            }
        }
    }

    fn block(&self, id: BlockId) -> Result<Option<Arc<Vec<Kept>>>, Error> {
        let cached = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = cached().iter().find(|(other, _)| *other == id) {
            return Ok(Some(Arc::clone(block)));
        }
        let Some(sealed) = self.store.block(id)? else { return Ok(None) };
        let block = Arc::new(self.seal.unseal(&self.list, self.epoch, id, &sealed)?);
        let mut open = cached();
        if open.len() == OPEN_BLOCKS {
            open.remove(0);
        }
        open.push((id, Arc::clone(&block)));
        Ok(Some(block))
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self) -> Error {
        Error::SealedResults { list: self.list.to_string() }
    }
}

/// Whether what is kept is this very subject with all its items.
fn is_same(kept: &Kept, subject: &Subject) -> bool {
    kept.reference == subject.reference
        && kept.whole == subject.whole
        && subject.items.iter().all(|item| kept.rows.iter().any(|row| row.kind == item.kind()))
}

/// Entries in the order of the index.
fn ascending(entries: &HashMap<IdOf, Place>) -> Vec<(IdOf, Place)> {
    let mut entries: Vec<(IdOf, Place)> = entries.iter().map(|(id, place)| (*id, *place)).collect();
    entries.sort_unstable();
    entries
}

#[cfg(test)]
mod tests;
