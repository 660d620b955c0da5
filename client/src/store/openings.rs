//! Openings, sealed, outside the log: of matches and of what was done about them.

use rusqlite::{OptionalExtension, Transaction, params};
use veilmatch_protocol::name::{Epoch, ListId};

use super::{LogId, Store, log, totals};
use crate::Error;

/// An opening with its key, both sealed.
pub(crate) struct Sealed {
    /// The key of this record, under the key of the directory.
    pub(crate) key: Vec<u8>,
    /// The record, under its key.
    pub(crate) record: Vec<u8>,
}

/// A match that is about to be recorded.
pub(crate) struct NewMatch {
    /// Keyed hash of list, epoch, tag and label: recorded once.
    pub(crate) id: [u8; 16],
    pub(crate) leaf: Vec<u8>,
    pub(crate) opening: Sealed,
}

/// Matches of an epoch of a list.
pub(crate) struct Found<'a> {
    pub(crate) list: &'a ListId,
    pub(crate) epoch: Epoch,
    pub(crate) matches: &'a [NewMatch],
}

/// A record as the tables have it.
pub(crate) struct OpeningRow {
    /// Index of its leaf.
    pub(crate) number: u64,
    pub(crate) sealed: Sealed,
    /// What was handed out of its receipt.
    pub(crate) handed_out: Option<HandedOut>,
}

/// What was handed out of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandedOut {
    /// The highest level.
    pub(crate) level: u8,
    /// Whether with the entry's secret.
    pub(crate) secret: bool,
}

fn opening(row: &rusqlite::Row<'_>) -> rusqlite::Result<OpeningRow> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let sealed = Sealed { key: row.get(1)?, record: row.get(2)? };
    let handed_out = HandedOut { level: row.get(4)?, secret: row.get(5)? };
    Ok(OpeningRow { number: number(0)?, sealed, handed_out: (number(3)? > 0).then_some(handed_out) })
}

/// Keeps the opening of a leaf; `of` is the leaf of the match that it is about, itself if it is a match.
fn insert(
    t: &Transaction<'_>,
    (log, number): (LogId, u64),
    (of_log, of): (LogId, u64),
    sealed: &Sealed,
) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT INTO opening (log, number, of_log, of, key, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![log.0, number.cast_signed(), of_log.0, of.cast_signed(), sealed.key, sealed.record])
        .map(drop)
}

/// Records matches that are not recorded yet, leaf and opening, in the log of this half-year.
pub(super) fn insert_new(t: &Transaction<'_>, (shard, date): (&str, &str), found: &Found<'_>) -> rusqlite::Result<()> {
    let log = log::current(t, shard)?;
    let (list, mut new) = (found.list.as_str(), 0);
    for NewMatch { id, leaf, opening } in found.matches {
        let query = "INSERT OR IGNORE INTO matched (id, list, epoch) VALUES (?1, ?2, ?3)";
        if t.prepare_cached(query)?.execute(params![id, list, found.epoch.0])? == 1 {
            let number = log::append(t, log, leaf)?;
            insert(t, (log, number), (log, number), opening)?;
            new += 1;
        }
    }
    totals::add(t, list, date, "matches", new)
}

impl Store {
    /// Which of these matches are recorded already.
    pub(crate) fn matched(&self, ids: &[[u8; 16]]) -> Result<Vec<bool>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT 1 FROM matched WHERE id = ?1")?;
            ids.iter().map(|id| query.exists([id])).collect()
        })
    }

    /// Forgets which matches of earlier epochs are recorded: those tags do not come again.
    pub(crate) fn end_matched_before(&self, list: &ListId, epoch: Epoch) -> Result<(), Error> {
        self.write(|t| {
            t.execute("DELETE FROM matched WHERE list = ?1 AND epoch < ?2", params![list.as_str(), epoch.0]).map(drop)
        })
    }

    /// The openings of the matches of a log, ascending, from an index on, `many` at most.
    pub(crate) fn openings(&self, log: LogId, from: u64, many: u32) -> Result<Vec<OpeningRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT number, key, record, released, level, secret FROM opening
                 WHERE log = ?1 AND number >= ?2 AND of_log = log AND of = number ORDER BY number LIMIT ?3",
            )?;
            query.query_map(params![log.0, from.cast_signed(), many], opening)?.collect()
        })
    }

    /// The opening of a leaf.
    pub(crate) fn opening(&self, log: LogId, number: u64) -> Result<Option<OpeningRow>, Error> {
        self.read(|c| {
            let query =
                "SELECT number, key, record, released, level, secret FROM opening WHERE log = ?1 AND number = ?2";
            c.query_row(query, params![log.0, number.cast_signed()], opening).optional()
        })
    }

    /// The openings about a match: its own first, then what was done, in order.
    pub(crate) fn openings_of(&self, log: LogId, of: u64) -> Result<Vec<OpeningRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT number, key, record, released, level, secret FROM opening WHERE of_log = ?1 AND of = ?2 ORDER BY log, number",
            )?;
            query.query_map(params![log.0, of.cast_signed()], opening)?.collect()
        })
    }

    /// Records what was done about a match, in the log of this half-year: leaf, opening and the day's total in one
    /// transaction. Gives the leaf's place.
    pub(crate) fn record_action(
        &self,
        shard: &str,
        of: (LogId, u64),
        (list, date, code): (&str, &str, &str),
        leaf: &[u8],
        sealed: &Sealed,
    ) -> Result<(LogId, u64), Error> {
        self.write(|t| {
            let log = log::current(t, shard)?;
            let number = log::append(t, log, leaf)?;
            insert(t, (log, number), of, sealed)?;
            totals::add(t, list, date, &format!("action:{code}"), 1)?;
            Ok((log, number))
        })
    }

    /// Takes note of what was handed out of a receipt; counts it the first time.
    pub(crate) fn release(
        &self,
        (log, number): (LogId, u64),
        handed_out: HandedOut,
        (list, date): (&str, &str),
        now: u64,
    ) -> Result<(), Error> {
        self.write(|t| {
            let query = "UPDATE opening SET released = ?3 WHERE log = ?1 AND number = ?2 AND released = 0";
            let first = t.execute(query, params![log.0, number.cast_signed(), now.cast_signed()])?;
            let query =
                "UPDATE opening SET level = max(level, ?3), secret = max(secret, ?4) WHERE log = ?1 AND number = ?2";
            t.execute(query, params![log.0, number.cast_signed(), handed_out.level, handed_out.secret])?;
            totals::add(t, list, date, "receipts", first as u64)
        })
    }

    /// Destroys everything about these matches of a log and says so in the log of this half-year, in one transaction. Gives
    /// the leaf's place.
    pub(crate) fn erase(
        &self,
        shard: &str,
        (log, numbers): (LogId, &[u64]),
        leaf: &[u8],
    ) -> Result<(LogId, u64), Error> {
        self.write(|t| {
            let mut delete = t.prepare_cached("DELETE FROM opening WHERE of_log = ?1 AND of = ?2")?;
            for number in numbers {
                delete.execute(params![log.0, number.cast_signed()])?;
            }
            let current = log::current(t, shard)?;
            Ok((current, log::append(t, current, leaf)?))
        })
    }
}
