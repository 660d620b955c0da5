//! What the agency keeps: lists, versions, clients, budgets and the record of every frame.
//!
//! Two SQLite databases. `veilmatch.db` ([`Store`]) holds what the running server serves and writes. `entries.db`
//! ([`Entries`]) holds the list in clear: only commands open it, so the machine that answers frames does not need it, and
//! an import of millions of rows never makes a frame wait for the database's one writer.

mod auditors;
mod clients;
mod closings;
mod connection;
mod entries;
mod frames;
mod group;
mod lists;
mod logs;
mod schema;
mod watched;
mod writer;

use std::{path::Path, str::FromStr};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, types::Type};
use veilmatch_protocol::name::AgencyName;

use crate::Error;

pub use auditors::AuditorRow;
pub use clients::ClientRow;
pub use closings::ClosedDay;
pub use entries::{
    CANARY, CanaryRow, Categories, CategoryRow, Change, ChangeRow, Claim, Edition, Entries, Gone, Labels, Ledger,
    PendingEntry, PendingKind, Quarantined, Record, Rule, Said, SourceRow, Tally, fitting,
};
pub use frames::{AnsweredFrame, BudgetUse, FrameKey, FrameRecord, FrameStatus};
pub use lists::{EpochRow, ListRow, VersionRow};
pub use logs::{Cosignature, Head, LogRow, LoggedLeaf, NewLeaf, is_busy};
pub use watched::Watched;
pub use writer::{AuditState, FrameWriter, Recorded};

/// A connection to `veilmatch.db`. Each thread has its own.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the database, makes its tables if it is new, and reads back the settings that durability rests on.
    ///
    /// # Errors
    /// [`Error::NewerSchema`], [`Error::StoreSetting`], [`Error::Store`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { connection: connection::open(path, &schema::STORE)? })
    }

    /// Moves what the write-ahead log has into the database, as far as nobody reads it where it is.
    ///
    /// # Errors
    /// [`Error::Store`]: what is committed stays in the log.
    pub fn move_log(&self) -> Result<(), Error> {
        Ok(connection::checkpoint(&self.connection)?)
    }

    /// A number that commands raise with every change; the running server compares it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn revision(&self) -> Result<i64, Error> {
        Ok(self.connection.prepare_cached("SELECT n FROM revision")?.query_row([], |row| row.get(0))?)
    }

    /// A number that changes whenever another connection has written. Cheaper than any query.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn data_version(&self) -> Result<i64, Error> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Writes the agency's name, in place of one that an `init` wrote which was killed before its end.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn found_agency(&mut self, agency: &AgencyName, now: u64) -> Result<(), Error> {
        self.change(|tx| {
            tx.execute("DELETE FROM agency", [])?;
            tx.execute("INSERT INTO agency (agency, founded) VALUES (?1, ?2)", (agency.as_str(), signed(now)))?;
            Ok(())
        })
    }

    /// The agency's name, if [`Self::found_agency`] has written it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn agency(&self) -> Result<Option<String>, Error> {
        Ok(self.connection.query_row("SELECT agency FROM agency", [], |row| row.get(0)).optional()?)
    }

    // One transaction of a command. The revision rises with it, so a running server takes notice.
    fn change<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.execute("UPDATE revision SET n = n + 1", [])?;
        tx.commit()?;
        Ok(done)
    }
}

// SQL has signed integers only. Every unsigned value that is stored is far below 2^63: times, sizes, counts.
fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("stored values are times, sizes and counts below 2^63")
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

// A name in a text column.
fn name<T: FromStr<Err = veilmatch_protocol::Error>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: veilmatch_protocol::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

#[cfg(test)]
impl Store {
    /// Ends the disk of this connection: what fits into the pages that are there is written, what needs another page
    /// finds the disk full.
    pub(crate) fn fill_disk(&self) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }
}

#[cfg(test)]
mod tests;
