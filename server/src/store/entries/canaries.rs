//! Canaries: which entries they are, and what opens the commitment to each.

use veilmatch_protocol::{
    item::Item,
    name::{ListId, PlatformId},
};

use super::{CANARY, Edition, Entries, Ledger};
use crate::{
    Error,
    store::{signed, unsigned},
};

/// A canary as the agency alone knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryRow {
    /// Its item of the strongest kind.
    pub item: Item,
    /// What blinds its commitment.
    pub salt: [u8; 32],
    /// By when it is uploaded, in minutes of Unix time.
    pub deadline: u64,
    /// Where; `None` where nobody said so.
    pub platform: Option<PlatformId>,
}

impl Ledger<'_> {
    /// Keeps what opens a canary that this change lists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep_canary(&self, canary: &CanaryRow) -> Result<(), Error> {
        let sql = "INSERT INTO canary (list, item, since, salt, deadline, platform) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let platform = canary.platform.as_ref().map_or("", PlatformId::as_str);
        let row = (self.list, canary.item.as_bytes(), self.change, canary.salt, signed(canary.deadline), platform);
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }
}

impl Entries {
    /// The canaries that an edition lists.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Protocol`] if an item is none.
    pub fn canaries(&self, list: &ListId, edition: &Edition) -> Result<Vec<CanaryRow>, Error> {
        let sql = "SELECT item, salt, deadline, platform FROM canary
                   WHERE list = ?1 AND since <= ?2 AND EXISTS (
                       SELECT 1 FROM source JOIN claim ON claim.source = source.id AND claim.item = canary.item
                       WHERE source.list = ?1 AND source.name LIKE ?3
                         AND claim.since <= ?2 AND (claim.until IS NULL OR claim.until > ?2))
                   ORDER BY item";
        let mut rows = self.connection.prepare_cached(sql)?;
        let like = format!("{CANARY}%");
        let rows = rows.query_map((self.list(list)?, edition.change, like), |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, unsigned(row.get(2)?), row.get::<_, String>(3)?))
        })?;
        rows.map(|row| {
            let (item, salt, deadline, platform) = row?;
            Ok(CanaryRow {
                item: Item::from_bytes(&item)?,
                salt,
                deadline,
                platform: PlatformId::parse(&platform).ok(),
            })
        })
        .collect()
    }
}
