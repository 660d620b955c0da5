//! Erasure: salt, note and key of a record go, and the log says that they are gone; its tree still verifies (SPEC §19.1).

use std::collections::BTreeMap;

use veilmatch_audit::leaf::Erase;

use super::{LogName, MatchLog, Place, nonce, shard};
use crate::{Error, frames::now, store::LogId};

/// Indices that fit into one leaf, however long they are.
const OF_A_LEAF: usize = 900;

/// What one leaf says was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The log that has the matches.
    pub log: LogName,
    /// Indices of the match leaves, ascending.
    pub indices: Vec<u64>,
    /// Where the leaf stands that says so: in the newest log.
    pub leaf: Place,
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
            for indices in indices.chunks(OF_A_LEAF) {
                let (now, basis, indices) = (now(), basis.to_owned(), indices.to_vec());
                let leaf =
                    Erase { basis, indices: indices.clone(), log: self.origin(log), nonce: nonce(), t: now.day() };
                let leaf = leaf.encode().expect("the word was checked, and the indices are few enough");
                let (current, index) = self.store.erase(&shard(now), (id, &indices), &leaf)?;
                let leaf = Place { log: Some(self.store.log(current)?.name()), index };
                erased.push(Erased { log, indices, leaf });
            }
        }
        // What was overwritten in the database must not stay in its log.
        self.store.empty_log()?;
        Ok(erased)
    }
}
