//! Erasure: salt, note and key of a record go, and the log says that they are gone; its tree still verifies (SPEC §19.1).

use std::collections::BTreeMap;

use veilmatch_audit::leaf::Erase;

use super::{LogName, MatchLog, Place, nonce};
use crate::{Error, frames::now, store::LogId};

/// What was erased in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The log.
    pub log: LogName,
    /// Indices of the match leaves, ascending.
    pub indices: Vec<u64>,
    /// Index of the leaf that says so.
    pub leaf: u64,
}

impl MatchLog {
    /// Destroys the records of these matches, with what was done about them.
    ///
    /// # Errors
    /// [`Error::LogWord`] if the basis cannot stand in a leaf, [`Error::NoRecord`], [`Error::Erased`]: then nothing is erased.
    pub(crate) fn erase(&self, places: &[Place], basis: &str) -> Result<Vec<Erased>, Error> {
        super::action::check_word("basis", basis)?;
        let mut by_log: BTreeMap<LogId, (LogName, Vec<u64>)> = BTreeMap::new();
        for place in places {
            let (log, _) = self.opening_of_match(*place)?;
            by_log.entry(log.id).or_insert_with(|| (log.name(), Vec::new())).1.push(place.index);
        }
        let mut erased = Vec::new();
        for (id, (log, mut indices)) in by_log {
            indices.sort_unstable();
            indices.dedup();
            let leaf =
                Erase { basis: basis.to_owned(), indices: indices.clone(), nonce: nonce(), t: now().day() }.encode();
            let leaf = leaf.map_err(|_| Error::LogWord { what: "basis", word: basis.to_owned() })?;
            let leaf = self.store.erase(id, &indices, &leaf)?;
            erased.push(Erased { log, indices, leaf });
        }
        // What was overwritten in the database must not stay in its log.
        self.store.empty_log()?;
        Ok(erased)
    }
}
