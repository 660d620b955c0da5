//! What is kept of a list: matched again without the network, and forgotten.

use std::{collections::HashSet, fmt, sync::Arc};

use veilmatch_protocol::{
    item::{Item, Kind},
    name::{Epoch, ListId},
};

use super::Client;
use crate::{
    Error,
    frames::now,
    held::Held,
    keeper::{Keeper, Marks, Note},
    matchlog::Hit,
    outcome::{NotChecked, Outcome},
    results::{Kept, Row},
    store::{IdOf, Lost},
    verdict::verdict,
};

/// A kept subject that is listed in the version held now, or could not be looked up.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// What the subject was named by when it was checked.
    pub reference: Vec<u8>,
    /// The answer under the version held now.
    pub outcome: Outcome,
    /// Of a match: whether the rescan before did not have it, with this label.
    pub new: Option<bool>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A reference can be a path or a digest.
        f.debug_struct("Found").finish_non_exhaustive()
    }
}

/// What a rescan looked at, and what it could not look at any more.
#[must_use = "what is lost was not checked"]
#[cfg_attr(test, derive(Default))]
pub struct Rescan {
    /// Subjects that were looked at.
    pub subjects: u64,
    /// Subjects whose kept results are damaged: not checked.
    pub damaged: u64,
    /// Results that were destroyed with the keys of earlier epochs, until [`Client::forget_lost`]: what they were about is
    /// not checked.
    pub destroyed: Option<Destroyed>,
    marks: Option<Marks>,
}

/// Results that were destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// With the key of this epoch, or of ones before.
    pub epoch: u32,
    /// How many subjects were kept.
    pub subjects: u64,
}

impl From<Lost> for Destroyed {
    fn from(Lost { epoch, subjects }: Lost) -> Self {
        Self { epoch: epoch.0, subjects }
    }
}

impl Rescan {
    /// Subjects that were kept once and could not be looked at, until [`Client::forget_lost`].
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.damaged + self.destroyed.map_or(0, |destroyed| destroyed.subjects)
    }

    /// Makes this rescan's matches those that the next one compares with; gives how many of the rescan before are no longer
    /// listed. Those that could not be looked at stay what they were; while results are damaged, all do. Call it when the
    /// matches have been taken note of: without it they are new once more the next time.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn remember(self) -> Result<u64, Error> {
        self.marks.map_or(Ok(0), Marks::remember)
    }
}

/// What to forget: every kept subject that has one of these digests or one of these references.
#[derive(Clone, Default)]
pub struct Forget {
    /// Digests.
    pub items: Vec<Item>,
    /// References; one that names a folder stands for everything below it, too.
    pub references: Vec<Vec<u8>>,
}

impl fmt::Debug for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forget").finish_non_exhaustive()
    }
}

impl Client {
    /// Matches everything kept of a list against the version held now, without the network; labels included. `found` gets
    /// the subjects that are matches or could not be looked up.
    ///
    /// # Errors
    /// [`Error::KeepsNothing`] if results are not kept, [`Error::NoVersion`], [`Error::UnknownList`], [`Error::Database`].
    pub fn rescan(&self, list: &ListId, mut found: impl FnMut(Found)) -> Result<Rescan, Error> {
        self.state(list)?;
        if !self.inner.config.keep_results() {
            return Err(Error::KeepsNothing);
        }
        let (held, keeper) = self.newest(list)?;
        let expired = !held.valid_at(now());
        let looking = held.look_ups();
        let look = |kept: &Kept| {
            let asked: Vec<Kind> = kept.rows.iter().map(|row| row.kind).collect();
            let mut hits: Vec<Hit> = Vec::new();
            let hit = |row: &Row, label: &[u8]| {
                hits.push(Hit { row: row.clone(), label: label.to_vec() });
            };
            let outcome = match expired {
                true => Outcome::NotChecked(NotChecked::Expired),
                false => verdict(&looking, kept.whole, &asked, &kept.rows, hit),
            };
            let note = match &outcome {
                Outcome::NoMatch { .. } => return None,
                Outcome::Match { label, .. } => Note::Match(keeper.mark(kept, label.bytes())),
                Outcome::NotChecked(_) => Note::NotChecked(keeper.subject(kept)),
            };
            Some((kept.reference.clone(), outcome, note, hits))
        };
        let mut marks = Marks::begin(Arc::clone(&keeper))?;
        let walked = keeper.walk(look, |of_block| {
            // No match is shown before it stands in the match log. What evaluated it was another frame, long ago.
            let hits: Vec<Hit> = of_block.iter().flat_map(|(_, _, _, hits)| hits).cloned().collect();
            self.inner.frames.log.found_again(&held, &hits, now())?;
            for (reference, outcome, note, _) in of_block {
                let new = marks.take(note)?;
                found(Found { reference, outcome, new });
            }
            Ok(())
        })?;
        if walked.lost > 0 {
            marks.keep_all()?;
        }
        // Until somebody says so: that as many are kept again does not tell whether they are the same.
        let destroyed = self.inner.store.lost(list)?;
        Ok(Rescan {
            subjects: walked.subjects,
            damaged: walked.lost,
            destroyed: destroyed.map(Destroyed::from),
            marks: Some(marks),
        })
    }

    /// Forgets kept results, so that nothing of them stays on disk and rescans show them no more; gives how many subjects
    /// there were. Everything that is kept is walked through: give many at once.
    ///
    /// # Errors
    /// [`Error::NoVersion`] if something is kept and no version opens, [`Error::UnknownList`], [`Error::Database`].
    pub fn forget(&self, list: &ListId, what: &Forget) -> Result<u64, Error> {
        self.state(list)?;
        let Some(keeper) = self.kept(list)? else { return Ok(0) };
        let items: HashSet<IdOf> = keeper.item_ids(&what.items);
        let references: HashSet<&[u8]> = what.references.iter().map(|reference| without_slash(reference)).collect();
        let named = |reference: &[u8]| {
            let slashes = reference.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            slashes.chain([reference.len()]).any(|end| references.contains(&reference[..end]))
        };
        keeper.forget(|kept| kept.ids.iter().any(|id| items.contains(id)) || named(&kept.reference))
    }

    /// Speaks no more of results that are damaged or were destroyed with an earlier epoch: call it when what they were about
    /// was checked again, or is there no more.
    ///
    /// # Errors
    /// [`Error::NoVersion`] if something is kept and no version opens, [`Error::UnknownList`], [`Error::Database`].
    pub fn forget_lost(&self, list: &ListId) -> Result<(), Error> {
        self.state(list)?;
        if let Some(keeper) = self.kept(list)? {
            keeper.forget_damaged()?;
        }
        self.inner.store.forget_lost(list)
    }

    /// What is kept of a list; none if nothing ever was.
    fn kept(&self, list: &ListId) -> Result<Option<Arc<Keeper>>, Error> {
        match self.newest(list) {
            Ok((_, keeper)) => Ok(Some(keeper)),
            Err(Error::NoVersion { .. }) if self.inner.store.shelves_before(list, Epoch(u32::MAX))?.is_empty() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The version held now with what is kept under its epoch, whether or not more is to be kept.
    fn newest(&self, list: &ListId) -> Result<Newest, Error> {
        loop {
            let held = self
                .held(list)
                .ok_or_else(|| Error::NoVersion { list: list.to_string(), dir: self.inner.dir.root().to_owned() })?;
            // None if a newer epoch came into place just now: then that one.
            if let Some(keeper) = self.open_keeper(list, held.epoch())? {
                return Ok((held, keeper));
            }
        }
    }
}

/// A version, and what is kept under its epoch.
type Newest = (Arc<Held>, Arc<Keeper>);

/// A folder's name as it stands before the names of what is in it.
fn without_slash(reference: &[u8]) -> &[u8] {
    match reference {
        [rest @ .., b'/'] => rest,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_and_what_is_to_be_forgotten_show_no_reference() {
        let found =
            Found { reference: b"md5:5a5a".to_vec(), outcome: Outcome::NotChecked(NotChecked::Expired), new: None };
        assert_eq!(format!("{found:?}"), "Found { .. }");
        let forget = Forget { references: vec![b"md5:5a5a".to_vec()], ..Forget::default() };
        assert_eq!(format!("{forget:?}"), "Forget { .. }");
    }

    #[test]
    fn what_is_lost_is_lost_whatever_else_is_kept() {
        // Ten results of other things, and what was destroyed was no longer missed.
        let rescan = |subjects, damaged, destroyed: Option<u64>| {
            let destroyed = destroyed.map(|subjects| Destroyed { epoch: 1, subjects });
            Rescan { subjects, damaged, destroyed, ..Rescan::default() }.lost()
        };
        assert_eq!(rescan(5, 0, None), 0);
        assert_eq!(rescan(5, 3, None), 3);
        assert_eq!(rescan(0, 0, Some(10)), 10);
        assert_eq!(rescan(40, 3, Some(10)), 13);
    }

    #[tokio::test]
    async fn what_is_left_of_an_older_epoch_does_not_bring_its_key_back() {
        // A batch that still had the old version put an old keeper in the place of the new one, and made the key anew that
        // had been destroyed, with a shelf that nobody would look at.
        let dir = crate::enrol::tests::joined();
        let list = ListId::parse("baseline").unwrap();
        let client = Client::open(dir.path()).unwrap();
        let key = |epoch| dir.path().join(format!("keys/results-baseline-{epoch}.key")).exists();
        let open = |epoch| client.open_keeper(&list, Epoch(epoch)).unwrap().map(|keeper| keeper.epoch());
        assert_eq!(open(1), Some(Epoch(1)));
        client.end_epochs_before(&list, Epoch(2)).unwrap();
        assert!(!key(1));
        assert_eq!(open(2), Some(Epoch(2)));
        assert_eq!(open(1), None);
        assert!(!key(1) && key(2));
        assert_eq!(open(2), Some(Epoch(2)));
        client.shutdown().await;
    }
}
