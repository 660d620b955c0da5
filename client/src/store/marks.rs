//! What the rescan before found, so that the next one can tell what is new and what is gone.

use rusqlite::{OptionalExtension, params};

use super::{IdOf, Shelf, Store, shelf::is_there};
use crate::Error;

/// One rescan of a shelf, and the one that it compares with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    this: i64,
    before: i64,
}

/// A match: the subject, and the subject with the label that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) subject: IdOf,
    pub(crate) mark: IdOf,
}

impl Store {
    /// Begins a rescan. What one that came to no good end left is deleted.
    pub(crate) fn begin_round(&self, shelf: Shelf) -> Result<Round, Error> {
        self.write(|t| {
            t.execute("UPDATE shelf SET begun = begun + 1 WHERE id = ?1", [shelf.0])?;
            let round = |row: &rusqlite::Row<'_>| Ok(Round { this: row.get(0)?, before: row.get(1)? });
            let round = t.query_row("SELECT begun, round FROM shelf WHERE id = ?1", [shelf.0], round).optional()?;
            // No row: the epoch ended just now, and its marks with it.
            let round = round.unwrap_or(Round { this: 0, before: 0 });
            t.execute("DELETE FROM mark WHERE shelf = ?1 AND round <> ?2", params![shelf.0, round.before])?;
            Ok(round)
        })
    }

    /// Whether the rescan before did not have this match.
    pub(crate) fn is_new(&self, shelf: Shelf, round: Round, mark: &Mark) -> Result<bool, Error> {
        self.read(|c| {
            let query = "SELECT 1 FROM mark WHERE shelf = ?1 AND round = ?2 AND subject = ?3 AND mark = ?4";
            let found = c.prepare_cached(query)?.exists(params![shelf.0, round.before, mark.subject, mark.mark])?;
            Ok(!found)
        })
    }

    /// Adds matches of a rescan.
    pub(crate) fn add_marks(&self, shelf: Shelf, round: Round, marks: &[Mark]) -> Result<(), Error> {
        self.write(|t| {
            if !is_there(t, shelf)? {
                return Ok(());
            }
            let mut insert =
                t.prepare_cached("INSERT OR IGNORE INTO mark (shelf, round, subject, mark) VALUES (?1, ?2, ?3, ?4)")?;
            marks
                .iter()
                .try_for_each(|mark| insert.execute(params![shelf.0, round.this, mark.subject, mark.mark]).map(drop))
        })
    }

    /// Takes over what the rescan before had of these subjects, or of all: they could not be looked at in this one.
    pub(crate) fn keep_marks(&self, shelf: Shelf, round: Round, subjects: Option<&[IdOf]>) -> Result<(), Error> {
        self.write(|t| {
            if !is_there(t, shelf)? {
                return Ok(());
            }
            let keep = "INSERT OR IGNORE INTO mark (shelf, round, subject, mark)
                        SELECT shelf, ?2, subject, mark FROM mark WHERE shelf = ?1 AND round = ?3";
            let Some(subjects) = subjects else {
                return t.execute(keep, params![shelf.0, round.this, round.before]).map(drop);
            };
            let mut keep = t.prepare_cached(&format!("{keep} AND subject = ?4"))?;
            subjects
                .iter()
                .try_for_each(|subject| keep.execute(params![shelf.0, round.this, round.before, subject]).map(drop))
        })
    }

    /// Makes a rescan the one that the next compares with; gives how many matches of the one before it has not. Nothing
    /// changes if another was begun meanwhile, or the epoch is over.
    pub(crate) fn end_round(&self, shelf: Shelf, round: Round) -> Result<u64, Error> {
        self.write(|t| {
            let latest = "UPDATE shelf SET round = ?2 WHERE id = ?1 AND begun = ?2";
            if !is_there(t, shelf)? || t.execute(latest, params![shelf.0, round.this])? == 0 {
                return Ok(0);
            }
            let gone: i64 = t.query_row(
                "SELECT count(*) FROM mark AS old WHERE shelf = ?1 AND round = ?3 AND NOT EXISTS
                 (SELECT 1 FROM mark WHERE shelf = ?1 AND round = ?2 AND subject = old.subject AND mark = old.mark)",
                params![shelf.0, round.this, round.before],
                |row| row.get(0),
            )?;
            t.execute("DELETE FROM mark WHERE shelf = ?1 AND round <> ?2", params![shelf.0, round.this])?;
            Ok(gone.cast_unsigned())
        })
    }
}
