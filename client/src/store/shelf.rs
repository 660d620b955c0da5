//! Shelves: where the results of one (list, epoch) lie, and how they end with it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use veilmatch_protocol::name::{Epoch, ListId};

use super::Store;
use crate::Error;

/// Rows that one transaction deletes of each table, so that a check in between waits for some milliseconds only. A full
/// block is about half a megabyte.
const BLOCKS: u32 = 16;
const ENTRIES: u32 = 8_192;

/// Number of a (list, epoch) in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shelf(pub(super) i64);

/// Results that were destroyed with their epochs, until [`Store::forget_lost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The newest epoch that took some.
    pub(crate) epoch: Epoch,
    /// Subjects that were kept, in all of these epochs.
    pub(crate) subjects: u64,
}

/// Whether results may still be put on a shelf.
pub(super) fn is_there(c: &Connection, shelf: Shelf) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT 1 FROM shelf WHERE id = ?1 AND destroyed = 0")?.exists([shelf.0])
}

impl Store {
    /// The number of a (list, epoch), given to it when it is first asked for.
    pub(crate) fn shelf(&self, list: &ListId, epoch: Epoch) -> Result<Shelf, Error> {
        self.write(|t| {
            t.execute("INSERT OR IGNORE INTO shelf (list, epoch) VALUES (?1, ?2)", params![list.as_str(), epoch.0])?;
            let query = "SELECT id FROM shelf WHERE list = ?1 AND epoch = ?2";
            t.query_row(query, params![list.as_str(), epoch.0], |row| row.get(0).map(Shelf))
        })
    }

    /// The shelves of a list's epochs before this one, those included whose end a crash cut off.
    pub(crate) fn shelves_before(&self, list: &ListId, epoch: Epoch) -> Result<Vec<(Shelf, Epoch)>, Error> {
        self.read(|c| {
            let mut query = c.prepare("SELECT id, epoch FROM shelf WHERE list = ?1 AND epoch < ?2")?;
            let row = |row: &rusqlite::Row<'_>| Ok((Shelf(row.get(0)?), Epoch(row.get(1)?)));
            query.query_map(params![list.as_str(), epoch.0], row)?.collect()
        })
    }

    /// Ends a shelf: nothing is put on it from now on, and what it held is remembered as lost. [`Self::clear`] deletes it.
    pub(crate) fn destroy(&self, shelf: Shelf) -> Result<(), Error> {
        self.write(|t| {
            if !is_there(t, shelf)? {
                return Ok(());
            }
            t.execute(
                "INSERT INTO lost (list, epoch, subjects)
                 SELECT list, epoch, (SELECT sum(subjects) FROM block WHERE shelf = ?1) AS kept
                 FROM shelf WHERE id = ?1 AND kept > 0
                 ON CONFLICT (list) DO UPDATE
                 SET epoch = excluded.epoch, subjects = subjects + excluded.subjects",
                [shelf.0],
            )?;
            t.execute("UPDATE shelf SET destroyed = 1 WHERE id = ?1", [shelf.0]).map(drop)
        })
    }

    /// Deletes a part of what is on a shelf that was destroyed; whether there is more.
    pub(crate) fn clear(&self, shelf: Shelf) -> Result<bool, Error> {
        self.write(|t| {
            let blocks = "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE shelf = ?1 LIMIT ?2)";
            let fresh = "DELETE FROM fresh WHERE block IN (SELECT block FROM fresh WHERE shelf = ?1 LIMIT ?2)";
            let seen = "DELETE FROM seen WHERE (shelf, id) IN (SELECT shelf, id FROM seen WHERE shelf = ?1 LIMIT ?2)";
            let marks = "DELETE FROM mark WHERE (shelf, round, subject, mark) IN
                         (SELECT shelf, round, subject, mark FROM mark WHERE shelf = ?1 LIMIT ?2)";
            for (delete, rows) in [(blocks, BLOCKS), (fresh, BLOCKS), (seen, ENTRIES), (marks, ENTRIES)] {
                if t.prepare_cached(delete)?.execute(params![shelf.0, rows])? > 0 {
                    return Ok(true);
                }
            }
            t.execute("DELETE FROM shelf WHERE id = ?1", [shelf.0]).map(|_| false)
        })
    }

    /// What a list lost with earlier epochs.
    pub(crate) fn lost(&self, list: &ListId) -> Result<Option<Lost>, Error> {
        self.read(|c| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Lost { epoch: Epoch(row.get(0)?), subjects: row.get::<_, i64>(1)?.cast_unsigned() })
            };
            c.query_row("SELECT epoch, subjects FROM lost WHERE list = ?1", [list.as_str()], row).optional()
        })
    }

    /// Speaks no more of what a list lost.
    pub(crate) fn forget_lost(&self, list: &ListId) -> Result<(), Error> {
        self.write(|t: &Transaction<'_>| t.execute("DELETE FROM lost WHERE list = ?1", [list.as_str()]).map(drop))
    }
}
