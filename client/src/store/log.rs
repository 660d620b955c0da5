//! The match log: leaves with their indices, the head that was signed last, and how both come about in one transaction with
//! what they speak of (SPEC §18.5).

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Store;
use crate::Error;

/// Number of a log in the tables: one shard in one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LogId(pub(super) i64);

/// A log as the tables have it.
#[derive(Debug, Clone)]
pub(crate) struct LogRow {
    pub(crate) id: LogId,
    /// Half-year, such as `2026h2`.
    pub(crate) shard: String,
    /// 1, or more where earlier ones were lost.
    pub(crate) generation: u32,
    /// Leaves that are durable.
    pub(crate) leaves: u64,
    /// Size of the tree that was signed last.
    pub(crate) size: u64,
    /// The checkpoint that was signed last, with the cosignatures that came since.
    pub(crate) head: Option<Vec<u8>>,
    /// Unix seconds of when that was.
    pub(crate) signed: u64,
    /// Size of the tree that the agency cosigned last, as far as this side knows.
    pub(crate) cosigned: u64,
    /// Whether it goes on as another one.
    pub(crate) lost: bool,
}

const COLUMNS: &str =
    "id, shard, generation, (SELECT coalesce(max(number) + 1, 0) FROM leaf WHERE leaf.log = log.id), size, head,
                       signed, cosigned, lost";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<LogRow> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(LogRow {
        id: LogId(row.get(0)?),
        shard: row.get(1)?,
        generation: row.get(2)?,
        leaves: number(3)?,
        size: number(4)?,
        head: row.get(5)?,
        signed: number(6)?,
        cosigned: number(7)?,
        lost: row.get(8)?,
    })
}

/// The log that leaves of this half-year go to: the newest one, made if a half-year begins. A clock that went back does not
/// open a half-year again that another one followed.
pub(super) fn current(t: &Transaction<'_>, shard: &str) -> rusqlite::Result<LogId> {
    let query = "SELECT id, shard FROM log WHERE lost = 0 ORDER BY shard DESC, generation DESC LIMIT 1";
    let newest =
        t.prepare_cached(query)?.query_row([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).optional()?;
    match newest {
        Some((id, newest)) if newest.as_str() >= shard => Ok(LogId(id)),
        _ => insert(t, shard, 1),
    }
}

fn insert(t: &Transaction<'_>, shard: &str, generation: u32) -> rusqlite::Result<LogId> {
    t.execute("INSERT INTO log (shard, generation) VALUES (?1, ?2)", params![shard, generation])?;
    Ok(LogId(t.last_insert_rowid()))
}

/// Appends a leaf; gives its index. It is the leaf's for ever once the transaction is durable.
pub(super) fn append(t: &Connection, log: LogId, leaf: &[u8]) -> rusqlite::Result<u64> {
    let query = "INSERT INTO leaf (log, number, bytes)
                 VALUES (?1, (SELECT coalesce(max(number) + 1, 0) FROM leaf WHERE log = ?1), ?2) RETURNING number";
    t.prepare_cached(query)?.query_row(params![log.0, leaf], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

impl Store {
    /// Makes sure that there is a log of this half-year: by the clock, not with its first leaf. A database that was lost has
    /// none, and the agency may know of one.
    pub(crate) fn begin_log(&self, shard: &str) -> Result<(), Error> {
        let begun = self.logs()?.iter().any(|log| !log.lost && log.shard.as_str() >= shard);
        if begun { Ok(()) } else { self.write(|t| current(t, shard).map(drop)) }
    }

    /// Every log, oldest first.
    pub(crate) fn logs(&self) -> Result<Vec<LogRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare(&format!("SELECT {COLUMNS} FROM log ORDER BY shard, generation"))?;
            query.query_map([], row)?.collect()
        })
    }

    /// One log.
    pub(crate) fn log(&self, log: LogId) -> Result<LogRow, Error> {
        self.read(|c| c.query_row(&format!("SELECT {COLUMNS} FROM log WHERE id = ?1"), [log.0], row))
    }

    /// Appends leaves to a log, one at least if nothing came since it was signed, until its size is a multiple of `multiple`;
    /// gives its size.
    pub(crate) fn pad(&self, log: LogId, multiple: u64, pad: impl Fn() -> Vec<u8>) -> Result<u64, Error> {
        self.write(|t| {
            let now = t.query_row(&format!("SELECT {COLUMNS} FROM log WHERE id = ?1"), [log.0], row)?;
            let mut leaves = now.leaves;
            while leaves == now.size || !leaves.is_multiple_of(multiple) {
                leaves = append(t, log, &pad())? + 1;
            }
            Ok(leaves)
        })
    }

    /// Leaves of a log in order, from an index up to but not including another.
    pub(crate) fn leaves(&self, log: LogId, from: u64, to: u64) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT bytes FROM leaf WHERE log = ?1 AND number >= ?2 AND number < ?3 ORDER BY number",
            )?;
            let range = params![log.0, from.cast_signed(), to.cast_signed()];
            query.query_map(range, |row| row.get(0))?.collect()
        })
    }

    /// Replaces the signed head if it is still that of `old` leaves: compare and swap. Whether it was.
    pub(crate) fn set_head(&self, log: LogId, old: u64, size: u64, note: &[u8], now: u64) -> Result<bool, Error> {
        self.write(|t| {
            let query = "UPDATE log SET size = ?3, head = ?4, signed = ?5 WHERE id = ?1 AND size = ?2 AND lost = 0";
            let (old, size) = (old.cast_signed(), size.cast_signed());
            Ok(t.execute(query, params![log.0, old, size, note, now.cast_signed()])? == 1)
        })
    }

    /// Keeps the agency's cosignature with the head of this size.
    pub(crate) fn set_cosigned(&self, log: LogId, size: u64, note: &[u8]) -> Result<(), Error> {
        self.write(|t| {
            let query = "UPDATE log SET cosigned = ?2, head = ?3 WHERE id = ?1 AND size = ?2";
            t.execute(query, params![log.0, size.cast_signed(), note]).map(drop)
        })
    }

    /// Ends a log that its keeper has lost a part of, and goes on with another generation: `first` is its first leaf, and
    /// what was never signed, from index `from` on, follows as `moved` writes it, with openings; leaves that `moved` makes
    /// more come behind all others. Gives the new log.
    pub(crate) fn go_on(
        &self,
        lost: LogId,
        from: u64,
        first: &[u8],
        moved: impl Fn(&[u8]) -> Vec<Vec<u8>>,
    ) -> Result<LogId, Error> {
        self.write(|t| {
            let query = "UPDATE log SET lost = 1 WHERE id = ?1 RETURNING shard, generation";
            let (shard, generation): (String, u32) =
                t.query_row(query, [lost.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let new = insert(t, &shard, generation + 1)?;
            append(t, new, first)?;
            let rest = params![lost.0, from.cast_signed()];
            let leaves: Vec<Vec<u8>> = t
                .prepare("SELECT bytes FROM leaf WHERE log = ?1 AND number >= ?2 ORDER BY number")?
                .query_map(rest, |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut more = Vec::new();
            for leaf in &leaves {
                let mut moved = moved(leaf).into_iter();
                moved.next().map_or(Ok(0), |leaf| append(t, new, &leaf))?;
                more.extend(moved);
            }
            more.iter().try_for_each(|leaf| append(t, new, leaf).map(drop))?;
            t.execute("DELETE FROM leaf WHERE log = ?1 AND number >= ?2", rest)?;
            let new_place = params![new.0, lost.0, from.cast_signed()];
            t.execute("UPDATE opening SET of_log = ?1, of = of - ?3 + 1 WHERE of_log = ?2 AND of >= ?3", new_place)?;
            t.execute(
                "UPDATE opening SET log = ?1, number = number - ?3 + 1 WHERE log = ?2 AND number >= ?3",
                new_place,
            )?;
            Ok(new)
        })
    }
}
