//! Records: what a source's row says as a whole, so that the next row of its key can be compared with it.

use rusqlite::{OptionalExtension, Row};

use super::Ledger;
use crate::{
    Error,
    store::{signed, unsigned},
};

/// Whether a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Gone {
    /// It stands.
    No = 0,
    /// Its source withdrew it.
    BySource = 1,
    /// The agency withdrew it, whatever its source says.
    ByHand = 2,
}

/// A record of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Vec<u8>,
    /// The source's own time of it, in seconds since 1970.
    pub at: u64,
    /// Whether it stands.
    pub gone: Gone,
    /// What it says, as the import writes it; empty if it is gone.
    pub body: Vec<u8>,
}

impl Ledger<'_> {
    /// Visits the records of a source, by key.
    ///
    /// # Errors
    /// [`Error::Store`], and those of `visit`.
    pub fn visit_records(&self, source: i64, mut visit: impl FnMut(Record) -> Result<(), Error>) -> Result<(), Error> {
        let sql = "SELECT record, at, gone, body FROM record WHERE source = ?1 ORDER BY record";
        let mut statement = self.tx.prepare_cached(sql)?;
        let mut rows = statement.query([source])?;
        while let Some(row) = rows.next()? {
            visit(record(row)?)?;
        }
        Ok(())
    }

    /// A record by its key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn record(&self, source: i64, key: &[u8]) -> Result<Option<Record>, Error> {
        let sql = "SELECT record, at, gone, body FROM record WHERE source = ?1 AND record = ?2";
        Ok(self.tx.prepare_cached(sql)?.query_row((source, key), record).optional()?)
    }

    /// Writes a record in place of what was under its key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put_record(&self, source: i64, record: &Record) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let sql = "INSERT INTO record (source, record, at, gone, body) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (source, record) DO UPDATE SET at = excluded.at, gone = excluded.gone, body = excluded.body";
        let Record { key, at, gone, body } = record;
        self.tx.prepare_cached(sql)?.execute((source, key, signed(*at), *gone as u8, body))?;
        Ok(())
    }

    /// Forgets a record.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_record(&self, source: i64, key: &[u8]) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        self.tx.prepare_cached("DELETE FROM record WHERE source = ?1 AND record = ?2")?.execute((source, key))?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let gone = match row.get(2)? {
        0_u8 => Gone::No,
        1 => Gone::BySource,
        _ => Gone::ByHand,
    };
    Ok(Record { key: row.get(0)?, at: unsigned(row.get(1)?), gone, body: row.get(3)? })
}
