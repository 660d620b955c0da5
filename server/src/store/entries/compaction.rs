//! Forgetting what was taken back long ago.

use veilmatch_protocol::name::ListId;

use super::Entries;
use crate::{
    Error,
    store::{signed, unsigned},
};

/// Share of free pages from which the file is written anew, in parts of a hundred.
const FREE: u64 = 25;

impl Entries {
    /// Forgets claims that a change up to `oldest`, made at `before` at the latest, took back, and which items changes up to `oldest`
    /// touched. Says how many claims.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing is forgotten.
    pub fn compact(&mut self, list: &ListId, oldest: i64, before: u64) -> Result<u64, Error> {
        let list = self.list(list)?;
        let tx = self.connection.transaction()?;
        let forgotten = tx.execute(
            "DELETE FROM claim WHERE source IN (SELECT id FROM source WHERE list = ?1)
             AND until <= (SELECT coalesce(max(id), 0) FROM change WHERE list = ?1 AND id <= ?2 AND at <= ?3)",
            (list, oldest, signed(before)),
        )?;
        // Who compares older editions looks at all claims.
        tx.execute(
            "DELETE FROM touched WHERE change IN (SELECT id FROM change WHERE list = ?1 AND id <= ?2 AND whole = 0)",
            (list, oldest),
        )?;
        tx.execute("UPDATE change SET whole = 1 WHERE list = ?1 AND id <= ?2", (list, oldest))?;
        tx.commit()?;
        let pages = |name| self.connection.pragma_query_value(None, name, |row| row.get(0)).map(unsigned);
        if pages("freelist_count")? * 100 > pages("page_count")? * FREE {
            self.connection.execute_batch("VACUUM")?;
        }
        Ok(forgotten as u64)
    }
}
