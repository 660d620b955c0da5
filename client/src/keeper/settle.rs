//! From fresh blocks to the index: many entries in one sweep, and small blocks joined to full ones.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, TryLockError},
};

use super::{Block, Keeper, ascending};
use crate::{
    Error,
    results::{Kept, ToSeal},
    store::{BlockId, IdHash, IdOf, NewBlock, Place, Shelf, Store},
};

/// Entries in memory before they are moved: some megabytes, and enough that neighbours in the index share pages.
const MAX_ENTRIES: usize = 128 * 1_024;

/// Blocks before they are moved: as many as a busy upload path makes in some minutes.
const MAX_BLOCKS: usize = 1_024;

/// Sealed bytes before they are moved: what joining small blocks may need in memory.
const MAX_BYTES: usize = 32 * 1_024 * 1_024;

/// Subjects of a joined block at most, and below half of which a block counts as small.
const BLOCK_SUBJECTS: usize = 4_096;

/// Entries of one transaction, so that a check in between waits for some milliseconds only.
const SLICE: usize = 4_096;

/// Entries that are not in the index yet.
#[derive(Default)]
pub(super) struct Fresh {
    young: Generation,
    /// Those that are on their way into the index.
    old: Generation,
}

#[derive(Default)]
struct Generation {
    places: HashMap<IdOf, Place, IdHash>,
    blocks: Vec<(BlockId, usize)>,
    bytes: usize,
}

/// Whether to settle now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Not yet.
    No,
    /// Unless another thread is at it.
    Yes,
    /// Another thread may be at it, but too much has come in meanwhile: wait for it.
    Overdue,
}

impl Fresh {
    pub(super) fn read(store: &Store, shelf: Shelf) -> Result<Self, Error> {
        let mut fresh = Self::default();
        for block in store.fresh(shelf)? {
            fresh.young.add(block.id, block.subjects, 0, &block.ids);
        }
        Ok(fresh)
    }

    pub(super) fn place(&self, id: &IdOf) -> Option<Place> {
        self.young.places.get(id).or_else(|| self.old.places.get(id)).copied()
    }

    pub(super) fn add(&mut self, block: &NewBlock) -> Due {
        self.young.add(block.id, block.subjects, block.sealed.len(), &block.ids);
        match self.young.fullness() {
            0 => Due::No,
            1 => Due::Yes,
            _ => Due::Overdue,
        }
    }

    /// Forgets what leads to a block.
    pub(super) fn leave_out(&mut self, block: BlockId) {
        for generation in [&mut self.young, &mut self.old] {
            generation.places.retain(|_, place| place.block != block);
            generation.blocks.retain(|(id, _)| *id != block);
        }
    }
}

impl Generation {
    fn add(&mut self, block: BlockId, subjects: usize, bytes: usize, ids: &[(IdOf, u16)]) {
        self.blocks.push((block, subjects));
        self.bytes += bytes;
        for &(id, subject) in ids {
            // The first place stays: it is the one that others may have found already.
            self.places.entry(id).or_insert(Place { block, subject });
        }
    }

    fn fullness(&self) -> usize {
        (self.places.len() / MAX_ENTRIES).max(self.blocks.len() / MAX_BLOCKS).max(self.bytes / MAX_BYTES)
    }
}

/// Small blocks joined: the new ones, the old ones, and where their subjects are now.
#[derive(Default)]
struct Joined {
    blocks: Vec<NewBlock>,
    replaced: Vec<BlockId>,
    moved: HashMap<Place, Place>,
}

impl Keeper {
    /// Moves the fresh entries into the index if it is time.
    ///
    /// A crash at any point leaves the fresh rows as they were: they are read again at the next start, stand before the
    /// index when something is looked up, and the next settling writes the same or newer places over those in the index.
    pub(crate) fn settle(&self, due: Due) -> Result<(), Error> {
        let _one = match due {
            Due::No => return Ok(()),
            Due::Overdue => self.settling.lock().unwrap_or_else(PoisonError::into_inner),
            Due::Yes => match self.settling.try_lock() {
                Ok(one) => one,
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Poisoned(one)) => one.into_inner(),
            },
        };
        let (mut entries, blocks) = {
            let mut fresh = self.fresh();
            // What an earlier try could not finish is still there: it goes first.
            if fresh.old.blocks.is_empty() {
                fresh.old = std::mem::take(&mut fresh.young);
            }
            (ascending(&fresh.old.places), fresh.old.blocks.clone())
        };
        let joined = self.join_small(&blocks)?;
        entries.retain(|(_, place)| !self.damaged().contains(&place.block));
        for (_, place) in &mut entries {
            if let Some(moved) = joined.moved.get(place) {
                *place = *moved;
            }
        }
        for slice in entries.chunks(SLICE) {
            self.index(slice)?;
        }
        let ids: Vec<BlockId> = blocks.iter().map(|(id, _)| *id).collect();
        self.store.settled(&ids, &joined.blocks, &joined.replaced)?;
        // After the transaction: whoever looks up meanwhile finds the old places, and the old blocks until now.
        self.fresh().old = Default::default();
        Ok(())
    }

    fn join_small(&self, blocks: &[(BlockId, usize)]) -> Result<Joined, Error> {
        let small: Vec<(BlockId, usize)> = blocks.iter().copied().filter(|(_, n)| *n < BLOCK_SUBJECTS / 2).collect();
        let mut joined = Joined::default();
        if small.len() < 2 {
            return Ok(joined);
        }
        let mut gathered: Vec<(Kept, Place)> = Vec::new();
        for (id, subjects) in small {
            if gathered.len() + subjects > BLOCK_SUBJECTS {
                self.join(std::mem::take(&mut gathered), &mut joined);
            }
            let Block::Open(block) = self.block(id)? else { continue };
            let block = Arc::unwrap_or_clone(block);
            let place =
                |at: usize| Place { block: id, subject: u16::try_from(at).expect("a block's subjects are few") };
            gathered.extend(block.into_iter().enumerate().map(|(at, kept)| (kept, place(at))));
            joined.replaced.push(id);
        }
        self.join(gathered, &mut joined);
        Ok(joined)
    }

    fn join(&self, mut gathered: Vec<(Kept, Place)>, joined: &mut Joined) {
        if gathered.is_empty() {
            return;
        }
        let (id, shelf) = (self.store.next_block(), self.shelf);
        gathered.sort_by_cached_key(|(kept, _)| kept.rows.first().map(|row| row.okm.tag()));
        let mut subjects = Vec::with_capacity(gathered.len());
        for (at, (kept, before)) in gathered.into_iter().enumerate() {
            let now = Place { block: id, subject: u16::try_from(at).expect("at most 4,096") };
            joined.moved.insert(before, now);
            subjects.push(kept);
        }
        let to_seal: Vec<ToSeal<'_>> = subjects.iter().map(ToSeal::from).collect();
        let sealed = self.seal.seal(&self.list, self.epoch, id, &to_seal);
        joined.blocks.push(NewBlock { id, shelf, subjects: subjects.len(), sealed, ids: Vec::new() });
    }
}
