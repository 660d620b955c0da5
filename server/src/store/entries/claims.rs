//! Claims: one source's word that an item is listed.

use rusqlite::{OptionalExtension, Row};
use veilmatch_protocol::item::Item;

use super::Ledger;
use crate::{
    Error,
    store::{signed, unsigned},
};

/// What a claim says beside its item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Number of the category; 0 if none was said.
    pub category: u16,
    /// Whether the same record names a stronger kind, too.
    pub stronger: bool,
    /// Case or series.
    pub reference: String,
    /// Seconds since 1970 from which it is listed.
    pub valid_from: Option<u64>,
    /// Seconds since 1970 from which it is not listed any more.
    pub valid_until: Option<u64>,
}

/// A claim as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The item.
    pub item: Item,
    /// Key of the source's record; empty where the digest itself is the key.
    pub record: Vec<u8>,
    /// The change that made it.
    pub since: i64,
    /// The change that took it back.
    pub until: Option<i64>,
    /// What it says.
    pub said: Said,
}

/// The columns of a claim, in the order that [`claim`] reads them.
pub(super) const COLUMNS: &str = "item, record, since, until, category, stronger, reference, valid_from, valid_until";

pub(super) fn claim(row: &Row<'_>) -> Result<Claim, Error> {
    let item = Item::from_bytes(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
    Ok(Claim {
        item,
        record: row.get(1)?,
        since: row.get(2)?,
        until: row.get(3)?,
        said: Said {
            category: row.get(4)?,
            stronger: row.get(5)?,
            reference: row.get(6)?,
            valid_from: row.get::<_, Option<i64>>(7)?.map(unsigned),
            valid_until: row.get::<_, Option<i64>>(8)?.map(unsigned),
        },
    })
}

impl Ledger<'_> {
    /// Visits the claims of a source that stand and have no record of their own, by item.
    ///
    /// # Errors
    /// [`Error::Store`], and those of `visit`.
    pub fn visit_loose(&self, source: i64, mut visit: impl FnMut(Claim) -> Result<(), Error>) -> Result<(), Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM claim WHERE source = ?1 AND record = x'' AND until IS NULL ORDER BY item");
        let mut statement = self.tx.prepare_cached(&sql)?;
        let mut rows = statement.query([source])?;
        while let Some(row) = rows.next()? {
            visit(claim(row)?)?;
        }
        Ok(())
    }

    /// The claims of a source on an item that stand.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn standing(&self, source: i64, item: &Item) -> Result<Vec<Claim>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM claim WHERE source = ?1 AND item = ?2 AND until IS NULL ORDER BY record");
        let mut statement = self.tx.prepare_cached(&sql)?;
        let mut rows = statement.query((source, item.as_bytes()))?;
        let mut claims = Vec::new();
        while let Some(row) = rows.next()? {
            claims.push(claim(row)?);
        }
        Ok(claims)
    }

    /// What a source says of an item without a record, if that stands.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn loose(&self, source: i64, item: &Item) -> Result<Option<Said>, Error> {
        Ok(self.standing(source, item)?.into_iter().find(|claim| claim.record.is_empty()).map(|claim| claim.said))
    }

    /// Writes a claim.
    ///
    /// # Errors
    /// [`Error::Store`], if it stands already.
    pub fn claim(&self, source: i64, item: &[u8], record: &[u8], said: &Said) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let sql = "INSERT INTO claim (source, item, record, since, until, category, stronger, reference, valid_from, valid_until)
                   VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?9)";
        let Said { category, stronger, reference, valid_from, valid_until } = said;
        let (from, until) = (valid_from.map(signed), valid_until.map(signed));
        let row = (source, item, record, self.change, category, stronger, reference, from, until);
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Takes a claim back; says whether it stood. One on a file that was known to be harmless never did.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn unclaim(&self, source: i64, item: &[u8], record: &[u8]) -> Result<bool, Error> {
        if self.dry_run {
            let item = Item::from_bytes(item)?;
            return Ok(self.standing(source, &item)?.iter().any(|claim| claim.record == record));
        }
        let sql = "UPDATE claim SET until = ?4 WHERE source = ?1 AND item = ?2 AND record = ?3 AND until IS NULL";
        Ok(self.tx.prepare_cached(sql)?.execute((source, item, record, self.change))? == 1)
    }

    /// Remembers that the change touched an item. Items come in order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn touch(&self, item: &[u8]) -> Result<(), Error> {
        if self.dry_run {
            return Ok(());
        }
        let sql = "INSERT INTO touched (change, item) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.tx.prepare_cached(sql)?.execute((self.change, item))?;
        Ok(())
    }

    /// Whether an item is on the list's set of known files.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn is_known(&self, item: &[u8]) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM known WHERE list = ?1 AND item = ?2";
        let found: Option<i64> =
            self.tx.prepare_cached(sql)?.query_row((self.list, item), |row| row.get(0)).optional()?;
        Ok(found.is_some())
    }

    /// Whether the list has a set of known files.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn knows_files(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM known WHERE list = ?1)";
        Ok(self.tx.query_row(sql, [self.list], |row| row.get(0))?)
    }

    /// Puts an item on the set of known files, or takes it off. Says whether that changed anything.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn set_known(&self, item: &[u8], known: bool) -> Result<bool, Error> {
        let sql = if known {
            "INSERT INTO known (list, item) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM known WHERE list = ?1 AND item = ?2"
        };
        Ok(self.tx.prepare_cached(sql)?.execute((self.list, item))? == 1)
    }
}
