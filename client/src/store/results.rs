//! Sealed blocks of results, and the index that finds an item's row.

use std::hash::{BuildHasherDefault, Hasher};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use veilmatch_protocol::name::{Epoch, ListId};

use super::{Shelf, Store, shelf::is_there};
use crate::Error;

/// Number of a sealed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BlockId(pub(super) i64);

impl BlockId {
    /// As it is bound into the seal.
    pub(crate) fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// A block in no database.
    #[cfg(test)]
    pub(crate) fn of(id: i64) -> Self {
        Self(id)
    }
}

/// What an item, or a subject, is found by: 128 bits of an HMAC.
pub(crate) type IdOf = [u8; 16];

/// Hashes ids for tables in memory. They are keyed hashes themselves: nobody without the key can choose any that collide.
pub(crate) type IdHash = BuildHasherDefault<OwnBits>;

/// Takes the first eight bytes for the hash.
#[derive(Default)]
pub(crate) struct OwnBits(u64);

impl Hasher for OwnBits {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length, which is that of all.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where a subject lies: its block and its number in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) block: BlockId,
    pub(crate) subject: u16,
}

impl Place {
    fn encode(self) -> i64 {
        self.block.0 << 16 | i64::from(self.subject)
    }

    fn decode(place: i64) -> Self {
        Self { block: BlockId(place >> 16), subject: (place & 0xffff) as u16 }
    }
}

/// A sealed block that is about to be added.
pub(crate) struct NewBlock {
    pub(crate) id: BlockId,
    pub(crate) shelf: Shelf,
    pub(crate) subjects: usize,
    pub(crate) sealed: Vec<u8>,
    /// What its subjects are found by, with their numbers in the block.
    pub(crate) ids: Vec<(IdOf, u16)>,
}

/// A subject that is taken out of its block: what it and its items are found by.
pub(crate) struct Gone {
    pub(crate) subject: IdOf,
    pub(crate) items: Vec<IdOf>,
}

/// A block whose entries are not in the index yet.
pub(crate) struct FreshBlock {
    pub(crate) id: BlockId,
    pub(crate) subjects: usize,
    pub(crate) ids: Vec<(IdOf, u16)>,
}

/// Bytes of an entry of `fresh.ids`.
const ENTRY: usize = 16 + 2;

/// Adds a block, unless its epoch was destroyed while its frame was on its way: then nobody could open it.
pub(super) fn insert_block(t: &Transaction<'_>, block: &NewBlock) -> rusqlite::Result<()> {
    if !is_there(t, block.shelf)? {
        return Ok(());
    }
    insert_sealed(t, block)?;
    let ids: Vec<u8> = block.ids.iter().flat_map(|(id, subject)| [&id[..], &subject.to_be_bytes()].concat()).collect();
    t.prepare_cached("INSERT INTO fresh (block, shelf, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![block.id.0, block.shelf.0, ids])
        .map(drop)
}

fn delete_block(t: &Transaction<'_>, block: BlockId) -> rusqlite::Result<()> {
    for table in ["DELETE FROM block WHERE id = ?1", "DELETE FROM fresh WHERE block = ?1"] {
        t.prepare_cached(table)?.execute([block.0])?;
    }
    Ok(())
}

fn insert_sealed(t: &Transaction<'_>, block: &NewBlock) -> rusqlite::Result<()> {
    t.prepare_cached("INSERT INTO block (id, shelf, subjects, sealed) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![block.id.0, block.shelf.0, super::number(block.subjects), block.sealed])
        .map(drop)
}

impl Store {
    /// Adds a block alone.
    #[cfg(test)]
    pub(crate) fn add_block(&self, block: &NewBlock) -> Result<(), Error> {
        self.write(|t| insert_block(t, block))
    }

    /// Blocks whose entries are not in the index yet.
    pub(crate) fn fresh(&self, shelf: Shelf) -> Result<Vec<FreshBlock>, Error> {
        self.read(|c| {
            let mut query = c.prepare(
                "SELECT fresh.block, block.subjects, fresh.ids FROM fresh JOIN block ON block.id = fresh.block
                 WHERE fresh.shelf = ?1 ORDER BY fresh.block",
            )?;
            let rows = query.query_map([shelf.0], |row| {
                let (id, subjects, ids): (i64, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let entry = |entry: &[u8; ENTRY]| {
                    let (id, subject) = entry.split_first_chunk::<16>().expect("an entry is an id and a number");
                    (*id, u16::from_be_bytes([subject[0], subject[1]]))
                };
                let entries = ids.as_chunks::<ENTRY>().0.iter().map(entry).collect();
                Ok(FreshBlock { id: BlockId(id), subjects: usize::try_from(subjects).unwrap_or(0), ids: entries })
            })?;
            rows.collect()
        })
    }

    /// Looks ids up in the index; `None` where there is nothing.
    pub(crate) fn seen(&self, shelf: Shelf, ids: &[IdOf]) -> Result<Vec<Option<Place>>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT place FROM seen WHERE shelf = ?1 AND id = ?2")?;
            ids.iter()
                .map(|id| query.query_row(params![shelf.0, id], |row| row.get(0).map(Place::decode)).optional())
                .collect()
        })
    }

    /// Ids of the index in their order, `many` at most, after one of them or from the first on.
    pub(crate) fn indexed(&self, shelf: Shelf, after: Option<&IdOf>, many: u32) -> Result<Vec<IdOf>, Error> {
        // Every id is greater than the empty one.
        let after = after.map_or(&[][..], |id| id);
        self.read(|c| {
            let query = "SELECT id FROM seen WHERE shelf = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
            let mut query = c.prepare_cached(query)?;
            query.query_map(params![shelf.0, after, many], |row| row.get(0))?.collect()
        })
    }

    /// Takes a block's entries away from those that are not in the index yet.
    pub(crate) fn no_longer_fresh(&self, block: BlockId) -> Result<(), Error> {
        self.write(|t| t.execute("DELETE FROM fresh WHERE block = ?1", [block.0]).map(drop))
    }

    /// Puts entries into the index. Give them ascending by id: neighbours lie on one page.
    pub(crate) fn index(&self, shelf: Shelf, entries: &[(IdOf, Place)]) -> Result<(), Error> {
        self.write(|t| {
            if !is_there(t, shelf)? {
                return Ok(());
            }
            let mut insert = t.prepare_cached("INSERT OR REPLACE INTO seen (shelf, id, place) VALUES (?1, ?2, ?3)")?;
            entries.iter().try_for_each(|(id, place)| insert.execute(params![shelf.0, id, place.encode()]).map(drop))
        })
    }

    /// Ends the freshness of blocks whose entries are in the index; `merged` take the place of `replaced`.
    pub(crate) fn settled(&self, blocks: &[BlockId], merged: &[NewBlock], replaced: &[BlockId]) -> Result<(), Error> {
        self.write(|t| {
            let there = |block: &&NewBlock| is_there(t, block.shelf).unwrap_or(false);
            merged.iter().filter(there).try_for_each(|block| insert_sealed(t, block))?;
            let mut delete = t.prepare_cached("DELETE FROM block WHERE id = ?1")?;
            replaced.iter().try_for_each(|block| delete.execute([block.0]).map(drop))?;
            let mut end = t.prepare_cached("DELETE FROM fresh WHERE block = ?1")?;
            blocks.iter().try_for_each(|block| end.execute([block.0]).map(drop))
        })
    }

    /// Puts `left`, what is left of a block, in its place, and forgets where those that are gone from it were found.
    pub(crate) fn replace_block(
        &self,
        shelf: Shelf,
        block: BlockId,
        left: Option<&NewBlock>,
        gone: &[Gone],
    ) -> Result<(), Error> {
        self.write(|t| {
            left.map_or(Ok(()), |left| insert_block(t, left))?;
            delete_block(t, block)?;
            let mut unsee = t.prepare_cached("DELETE FROM seen WHERE shelf = ?1 AND id = ?2 AND place >> 16 = ?3")?;
            let mut unmark = t.prepare_cached(
                "DELETE FROM mark WHERE shelf = ?1 AND subject = ?2
                 AND round IN (SELECT round FROM shelf WHERE id = ?1 UNION SELECT begun FROM shelf WHERE id = ?1)",
            )?;
            for Gone { subject, items } in gone {
                for id in items.iter().chain([subject]) {
                    unsee.execute(params![shelf.0, id, block.0])?;
                }
                unmark.execute(params![shelf.0, subject])?;
            }
            Ok(())
        })
    }

    /// Deletes a block with its entries that are not in the index yet. Those in the index lead nowhere from then on.
    pub(crate) fn delete_block(&self, block: BlockId) -> Result<(), Error> {
        self.write(|t| delete_block(t, block))
    }

    /// Copies the write-ahead log back and empties it, so that what was overwritten in the database is not left in there.
    /// A reader can be in the way; then the log is emptied by a later write.
    pub(crate) fn empty_log(&self) -> Result<(), Error> {
        let busy: i64 = super::lock(&self.writer)
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|source| self.wrap(source))?;
        if busy != 0 {
            tracing::info!("the log of the database is emptied later: somebody reads");
        }
        Ok(())
    }

    /// A sealed block.
    pub(crate) fn block(&self, id: BlockId) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT sealed FROM block WHERE id = ?1")?;
            query.query_row([id.0], |row| row.get(0)).optional()
        })
    }

    /// All blocks of a shelf as they are now, whatever is added or merged meanwhile.
    pub(crate) fn snapshot(&self, shelf: Shelf) -> Result<Snapshot<'_>, Error> {
        let open = || {
            let connection = super::reading(&self.path)?;
            connection.execute_batch("BEGIN")?;
            Ok(Snapshot { store: self, connection, shelf, last: 0 })
        };
        open().map_err(|source| self.wrap(source))
    }

    /// Subjects kept for an epoch.
    pub(crate) fn kept(&self, list: &ListId, epoch: Epoch) -> Result<u64, Error> {
        self.read(|c| {
            c.query_row(
                "SELECT coalesce(sum(subjects), 0) FROM block
                 WHERE shelf = (SELECT id FROM shelf WHERE list = ?1 AND epoch = ?2)",
                params![list.as_str(), epoch.0],
                |row| row.get::<_, i64>(0),
            )
        })
        .map(i64::cast_unsigned)
    }
}

/// The blocks of a shelf in one read transaction.
pub(crate) struct Snapshot<'a> {
    store: &'a Store,
    connection: Connection,
    shelf: Shelf,
    last: i64,
}

impl Snapshot<'_> {
    /// The next block.
    pub(crate) fn next(&mut self) -> Result<Option<SealedBlock>, Error> {
        let read = || {
            let query = "SELECT id, subjects, sealed FROM block WHERE shelf = ?1 AND id > ?2 ORDER BY id LIMIT 1";
            self.connection
                .prepare_cached(query)?
                .query_row(params![self.shelf.0, self.last], |row| {
                    let subjects: i64 = row.get(1)?;
                    // A block has one at least, whatever became of the number.
                    let subjects = subjects.cast_unsigned().max(1);
                    Ok(SealedBlock { id: BlockId(row.get(0)?), subjects, sealed: row.get(2)? })
                })
                .optional()
        };
        let block = read().map_err(|source| self.store.wrap(source))?;
        self.last = block.as_ref().map_or(self.last, |block| block.id.0);
        Ok(block)
    }
}

/// A block as it lies in the database.
pub(crate) struct SealedBlock {
    pub(crate) id: BlockId,
    /// How many subjects it should have.
    pub(crate) subjects: u64,
    pub(crate) sealed: Vec<u8>,
}
