//! What a version changes, on its way into order: in memory up to a bound, beyond it on disk.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use veilmatch_protocol::{
    artifact::Layout,
    sort::{Merge, Runs},
};

use super::files;
use crate::Error;

/// Bytes of a sorted run in memory; those of tags alone are a quarter.
const RUN_BYTES: usize = 64 << 20;

/// What the records of the base become: tags that go, records that come.
pub(super) struct Changes {
    pub(super) removed: Sorting,
    pub(super) added: Sorting,
}

impl Changes {
    /// Nothing yet. Runs wait in unnamed files of a folder.
    pub(super) fn new(layout: Layout, folder: &Path) -> Result<Self, Error> {
        // A record without a label is a tag.
        let removed = Sorting::new(Layout::new(0)?, RUN_BYTES / 4, folder);
        Ok(Self { removed, added: Sorting::new(layout, RUN_BYTES, folder) })
    }
}

impl Changes {
    /// Begins anew.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        *self = Self::new(self.added.layout, &self.added.folder)?;
        Ok(())
    }
}

/// Records that are being sorted.
pub(super) struct Sorting {
    layout: Layout,
    folder: PathBuf,
    limit: usize,
    runs: Runs,
    in_memory: usize,
    spilled: Vec<File>,
    pub(super) count: u64,
}

impl Sorting {
    pub(super) fn new(layout: Layout, bytes: usize, folder: &Path) -> Self {
        let limit = bytes / layout.record_len();
        let runs = Runs::new(layout, limit);
        Self { layout, folder: folder.to_owned(), limit, runs, in_memory: 0, spilled: Vec::new(), count: 0 }
    }

    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), Error> {
        self.count += 1;
        self.in_memory += 1;
        if let Some(run) = self.runs.push(record) {
            self.in_memory = 0;
            let mut file = files::spill(&self.folder)?;
            file.write_all(&run)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .map_err(Error::io("write in", &self.folder))?;
            self.spilled.push(file);
        }
        Ok(())
    }

    /// What has come since the last call, if that is anything, as one sorted run in a file of this name. A clean start for
    /// what comes: whoever wants to go on later keeps the name and gives the file to [`Self::take_up`].
    pub(super) fn put_down(&mut self, path: &Path) -> Result<bool, Error> {
        if self.in_memory == 0 {
            return Ok(false);
        }
        self.in_memory = 0;
        let run = std::mem::replace(&mut self.runs, Runs::new(self.layout, self.limit)).finish();
        self.spilled.push(written(path, &run).map_err(Error::io("write", path))?);
        Ok(true)
    }

    /// Goes on with a run that was put down.
    pub(super) fn take_up(&mut self, path: &Path) -> Result<(), Error> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let bytes = file.metadata().map_err(Error::io("read", path))?.len();
        let record = self.layout.record_len() as u64;
        if !bytes.is_multiple_of(record) {
            return Err(Error::Damaged { what: path.display().to_string(), why: "a record is cut".into() });
        }
        self.count += bytes / record;
        self.spilled.push(file);
        Ok(())
    }

    /// All of them, ascending.
    pub(super) fn sorted(self) -> Result<Merge<Box<dyn Read>>, Error> {
        let last = Box::new(io::Cursor::new(self.runs.finish())) as Box<dyn Read>;
        let spilled = self.spilled.into_iter();
        let runs = spilled.map(|file| Box::new(BufReader::with_capacity(1 << 18, file)) as Box<dyn Read>);
        Merge::new(self.layout, runs.chain([last]).collect()).map_err(Error::io("read in", &self.folder))
    }
}

// A private file, on the disk, to be read from its beginning.
fn written(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u8) -> Vec<u8> {
        [vec![n; 16], vec![7; 8]].concat()
    }

    fn all(sorting: Sorting) -> Vec<Vec<u8>> {
        sorting.sorted().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_goes_and_what_comes_is_sorted_whatever_part_of_it_is_on_the_disk() {
        // The tags that go were all held in memory, however many, and each record that comes in an allocation of its own.
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(4).unwrap();
        // Three records fit in memory.
        let mut sorting = Sorting::new(layout, 3 * layout.record_len(), folder.path());
        for n in [9, 3, 7, 1, 8, 2, 6, 4, 5] {
            sorting.push(&record(n)).unwrap();
        }
        assert_eq!((sorting.count, sorting.spilled.len()), (9, 3));
        assert_eq!(all(sorting), (1..=9).map(record).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_put_down_is_there_when_it_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(4).unwrap();
        let path = folder.path().join("run");
        let new = || Sorting::new(layout, 10 * layout.record_len(), folder.path());
        let mut first = new();
        [5, 1].iter().for_each(|n| first.push(&record(*n)).unwrap());
        assert!(first.put_down(&path).unwrap());
        assert!(!first.put_down(&path).unwrap(), "nothing has come since");
        first.push(&record(3)).unwrap();
        assert_eq!(all(first), [1, 3, 5].map(record));

        let mut second = new();
        second.take_up(&path).unwrap();
        second.push(&record(2)).unwrap();
        assert_eq!(second.count, 3);
        assert_eq!(all(second), [1, 2, 5].map(record));
    }
}
