//! The files of one log in a folder (SPEC §17.3), for its keeper and its readers.
//!
//! A keeper's round, each step of which can be killed: [`LogFolder::resume`] re-reads the right edge and compares it with
//! the head that it signed last; [`Growth::push`] takes the leaves that are durable since; [`crate::checkpoint::sign`] signs
//! [`Growth::root`]; the keeper replaces the head in its own store by one compare-and-swap; [`LogFolder::write`] writes the
//! files, [`LogFolder::publish`] the checkpoint. A kill after the swap leaves files missing that the head needs:
//! [`LogFolder::restore`], at the next start, makes them again from the leaves.

use std::{
    collections::BTreeSet,
    fs, io,
    io::{Read, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use veilmatch_protocol::note::{MAX_NOTE_LEN, Note};

use crate::{
    Error,
    checkpoint::Checkpoint,
    tile::{File, Files, Growth, Tile, TilePath, View},
    tree::Hash,
};

/// The newest checkpoint, the only file that changes.
const CHECKPOINT: &str = "checkpoint";

/// What is being written; emptied when a keeper starts.
const DRAFTS: &str = ".drafts";

/// Leaves that are asked for at once when a log is made again.
const BATCH: u64 = 1_024;

/// The files of one log. It has one writer, and readers as many as like: each file appears whole or not at all.
#[derive(Debug, Clone)]
pub struct LogFolder {
    dir: PathBuf,
}

impl LogFolder {
    /// The log in this folder, to be read.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The log in this folder, to be written; the folder is made if there is none.
    ///
    /// # Errors
    /// If the folder cannot be made or emptied of drafts.
    pub fn create(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        let drafts = dir.join(DRAFTS);
        if drafts.exists() {
            fs::remove_dir_all(&drafts)?;
        }
        create_dir(&dir)?;
        fs::create_dir_all(&drafts)?;
        sync_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Where the files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The note that was published last.
    ///
    /// # Errors
    /// If it cannot be read, or is longer than a note can be.
    pub fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(CHECKPOINT, MAX_NOTE_LEN)
    }

    /// The tree of the first `size` leaves.
    #[must_use]
    pub fn view(&self, size: u64) -> View<&Self> {
        View::new(self, size)
    }

    /// Reads the right edge of the tree of `size` leaves and hashes it, to append to.
    ///
    /// # Errors
    /// [`Error::BadTile`] (within) if a file is missing or the edge has another root: [`LogFolder::restore`] it.
    pub fn resume(&self, size: u64, root: &Hash) -> io::Result<Growth> {
        let growth = self.view(size).growth()?;
        if growth.root() == *root { Ok(growth) } else { Err(Error::BadTile.into()) }
    }

    /// As [`LogFolder::resume`], after all files of the tree that are missing, short or, at the right edge, altered were
    /// made again from the leaves: `leaves` gives all of a range. For the start of a keeper.
    ///
    /// # Errors
    /// [`Error::LogAhead`] if a larger tree was published than the head that the keeper has, [`Error::BadTile`] if its
    /// leaves do not make the root that it signed: in both cases it must not go on with this log.
    pub fn restore<L, E>(&self, size: u64, root: &Hash, mut leaves: L) -> Result<Growth, E>
    where
        L: FnMut(Range<u64>) -> Result<Vec<Vec<u8>>, E>,
        E: From<io::Error>,
    {
        let published = self.published()?;
        if published.as_ref().is_some_and(|published| published.size > size) {
            return Err(io::Error::from(Error::LogAhead).into());
        }
        let from = published.and_then(|published| self.resume(published.size, &published.root).ok());
        if let Some(from) = from.filter(|from| self.has_all_files(from.size())) {
            self.make_again(from, size, &mut leaves)?;
        }
        if !self.has_all_files(size) || self.resume(size, root).is_err() {
            self.make_again(Growth::new(), size, &mut leaves)?;
        }
        Ok(self.resume(size, root)?)
    }

    /// Writes files durably, for their owner alone. Those that are there with the same bytes are left alone.
    ///
    /// # Errors
    /// What the file system says. Some files may have been written; the next call writes the others.
    pub fn write(&self, files: &[File]) -> io::Result<()> {
        let mut dirs = BTreeSet::new();
        for File { path, bytes } in files {
            let path = self.dir.join(path.to_string());
            let parent = path.parent().expect("a file of a log is below its folder");
            if read_bounded(&path, bytes.len())?.as_ref() != Some(bytes) {
                fs::create_dir_all(parent)?;
                self.replace(&path, bytes)?;
            }
            // Also above a file that was there: a call that was killed may have renamed it and synced no folder.
            dirs.extend(parent.ancestors().take_while(|above| above.starts_with(&self.dir)).map(Path::to_owned));
        }
        dirs.iter().try_for_each(|dir| sync_dir(dir))
    }

    /// Publishes a checkpoint whose files are written.
    ///
    /// # Errors
    /// What the file system says. The checkpoint before is there still, or this one is.
    pub fn publish(&self, note: &[u8]) -> io::Result<()> {
        self.replace(&self.dir.join(CHECKPOINT), note)?;
        sync_dir(&self.dir)
    }

    /// What was published last; the keeper wrote it, and compares it with what it has.
    ///
    /// # Errors
    /// What the file system says, and a file that is no checkpoint.
    pub fn published(&self) -> io::Result<Option<Checkpoint>> {
        let Some(bytes) = self.checkpoint()? else { return Ok(None) };
        let note = Note::parse(&bytes).map_err(|_| Error::BadCheckpoint)?;
        Ok(Some(Checkpoint::parse(note.text())?))
    }

    fn has_all_files(&self, size: u64) -> bool {
        let fits = |path: TilePath| {
            let Ok(found) = fs::metadata(self.dir.join(path.to_string())) else { return false };
            match path {
                TilePath::Hashes(_) => found.len() == path.limit() as u64,
                TilePath::Entries(tile) => found.len() >= 3 * u64::from(tile.width),
            }
        };
        Tile::all(size).all(|tile| fits(TilePath::Hashes(tile)) && (tile.level > 0 || fits(TilePath::Entries(tile))))
    }

    fn make_again<L, E>(&self, mut growth: Growth, size: u64, leaves: &mut L) -> Result<(), E>
    where
        L: FnMut(Range<u64>) -> Result<Vec<Vec<u8>>, E>,
        E: From<io::Error>,
    {
        while growth.size() < size {
            let end = size.min(growth.size() + BATCH);
            let batch = leaves(growth.size()..end)?;
            for leaf in &batch {
                growth.push(leaf).map_err(io::Error::from)?;
            }
            if growth.size() != end {
                return Err(io::Error::from(Error::NotInTree).into());
            }
            self.write(&growth.take_full())?;
        }
        Ok(self.write(&growth.take_files())?)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut draft = NamedTempFile::new_in(self.dir.join(DRAFTS))?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        Ok(())
    }
}

impl Files for LogFolder {
    type Error = io::Error;

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        read_bounded(&self.dir.join(path), limit)
    }
}

/// The bytes of a file, or `None` if there is none. One that is longer than `limit` is cut off behind one byte more, so
/// that it is not taken for what was asked for.
fn read_bounded(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Makes a folder, and those above it that are missing, so that it is there after a crash.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).count();
    fs::create_dir_all(dir)?;
    // The parent of the folder itself in any case: a call that was killed may have made it and synced nothing.
    for made in dir.ancestors().take(missing.max(1)) {
        if let Some(parent) = made.parent() {
            sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
