//! Forgetting what was taken back long ago.

use veilmatch_protocol::name::ListId;

use super::Entries;
use crate::{Error, store::signed};

impl Entries {
    /// Forgets claims that a change up to `oldest`, made at `before` at the latest, took back, and which items changes up to `oldest`
    /// touched. Says how many claims.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing is forgotten.
    pub fn compact(&mut self, list: &ListId, oldest: i64, before: u64) -> Result<u64, Error> {
        let list = self.list(list)?;
        let tx = self.connection.transaction()?;
        let last = "SELECT coalesce(max(id), 0) FROM change WHERE list = ?1 AND id <= ?2 AND at <= ?3";
        let last: i64 = tx.query_row(last, (list, oldest, signed(before)), |row| row.get(0))?;
        let forgotten = tx.execute(
            "DELETE FROM claim WHERE source IN (SELECT id FROM source WHERE list = ?1) AND until <= ?2",
            (list, last),
        )?;
        tx.execute("UPDATE list SET compacted = max(compacted, ?2) WHERE id = ?1", (list, last))?;
        // Who compares older editions looks at all claims.
        tx.execute(
            "DELETE FROM touched WHERE change IN (SELECT id FROM change WHERE list = ?1 AND id <= ?2 AND whole = 0)",
            (list, oldest),
        )?;
        tx.execute("UPDATE change SET whole = 1 WHERE list = ?1 AND id <= ?2", (list, oldest))?;
        tx.commit()?;
        Ok(forgotten as u64)
    }

    /// The change up to which withdrawn claims are forgotten: what an older edition had cannot be told any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn compacted(&self, list: &ListId) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(compacted), 0) FROM list WHERE id = ?1";
        Ok(self.connection.query_row(sql, [self.list(list)?], |row| row.get(0))?)
    }
}
