//! The match logs that the agency watches: the last checkpoint of each that it cosigned.

use rusqlite::{OptionalExtension, TransactionBehavior};
use veilmatch_protocol::name::PlatformId;

use super::{Store, signed, unsigned};
use crate::Error;

/// Most match logs of one platform: a lost log has a successor, and nobody loses that many.
const MOST_LOGS: i64 = 256;

/// A checkpoint that the agency cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The match log.
    pub origin: String,
    /// Size of its tree.
    pub size: u64,
    /// Root of its tree.
    pub root: [u8; 32],
    /// The checkpoint with the log's signature.
    pub note: Vec<u8>,
    /// The time of the cosignature.
    pub at: u64,
}

impl Store {
    /// The checkpoint of a match log that was cosigned last.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn watched(&self, origin: &str) -> Result<Option<Watched>, Error> {
        let sql = "SELECT size, root, note, at FROM watched WHERE origin = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([origin], |row| {
            Ok(Watched {
                origin: origin.to_owned(),
                size: unsigned(row.get(0)?),
                root: row.get(1)?,
                note: row.get(2)?,
                at: unsigned(row.get(3)?),
            })
        });
        Ok(found.optional()?)
    }

    /// The checkpoints of all platforms' match logs that were cosigned last.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn all_watched(&self) -> Result<Vec<Watched>, Error> {
        let mut query = self.connection.prepare("SELECT origin FROM watched ORDER BY origin")?;
        let origins: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut all = Vec::with_capacity(origins.len());
        for origin in origins {
            all.extend(self.watched(&origin)?);
        }
        Ok(all)
    }

    /// Stores a checkpoint if the one before is still that of `old_size`, 0 for none. Gives whether it did.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn watch(&mut self, platform: &PlatformId, old_size: u64, new: &Watched) -> Result<bool, Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let values = (&new.origin, signed(new.size), new.root, &new.note, signed(new.at), signed(old_size));
        let replaced = tx
            .prepare_cached(
                "UPDATE watched SET size = ?2, root = ?3, note = ?4, at = ?5
                 WHERE origin = ?1 AND size = ?6 AND (size < ?2 OR (size = ?2 AND root = ?3))",
            )?
            .execute(values)?;
        let stored = match replaced {
            0 if old_size == 0 => tx.execute(
                "INSERT INTO watched (origin, platform, size, root, note, at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6
                 WHERE (SELECT count(*) FROM watched WHERE platform = ?2) < ?7
                 ON CONFLICT DO NOTHING",
                (&new.origin, platform.as_str(), signed(new.size), new.root, &new.note, signed(new.at), MOST_LOGS),
            )?,
            replaced => replaced,
        };
        tx.commit()?;
        Ok(stored == 1)
    }
}
