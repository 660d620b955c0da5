//! What sources say of a list, in clear, and the changes that made it so.
//!
//! A change is one transaction: it has happened, or it has not. Claims are never overwritten: one that is taken back keeps
//! its row with the number of the change that did it, so what any version listed can be told as long as nothing of it was
//! compacted away.

mod canaries;
mod categories;
mod changes;
mod claims;
mod compaction;
mod editions;
mod past;
mod records;
mod sources;
mod withdrawn;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use veilmatch_protocol::name::ListId;

use super::{connection, schema};
use crate::Error;

pub use canaries::CanaryRow;
pub use categories::{Categories, CategoryRow};
pub use changes::{Change, ChangeRow, Quarantined, Tally};
pub use claims::{Claim, Said};
pub use editions::{CANARY, Edition, Labels, PendingEntry, PendingKind, Rule, fitting};
pub use records::{Gone, Record};
pub use sources::SourceRow;

/// A connection to `entries.db`.
#[derive(Debug)]
pub struct Entries {
    connection: Connection,
}

impl Entries {
    /// Opens the database, making its tables if it is new.
    ///
    /// # Errors
    /// As [`super::Store::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { connection: connection::open(path, &schema::ENTRIES)? })
    }

    /// Begins a change of a list. What is done with it is kept by [`Ledger::keep`], and by nothing else. One that is to be
    /// counted only need not write each claim: `dry_run`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn change(&mut self, list: &ListId, dry_run: bool) -> Result<Ledger<'_>, Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute("INSERT INTO list (list) VALUES (?1) ON CONFLICT DO NOTHING", [list.as_str()])?;
        let list = list_id(&tx, list)?.ok_or(Error::Internal("a list that was just written is not there"))?;
        let change: i64 = tx.query_row("SELECT coalesce(max(id), 0) + 1 FROM change", [], |row| row.get(0))?;
        Ok(Ledger { tx, list, change, dry_run })
    }

    // The number of a list here, or 0, which no list has.
    fn list(&self, list: &ListId) -> Result<i64, Error> {
        Ok(list_id(&self.connection, list)?.unwrap_or(0))
    }
}

fn list_id(connection: &Connection, list: &ListId) -> Result<Option<i64>, Error> {
    let found = connection.query_row("SELECT id FROM list WHERE list = ?1", [list.as_str()], |row| row.get(0));
    Ok(found.optional()?)
}

/// A change that is going on. Dropped, it has not happened.
#[derive(Debug)]
pub struct Ledger<'a> {
    tx: Transaction<'a>,
    list: i64,
    change: i64,
    dry_run: bool,
}

impl Ledger<'_> {
    /// The number of the last change of any list.
    #[must_use]
    pub fn last_change(&self) -> i64 {
        self.change - 1
    }
}
