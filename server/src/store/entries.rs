//! The entries of a list in clear, and the imports and retractions that made them.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use veilmatch_protocol::{item::Item, name::ListId};

use super::{connection, schema, signed, unsigned};
use crate::Error;

/// Most quarantined rows that a change names one by one; beyond it they are counted by reason.
const NAMED_QUARANTINE: u64 = 10_000;

/// A connection to `entries.db`.
#[derive(Debug)]
pub struct Entries {
    connection: Connection,
}

/// What a change was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `list import`.
    Import,
    /// `list retract`.
    Retract,
}

impl ChangeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Retract => "retract",
        }
    }
}

/// A change that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewChange<'a> {
    /// The list.
    pub list: &'a ListId,
    /// What it is.
    pub kind: ChangeKind,
    /// Where its rows come from.
    pub source: &'a str,
    /// The last change that a published version contains.
    pub published: i64,
    /// When it is made.
    pub now: u64,
    /// Count, and keep nothing.
    pub dry_run: bool,
}

/// A change that was made, as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastChange {
    /// Its number.
    pub id: i64,
    /// `import` or `retract`.
    pub kind: String,
    /// Where its rows came from.
    pub source: String,
    /// When it was made.
    pub at: u64,
    /// Its counts, without reasons.
    pub tally: Tally,
}

/// How the rows of a file were taken: `read = accepted + duplicate + quarantined`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows of the file.
    pub read: u64,
    /// Rows that changed the list: new, listed again or with another label; of a retraction, those that were listed.
    pub accepted: u64,
    /// Of these, rows that changed a label only.
    pub relabelled: u64,
    /// Rows that the list had already; of a retraction, rows that it did not have.
    pub duplicate: u64,
    /// Rows that could not be taken.
    pub quarantined: u64,
    /// The same by reason.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// A finished import or retraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number; 0 if nothing was kept of it.
    pub id: i64,
    /// Its counts.
    pub tally: Tally,
    /// The first quarantined rows, by line.
    pub quarantined: Vec<Quarantined>,
}

/// A row that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: &'static str,
}

/// What became of a row of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is listed now.
    New,
    /// It was listed with another label.
    Relabelled,
    /// It was listed with the same label.
    Duplicate,
}

/// What the next version does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingKind {
    /// Leaves it as the last version has it.
    Kept,
    /// Adds it.
    Added,
    /// Changes its label.
    Relabelled,
    /// Takes it out.
    Removed,
}

/// An entry as the next version sees it.
#[derive(Debug)]
pub struct PendingEntry {
    /// The entry.
    pub item: Item,
    /// Its label.
    pub label: Vec<u8>,
    /// What becomes of it.
    pub kind: PendingKind,
}

impl Entries {
    /// Opens the database, making its tables if it is new.
    ///
    /// # Errors
    /// As [`super::Store::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { connection: connection::open(path, &schema::ENTRIES)? })
    }

    /// Runs an import or a retraction in one transaction: all of it is kept, or nothing.
    ///
    /// # Errors
    /// Those of `work`, [`Error::Store`]; then nothing is kept.
    pub fn change(
        &mut self,
        new: &NewChange<'_>,
        work: impl FnOnce(&mut Import<'_>) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let NewChange { list, kind, source, published, now, dry_run } = *new;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute("INSERT INTO list (list) VALUES (?1) ON CONFLICT DO NOTHING", [list.as_str()])?;
        let list: i64 = tx.query_row("SELECT id FROM list WHERE list = ?1", [list.as_str()], |row| row.get(0))?;
        tx.execute(
            "INSERT INTO change (list, kind, source, at, read, accepted, duplicate, quarantined)
             VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0)",
            (list, kind.name(), source, signed(now)),
        )?;
        let id = tx.last_insert_rowid();
        let mut import = Import { tx: &tx, list, id, published, tally: Tally::default(), quarantined: Vec::new() };
        work(&mut import)?;
        let Import { tally, quarantined, .. } = import;
        if dry_run || tally.accepted == 0 && tally.quarantined == 0 {
            // Nothing to keep; dropping the transaction undoes the row of the change itself.
            return Ok(Change { id: 0, tally, quarantined });
        }
        tx.execute(
            "UPDATE change SET read = ?2, accepted = ?3, duplicate = ?4, quarantined = ?5 WHERE id = ?1",
            (id, signed(tally.read), signed(tally.accepted), signed(tally.duplicate), signed(tally.quarantined)),
        )?;
        tx.commit()?;
        Ok(Change { id, tally, quarantined })
    }

    /// The number of the last change of a list; 0 if there was none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn last_change(&self, list: &ListId) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(change.id), 0) FROM change JOIN list ON list.id = change.list
                   WHERE list.list = ?1";
        Ok(self.connection.query_row(sql, [list.as_str()], |row| row.get(0))?)
    }

    /// Visits every entry that the last version contains or the next one will, in the order of their items, until `visit`
    /// breaks off.
    ///
    /// `published` is the last change that the last version contains.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn visit(
        &self,
        list: &ListId,
        published: i64,
        mut visit: impl FnMut(PendingEntry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let sql = "SELECT item, label, since, until, relabelled FROM entry
                   WHERE list = (SELECT id FROM list WHERE list = ?1) ORDER BY item";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([list.as_str()])?;
        while let Some(row) = rows.next()? {
            let (since, until, relabelled) = (row.get(2)?, row.get(3)?, row.get(4)?);
            if let Some(kind) = pending(published, since, until, relabelled) {
                let item = Item::from_bytes(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
                if visit(PendingEntry { item, label: row.get(1)?, kind }).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Counts what [`Self::visit`] would visit: kept, added, relabelled, removed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count(&self, list: &ListId, published: i64) -> Result<[u64; 4], Error> {
        let sql = "SELECT since, until, relabelled FROM entry WHERE list = (SELECT id FROM list WHERE list = ?1)";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([list.as_str()])?;
        let mut counts = [0; 4];
        while let Some(row) = rows.next()? {
            if let Some(kind) = pending(published, row.get(0)?, row.get(1)?, row.get(2)?) {
                counts[kind as usize] += 1;
            }
        }
        Ok(counts)
    }

    /// The changes of a list, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn changes(&self, list: &ListId, limit: u32) -> Result<Vec<PastChange>, Error> {
        let sql = "SELECT change.id, kind, source, at, read, accepted, duplicate, quarantined
                   FROM change JOIN list ON list.id = change.list WHERE list.list = ?1 ORDER BY change.id DESC LIMIT ?2";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((list.as_str(), limit), |row| {
            let tally = Tally {
                read: unsigned(row.get(4)?),
                accepted: unsigned(row.get(5)?),
                duplicate: unsigned(row.get(6)?),
                quarantined: unsigned(row.get(7)?),
                ..Tally::default()
            };
            let (id, kind, source) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(PastChange { id, kind, source, at: unsigned(row.get(3)?), tally })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

// What the version after `published` does with an entry; `None` if neither version has it.
fn pending(published: i64, since: i64, until: Option<i64>, relabelled: i64) -> Option<PendingKind> {
    let was_published = since <= published && until.is_none_or(|until| until > published);
    match (was_published, until.is_none()) {
        (false, false) => None,
        (false, true) => Some(PendingKind::Added),
        (true, false) => Some(PendingKind::Removed),
        (true, true) if relabelled > published => Some(PendingKind::Relabelled),
        (true, true) => Some(PendingKind::Kept),
    }
}

/// An import or a retraction that is going on.
#[derive(Debug)]
pub struct Import<'a> {
    tx: &'a Transaction<'a>,
    list: i64,
    id: i64,
    published: i64,
    tally: Tally,
    quarantined: Vec<Quarantined>,
}

impl Import<'_> {
    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lists an item.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn add(&mut self, item: &Item, label: &[u8]) -> Result<Added, Error> {
        self.tally.read += 1;
        let added = self.list_item(item, label)?;
        match added {
            Added::New => self.tally.accepted += 1,
            Added::Relabelled => {
                self.tally.accepted += 1;
                self.tally.relabelled += 1;
            }
            Added::Duplicate => self.tally.duplicate += 1,
        }
        Ok(added)
    }

    fn list_item(&self, item: &Item, label: &[u8]) -> Result<Added, Error> {
        let insert = "INSERT INTO entry (list, item, label, since, until, relabelled) VALUES (?1, ?2, ?3, ?4, NULL, 0)
                      ON CONFLICT DO NOTHING";
        let key = (self.list, item.as_bytes());
        if self.tx.prepare_cached(insert)?.execute((key.0, key.1, label, self.id))? == 1 {
            return Ok(Added::New);
        }
        let select = "SELECT label, since, until FROM entry WHERE list = ?1 AND item = ?2";
        let (held, since, until): (Vec<u8>, i64, Option<i64>) =
            self.tx.prepare_cached(select)?.query_row(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let relabel = "UPDATE entry SET label = ?3, until = NULL, relabelled = ?4 WHERE list = ?1 AND item = ?2";
        match until {
            None if held == label => Ok(Added::Duplicate),
            None => {
                self.tx.prepare_cached(relabel)?.execute((key.0, key.1, label, self.id))?;
                Ok(Added::Relabelled)
            }
            // The published version still has it: its retraction is taken back.
            Some(until) if until > self.published && since <= self.published => {
                let undo = "UPDATE entry SET until = NULL WHERE list = ?1 AND item = ?2";
                if held == label {
                    self.tx.prepare_cached(undo)?.execute(key)?;
                } else {
                    self.tx.prepare_cached(relabel)?.execute((key.0, key.1, label, self.id))?;
                }
                Ok(Added::New)
            }
            Some(_) => {
                let again = "UPDATE entry SET label = ?3, since = ?4, until = NULL, relabelled = 0
                             WHERE list = ?1 AND item = ?2";
                self.tx.prepare_cached(again)?.execute((key.0, key.1, label, self.id))?;
                Ok(Added::New)
            }
        }
    }

    /// Retracts an item; says whether it was listed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn retract(&mut self, item: &Item) -> Result<bool, Error> {
        self.tally.read += 1;
        let sql = "UPDATE entry SET until = ?3 WHERE list = ?1 AND item = ?2 AND until IS NULL";
        let was_listed = self.tx.prepare_cached(sql)?.execute((self.list, item.as_bytes(), self.id))? == 1;
        if was_listed {
            self.tally.accepted += 1;
        } else {
            self.tally.duplicate += 1;
        }
        Ok(was_listed)
    }

    /// Sets a row aside.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn quarantine(&mut self, line: u64, reason: &'static str) -> Result<(), Error> {
        self.tally.read += 1;
        self.tally.quarantined += 1;
        *self.tally.reasons.entry(reason).or_default() += 1;
        if self.tally.quarantined <= NAMED_QUARANTINE {
            let sql = "INSERT INTO quarantine (change, line, reason) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            self.tx.prepare_cached(sql)?.execute((self.id, signed(line), reason))?;
            self.quarantined.push(Quarantined { line, reason });
        }
        Ok(())
    }

    /// Whether an item is listed at this point.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn is_listed(&self, item: &Item) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM entry WHERE list = ?1 AND item = ?2 AND until IS NULL";
        let found: Option<i64> =
            self.tx.prepare_cached(sql)?.query_row((self.list, item.as_bytes()), |row| row.get(0)).optional()?;
        Ok(found.is_some())
    }
}
