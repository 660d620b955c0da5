//! The agency's logs: their leaves in order, the heads that were signed, and what witnesses said of them.
//!
//! A leaf is written in the transaction of what it records, with its index; it is never changed, and never moved once it is
//! under a published head. Tiles are made from here, and can be made again.

mod lost;

use std::{collections::HashMap, ops::Range, sync::Arc};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior};
use veilmatch_protocol::{
    merkle::{leaf_hash, root},
    name::{Origin, PlatformId},
};

use super::{Store, VersionRow, signed, unsigned, writer::can_recover};
use crate::Error;

/// A log as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its number in the store.
    pub id: i64,
    /// Its name.
    pub origin: String,
    /// The tree that was signed last.
    pub head: Head,
    /// Size of the tree whose files and checkpoint were written last.
    pub published_size: u64,
    /// Its checkpoint, without cosignatures; empty before the first.
    pub published_note: Vec<u8>,
    /// Why it may not go on.
    pub halted: Option<String>,
    /// The checkpoint of another tree that halted it, with our signature; empty where none did.
    pub seen: Vec<u8>,
    /// What is lost of it, once another log goes on from it.
    pub lost: Option<Range<u64>>,
}

/// A signed tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// The signed checkpoint; empty where nothing was signed.
    pub note: Vec<u8>,
    /// When it was signed.
    pub at: u64,
}

/// A leaf on its way into a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLeaf {
    /// The log, or the first one of its half-year: where that was lost, the leaf goes into the one that goes on from it.
    pub origin: String,
    /// Whose leaf it is.
    pub platform: PlatformId,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

/// A leaf where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLeaf {
    /// The log.
    pub origin: String,
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

/// A witness's line under the tree that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The name of the witness's key.
    pub witness: String,
    /// Its signature line, newline included.
    pub line: String,
    /// When it was taken.
    pub at: u64,
}

impl Store {
    /// A log by its origin.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log(&self, origin: &str) -> Result<Option<LogRow>, Error> {
        let mut rows = self.connection.prepare_cached(&format!("{LOG} WHERE origin = ?1"))?;
        Ok(rows.query_row([origin], log_row).optional()?)
    }

    /// Every log, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn logs(&self) -> Result<Vec<LogRow>, Error> {
        let mut rows = self.connection.prepare_cached(&format!("{LOG} ORDER BY id"))?;
        Ok(rows.query_map([], log_row)?.collect::<Result<_, _>>()?)
    }

    /// Refuses if one of the logs is halted and none goes on from it.
    ///
    /// # Errors
    /// [`Error::LogHalted`] for the oldest that is, [`Error::Store`].
    pub fn check_halted(&self) -> Result<(), Error> {
        for row in self.logs()? {
            if let Some(why) = row.stopped() {
                return Err(Error::LogHalted { why: why.to_owned(), origin: row.origin });
            }
        }
        Ok(())
    }

    /// Makes a log without leaves, unless it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn begin_log(&mut self, origin: &str) -> Result<(), Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        log_id(&tx, origin)?;
        Ok(tx.commit()?)
    }

    /// How many leaves a log has, published or not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_len(&self, log: i64) -> Result<u64, Error> {
        Ok(len(&self.connection, log)?)
    }

    /// The leaves of a range, in order.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn leaves(&self, log: i64, range: Range<u64>) -> Result<Vec<Vec<u8>>, Error> {
        let sql = "SELECT leaf FROM log_leaf WHERE id >= ?1 AND id < ?2 ORDER BY id";
        let mut rows = self.connection.prepare_cached(sql)?;
        let rows = rows.query_map((place(log, range.start), place(log, range.end)), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The leaves of a platform from an index on, or those of everybody, below an index: at most so many leaves and bytes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn leaves_of(
        &self,
        log: i64,
        platform: Option<&PlatformId>,
        range: Range<u64>,
        most: usize,
        most_bytes: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let sql = match platform {
            Some(_) => {
                "SELECT id, log_leaf.leaf FROM log_owner JOIN log_leaf ON id = log_owner.leaf
                 WHERE log_owner.platform = ?3 AND log_owner.leaf >= ?1 AND log_owner.leaf < ?2 ORDER BY log_owner.leaf"
            }
            None => "SELECT id, leaf FROM log_leaf WHERE id >= ?1 AND id < ?2 AND ?3 = '' ORDER BY id",
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let platform = platform.map_or("", PlatformId::as_str);
        let mut rows = statement.query((place(log, range.start), place(log, range.end), platform))?;
        let (mut leaves, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let leaf: Vec<u8> = row.get(1)?;
            bytes += leaf.len();
            if leaves.len() == most || bytes > most_bytes {
                break;
            }
            leaves.push((index(row.get(0)?), leaf));
        }
        Ok(leaves)
    }

    /// Where the published leaf with this hash is, and whose it is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn leaf_index(&self, log: i64, hash: &[u8; 32]) -> Result<Option<(u64, String)>, Error> {
        let sql = "SELECT idx, platform, leaf FROM log_hash JOIN log_leaf ON id = ?3 + idx
                   WHERE log = ?1 AND hash = ?2 ORDER BY idx";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((log, short(hash), place(log, 0)))?;
        while let Some(row) = rows.next()? {
            if leaf_hash(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?) == *hash {
                return Ok(Some((unsigned(row.get(0)?), row.get(1)?)));
            }
        }
        Ok(None)
    }

    /// Puts a signed head in the place of the one that it extends. Gives whether it did: somebody else may have been there.
    ///
    /// # Errors
    /// [`Error::HeadUnclear`] if nobody can say whether the new head is in place: the process must end. [`Error::Store`]
    /// if it is not.
    pub fn swap_head(&mut self, log: i64, old: &Head, new: &Head) -> Result<bool, Error> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let swapped = tx.execute(
            "UPDATE log SET head_size = ?2, head_root = ?3, head_note = ?4, head_at = ?5
             WHERE id = ?1 AND head_size = ?6 AND head_root = ?7 AND halted = ''",
            (log, signed(new.size), new.root, &new.note, signed(new.at), signed(old.size), old.root),
        )?;
        tx.commit().map_err(not_swapped)?;
        Ok(swapped == 1)
    }

    /// Records that files and checkpoint of a head are written. `announce`: its root becomes one that a view may be, and a
    /// running server takes notice.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_published(&mut self, log: i64, head: &Head, announce: bool) -> Result<(), Error> {
        let published: i64 =
            self.connection.query_row("SELECT published_size FROM log WHERE id = ?1", [log], |row| row.get(0))?;
        let hashes = self.hashes(log, unsigned(published)..head.size)?;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert =
            tx.prepare_cached("INSERT INTO log_hash (log, hash, idx) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        for (hash, index) in hashes {
            insert.execute((log, hash, signed(index)))?;
        }
        drop(insert);
        let new = (place(log, unsigned(published)), place(log, head.size));
        tx.execute(
            "INSERT INTO log_owner (platform, leaf)
             SELECT platform, id FROM log_leaf WHERE id >= ?1 AND id < ?2 AND platform <> '' ORDER BY platform, id
             ON CONFLICT DO NOTHING",
            new,
        )?;
        tx.execute(
            "INSERT INTO frame_minute (asker, t, frame)
             SELECT asker, t, id FROM frame WHERE id >= ?1 AND id < ?2 AND status = 'ok' ORDER BY asker, t, id
             ON CONFLICT DO NOTHING",
            new,
        )?;
        tx.execute(
            "UPDATE log SET published_size = ?2, published_note = ?3 WHERE id = ?1",
            (log, signed(head.size), &head.note),
        )?;
        tx.execute("DELETE FROM cosignature WHERE log = ?1 AND size <> ?2", (log, signed(head.size)))?;
        if announce {
            let sql = "INSERT INTO log_root (log, size, root) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            tx.execute(sql, (log, signed(head.size), head.root))?;
            tx.execute("UPDATE revision SET n = n + 1", [])?;
        }
        Ok(tx.commit()?)
    }

    // In the order of their index, so that each of its pages is written once.
    fn hashes(&self, log: i64, range: Range<u64>) -> Result<Vec<(i64, u64)>, Error> {
        let leaves = self.leaves(log, range.clone())?;
        let mut hashes: Vec<_> = leaves.iter().map(|leaf| short(&leaf_hash(leaf))).zip(range).collect();
        hashes.sort_unstable();
        Ok(hashes)
    }

    /// The root of a tree of the manifest log that was published.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn published_root(&self, manifest_log: &Origin, size: u64) -> Result<Option<[u8; 32]>, Error> {
        let sql = "SELECT root FROM log_root WHERE size = ?2 AND log = (SELECT id FROM log WHERE origin = ?1)";
        let mut rows = self.connection.prepare_cached(sql)?;
        Ok(rows.query_row((manifest_log.as_str(), signed(size)), |row| row.get(0)).optional()?)
    }

    /// How much of the manifest log is published.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn published_size(&self, origin: &str) -> Result<u64, Error> {
        let mut rows = self.connection.prepare_cached("SELECT published_size FROM log WHERE origin = ?1")?;
        Ok(unsigned(rows.query_row([origin], |row| row.get(0)).optional()?.unwrap_or(0)))
    }

    /// Whether the manifest log has leaves that no published checkpoint has.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn has_unpublished(&self, manifest_log: &Origin) -> Result<bool, Error> {
        let Some(row) = self.log(manifest_log.as_str())? else { return Ok(false) };
        Ok(row.published_size < len(&self.connection, row.id)?)
    }

    /// Keeps a witness's line for the tree that is published, in place of its earlier one. Gives whether that tree is still
    /// the published one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn add_cosignature(&mut self, log: i64, size: u64, cosignature: &Cosignature) -> Result<bool, Error> {
        let added = self.connection.execute(
            "INSERT INTO cosignature (log, size, witness, line, at)
             SELECT id, published_size, ?3, ?4, ?5 FROM log WHERE id = ?1 AND published_size = ?2
             ON CONFLICT (log, size, witness) DO UPDATE SET line = excluded.line, at = excluded.at",
            (log, signed(size), &cosignature.witness, &cosignature.line, signed(cosignature.at)),
        )?;
        Ok(added == 1)
    }

    /// The lines under the published tree: those of third parties before those of platforms, and the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn cosignatures(&self, log: i64, size: u64) -> Result<Vec<Cosignature>, Error> {
        let sql = "SELECT witness, line, at FROM cosignature WHERE log = ?1 AND size = ?2
                   ORDER BY witness IN (SELECT platform || '/veilmatch/witness' FROM client), at DESC, witness";
        let mut rows = self.connection.prepare_cached(sql)?;
        let rows = rows.query_map((log, signed(size)), |row| {
            Ok(Cosignature { witness: row.get(0)?, line: row.get(1)?, at: unsigned(row.get(2)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gives the versions that were published before there was a log their leaves, in the order of their publication.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_earlier_versions(&mut self, log: &Origin) -> Result<(), Error> {
        let any = "SELECT EXISTS (SELECT 1 FROM manifest WHERE idx IS NULL)";
        if !self.connection.query_row(any, [], |row| row.get::<_, bool>(0))? {
            return Ok(());
        }
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let unlogged: Vec<(String, u32, Vec<u8>)> = tx
            .prepare("SELECT list, version, note FROM manifest WHERE idx IS NULL ORDER BY not_before, list, version")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (list, version, note) in unlogged {
            append_note(&tx, log, &list, version, &note)?;
        }
        Ok(tx.commit()?)
    }
}

const LOG: &str =
    "SELECT id, origin, head_size, head_root, head_note, head_at, published_size, published_note, halted, seen,
                          lost_from, lost_to FROM log";

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    let halted: String = row.get(8)?;
    Ok(LogRow {
        id: row.get(0)?,
        origin: row.get(1)?,
        head: Head { size: unsigned(row.get(2)?), root: row.get(3)?, note: row.get(4)?, at: unsigned(row.get(5)?) },
        published_size: unsigned(row.get(6)?),
        published_note: row.get(7)?,
        halted: (!halted.is_empty()).then_some(halted),
        seen: row.get(9)?,
        lost: row.get::<_, Option<i64>>(10)?.zip(row.get(11)?).map(|(from, to)| unsigned(from)..unsigned(to)),
    })
}

/// Whether somebody else was writing all the time: nothing is wrong, and it is tried again.
#[must_use]
pub fn is_busy(error: &Error) -> bool {
    let Error::Store(rusqlite::Error::SqliteFailure(failure, _)) = error else { return false };
    matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
}

/// What a commit of a head that failed means: nothing was changed, or nobody can say.
pub(super) fn not_swapped(error: rusqlite::Error) -> Error {
    if can_recover(&error) { error.into() } else { Error::HeadUnclear(error) }
}

/// Where the logs end, as one transaction sees and moves it.
#[derive(Default)]
pub(super) struct Ends(HashMap<String, End>);

/// Where one log ends.
pub(super) struct End {
    log: i64,
    origin: Arc<str>,
    next: u64,
}

impl Ends {
    /// The end of the newest log that goes on from a half-year's first one, or is that itself.
    pub(super) fn end(&mut self, tx: &Transaction<'_>, first: &str) -> rusqlite::Result<&mut End> {
        if !self.0.contains_key(first) {
            self.0.insert(first.to_owned(), End::of(tx, first)?);
        }
        Ok(self.0.get_mut(first).expect("it is there or was put there"))
    }
}

impl End {
    fn of(tx: &Transaction<'_>, first: &str) -> rusqlite::Result<Self> {
        let origin = lost::newest(tx, first)?;
        let log = log_id(tx, &origin)?;
        Ok(Self { log, origin: origin.into(), next: len(tx, log)? })
    }

    /// The place that the next leaf will have.
    pub(super) fn place(&self) -> i64 {
        place(self.log, self.next)
    }

    /// Appends a leaf; gives its log and its index.
    pub(super) fn append(&mut self, tx: &Transaction<'_>, leaf: &NewLeaf) -> rusqlite::Result<(Arc<str>, u64)> {
        let index = self.next;
        insert_leaf(tx, self.place(), leaf.platform.as_str(), &leaf.bytes)?;
        self.next += 1;
        Ok((Arc::clone(&self.origin), index))
    }
}

/// Appends a version's leaf to the manifest log.
pub(super) fn append_manifest(tx: &Transaction<'_>, log: &Origin, version: &VersionRow) -> Result<(), Error> {
    append_note(tx, log, version.list.as_str(), version.version.0, &version.note)
}

fn append_note(tx: &Transaction<'_>, log: &Origin, list: &str, version: u32, note: &[u8]) -> Result<(), Error> {
    let end = note.iter().position(|byte| *byte == b'\n');
    let leaf = end.map(|end| &note[..end]).ok_or(Error::Internal("a manifest's note has no line"))?;
    let log = log_id(tx, log.as_str())?;
    let index = len(tx, log)?;
    insert_leaf(tx, place(log, index), "", leaf)?;
    let sql = "UPDATE manifest SET idx = ?3 WHERE list = ?1 AND version = ?2";
    tx.execute(sql, (list, version, signed(index)))?;
    Ok(())
}

fn insert_leaf(tx: &Transaction<'_>, place: i64, platform: &str, leaf: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO log_leaf (id, platform, leaf) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute((place, platform, leaf))?;
    Ok(())
}

fn log_id(tx: &Transaction<'_>, origin: &str) -> rusqlite::Result<i64> {
    let found = tx.prepare_cached("SELECT id FROM log WHERE origin = ?1")?.query_row([origin], |row| row.get(0));
    if let Some(log) = found.optional()? {
        return Ok(log);
    }
    tx.prepare_cached(
        "INSERT INTO log (origin, head_size, head_root, head_note, head_at, published_size, published_note, halted)
         VALUES (?1, 0, ?2, x'', 0, 0, x'', '') RETURNING id",
    )?
    .query_row((origin, root([])), |row| row.get(0))
}

fn len(connection: &Connection, log: i64) -> rusqlite::Result<u64> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(id) FROM log_leaf WHERE id >= ?1 AND id < ?2")?
        .query_row((place(log, 0), place(log + 1, 0)), |row| row.get(0))?;
    Ok(last.map_or(0, |last| index(last) + 1))
}

/// Places of leaves in a log: more than it can have in its half-year.
pub(super) const LOG_SPAN: i64 = 1 << 40;

/// Where a leaf is among those of all logs, and its frame among all frames. Frames without a leaf are before the first log.
pub(super) fn place(log: i64, index: u64) -> i64 {
    log * LOG_SPAN + signed(index).min(LOG_SPAN)
}

/// The index in its log of a leaf in a place.
pub(super) fn index(place: i64) -> u64 {
    unsigned(place % LOG_SPAN)
}

// Enough to find a leaf by; whose hash it is, its bytes say.
fn short(hash: &[u8; 32]) -> i64 {
    i64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
}
