//! What a rescan found, for the next one: each match as a keyed hash, under the epoch's key and gone with it.

use std::sync::Arc;

use super::Keeper;
use crate::{
    Error,
    results::Kept,
    store::{Mark, Round},
};

/// Marks of one transaction.
const SLICE: usize = 4_096;

/// The matches of one rescan. Memory does not depend on how many there are.
pub(crate) struct Marks {
    keeper: Arc<Keeper>,
    round: Round,
    waiting: Vec<Mark>,
}

impl Keeper {
    /// What a match is remembered by.
    pub(crate) fn mark(&self, kept: &Kept, label: &[u8]) -> Mark {
        let subject = self.seal.subject_id(&kept.reference, &kept.ids);
        Mark { subject, mark: self.seal.mark(&subject, label) }
    }
}

impl Marks {
    /// Begins a rescan.
    pub(crate) fn begin(keeper: Arc<Keeper>) -> Result<Self, Error> {
        let round = keeper.store.begin_round(keeper.shelf)?;
        Ok(Self { keeper, round, waiting: Vec::new() })
    }

    /// Takes note of a match; whether the rescan before did not have it, with this label.
    pub(crate) fn is_new(&mut self, mark: Mark) -> Result<bool, Error> {
        let new = self.keeper.store.is_new(self.keeper.shelf, self.round, &mark)?;
        self.waiting.push(mark);
        if self.waiting.len() == SLICE {
            self.write()?;
        }
        Ok(new)
    }

    /// Makes these the matches that the next rescan compares with; gives how many of the rescan before are not among them.
    pub(crate) fn remember(mut self) -> Result<u64, Error> {
        self.write()?;
        self.keeper.store.end_round(self.keeper.shelf, self.round)
    }

    fn write(&mut self) -> Result<(), Error> {
        let marks = std::mem::take(&mut self.waiting);
        if marks.is_empty() { Ok(()) } else { self.keeper.store.add_marks(self.keeper.shelf, self.round, &marks) }
    }
}
