//! What the agency has acknowledged, until it is proven to be in its published log (SPEC §17.7).

use rusqlite::{Transaction, params};
use veilmatch_protocol::frame::BatchId;

use super::{AcknowledgedRow, Store};
use crate::Error;

/// Promises that are looked after at most. Where frames come faster than they can be proven, the oldest go; what was
/// acknowledged stays.
const MOST: u32 = 65_536;

/// What an acknowledgement promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Origin of the log.
    pub(crate) origin: String,
    /// Index of the leaf.
    pub(crate) number: u64,
    /// Unix seconds by this clock.
    pub(crate) received: u64,
}

/// A promise with what was acknowledged, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromiseRow {
    pub(crate) batch: BatchId,
    pub(crate) promise: Promise,
    pub(crate) acknowledged: AcknowledgedRow,
}

/// How a promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not published in time. It may come yet.
    Late,
    /// A tree that must have the leaf has it not.
    Absent,
}

impl Broken {
    fn encode(self) -> i64 {
        match self {
            Self::Late => 1,
            Self::Absent => 2,
        }
    }
}

/// Looks after what was just acknowledged.
pub(super) fn insert(t: &Transaction<'_>, id: i64, batch: &BatchId, promise: &Promise) -> rusqlite::Result<()> {
    let Promise { origin, number, received } = promise;
    let query = "INSERT INTO promise (acknowledged, batch, origin, number, received) VALUES (?1, ?2, ?3, ?4, ?5)";
    t.prepare_cached(query)?
        .execute(params![id, batch.0, origin, number.cast_signed(), received.cast_signed()])
        .map(drop)
}

const ROWS: &str = "SELECT id, batch, origin, number, received, leaf, note
                    FROM promise JOIN acknowledged ON acknowledged.id = promise.acknowledged";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<PromiseRow> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let promise = Promise { origin: row.get(2)?, number: number(3)?, received: number(4)? };
    let acknowledged = AcknowledgedRow { id: row.get(0)?, leaf: row.get(5)?, note: row.get(6)? };
    Ok(PromiseRow { batch: BatchId(row.get(1)?), promise, acknowledged })
}

impl Store {
    /// Origins of the logs in which leaves are promised that may be asked for.
    pub(crate) fn promised_in(&self) -> Result<Vec<String>, Error> {
        self.read(|c| {
            let mut query = c.prepare("SELECT DISTINCT origin FROM promise WHERE broken < 2 ORDER BY origin")?;
            query.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Promises that a tree of this size must keep: `many` at most, any of them.
    pub(crate) fn due_in(&self, origin: &str, size: u64, many: u32) -> Result<Vec<PromiseRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare(&format!(
                "{ROWS} WHERE id IN (SELECT acknowledged FROM promise
                 WHERE origin = ?1 AND broken < 2 AND number < ?2 ORDER BY random() LIMIT ?3)"
            ))?;
            query.query_map(params![origin, size.cast_signed(), many], row)?.collect()
        })
    }

    /// Promises from before a time that a tree of this size does not keep yet and that are not known to be late.
    pub(crate) fn late_in(&self, origin: &str, size: u64, before: u64, many: u32) -> Result<Vec<PromiseRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare(&format!(
                "{ROWS}
                 WHERE origin = ?1 AND broken = 0 AND number >= ?2 AND received < ?3 ORDER BY number LIMIT ?4"
            ))?;
            query.query_map(params![origin, size.cast_signed(), before.cast_signed(), many], row)?.collect()
        })
    }

    /// Takes note of what became of promises: those that are kept need no more looking after, nor do the oldest of too many.
    pub(crate) fn settle_promises(&self, kept: &[i64], broken: &[(i64, Broken)]) -> Result<(), Error> {
        self.write(|t| {
            let mut forget = t.prepare_cached("DELETE FROM promise WHERE acknowledged = ?1")?;
            kept.iter().try_for_each(|id| forget.execute([id]).map(drop))?;
            let mut mark = t.prepare_cached("UPDATE promise SET broken = ?2 WHERE acknowledged = ?1")?;
            broken.iter().try_for_each(|(id, how)| mark.execute(params![id, how.encode()]).map(drop))?;
            let query = "DELETE FROM promise WHERE broken = 0 AND acknowledged IN
                         (SELECT acknowledged FROM promise ORDER BY acknowledged DESC LIMIT -1 OFFSET ?1)";
            t.execute(query, [MOST]).map(drop)
        })
    }

    /// Numbers of promises that are late, and of those whose leaf is absent.
    pub(crate) fn broken_promises(&self) -> Result<(u64, u64), Error> {
        self.read(|c| {
            let query =
                "SELECT coalesce(sum(broken = 1), 0), coalesce(sum(broken = 2), 0) FROM promise WHERE broken > 0";
            let number = |row: &rusqlite::Row<'_>, at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
            c.query_row(query, [], |row| Ok((number(row, 0)?, number(row, 1)?)))
        })
    }
}
