//! Changes: what each import or retraction did, in numbers.

use std::collections::BTreeMap;

use rusqlite::Row;
use veilmatch_lists::{Place, Quarantine};
use veilmatch_protocol::name::ListId;

use super::{Entries, Ledger};
use crate::{
    Error,
    store::{signed, unsigned},
};

/// Most quarantined rows that a change names one by one; beyond it they are counted by reason.
const NAMED_QUARANTINE: usize = 10_000;

/// How the rows of a file were taken: `read = accepted + duplicate + retracted + quarantined`, always, each digest one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Digests of the file, and withdrawals.
    pub read: u64,
    /// Digests that are claimed now and were not before, or otherwise; of a retraction, those that were claimed.
    pub accepted: u64,
    /// Digests that say nothing new; of a retraction, those that nobody claimed.
    pub duplicate: u64,
    /// Withdrawals, and digests of what is withdrawn already.
    pub retracted: u64,
    /// Digests that could not be taken.
    pub quarantined: u64,
    /// The same by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Claims that the change adds.
    pub added: u64,
    /// Claims that it changes.
    pub relabelled: u64,
    /// Claims that it takes back.
    pub removed: u64,
    /// The first quarantined rows.
    pub rows: Vec<Quarantined>,
}

/// A row that could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it stands in its file.
    pub place: Place,
    /// Why.
    pub reason: &'static str,
}

impl Tally {
    /// Counts a digest that is set aside.
    pub fn quarantine(&mut self, place: Place, reason: Quarantine) {
        let reason = reason.reason();
        self.quarantined += 1;
        *self.reasons.entry(reason).or_default() += 1;
        if self.rows.len() < NAMED_QUARANTINE {
            self.rows.push(Quarantined { place, reason });
        }
    }

    /// Whether everything that was read is accounted for.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.read == self.accepted + self.duplicate + self.retracted + self.quarantined
    }

    /// Whether there is anything to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read == self.duplicate && self.removed == 0
    }
}

/// A finished import or retraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number; 0 if nothing was kept of it.
    pub id: i64,
    /// The source.
    pub source: String,
    /// Its counts.
    pub tally: Tally,
}

/// A change as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// Its number; 0 before it is kept.
    pub id: i64,
    /// What it was: `import`, `retract`, `canary`, `exclude`, `describe`.
    pub kind: String,
    /// The file's name.
    pub file: String,
    /// The source.
    pub source: String,
    /// When it was made.
    pub at: u64,
    /// Its counts.
    pub tally: Tally,
}

impl Ledger<'_> {
    /// Keeps the change: writes what it was and commits; gives its number. `whole`: its items were not all told to
    /// [`Ledger::touch`]. A dry run has no number, and ends here without a trace.
    ///
    /// # Errors
    /// [`Error::Store`]; then it has not happened.
    pub fn keep(self, row: &ChangeRow, whole: bool) -> Result<i64, Error> {
        if self.dry_run {
            return Ok(0);
        }
        let sql =
            "INSERT INTO change (id, list, kind, file, source, at, read, accepted, duplicate, retracted, quarantined,
                                       added, relabelled, removed, whole)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
        let ChangeRow { kind, file, source, at, tally, .. } = row;
        self.tx.execute(
            sql,
            rusqlite::params![
                self.change,
                self.list,
                kind,
                file,
                source,
                signed(*at),
                signed(tally.read),
                signed(tally.accepted),
                signed(tally.duplicate),
                signed(tally.retracted),
                signed(tally.quarantined),
                signed(tally.added),
                signed(tally.relabelled),
                signed(tally.removed),
                whole,
            ],
        )?;
        for Quarantined { place, reason } in &tally.rows {
            let sql = "INSERT INTO quarantine (change, line, reason) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            self.tx.prepare_cached(sql)?.execute((self.change, signed(place.row), reason))?;
        }
        for (reason, count) in &tally.reasons {
            let sql = "INSERT INTO quarantine_reason (change, reason, count) VALUES (?1, ?2, ?3)";
            self.tx.prepare_cached(sql)?.execute((self.change, reason, signed(*count)))?;
        }
        let change = self.change;
        self.tx.commit()?;
        Ok(change)
    }
}

impl Entries {
    /// The number of the last change of a list; 0 if there was none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn last_change(&self, list: &ListId) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(id), 0) FROM change WHERE list = ?1";
        Ok(self.connection.query_row(sql, [self.list(list)?], |row| row.get(0))?)
    }

    /// The changes of a list, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn changes(&self, list: &ListId, limit: u32) -> Result<Vec<ChangeRow>, Error> {
        let sql =
            "SELECT id, kind, file, source, at, read, accepted, duplicate, retracted, quarantined, added, relabelled,
                          removed
                   FROM change WHERE list = ?1 ORDER BY id DESC LIMIT ?2";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((self.list(list)?, limit), change_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn change_row(row: &Row<'_>) -> rusqlite::Result<ChangeRow> {
    let count = |column| row.get(column).map(unsigned);
    let tally = Tally {
        read: count(5)?,
        accepted: count(6)?,
        duplicate: count(7)?,
        retracted: count(8)?,
        quarantined: count(9)?,
        added: count(10)?,
        relabelled: count(11)?,
        removed: count(12)?,
        ..Tally::default()
    };
    Ok(ChangeRow { id: row.get(0)?, kind: row.get(1)?, file: row.get(2)?, source: row.get(3)?, at: count(4)?, tally })
}
