//! Digests that the agency withdrew from a source: its files do not list them again.

use rusqlite::OptionalExtension;

use super::Ledger;
use crate::Error;

impl Ledger<'_> {
    /// Whether a digest is withdrawn from a source.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn is_withdrawn(&self, source: i64, item: &[u8]) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM withdrawn WHERE source = ?1 AND item = ?2";
        let found: Option<i64> = self.tx.prepare_cached(sql)?.query_row((source, item), |row| row.get(0)).optional()?;
        Ok(found.is_some())
    }

    /// Whether any digest is withdrawn from a source.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has_withdrawn(&self, source: i64) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM withdrawn WHERE source = ?1)";
        Ok(self.tx.query_row(sql, [source], |row| row.get(0))?)
    }

    /// Withdraws a digest from a source, or gives it back. Says whether that changes anything.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn set_withdrawn(&self, source: i64, item: &[u8], withdrawn: bool) -> Result<bool, Error> {
        if self.dry_run {
            return Ok(self.is_withdrawn(source, item)? != withdrawn);
        }
        let sql = if withdrawn {
            "INSERT INTO withdrawn (source, item) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM withdrawn WHERE source = ?1 AND item = ?2"
        };
        Ok(self.tx.prepare_cached(sql)?.execute((source, item))? == 1)
    }
}
