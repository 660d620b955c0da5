//! The kept results of one (list, epoch): what is known of a subject already, where new results go, and the walk over all
//! of them.
//!
//! A frame's results are one sealed block, durable with the end of the frame. Its entries for the index wait in memory
//! and in `fresh` until there are many; then [`Keeper::settle`] puts them into the index in one sweep and joins the small
//! blocks that single checks leave behind.

mod absent;
mod forget;
mod marks;
mod settle;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rayon::prelude::*;
use veilmatch_protocol::name::{Epoch, ListId};

use crate::{
    Error,
    outcome::Subject,
    results::{Kept, Row, Seal, ToSeal},
    state_dir::StateDir,
    store::{BlockId, IdHash, IdOf, NewBlock, Place, SealedBlock, Shelf, Store},
};
use absent::Absent;
pub(crate) use marks::{Marks, Note};
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
    absent: Absent,
    open: Mutex<Vec<(BlockId, Arc<Vec<Kept>>)>>,
    // Blocks that do not open. They stay, so that every rescan says what is lost; nothing is taken from them.
    damaged: Mutex<HashSet<BlockId>>,
}

/// A block that was asked for.
enum Block {
    Open(Arc<Vec<Kept>>),
    /// Joined with others, or rewritten, since its number was read.
    Gone,
    Damaged,
}

/// What a walk met.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Subjects that were shown.
    pub(crate) subjects: u64,
    /// Subjects in blocks that do not open.
    pub(crate) lost: u64,
    /// Those blocks.
    pub(crate) damaged: Vec<BlockId>,
}

/// What is known of a subject.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// What each item is found by, in the subject's order; nothing where results are not kept.
    pub(crate) ids: Vec<IdOf>,
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
        let (settling, open, damaged) = (Mutex::new(()), Mutex::default(), Mutex::default());
        let absent = Absent::default();
        Ok(Self { store, list, epoch, shelf, seal, fresh, settling, absent, open, damaged })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What is known of some subjects. One pass over the index, each block opened once. What the index leads to counts only
    /// if what was sealed says that it is the item's: the index itself is not sealed.
    pub(crate) fn known(&self, subjects: &[Subject]) -> Result<Vec<Known>, Error> {
        let of = self.seal.item_ids();
        let all: Vec<IdOf> = subjects.iter().flat_map(|subject| &subject.items).map(|item| of.of(item)).collect();
        let mut known: Vec<Known> = Vec::with_capacity(subjects.len());
        let mut found = self.find(&all)?.into_iter();
        let mut rest = &all[..];
        for subject in subjects {
            let (ids, others) = rest.split_at(subject.items.len());
            rest = others;
            let mut same = false;
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                let kept = found.next().flatten();
                same |= kept.as_ref().is_some_and(|kept| is_same(kept, subject, ids));
                let row = kept.as_ref().and_then(|kept| kept.row_of(id).cloned());
                if kept.is_some() && row.is_none() {
                    tracing::error!(list = %self.list, "the index of kept results is damaged; an item is asked anew");
                }
                rows.push(row);
            }
            known.push(Known { ids: ids.to_vec(), rows, kept: same });
        }
        self.find_duplicates(subjects, &mut known)?;
        Ok(known)
    }

    /// A subject whose items were all met under another reference has an entry of its own.
    fn find_duplicates(&self, subjects: &[Subject], known: &mut [Known]) -> Result<(), Error> {
        let complete = |known: &Known| !known.kept && !known.rows.is_empty() && known.rows.iter().all(Option::is_some);
        let open: Vec<usize> = (0..known.len()).filter(|&at| complete(&known[at])).collect();
        let subject_id = |&at: &usize| self.seal.subject_id(&subjects[at].reference, &known[at].ids);
        let ids: Vec<IdOf> = open.iter().map(subject_id).collect();
        for (at, kept) in open.into_iter().zip(self.find(&ids)?) {
            known[at].kept = kept.is_some_and(|kept| is_same(&kept, &subjects[at], &known[at].ids));
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
                match self.block(id)? {
                    Block::Open(block) => {
                        for (at, subject) in places {
                            found[at] = block.get(usize::from(subject)).cloned();
                        }
                    }
                    // It was joined with others just now: its subjects have new places.
                    Block::Gone => open.extend(places.into_iter().map(|(at, _)| at)),
                    Block::Damaged => {}
                }
            }
            if open.is_empty() {
                break;
            }
        }
        // What leads nowhere time and again is not known: its block was forgotten.
        Ok(found)
    }

    fn places(&self, ids: &[IdOf]) -> Result<Vec<Option<Place>>, Error> {
        let mut places: Vec<Option<Place>> = {
            let fresh = self.fresh();
            ids.iter().map(|id| fresh.place(id)).collect()
        };
        // Entries leave memory only when they are in the index, so whoever looks there second misses nothing.
        let mut rest: Vec<usize> = (0..ids.len()).filter(|&at| places[at].is_none()).collect();
        self.absent.leave_possible(&mut rest, ids);
        let asked: Vec<IdOf> = rest.iter().map(|&at| ids[at]).collect();
        for (at, place) in rest.into_iter().zip(self.store.seen(self.shelf, &asked)?) {
            places[at] = place;
        }
        Ok(places)
    }

    /// Seals these subjects with their results as one block, for the transaction that ends their frame. `Known` says which
    /// items have a row elsewhere already.
    pub(crate) fn block_of(&self, subjects: &[(&Subject, &Known, &[Row])]) -> Option<NewBlock> {
        if subjects.is_empty() {
            return None;
        }
        // Ascending by tag; `sort_by_cached_key` finds each tag once.
        let mut order: Vec<usize> = (0..subjects.len()).collect();
        order.sort_by_cached_key(|&at| subjects[at].2.first().map(|row| row.okm.tag()));
        let mut number_of = vec![0; subjects.len()];
        for (number, &at) in order.iter().enumerate() {
            number_of[at] = u16::try_from(number).expect("a batch has fewer subjects than 65,536");
        }
        let in_order = order.iter().map(|&at| subjects[at]);
        let sealing: Vec<ToSeal<'_>> = in_order.map(|(subject, known, rows)| to_seal(subject, known, rows)).collect();
        // The first subject of an item gives it its entry, in the order in which they came.
        let mut entered: HashSet<IdOf, IdHash> = HashSet::with_capacity_and_hasher(subjects.len(), IdHash::default());
        let mut ids = Vec::with_capacity(subjects.len());
        for ((subject, known, rows), number) in subjects.iter().zip(number_of) {
            let before = ids.len();
            for row in *rows {
                let at = place_of(subject, row);
                if known.rows[at].is_none() && entered.insert(known.ids[at]) {
                    ids.push((known.ids[at], number));
                }
            }
            if ids.len() == before {
                let ids_of_rows = to_seal(subject, known, rows).ids;
                ids.push((self.seal.subject_id(&subject.reference, &ids_of_rows), number));
            }
        }
        let id = self.store.next_block();
        let sealed = self.seal.seal(&self.list, self.epoch, id, &sealing);
        Some(NewBlock { id, shelf: self.shelf, subjects: subjects.len(), sealed, ids })
    }

    /// Puts entries into the index. Give them ascending by id.
    fn index(&self, entries: &[(IdOf, Place)]) -> Result<(), Error> {
        self.store.index(self.shelf, entries)?;
        self.absent.take(entries);
        Ok(())
    }

    /// Takes note of a block that is durable now, and tells whether to [`Self::settle`].
    pub(crate) fn added(&self, block: &NewBlock) -> Due {
        self.fresh().add(block)
    }

    /// Shows every kept subject of the epoch as it is now, block by block, in bounded memory; blocks are looked at in
    /// parallel, `found` gets what `look` finds, block by block in their order. A block that does not open is counted and
    /// passed over.
    pub(crate) fn walk<T: Send>(
        &self,
        look: impl Fn(&Kept) -> Option<T> + Sync,
        found: impl FnMut(Vec<T>) -> Result<(), Error>,
    ) -> Result<Walked, Error> {
        let of_block = |_, kept: &[Kept]| kept.iter().filter_map(&look).collect::<Vec<T>>();
        self.walk_blocks(of_block, found)
    }

    fn walk_blocks<T: Send>(
        &self,
        look: impl Fn(BlockId, &[Kept]) -> T + Sync,
        mut found: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<Walked, Error> {
        let mut snapshot = self.store.snapshot(self.shelf)?;
        let mut walked = Walked::default();
        loop {
            let mut blocks = Vec::with_capacity(WALK_BLOCKS);
            while blocks.len() < WALK_BLOCKS {
                let Some(block) = snapshot.next()? else { break };
                blocks.push(block);
            }
            if blocks.is_empty() {
                return Ok(walked);
            }
            let look_at = |SealedBlock { id, sealed, .. }: &SealedBlock| {
                let kept = self.seal.unseal(&self.list, self.epoch, *id, sealed)?;
                Some((kept.len() as u64, look(*id, &kept)))
            };
            let looked_at: Vec<Option<(u64, T)>> = blocks.par_iter().map(look_at).collect();
            for (block, looked_at) in blocks.into_iter().zip(looked_at) {
                match looked_at {
                    Some((subjects, of_block)) => {
                        walked.subjects += subjects;
                        found(of_block)?;
                    }
                    None => {
                        self.alarm(block.id)?;
                        walked.lost += block.subjects;
                        walked.damaged.push(block.id);
                    }
                }
            }
        }
    }

    fn block(&self, id: BlockId) -> Result<Block, Error> {
        if self.damaged().contains(&id) {
            return Ok(Block::Damaged);
        }
        if let Some((_, block)) = self.open_blocks().iter().find(|(other, _)| *other == id) {
            return Ok(Block::Open(Arc::clone(block)));
        }
        let Some(sealed) = self.store.block(id)? else { return Ok(Block::Gone) };
        let Some(block) = self.seal.unseal(&self.list, self.epoch, id, &sealed).map(Arc::new) else {
            self.alarm(id)?;
            return Ok(Block::Damaged);
        };
        let mut open = self.open_blocks();
        if open.len() == OPEN_BLOCKS {
            open.remove(0);
        }
        open.push((id, Arc::clone(&block)));
        Ok(Block::Open(block))
    }

    /// Takes note of a block that does not open. Its items count as unknown: entries that would stand in the way of those of
    /// their new results go; those in the index are replaced when the new ones get there.
    fn alarm(&self, id: BlockId) -> Result<(), Error> {
        if !self.damaged().insert(id) {
            return Ok(());
        }
        tracing::error!(list = %self.list, epoch = self.epoch.0, "a block of kept results was altered, or its key replaced");
        self.fresh().leave_out(id);
        self.store.no_longer_fresh(id)
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_blocks(&self) -> MutexGuard<'_, Vec<(BlockId, Arc<Vec<Kept>>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self) -> MutexGuard<'_, HashSet<BlockId>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what is kept is this very subject with all its items, which are found by these ids.
fn is_same(kept: &Kept, subject: &Subject, ids: &[IdOf]) -> bool {
    kept.reference == subject.reference && kept.whole == subject.whole && ids.iter().all(|id| kept.row_of(id).is_some())
}

/// Where a row's item stands in its subject.
fn place_of(subject: &Subject, row: &Row) -> usize {
    let of_kind = subject.items.iter().position(|item| item.kind() == row.kind);
    of_kind.expect("a row is that of one of the items, and they are of different kinds")
}

fn to_seal<'a>(subject: &'a Subject, known: &'a Known, rows: &'a [Row]) -> ToSeal<'a> {
    let ids = if rows.len() == subject.items.len() {
        Cow::Borrowed(&known.ids[..])
    } else {
        rows.iter().map(|row| known.ids[place_of(subject, row)]).collect()
    };
    ToSeal { reference: &subject.reference, whole: subject.whole, rows, ids }
}

/// Entries in the order of the index.
fn ascending(entries: &HashMap<IdOf, Place, IdHash>) -> Vec<(IdOf, Place)> {
    let mut entries: Vec<(IdOf, Place)> = entries.iter().map(|(id, place)| (*id, *place)).collect();
    entries.sort_unstable();
    entries
}

#[cfg(test)]
mod tests;
