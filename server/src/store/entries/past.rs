//! What became of one item.

use rusqlite::OptionalExtension;
use veilmatch_protocol::{item::Item, name::ListId};

use super::{Entries, claims};
use crate::{Error, admin::Past, store::unsigned};

impl Entries {
    /// Every claim on an item that is remembered, by source and time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn past(&self, list: &ListId, item: &Item) -> Result<Vec<Past>, Error> {
        let categories = self.categories(list)?;
        let sql =
            format!("SELECT {} FROM claim WHERE source = ?1 AND item = ?2 ORDER BY since, record", claims::COLUMNS);
        let mut statement = self.connection.prepare(&sql)?;
        let mut past = Vec::new();
        for source in self.sources(list)? {
            let mut rows = statement.query((source.id, item.as_bytes()))?;
            while let Some(row) = rows.next()? {
                let claim = claims::claim(row)?;
                let category = categories.iter().find(|row| row.number == claim.said.category);
                past.push(Past {
                    source: source.name.clone(),
                    // A key that is a digest is no text.
                    record: String::from_utf8(claim.record).unwrap_or_else(|key| hex::encode(key.as_bytes())),
                    category: category
                        .map_or_else(|| "no category".into(), |row| format!("{}:{}", row.scheme, row.code)),
                    since: (claim.since, self.time_of(claim.since)?),
                    until: claim.until.map(|until| Ok::<_, Error>((until, self.time_of(until)?))).transpose()?,
                });
            }
        }
        Ok(past)
    }

    fn time_of(&self, change: i64) -> Result<u64, Error> {
        let at =
            self.connection.query_row("SELECT at FROM change WHERE id = ?1", [change], |row| row.get(0)).optional()?;
        Ok(unsigned(at.unwrap_or(0)))
    }
}
