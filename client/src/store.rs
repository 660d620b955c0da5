//! The platform's database: verified manifests, frames sent, sealed results. Durable before anything depends on it.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest},
    name::{Epoch, ListId, Version},
};

use crate::Error;

/// Schema of this program.
const SCHEMA: i64 = 1;

const TABLES: &str = "
CREATE TABLE manifest (list TEXT NOT NULL, version INTEGER NOT NULL, note BLOB NOT NULL, PRIMARY KEY (list, version));
CREATE TABLE held (list TEXT PRIMARY KEY, version INTEGER NOT NULL);
CREATE TABLE frame (
    batch BLOB PRIMARY KEY, list TEXT NOT NULL, epoch INTEGER NOT NULL, version INTEGER NOT NULL, n INTEGER NOT NULL,
    req BLOB NOT NULL, resp BLOB, minute INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('sent', 'answered', 'refused', 'abandoned'))
) WITHOUT ROWID;
CREATE INDEX frame_unfinished ON frame (status) WHERE status = 'sent';
CREATE TABLE block (
    id INTEGER PRIMARY KEY, list TEXT NOT NULL, epoch INTEGER NOT NULL, subjects INTEGER NOT NULL, sealed BLOB NOT NULL
);
CREATE TABLE seen (
    list TEXT NOT NULL, epoch INTEGER NOT NULL, item BLOB NOT NULL, block INTEGER NOT NULL,
    row INTEGER NOT NULL, PRIMARY KEY (list, epoch, item)
) WITHOUT ROWID;
CREATE TABLE subject (
    list TEXT NOT NULL, epoch INTEGER NOT NULL, subject BLOB NOT NULL, PRIMARY KEY (list, epoch, subject)
) WITHOUT ROWID;
";

/// The database of one platform's directory.
pub(crate) struct Store {
    // One connection: every statement is short, and one writer is what SQLite has anyway.
    connection: Mutex<Connection>,
    path: std::path::PathBuf,
}

/// A frame about to be sent.
pub(crate) struct Sent<'a> {
    pub(crate) batch: BatchId,
    pub(crate) list: &'a ListId,
    pub(crate) epoch: Epoch,
    pub(crate) version: Version,
    pub(crate) n: usize,
    pub(crate) req: RequestDigest,
    pub(crate) minute: u64,
}

/// How a frame ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Verified.
    Answered(ResponseDigest),
    /// Refused by the server, or its answer by us.
    Refused,
    /// Never finished.
    Abandoned,
}

/// What one sealed block adds, all in the transaction that ends its frame.
pub(crate) struct NewBlock<'a> {
    pub(crate) id: i64,
    pub(crate) list: &'a ListId,
    pub(crate) epoch: Epoch,
    pub(crate) subjects: usize,
    pub(crate) sealed: Vec<u8>,
    /// What each item is found by, and its row in the block.
    pub(crate) items: Vec<([u8; 32], usize)>,
    pub(crate) subject_ids: Vec<[u8; 32]>,
}

impl Store {
    /// Opens the database, making or upgrading its schema; settings are read back, not assumed.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |source| Error::Database { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(wrap)?;
        let setting = |name: &str, value: &str, want: &str| -> Result<(), Error> {
            connection.pragma_update(None, name, value).map_err(wrap)?;
            let found: rusqlite::types::Value =
                connection.pragma_query_value(None, name, |row| row.get(0)).map_err(wrap)?;
            let found = match found {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                _ => String::new(),
            };
            if found == want { Ok(()) } else { Err(wrap(rusqlite::Error::InvalidQuery)) }
        };
        setting("journal_mode", "wal", "wal")?;
        setting("synchronous", "full", "2")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrap)?;
        if found > SCHEMA {
            return Err(Error::NewerSchema { path: path.to_owned(), found, known: SCHEMA });
        }
        if found == 0 {
            let transaction = connection.transaction().map_err(wrap)?;
            transaction.execute_batch(TABLES).map_err(wrap)?;
            transaction.pragma_update(None, "user_version", SCHEMA).map_err(wrap)?;
            transaction.commit().map_err(wrap)?;
        }
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in another thread rolled its transaction back, so the connection is sound.
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        read(&self.lock()).map_err(|source| Error::Database { path: self.path.clone(), source })
    }

    fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = self.lock();
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let value = write(&transaction)?;
            transaction.commit().map(|()| value)
        };
        run(&mut connection).map_err(|source| Error::Database { path: self.path.clone(), source })
    }

    /// Frames that a killed process left without an end become abandoned; gives their number.
    pub(crate) fn abandon_unfinished(&self) -> Result<usize, Error> {
        self.write(|t| t.execute("UPDATE frame SET status = 'abandoned' WHERE status = 'sent'", []))
    }

    /// The verified manifests of a list after a version, ascending.
    pub(crate) fn manifests_from(&self, list: &ListId, version: u32) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|c| {
            let mut query =
                c.prepare("SELECT note FROM manifest WHERE list = ?1 AND version >= ?2 ORDER BY version")?;
            query.query_map(params![list.as_str(), version], |row| row.get(0))?.collect()
        })
    }

    /// The newest verified manifest of a list.
    pub(crate) fn newest_manifest(&self, list: &ListId) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            c.query_row(
                "SELECT note FROM manifest WHERE list = ?1 ORDER BY version DESC LIMIT 1",
                [list.as_str()],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// Keeps verified manifests.
    pub(crate) fn add_manifests<'a>(
        &self,
        list: &ListId,
        manifests: impl Iterator<Item = (Version, &'a [u8])>,
    ) -> Result<(), Error> {
        self.write(|t| {
            let mut insert = t.prepare("INSERT INTO manifest (list, version, note) VALUES (?1, ?2, ?3)")?;
            for (version, note) in manifests {
                insert.execute(params![list.as_str(), version.0, note])?;
            }
            Ok(())
        })
    }

    /// The version whose artifact is in place.
    pub(crate) fn held(&self, list: &ListId) -> Result<Option<Version>, Error> {
        self.read(|c| {
            c.query_row("SELECT version FROM held WHERE list = ?1", [list.as_str()], |row| row.get(0).map(Version))
                .optional()
        })
    }

    /// Names the version whose artifact is in place.
    pub(crate) fn set_held(&self, list: &ListId, version: Version) -> Result<(), Error> {
        self.write(|t| {
            t.execute(
                "INSERT INTO held (list, version) VALUES (?1, ?2)
                 ON CONFLICT (list) DO UPDATE SET version = excluded.version WHERE excluded.version > held.version",
                params![list.as_str(), version.0],
            )
            .map(drop)
        })
    }

    /// Intent before sending.
    pub(crate) fn frame_sent(&self, frame: &Sent<'_>) -> Result<(), Error> {
        self.write(|t| {
            t.execute(
                "INSERT INTO frame (batch, list, epoch, version, n, req, minute, status)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'sent')",
                params![
                    frame.batch.0,
                    frame.list.as_str(),
                    frame.epoch.0,
                    frame.version.0,
                    frame.n as i64,
                    frame.req.0,
                    frame.minute as i64
                ],
            )
            .map(drop)
        })
    }

    /// The result after verifying, with what it adds to the sealed results.
    pub(crate) fn frame_ended(&self, batch: BatchId, ended: Ended, block: Option<NewBlock<'_>>) -> Result<(), Error> {
        let (status, resp) = match ended {
            Ended::Answered(resp) => ("answered", Some(resp.0)),
            Ended::Refused => ("refused", None),
            Ended::Abandoned => ("abandoned", None),
        };
        self.write(|t| {
            t.execute("UPDATE frame SET status = ?2, resp = ?3 WHERE batch = ?1", params![batch.0, status, resp])?;
            block.map_or(Ok(()), |block| insert_block(t, &block))
        })
    }

    /// Adds results that needed no frame: other names of items that were evaluated before.
    pub(crate) fn add_block(&self, block: &NewBlock<'_>) -> Result<(), Error> {
        self.write(|t| insert_block(t, block))
    }

    /// A block id that is not in use; ids are bound into the seal.
    pub(crate) fn last_block(&self) -> Result<i64, Error> {
        self.read(|c| c.query_row("SELECT coalesce(max(id), 0) FROM block", [], |row| row.get(0)))
    }

    /// The block and row that have an item's result.
    pub(crate) fn seen(&self, list: &ListId, epoch: Epoch, item: &[u8; 32]) -> Result<Option<(i64, i64)>, Error> {
        self.read(|c| {
            c.prepare_cached("SELECT block, row FROM seen WHERE list = ?1 AND epoch = ?2 AND item = ?3")?
                .query_row(params![list.as_str(), epoch.0, item], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
    }

    /// Whether a subject with exactly these items is kept already.
    pub(crate) fn has_subject(&self, list: &ListId, epoch: Epoch, subject: &[u8; 32]) -> Result<bool, Error> {
        self.read(|c| {
            c.prepare_cached("SELECT 1 FROM subject WHERE list = ?1 AND epoch = ?2 AND subject = ?3")?.exists(params![
                list.as_str(),
                epoch.0,
                subject
            ])
        })
    }

    /// A sealed block.
    pub(crate) fn block(&self, id: i64) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            c.prepare_cached("SELECT sealed FROM block WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()
        })
    }

    /// The next block of an epoch after `id`: the way through all of them in bounded memory.
    pub(crate) fn block_after(&self, list: &ListId, epoch: Epoch, id: i64) -> Result<Option<(i64, Vec<u8>)>, Error> {
        self.read(|c| {
            c.prepare_cached(
                "SELECT id, sealed FROM block WHERE list = ?1 AND epoch = ?2 AND id > ?3 ORDER BY id LIMIT 1",
            )?
            .query_row(params![list.as_str(), epoch.0, id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
        })
    }

    /// Subjects kept for an epoch.
    pub(crate) fn kept(&self, list: &ListId, epoch: Epoch) -> Result<u64, Error> {
        self.read(|c| {
            c.query_row(
                "SELECT coalesce(sum(subjects), 0) FROM block WHERE list = ?1 AND epoch = ?2",
                params![list.as_str(), epoch.0],
                |row| row.get::<_, i64>(0),
            )
        })
        .map(|kept| u64::try_from(kept).unwrap_or(0))
    }

    /// Drops the results of every epoch of a list but this one.
    pub(crate) fn forget_other_epochs(&self, list: &ListId, epoch: Epoch) -> Result<Vec<Epoch>, Error> {
        self.write(|t| {
            let other = "list = ?1 AND epoch <> ?2";
            let epochs = t
                .prepare(&format!("SELECT DISTINCT epoch FROM block WHERE {other}"))?
                .query_map(params![list.as_str(), epoch.0], |row| row.get(0).map(Epoch))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            for table in ["block", "seen", "subject"] {
                t.execute(&format!("DELETE FROM {table} WHERE {other}"), params![list.as_str(), epoch.0])?;
            }
            Ok(epochs)
        })
    }

    /// Number of frames by how they ended.
    pub(crate) fn frames(&self) -> Result<Vec<(String, u64)>, Error> {
        self.read(|c| {
            let mut query = c.prepare("SELECT status, count(*) FROM frame GROUP BY status ORDER BY status")?;
            query
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?
                .map(|row| row.map(|(status, count)| (status, u64::try_from(count).unwrap_or(0))))
                .collect()
        })
    }
}

fn insert_block(t: &Transaction<'_>, block: &NewBlock<'_>) -> rusqlite::Result<()> {
    let (list, epoch) = (block.list.as_str(), block.epoch.0);
    t.execute(
        "INSERT INTO block (id, list, epoch, subjects, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![block.id, list, epoch, block.subjects as i64, block.sealed],
    )?;
    let mut seen =
        t.prepare_cached("INSERT OR IGNORE INTO seen (list, epoch, item, block, row) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (item, row) in &block.items {
        seen.execute(params![list, epoch, item, block.id, *row as i64])?;
    }
    let mut subject = t.prepare_cached("INSERT OR IGNORE INTO subject (list, epoch, subject) VALUES (?1, ?2, ?3)")?;
    for id in &block.subject_ids {
        subject.execute(params![list, epoch, id])?;
    }
    Ok(())
}
