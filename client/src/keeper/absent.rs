//! Tells of nearly all ids that are not in the index that they are not, without asking it. A scan of new content asks for
//! nothing else, and each time the index would read a page that it read for nobody before.
//!
//! A Bloom filter (Bloom 1970) whose bits for one id lie in one cache line (Putze, Sanders, Singler 2007). It is filled from
//! the index beside the work and takes every entry from then on; until it is filled it tells nothing. It has ids that lie in
//! the index in clear, and nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Keeper;
use crate::{
    Error,
    store::{IdOf, Place},
};

/// Subjects of a batch from which on the filter is worth filling: somebody asks about many.
const MANY: usize = 256;

/// Ids that a filter is made for at least, and at most; with 16 bits for each, these are 512 KiB and 16 MiB.
const LEAST: usize = 1 << 18;
const MOST: usize = 1 << 23;

/// Subjects that are kept when no filter is filled: it would have too few bits, and take seconds.
const TOO_MANY: u64 = 1 << 24;

/// Ids read from the index at once, so that a look-up in between waits for a millisecond only.
const SLICE: u32 = 4_096;

/// Bits that each id sets, all in one block.
const BITS: u32 = 6;

/// What is known to be absent.
#[derive(Default)]
pub(super) struct Absent(Mutex<State>);

#[derive(Default)]
struct State {
    /// Has every id of the index.
    filled: Option<Filter>,
    /// On its way there: has every id that was added since it was made.
    filling: Option<Filter>,
    /// Somebody fills one, or nobody is to: it was given up.
    taken: bool,
}

impl Absent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves out what is not in the index: of `at`, numbers of `ids`, those stay that may be there.
    pub(super) fn leave_possible(&self, at: &mut Vec<usize>, ids: &[IdOf]) {
        if let Some(filter) = &self.state().filled {
            at.retain(|&at| filter.may_have(&ids[at]));
        }
    }

    /// Takes entries that are in the index now. Call it after they were put there, and before they leave the place where
    /// they are looked for first.
    pub(super) fn take(&self, entries: &[(IdOf, Place)]) {
        let State { filled, filling, .. } = &mut *self.state();
        let filters = filled.iter_mut().chain(filling);
        filters.for_each(|filter| entries.iter().for_each(|(id, _)| filter.insert(id)));
    }
}

impl Keeper {
    /// Whether to call [`Self::learn_absent`] now, told to one only; `asked` subjects are asked about at once.
    pub(crate) fn must_learn(&self, asked: usize) -> bool {
        let mut state = self.absent.state();
        let must = asked >= MANY && !state.taken && state.filled.as_ref().is_none_or(Filter::is_full);
        state.taken |= must;
        must
    }

    /// Fills a filter from the index. After a failure there is none, or the one before.
    pub(crate) fn learn_absent(&self) -> Result<(), Error> {
        let kept = self.store.kept(&self.list, self.epoch)?;
        if kept > TOO_MANY {
            return Ok(());
        }
        self.absent.state().filling = Some(Filter::for_ids(4 * usize::try_from(kept).unwrap_or(MOST)));
        // What is put into the index meanwhile is read here, or was taken after the filter had been made.
        let mut last = None;
        loop {
            let ids = self.store.indexed(self.shelf, last.as_ref(), SLICE)?;
            let mut state = self.absent.state();
            let Some(&end) = ids.last() else {
                state.filled = state.filling.take();
                state.taken = false;
                return Ok(());
            };
            if let Some(filter) = &mut state.filling {
                ids.iter().for_each(|id| filter.insert(id));
            }
            last = Some(end);
        }
    }
}

/// Eight words of a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u64; 8]);

struct Filter {
    blocks: Vec<Block>,
    /// How many were inserted.
    ids: usize,
}

impl Filter {
    fn for_ids(ids: usize) -> Self {
        let blocks = ids.clamp(LEAST, MOST).next_power_of_two() * 16 / 512;
        Self { blocks: vec![Block([0; 8]); blocks], ids: 0 }
    }

    /// Whether one with more bits would tell more.
    fn is_full(&self) -> bool {
        let made_for = self.blocks.len() * 512 / 16;
        self.ids > made_for && made_for < MOST
    }

    /// Ids are uniform, and nobody without the epoch's key can choose one: their own bits are as good as another hash.
    fn place(&self, id: &IdOf) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let [block, bits] = [0, 8].map(|at| u64::from_be_bytes(*id[at..].first_chunk().expect("16 bytes")));
        let bit = move |n: u32| (bits >> (9 * n)) as usize & 511;
        (block as usize & (self.blocks.len() - 1), (0..BITS).map(move |n| (bit(n) / 64, 1 << (bit(n) % 64))))
    }

    fn insert(&mut self, id: &IdOf) {
        let (block, bits) = self.place(id);
        bits.for_each(|(word, bit)| self.blocks[block].0[word] |= bit);
        self.ids += 1;
    }

    fn may_have(&self, id: &IdOf) -> bool {
        let (block, mut bits) = self.place(id);
        bits.all(|(word, bit)| self.blocks[block].0[word] & bit != 0)
    }
}
