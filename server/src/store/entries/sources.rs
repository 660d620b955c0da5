//! Who says that digests are listed.

use rusqlite::{Connection, OptionalExtension, Row};
use veilmatch_protocol::name::ListId;

use super::{CANARY, Entries, Ledger};
use crate::{
    Error,
    store::{signed, unsigned},
};

/// A source of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its number in the store.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What stands for it in labels, from 1; 0 if nothing does.
    pub number: u8,
    /// Its claims that stand.
    pub size: u64,
}

impl Ledger<'_> {
    /// The source of this name, made if there is none. The first 255 sources of a list have numbers.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn source(&self, name: &str) -> Result<SourceRow, Error> {
        let sql = "INSERT INTO source (list, name, number, size)
                   SELECT ?1, ?2, CASE WHEN max(number) = 255 THEN 0 ELSE coalesce(max(number), 0) + 1 END, 0 FROM source WHERE list = ?1
                   ON CONFLICT DO NOTHING";
        self.tx.execute(sql, (self.list, name))?;
        find(&self.tx, self.list, name)?.ok_or(Error::Internal("a source that was just written is not there"))
    }

    /// The source of this name.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Store`].
    pub fn known_source(&self, name: &str) -> Result<SourceRow, Error> {
        find(&self.tx, self.list, name)?.ok_or_else(|| Error::UnknownSource { source_name: name.to_owned() })
    }

    /// The source of the canaries of another source: its number in labels is that one's.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn canary_source(&self, of: &SourceRow) -> Result<SourceRow, Error> {
        let name = format!("{CANARY}{}", of.name);
        let sql = "INSERT INTO source (list, name, number, size) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING";
        self.tx.execute(sql, (self.list, &name, of.number))?;
        self.known_source(&name)
    }

    /// The sources of the list.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sources(&self) -> Result<Vec<SourceRow>, Error> {
        all(&self.tx, self.list)
    }

    /// Writes how many claims of a source stand.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn resize(&self, source: &SourceRow, size: u64) -> Result<(), Error> {
        self.tx.execute("UPDATE source SET size = ?2 WHERE id = ?1", (source.id, signed(size)))?;
        Ok(())
    }
}

impl Entries {
    /// The sources of a list, in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sources(&self, list: &ListId) -> Result<Vec<SourceRow>, Error> {
        all(&self.connection, self.list(list)?)
    }
}

fn find(connection: &Connection, list: i64, name: &str) -> Result<Option<SourceRow>, Error> {
    let sql = "SELECT id, name, number, size FROM source WHERE list = ?1 AND name = ?2";
    Ok(connection.prepare_cached(sql)?.query_row((list, name), source_row).optional()?)
}

pub(super) fn all(connection: &Connection, list: i64) -> Result<Vec<SourceRow>, Error> {
    let mut rows =
        connection.prepare_cached("SELECT id, name, number, size FROM source WHERE list = ?1 ORDER BY id")?;
    Ok(rows.query_map([list], source_row)?.collect::<Result<_, _>>()?)
}

fn source_row(row: &Row<'_>) -> rusqlite::Result<SourceRow> {
    Ok(SourceRow { id: row.get(0)?, name: row.get(1)?, number: row.get(2)?, size: unsigned(row.get(3)?) })
}
