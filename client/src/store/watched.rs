//! The checkpoints of the agency's logs that this platform verified last (SPEC §17.6).

use rusqlite::{OptionalExtension, params};
use veilmatch_protocol::frame::View;

use super::Store;
use crate::Error;

/// A checkpoint that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) size: u64,
    pub(crate) root: [u8; 32],
    /// With the cosignatures that counted.
    pub(crate) note: Vec<u8>,
    /// Unix seconds of the newest cosignature that counted; 0 where no policy is asked.
    pub(crate) counted: u64,
    /// Unix seconds of when this platform cosigned it and the agency has taken that; 0 if it has not.
    pub(crate) cosigned: u64,
}

impl Watched {
    /// What requests cite.
    pub(crate) fn view(&self) -> View {
        View { size: self.size, root: self.root }
    }
}

impl Store {
    /// The checkpoint of a log that was verified last.
    pub(crate) fn watched(&self, origin: &str) -> Result<Option<Watched>, Error> {
        self.read(|c| {
            let query = "SELECT size, root, note, counted, cosigned FROM watched WHERE origin = ?1";
            let row = |row: &rusqlite::Row<'_>| {
                let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
                let (size, counted, cosigned) = (number(0)?, number(3)?, number(4)?);
                Ok(Watched { size, root: row.get(1)?, note: row.get(2)?, counted, cosigned })
            };
            c.prepare_cached(query)?.query_row([origin], row).optional()
        })
    }

    /// Takes a verified checkpoint in the place of the one before. A smaller one is not taken.
    pub(crate) fn set_watched(&self, origin: &str, watched: &Watched) -> Result<(), Error> {
        let Watched { size, root, note, counted, cosigned } = watched;
        self.write(|t| {
            t.execute(
                "INSERT INTO watched (origin, size, root, note, counted, cosigned) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note,
                 counted = excluded.counted, cosigned = excluded.cosigned WHERE excluded.size >= watched.size",
                params![origin, size.cast_signed(), root, note, counted.cast_signed(), cosigned.cast_signed()],
            )
            .map(drop)
        })
    }

    /// Origins of logs that were verified before.
    pub(crate) fn watched_origins(&self) -> Result<Vec<String>, Error> {
        self.read(|c| {
            let mut query = c.prepare("SELECT origin FROM watched ORDER BY origin")?;
            query.query_map([], |row| row.get(0))?.collect()
        })
    }
}
