//! What a rescan found, for the next one: each match as a keyed hash, under the epoch's key and gone with it.

use std::sync::Arc;

use super::Keeper;
use crate::{
    Error,
    results::Kept,
    store::{IdOf, Mark, Round},
};

/// Marks of one transaction.
const SLICE: usize = 4_096;

/// The matches of one rescan. Memory does not depend on how many there are.
pub(crate) struct Marks {
    keeper: Arc<Keeper>,
    round: Round,
    waiting: Vec<Mark>,
    // Subjects that could not be looked up.
    unknown: Vec<IdOf>,
}

/// What a rescan takes note of.
pub(crate) enum Note {
    Match(Mark),
    NotChecked(IdOf),
}

impl Keeper {
    /// What a match is remembered by.
    pub(crate) fn mark(&self, kept: &Kept, label: &[u8]) -> Mark {
        let subject = self.subject(kept);
        Mark { subject, mark: self.seal.mark(&subject, label) }
    }

    /// What a match of the subject is found by, whatever its label.
    pub(crate) fn subject(&self, kept: &Kept) -> IdOf {
        self.seal.subject_id(&kept.reference, &kept.ids)
    }
}

impl Marks {
    /// Begins a rescan.
    pub(crate) fn begin(keeper: Arc<Keeper>) -> Result<Self, Error> {
        let round = keeper.store.begin_round(keeper.shelf)?;
        Ok(Self { keeper, round, waiting: Vec::new(), unknown: Vec::new() })
    }

    /// Takes note of a subject; of a match, whether the rescan before did not have it, with this label. A subject that could
    /// not be looked up stays what it was.
    pub(crate) fn take(&mut self, note: Note) -> Result<Option<bool>, Error> {
        let new = match note {
            Note::Match(mark) => {
                self.waiting.push(mark);
                Some(self.keeper.store.is_new(self.keeper.shelf, self.round, &mark)?)
            }
            Note::NotChecked(subject) => {
                self.unknown.push(subject);
                None
            }
        };
        if self.waiting.len() + self.unknown.len() == SLICE {
            self.write()?;
        }
        Ok(new)
    }

    /// Takes over everything that the rescan before had: who could not be looked at is not known.
    pub(crate) fn keep_all(&self) -> Result<(), Error> {
        self.keeper.store.keep_marks(self.keeper.shelf, self.round, None)
    }

    /// Makes these the matches that the next rescan compares with; gives how many of the rescan before are not among them.
    pub(crate) fn remember(mut self) -> Result<u64, Error> {
        self.write()?;
        self.keeper.store.end_round(self.keeper.shelf, self.round)
    }

    fn write(&mut self) -> Result<(), Error> {
        let (marks, unknown) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.unknown));
        let (store, shelf) = (&self.keeper.store, self.keeper.shelf);
        if !marks.is_empty() {
            store.add_marks(shelf, self.round, &marks)?;
        }
        if unknown.is_empty() { Ok(()) } else { store.keep_marks(shelf, self.round, Some(&unknown)) }
    }
}
