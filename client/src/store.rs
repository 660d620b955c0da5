//! The platform's database: verified manifests, frames sent, sealed results. Durable before anything depends on it.
//!
//! The index `seen` is a tree in random order, dear to write into one frame at a time; new entries wait in `fresh`, one row
//! per block, and are moved over many at a time by [`crate::keeper`].

mod frames;
mod log;
mod manifests;
mod marks;
mod openings;
mod promises;
pub(crate) mod results;
mod shelf;
mod totals;
mod watched;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, config::DbConfig, types::Value};

pub(crate) use frames::{AcknowledgedRow, Answered, End, Ended, Entry, FrameRow, OpenDay, Sent};
pub(crate) use log::{LogId, LogRow};
pub(crate) use marks::{Mark, Round};
pub(crate) use openings::{Found, HandedOut, NewMatch, OpeningRow, Sealed};
pub(crate) use promises::{Broken, Promise, PromiseRow};
pub(crate) use results::{BlockId, Gone, IdHash, IdOf, NewBlock, Place, SealedBlock};
pub(crate) use shelf::{Lost, Shelf};
pub(crate) use totals::Pending;
pub(crate) use watched::Watched;

use crate::Error;

/// Schema of this program.
const SCHEMA: i64 = 4;

/// Pages that a connection keeps in memory, in KiB.
const CACHE_KIB: i64 = 8 * 1_024;

/// Pages after which the write-ahead log is copied back: some frames' results, so that pages changed by several are
/// written once.
const CHECKPOINT_PAGES: i64 = 8 * 1_024;

const TABLES: &str = "
CREATE TABLE manifest (
    list TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL, note BLOB NOT NULL, PRIMARY KEY (list, version)
);
CREATE INDEX manifest_epoch ON manifest (list, epoch, version);
CREATE TABLE held (list TEXT PRIMARY KEY, version INTEGER NOT NULL);

CREATE TABLE frame (
    batch BLOB PRIMARY KEY, list TEXT NOT NULL, epoch INTEGER NOT NULL, version INTEGER NOT NULL, n INTEGER NOT NULL,
    req BLOB NOT NULL, resp BLOB, minute INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('sent', 'answered', 'refused', 'abandoned'))
) WITHOUT ROWID;
CREATE INDEX frame_unfinished ON frame (status) WHERE status = 'sent';

-- A number is not used again: a frame of a forgotten epoch may still end on its old shelf.
CREATE TABLE shelf (
    id INTEGER PRIMARY KEY AUTOINCREMENT, list TEXT NOT NULL, epoch INTEGER NOT NULL,
    destroyed INTEGER NOT NULL DEFAULT 0, round INTEGER NOT NULL DEFAULT 0, begun INTEGER NOT NULL DEFAULT 0,
    UNIQUE (list, epoch)
);
CREATE TABLE block (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shelf INTEGER NOT NULL, subjects INTEGER NOT NULL, sealed BLOB NOT NULL
);
CREATE INDEX block_shelf ON block (shelf, id, subjects);
CREATE TABLE fresh (block INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, ids BLOB NOT NULL);
CREATE TABLE seen (
    shelf INTEGER NOT NULL, id BLOB NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (shelf, id)
) WITHOUT ROWID;

-- Matches of the rescan before, and of the one that is running.
CREATE TABLE mark (
    shelf INTEGER NOT NULL, round INTEGER NOT NULL, subject BLOB NOT NULL, mark BLOB NOT NULL,
    PRIMARY KEY (shelf, round, subject, mark)
) WITHOUT ROWID;
-- Results that went with an epoch, until as many are kept again.
CREATE TABLE lost (list TEXT PRIMARY KEY, epoch INTEGER NOT NULL, subjects INTEGER NOT NULL) WITHOUT ROWID;
";

/// What the second schema adds.
const LOG_TABLES: &str = "
ALTER TABLE frame ADD COLUMN code TEXT NOT NULL DEFAULT '';
ALTER TABLE frame ADD COLUMN ack BLOB;
-- The day by the agency's clock, as its record says it.
ALTER TABLE frame ADD COLUMN day TEXT;
CREATE INDEX frame_day ON frame (day, list, epoch) WHERE day IS NOT NULL;

-- Checkpoints of the agency's logs that were verified.
CREATE TABLE watched (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, counted INTEGER NOT NULL,
    cosigned INTEGER NOT NULL
) WITHOUT ROWID;

-- The match log: a row for each half-year, and one more for each time that one was lost.
CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shard TEXT NOT NULL, generation INTEGER NOT NULL,
    size INTEGER NOT NULL DEFAULT 0, head BLOB, signed INTEGER NOT NULL DEFAULT 0, cosigned INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, UNIQUE (shard, generation)
);
CREATE TABLE leaf (log INTEGER NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (log, number)) WITHOUT ROWID;
-- What commitments commit to, sealed: of matches, and of what was done about them. Goes when it is erased.
CREATE TABLE opening (
    log INTEGER NOT NULL, number INTEGER NOT NULL, of INTEGER NOT NULL, key BLOB NOT NULL, record BLOB NOT NULL,
    released INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (log, number)
) WITHOUT ROWID;
CREATE INDEX opening_of ON opening (log, of);
CREATE TABLE matched (id BLOB PRIMARY KEY, list TEXT NOT NULL, epoch INTEGER NOT NULL) WITHOUT ROWID;

-- Totals of days that have no leaf yet, and the first such day.
CREATE TABLE total (
    list TEXT NOT NULL, date TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (list, date, what)
) WITHOUT ROWID;
CREATE TABLE day (list TEXT PRIMARY KEY, next TEXT NOT NULL) WITHOUT ROWID;
-- Days whose closing statement both sides have signed.
CREATE TABLE closed (
    list TEXT NOT NULL, epoch INTEGER NOT NULL, date TEXT NOT NULL, statement BLOB NOT NULL, PRIMARY KEY (list, epoch, date)
) WITHOUT ROWID;
";

/// What the third schema adds.
const ACKNOWLEDGED_TABLE: &str = "
-- What came with each answer, in the order in which it came: the agency's leaf and its promise. The platform's proof that it asked.
CREATE TABLE acknowledged (id INTEGER PRIMARY KEY, day TEXT NOT NULL, leaf BLOB NOT NULL, note BLOB NOT NULL);
-- Those of them whose leaves are not proven yet to be in a published tree. received: Unix seconds by this clock. broken: 0; 1 if
-- it is not published in time; 2 if it is not in a tree that should have it.
CREATE TABLE promise (
    acknowledged INTEGER PRIMARY KEY, batch BLOB NOT NULL, origin TEXT NOT NULL, number INTEGER NOT NULL,
    received INTEGER NOT NULL, broken INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX promise_open ON promise (origin, broken, number);

-- The log of the match that an opening is about: perhaps an earlier one.
ALTER TABLE opening ADD COLUMN of_log INTEGER NOT NULL DEFAULT 0;
UPDATE opening SET of_log = log;
DROP INDEX opening_of;
CREATE INDEX opening_of ON opening (of_log, of);
";

/// What the fourth schema adds.
const HANDED_OUT: &str = "
-- What was handed out of a receipt: the highest level, and whether with the entry's secret.
ALTER TABLE opening ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE opening ADD COLUMN secret INTEGER NOT NULL DEFAULT 0;
UPDATE opening SET level = 1, secret = 1 WHERE released > 0;
";

/// When a transaction is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// When it ends.
    Now,
    /// With the next one that is flushed: its log is one file, so that none is on the disk without those before it. A process
    /// that is killed loses nothing, a machine perhaps what was not flushed.
    Later,
}

struct Writer {
    connection: Connection,
    flush: Flush,
}

impl Writer {
    fn flush(&mut self, flush: Flush) -> rusqlite::Result<()> {
        if self.flush != flush {
            let level = match flush {
                Flush::Now => "FULL",
                Flush::Later => "NORMAL",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.flush = flush;
        }
        Ok(())
    }
}

/// The database of one platform's directory.
pub(crate) struct Store {
    // One writer is what SQLite has. Reading has a connection of its own, so that it does not wait for a disk to flush.
    writer: Mutex<Writer>,
    reader: Mutex<Connection>,
    next_block: AtomicI64,
    path: PathBuf,
}

impl Store {
    /// Opens the database, making its schema if it is new; settings are read back, not assumed.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |source| Error::Database { path: path.to_owned(), source };
        let mut writer = Connection::open(path).map_err(wrap)?;
        for (name, value, want) in [
            ("journal_mode", Value::Text("wal".into()), Value::Text("wal".into())),
            ("synchronous", Value::Text("full".into()), Value::Integer(2)),
            // What is deleted is overwritten: a result that was forgotten does not stay in a page that nobody uses.
            ("secure_delete", Value::Text("on".into()), Value::Integer(1)),
            ("cache_size", Value::Integer(-CACHE_KIB), Value::Integer(-CACHE_KIB)),
            ("wal_autocheckpoint", Value::Integer(CHECKPOINT_PAGES), Value::Integer(CHECKPOINT_PAGES)),
        ] {
            set(&writer, name, &value, &want).map_err(wrap)?;
        }
        keep_plans(&writer).map_err(wrap)?;
        let found: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrap)?;
        if found > SCHEMA {
            return Err(Error::NewerSchema { path: path.to_owned(), found, known: SCHEMA });
        }
        if found < SCHEMA {
            let transaction = writer.transaction().map_err(wrap)?;
            if found == 0 {
                transaction.execute_batch(TABLES).map_err(wrap)?;
            }
            if found < 2 {
                transaction.execute_batch(LOG_TABLES).map_err(wrap)?;
            }
            if found < 3 {
                transaction.execute_batch(ACKNOWLEDGED_TABLE).map_err(wrap)?;
            }
            transaction.execute_batch(HANDED_OUT).map_err(wrap)?;
            transaction.pragma_update(None, "user_version", SCHEMA).map_err(wrap)?;
            transaction.commit().map_err(wrap)?;
        }
        let last: Option<i64> = writer
            .query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = 'block'", [], |row| row.get(0))
            .map_err(wrap)?;
        let reader = reading(path).map_err(wrap)?;
        let next_block = AtomicI64::new(last.unwrap_or(0) + 1);
        let writer = Writer { connection: writer, flush: Flush::Now };
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), next_block, path: path.to_owned() })
    }

    /// An id for a new block. Ids are bound into the seal and used once; a crash leaves gaps, which nothing minds.
    pub(crate) fn next_block(&self) -> BlockId {
        BlockId(self.next_block.fetch_add(1, Ordering::Relaxed))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let connection = lock(&self.reader);
        let run = || {
            // One transaction for all that is read: by itself every statement would lock the file and look at the log.
            let transaction = connection.unchecked_transaction()?;
            let value = read(&transaction)?;
            transaction.commit().map(|()| value)
        };
        run().map_err(|source| self.wrap(source))
    }

    fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.write_with(Flush::Now, write)
    }

    fn write_with<T>(
        &self,
        flush: Flush,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut writer = lock(&self.writer);
        let run = |writer: &mut Writer| {
            writer.flush(flush)?;
            // From its first statement on: a command beside a running client must not read what is old when it writes.
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            transaction.commit().map(|()| value)
        };
        run(&mut writer).map_err(|source| self.wrap(source))
    }

    fn wrap(&self, source: rusqlite::Error) -> Error {
        Error::Database { path: self.path.clone(), source }
    }
}

fn lock<T>(connection: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in another thread rolled its transaction back, so the connection is sound.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    set(&connection, "cache_size", &Value::Integer(-CACHE_KIB), &Value::Integer(-CACHE_KIB))?;
    keep_plans(&connection)?;
    Ok(connection)
}

// A plan does not depend on what is bound. Else a statement that compares a column with a parameter may be prepared anew each
// time that it is run, as often as its parameters are cleared.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn set(connection: &Connection, name: &str, value: &Value, want: &Value) -> rusqlite::Result<()> {
    connection.pragma_update(None, name, value)?;
    let found: Value = connection.pragma_query_value(None, name, |row| row.get(0))?;
    if found == *want { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
}

/// An id that lies in the database as four or eight bytes.
fn number(value: usize) -> i64 {
    i64::try_from(value).expect("counts of things in memory")
}

#[cfg(test)]
mod tests;
