//! What a UTC day brought, list by list, until it stands in a leaf (SPEC §18.5).

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, log};
use crate::Error;

/// Adds to a total of a day.
pub(super) fn add(t: &Transaction<'_>, list: &str, date: &str, what: &str, n: u64) -> rusqlite::Result<()> {
    if n == 0 {
        return Ok(());
    }
    let query = "INSERT INTO total (list, date, what, n) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (list, date, what) DO UPDATE SET n = n + excluded.n";
    t.prepare_cached(query)?.execute(params![list, date, what, n.cast_signed()]).map(drop)
}

/// Numbers that wait to be added: (list, date, what) to how many.
pub(crate) type Pending = BTreeMap<(String, String, String), u64>;

pub(super) fn add_all(t: &Transaction<'_>, pending: &Pending) -> rusqlite::Result<()> {
    pending.iter().try_for_each(|((list, date, what), n)| add(t, list, date, what, *n))
}

impl Store {
    /// Adds to totals.
    pub(crate) fn add_totals(&self, pending: &Pending) -> Result<(), Error> {
        if pending.is_empty() { Ok(()) } else { self.write(|t| add_all(t, pending)) }
    }

    /// The first day of a list that has no leaf yet; `today` from the first time on that it is asked for.
    pub(crate) fn next_day(&self, list: &str, today: &str) -> Result<String, Error> {
        let known =
            self.read(|c| c.query_row("SELECT next FROM day WHERE list = ?1", [list], |row| row.get(0)).optional())?;
        if let Some(known) = known {
            return Ok(known);
        }
        self.write(|t| {
            t.execute("INSERT OR IGNORE INTO day (list, next) VALUES (?1, ?2)", [list, today])?;
            t.query_row("SELECT next FROM day WHERE list = ?1", [list], |row| row.get(0))
        })
    }

    /// The totals of a day.
    pub(crate) fn totals(&self, list: &str, date: &str) -> Result<BTreeMap<String, u64>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT what, n FROM total WHERE list = ?1 AND date = ?2")?;
            let rows = query.query_map([list, date], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
            rows.collect()
        })
    }

    /// Writes the leaf of a day, whose totals are of no more use; whether it was still to be written.
    pub(crate) fn end_day(&self, shard: &str, list: &str, date: &str, next: &str, leaf: &[u8]) -> Result<bool, Error> {
        self.write(|t| {
            if t.execute("UPDATE day SET next = ?3 WHERE list = ?1 AND next = ?2", [list, date, next])? == 0 {
                return Ok(false);
            }
            let log = log::current(t, shard)?;
            log::append(t, log, leaf)?;
            t.execute("DELETE FROM total WHERE list = ?1 AND date = ?2", [list, date])?;
            Ok(true)
        })
    }
}
