//! How a log grows: leaves that are durable → root from the right edge → signature → compare-and-swap of the head → files →
//! checkpoint → published (SPEC §17.4, §17.7). Killed between any two of these, it goes on from there.

use std::{
    io,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    folder::LogFolder,
    origin::LogOrigin,
    tile::Growth,
};
use veilmatch_protocol::{
    name::{AgencyName, Origin},
    note::{MAX_NOTE_LEN, Note, Verifier},
};

use crate::{
    Error,
    state_dir::{DirLock, StateDir, create_private_dir},
    store::{Cosignature, Head, LogRow, Store},
};

/// Most leaves by which a tree grows at once: what is in memory is bounded.
pub const MOST_LEAVES: u64 = 16_384;

/// Most cosignatures that stand under a published checkpoint: with the log's own line it stays a note that everybody reads.
const MOST_COSIGNATURES: usize = 64;

/// What has been done of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The new tree is signed; nobody has seen it.
    Signed,
    /// The signed head has taken the place of the one before.
    Swapped,
    /// The tiles and entries of the new tree are on the disk.
    Written,
    /// The checkpoint is.
    Published,
    /// And the store knows.
    Noted,
}

/// Keeps one log of the agency's.
pub struct Keeper<'a> {
    dir: &'a StateDir,
    origin: LogOrigin,
    key: &'a SigningKey,
    on_step: &'a dyn Fn(Step) -> Result<(), Error>,
}

impl<'a> Keeper<'a> {
    /// The keeper of a log, with its key.
    #[must_use]
    pub fn new(dir: &'a StateDir, origin: LogOrigin, key: &'a SigningKey) -> Self {
        Self { dir, origin, key, on_step: &|_| Ok(()) }
    }

    /// Signs and publishes what the log has gained until now, after it has finished what was begun before. A log without
    /// leaves gets its first checkpoint. Gives the size of the published tree.
    ///
    /// # Errors
    /// [`Error::LogHalted`] if the log may not go on, [`Error::ClockBehind`], [`Error::HeadUnclear`] after which the
    /// process must end, [`Error::Io`], [`Error::Store`]: nothing is lost, and the next call goes on.
    pub fn publish(&self, store: &mut Store, now: u64) -> Result<u64, Error> {
        while self.publish_some(store, now, MOST_LEAVES)? {}
        Ok(self.row(store)?.published_size)
    }

    /// As [`Self::publish`], but at most so many leaves more. Gives whether some are left of those that were there.
    ///
    /// # Errors
    /// Those of [`Self::publish`].
    pub fn publish_some(&self, store: &mut Store, now: u64, most: u64) -> Result<bool, Error> {
        let _lock = lock(self.dir, &self.origin)?;
        let published = self.publish_locked(store, now, most);
        if let Err(Error::LogHalted { why, .. }) = &published
            && let Some(row) = store.log(&self.origin.to_string())?.filter(|row| row.halted.is_none())
        {
            // Durable before anybody hears of it: a restart must not forget it.
            store.halt_log(row.id, why, &self.larger(&row))?;
        }
        published
    }

    fn publish_locked(&self, store: &mut Store, now: u64, most: u64) -> Result<bool, Error> {
        let path = folder(self.dir, &self.origin);
        create_private_dir(path.parent().unwrap_or(self.dir.root()))?;
        let files = LogFolder::create(&path).map_err(Error::io("write in", &path))?;
        store.begin_log(&self.origin.to_string())?;
        let row = self.row(store)?;
        let growth = self.edge(store, &files, &row)?;
        let len = store.log_len(row.id)?;
        if !row.published_note.is_empty() && row.published_size == len {
            return Ok(false);
        }
        let end = len.min(row.head.size + most);
        let published = self.round(store, &files, &row, growth, end, now)?;
        Ok(published < len)
    }

    fn row(&self, store: &Store) -> Result<LogRow, Error> {
        let row = store.log(&self.origin.to_string())?.ok_or(Error::Internal("a log that was begun is not there"))?;
        match row.halted {
            Some(why) => Err(Error::LogHalted { origin: row.origin, why }),
            None => Ok(row),
        }
    }

    // The right edge of the signed tree, read from the files and hashed anew. Where they are behind, they are made again.
    fn edge(&self, store: &Store, files: &LogFolder, row: &LogRow) -> Result<Growth, Error> {
        let io = |error| self.unreadable(files, error);
        if let Some(published) = files.checkpoint().map_err(io)? {
            let note = Note::parse(&published)?;
            if Checkpoint::parse(note.text())?.size > row.head.size {
                return Err(
                    self.halt("its files are of a larger tree than its records, which were restored from a backup")
                );
            }
        }
        if row.published_size == row.head.size
            && let Ok(growth) = files.resume(row.head.size, &row.head.root)
        {
            return Ok(growth);
        }
        let leaves = |range| store.leaves(row.id, range).map_err(NotRestored::Store);
        files.restore(row.head.size, &row.head.root, leaves).map_err(|why| match why {
            NotRestored::Files(error) => self.unreadable(files, error),
            NotRestored::Store(error) => error,
        })
    }

    // Gives the size of the published tree.
    fn round(
        &self,
        store: &mut Store,
        files: &LogFolder,
        row: &LogRow,
        mut growth: Growth,
        end: u64,
        now: u64,
    ) -> Result<u64, Error> {
        let io = |error| self.unreadable(files, error);
        let mut head = row.head.clone();
        if row.published_size == head.size {
            for leaf in store.leaves(row.id, head.size..end)? {
                growth.push(&leaf)?;
            }
            if growth.size() != end {
                return Err(self.halt("leaves of it are gone from the store"));
            }
            head = self.sign(&growth, row, now)?;
            (self.on_step)(Step::Signed)?;
            if !store.swap_head(row.id, &row.head, &head)? {
                return Err(Error::Internal("a log's head was replaced by somebody else"));
            }
            (self.on_step)(Step::Swapped)?;
        }
        files.write(&growth.take_files()).map_err(io)?;
        (self.on_step)(Step::Written)?;
        files.publish(&head.note).map_err(io)?;
        (self.on_step)(Step::Published)?;
        store.log_published(row.id, &head, matches!(self.origin, LogOrigin::Manifest(_)))?;
        (self.on_step)(Step::Noted)?;
        Ok(head.size)
    }

    fn sign(&self, growth: &Growth, row: &LogRow, now: u64) -> Result<Head, Error> {
        // A checkpoint of the manifest log says nothing of time, and a retraction must not wait for a clock.
        if now < row.head.at && matches!(self.origin, LogOrigin::Query(..)) {
            return Err(Error::ClockBehind { origin: row.origin.clone() });
        }
        let next = Checkpoint { origin: row.origin.clone(), size: growth.size(), root: growth.root() };
        let note = checkpoint::sign(&next, self.key)?.into_bytes();
        Ok(Head { size: next.size, root: next.root, note, at: now.max(row.head.at) })
    }

    // The checkpoint in the files, if it is ours and of a larger tree than was signed by what is here.
    fn larger(&self, row: &LogRow) -> Vec<u8> {
        let note = LogFolder::new(folder(self.dir, &self.origin)).checkpoint().ok().flatten().unwrap_or_default();
        let verifier = Verifier::new(&row.origin, self.key.verifying_key());
        let tree = verifier.ok().and_then(|verifier| checkpoint::open(&note, &row.origin, &verifier).ok());
        if tree.is_some_and(|tree| tree.size > row.head.size) { note } else { Vec::new() }
    }

    fn halt(&self, why: &str) -> Error {
        Error::LogHalted { origin: self.origin.to_string(), why: why.to_owned() }
    }

    // What a log's files say of themselves is a reason to stop; what the system says of them is not.
    fn unreadable(&self, files: &LogFolder, error: io::Error) -> Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<veilmatch_audit::Error>()) {
            Some(veilmatch_audit::Error::LogAhead) => self.halt("its files are of a larger tree than its records"),
            Some(_) => self.halt("its leaves do not make the tree that was signed"),
            None => Error::io("read or write", files.dir())(error),
        }
    }
}

enum NotRestored {
    Files(io::Error),
    Store(Error),
}

impl From<io::Error> for NotRestored {
    fn from(error: io::Error) -> Self {
        Self::Files(error)
    }
}

/// Writes the published checkpoint anew, with the cosignatures that came since.
///
/// # Errors
/// [`Error::Io`], [`Error::Store`].
pub fn publish_cosignatures(dir: &StateDir, store: &Store, origin: &LogOrigin) -> Result<(), Error> {
    // Read under the lock: a checkpoint that another process has published meanwhile is not taken back.
    let _lock = lock(dir, origin)?;
    let Some(row) = store.log(&origin.to_string())?.filter(|row| !row.published_note.is_empty()) else { return Ok(()) };
    if row.published_size < row.head.size {
        return Ok(());
    }
    let path = folder(dir, origin);
    let note = with_cosignatures(&row, store.cosignatures(row.id, row.published_size)?);
    let files = LogFolder::create(&path).map_err(Error::io("write in", &path))?;
    files.publish(&note).map_err(Error::io("write in", &path))
}

/// The published checkpoint with as many cosignatures, from the first on, as a note can have.
#[must_use]
pub fn with_cosignatures(row: &LogRow, cosignatures: Vec<Cosignature>) -> Vec<u8> {
    let mut note = row.published_note.clone();
    for cosignature in cosignatures.into_iter().take(MOST_COSIGNATURES) {
        if note.len() + cosignature.line.len() > MAX_NOTE_LEN {
            break;
        }
        note.extend_from_slice(cosignature.line.as_bytes());
    }
    note
}

/// Publishes what the manifest log has gained. The caller holds the lock of changes.
///
/// # Errors
/// Those of [`Keeper::publish`].
pub fn publish_manifests(
    dir: &StateDir,
    agency: &AgencyName,
    store: &mut Store,
    key: &SigningKey,
    now: u64,
) -> Result<u64, Error> {
    store.log_earlier_versions(&Origin::of(agency))?;
    Keeper::new(dir, LogOrigin::Manifest(agency.clone()), key).publish(store, now)
}

/// Where the files of a log of the agency's are.
#[must_use]
pub fn folder(dir: &StateDir, origin: &LogOrigin) -> PathBuf {
    match origin.shard() {
        None => dir.logs().join("manifest"),
        Some(shard) => dir.logs().join("query").join(shard.to_string()),
    }
}

// Held while a log's files are written: the server, and commands beside it.
fn lock(dir: &StateDir, origin: &LogOrigin) -> Result<DirLock, Error> {
    create_private_dir(&dir.logs())?;
    let name = if origin.shard().is_some() { "query.lock" } else { "manifest.lock" };
    dir.wait_for_lock(&Path::new("logs").join(name))
}

#[cfg(test)]
mod tests;
