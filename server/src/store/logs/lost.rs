//! Logs that were halted, and those that go on from them (SPEC §17.1, §17.7).

use std::ops::Range;

use rusqlite::{Connection, TransactionBehavior};
use veilmatch_audit::{
    checkpoint::Checkpoint,
    origin::{LogOrigin, Shard},
};
use veilmatch_protocol::note::Note;

use super::{LogRow, insert_leaf, log_id, place};
use crate::{
    Error,
    store::{Store, signed},
};

impl LogRow {
    /// Why it stands still: it is halted, and no other log goes on from it.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.halted.as_deref().filter(|_| self.lost.is_none())
    }

    /// The tree that halted it, as its checkpoint has it.
    #[must_use]
    pub fn seen_tree(&self) -> Option<Checkpoint> {
        tree_of(&self.seen)
    }

    /// Size and root of the tree that files and store must have: the one that was signed last, and of a log that was given up
    /// the one that was published last.
    #[must_use]
    pub fn kept_tree(&self) -> (u64, [u8; 32]) {
        let published = self.lost.as_ref().and_then(|_| tree_of(&self.published_note));
        published.map_or((self.head.size, self.head.root), |tree| (tree.size, tree.root))
    }
}

impl Store {
    /// Ends a log: nothing is signed for it any more, and a server does not answer. `seen` is the checkpoint of another tree
    /// that shows it, empty for none: of several that of the largest tree is kept, and the first reason.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn halt_log(&mut self, log: i64, why: &str, seen: &[u8]) -> Result<(), Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before: Vec<u8> = tx.query_row("SELECT seen FROM log WHERE id = ?1", [log], |row| row.get(0))?;
        let size = |note: &[u8]| tree_of(note).map(|tree| tree.size);
        let kept = if size(seen) > size(&before) { seen } else { &before };
        let sql = "UPDATE log SET halted = CASE halted WHEN '' THEN ?2 ELSE halted END, seen = ?3 WHERE id = ?1";
        tx.execute(sql, (log, why, kept))?;
        Ok(tx.commit()?)
    }

    /// The newest log of the half-year that this one is of.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn newest_of(&self, log: &LogOrigin) -> Result<LogOrigin, Error> {
        Ok(LogOrigin::parse(&newest(&self.connection, &log.to_string())?)?)
    }

    /// Lets another log go on from a halted one, or once more from one that was given up. Its first leaf is `first`, which
    /// states that `lost` is lost; what was recorded and never published comes behind it.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Internal`] if the log is not the one that was looked at, or the other one is there.
    pub fn go_on(&mut self, from: &LogRow, lost: &Range<u64>, next: &LogOrigin, first: &[u8]) -> Result<(), Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let next = next.to_string();
        let there: bool =
            tx.query_row("SELECT EXISTS (SELECT 1 FROM log WHERE origin = ?1)", [&next], |row| row.get(0))?;
        let given_up = tx.execute(
            "UPDATE log SET lost_from = ?2, lost_to = ?3 WHERE id = ?1 AND published_size = ?4 AND halted <> ''",
            (from.id, signed(lost.start), signed(lost.end), signed(from.published_size)),
        )?;
        if there || given_up != 1 {
            return Err(Error::Internal("a log that was to be given up has changed"));
        }
        let new = log_id(&tx, &next)?;
        insert_leaf(&tx, place(new, 0), "", first)?;
        // No index has them.
        let unpublished = (place(from.id, from.published_size), place(from.id + 1, 0));
        let places = place(new, 1) - unpublished.0;
        for moved in ["log_leaf", "frame"] {
            let sql = format!("UPDATE {moved} SET id = id + ?3 WHERE id >= ?1 AND id < ?2");
            tx.execute(&sql, (unpublished.0, unpublished.1, places))?;
        }
        Ok(tx.commit()?)
    }
}

/// The newest log of the half-year that this one is of: that itself if no other went on from it.
pub(super) fn newest(connection: &Connection, origin: &str) -> rusqlite::Result<String> {
    let log = LogOrigin::parse(origin).ok().and_then(|log| log.shard().map(|shard| (log, shard)));
    let Some((log, shard)) = log else { return Ok(origin.to_owned()) };
    let mut rows = connection.prepare_cached("SELECT origin FROM log WHERE substr(origin, 1, length(?1)) = ?1")?;
    let of_it = rows.query_map([log.in_shard(shard.first()).to_string()], |row| row.get::<_, String>(0))?;
    let of_it = of_it.collect::<rusqlite::Result<Vec<_>>>()?;
    let shards = of_it.iter().filter_map(|origin| LogOrigin::parse(origin).ok()?.shard());
    Ok(log.in_shard(shards.fold(shard, Shard::max)).to_string())
}

// What a checkpoint says that was verified when it was stored; nothing where there is none.
fn tree_of(note: &[u8]) -> Option<Checkpoint> {
    Checkpoint::parse(Note::parse(note).ok()?.text()).ok()
}
