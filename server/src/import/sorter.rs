//! Sorting more than memory holds: pairs of a key and a tail, by key and then by tail, in bounded runs that wait on disk.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rayon::slice::ParallelSliceMut;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Bytes of a run in memory, its index included.
pub(super) const RUN_BYTES: usize = 24 << 20;

/// Bytes of the buffer of a run that is read back.
const READ_BYTES: usize = 1 << 17;

/// Longest key and longest tail: what is sorted was bounded where it was read.
const MAX_BYTES: usize = 1 << 20;

/// Takes pairs in any order.
pub(crate) struct Sorter {
    folder: PathBuf,
    limit: usize,
    arena: Vec<u8>,
    index: Vec<Slot>,
    runs: Vec<File>,
    count: u64,
    kept: Option<Kept>,
}

// Runs that have names, so that another process can go on with them.
struct Kept {
    name: &'static str,
    runs: Vec<KeptRun>,
}

/// A sorted run in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptRun {
    pairs: u64,
    bytes: u64,
    sha256: String,
}

// Where a pair lies in the arena: its key, and its tail behind it. The first bytes of the key decide most comparisons.
#[derive(Clone, Copy)]
struct Slot {
    prefix: u64,
    at: u32,
    key: u32,
    tail: u32,
}

impl Slot {
    fn pair(self, arena: &[u8]) -> (&[u8], &[u8]) {
        let (key, tail) = (self.at as usize, self.at as usize + self.key as usize);
        (&arena[key..tail], &arena[tail..tail + self.tail as usize])
    }
}

impl Sorter {
    /// Keeps its runs in unnamed files of a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::bounded(folder, RUN_BYTES)
    }

    /// The same, with runs of another size.
    pub(super) fn bounded(folder: &Path, limit: usize) -> Self {
        let (arena, index, runs) = (Vec::new(), Vec::new(), Vec::new());
        Self { folder: folder.to_owned(), limit, arena, index, runs, count: 0, kept: None }
    }

    /// Keeps its runs in files of a folder that begin with a name, for [`Self::take_up`]. Whoever made the folder removes it.
    pub(super) fn kept(folder: &Path, name: &'static str, limit: usize) -> Self {
        Self { kept: Some(Kept { name, runs: Vec::new() }), ..Self::bounded(folder, limit) }
    }

    /// Whether what is in memory will be a run before long.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.used() > self.limit - self.limit / 6
    }

    /// Whether something is on the disk.
    pub(super) fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Writes what is in memory, and gives all that is kept on the disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn put_down(&mut self) -> Result<Vec<KeptRun>, Error> {
        if !self.index.is_empty() {
            self.spill()?;
        }
        Ok(self.kept.as_ref().map_or_else(Vec::new, |kept| kept.runs.clone()))
    }

    /// Goes on with what another process kept; says whether that is there unchanged.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn take_up(&mut self, runs: &[KeptRun]) -> Result<bool, Error> {
        let Some(kept) = &mut self.kept else { return Ok(false) };
        for (run, number) in runs.iter().zip(0..) {
            let path = kept_path(&self.folder, kept.name, number);
            let mut file = File::open(&path).map_err(Error::io("read", &path))?;
            let (bytes, sha256) = digest_of(&mut file).map_err(Error::io("read", &path))?;
            if (bytes, &sha256) != (run.bytes, &run.sha256) {
                return Ok(false);
            }
            self.count += run.pairs;
            self.runs.push(file);
            kept.runs.push(run.clone());
        }
        Ok(true)
    }

    /// Pairs taken so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Takes a pair.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn push(&mut self, key: &[u8], tail: &[u8]) -> Result<(), Error> {
        debug_assert!(key.len() <= MAX_BYTES && tail.len() <= MAX_BYTES);
        if self.used() + key.len() + tail.len() > self.limit && !self.index.is_empty() {
            self.spill()?;
        }
        let small = |n: usize| u32::try_from(n).expect("a run is far below 4 GiB");
        let slot =
            Slot { prefix: prefix(key), at: small(self.arena.len()), key: small(key.len()), tail: small(tail.len()) };
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(tail);
        self.index.push(slot);
        self.count += 1;
        Ok(())
    }

    fn used(&self) -> usize {
        self.arena.len() + self.index.len() * size_of::<Slot>()
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        self.index.par_sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| a.pair(arena).cmp(&b.pair(arena))));
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.sort();
        let written = match self.kept.take() {
            None => tempfile::tempfile_in(&self.folder).and_then(|file| self.write_run(file)),
            Some(mut kept) => {
                let written = self.write_kept(&mut kept);
                self.kept = Some(kept);
                written
            }
        };
        self.runs.push(written.map_err(Error::io("write in", &self.folder))?);
        self.arena.clear();
        self.index.clear();
        Ok(())
    }

    fn write_kept(&self, kept: &mut Kept) -> io::Result<File> {
        let path = kept_path(&self.folder, kept.name, kept.runs.len());
        let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let Digested { file, bytes, hash } = self.write_run(Digested { file, bytes: 0, hash: Sha256::new() })?;
        file.sync_data()?;
        let sha256 = hex::encode(hash.finalize());
        kept.runs.push(KeptRun { pairs: self.index.len() as u64, bytes, sha256 });
        Ok(file)
    }

    fn write_run<W: Write>(&self, file: W) -> io::Result<W> {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        for slot in &self.index {
            let (key, tail) = slot.pair(&self.arena);
            out.write_all(&slot.key.to_le_bytes())?;
            out.write_all(&slot.tail.to_le_bytes())?;
            out.write_all(key)?;
            out.write_all(tail)?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Everything that was taken, ascending.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sorted(mut self) -> Result<Sorted, Error> {
        self.sort();
        let folder = self.folder.clone();
        let mut runs = Vec::with_capacity(self.runs.len() + 1);
        for mut file in self.runs.drain(..) {
            file.rewind().map_err(Error::io("read in", &folder))?;
            runs.push(Run::Disk(BufReader::with_capacity(READ_BYTES, file)));
        }
        runs.push(Run::Memory { arena: self.arena, index: self.index, next: 0 });
        let mut sorted = Sorted { folder, runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

fn kept_path(folder: &Path, name: &str, number: usize) -> PathBuf {
    folder.join(format!("{name}-{number}"))
}

// Digests what is written.
struct Digested {
    file: File,
    bytes: u64,
    hash: Sha256,
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn digest_of(file: &mut File) -> io::Result<(u64, String)> {
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; READ_BYTES], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, hex::encode(hash.finalize()))),
            read => {
                bytes += read as u64;
                hash.update(&buffer[..read]);
            }
        }
    }
}

// Shorter keys are filled with zeros, so that equal prefixes decide nothing and unequal ones decide rightly.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

enum Run {
    Disk(BufReader<File>),
    Memory { arena: Vec<u8>, index: Vec<Slot>, next: usize },
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Pair>> {
        match self {
            Self::Memory { arena, index, next } => {
                let Some(slot) = index.get(*next) else { return Ok(None) };
                *next += 1;
                let (key, tail) = slot.pair(arena);
                Ok(Some(Pair { key: key.to_vec(), tail: tail.to_vec() }))
            }
            Self::Disk(file) => {
                let mut lengths = [0; 8];
                let first = file.read(&mut lengths)?;
                if first == 0 {
                    return Ok(None);
                }
                file.read_exact(&mut lengths[first..])?;
                let length = |at: usize| {
                    let bytes = lengths[at..at + 4].try_into().expect("four bytes");
                    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX).min(MAX_BYTES)
                };
                let mut pair = Pair { key: vec![0; length(0)], tail: vec![0; length(4)] };
                file.read_exact(&mut pair.key)?;
                file.read_exact(&mut pair.tail)?;
                Ok(Some(pair))
            }
        }
    }
}

/// A key with its tail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) key: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

/// The pairs of a [`Sorter`], ascending.
pub(crate) struct Sorted {
    folder: PathBuf,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Pair, usize)>>,
}

impl Sorted {
    fn refill(&mut self, run: usize) -> Result<(), Error> {
        if let Some(pair) = self.runs[run].next().map_err(Error::io("read in", &self.folder))? {
            self.heads.push(Reverse((pair, run)));
        }
        Ok(())
    }

    /// The next pair.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn next(&mut self) -> Result<Option<Pair>, Error> {
        let Some(Reverse((pair, run))) = self.heads.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(pair))
    }

    /// The key of the next pair.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|Reverse((pair, _))| &pair.key[..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pairs_come_out_sorted_whatever_part_of_them_was_on_the_disk(
            pairs in prop::collection::vec((prop::collection::vec(0..3_u8, 0..12), prop::collection::vec(any::<u8>(), 0..5)), 0..200),
            limit in 1_usize..2_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::bounded(folder.path(), limit);
            for (key, tail) in &pairs {
                sorter.push(key, tail).unwrap();
            }
            prop_assert_eq!(sorter.count(), pairs.len() as u64);
            let mut sorted = sorter.sorted().unwrap();
            let mut found = Vec::new();
            while let Some(Pair { key, tail }) = sorted.next().unwrap() {
                found.push((key, tail));
            }
            let mut wanted = pairs;
            wanted.sort();
            prop_assert_eq!(found, wanted);
        }
    }

    fn all(sorter: Sorter) -> Vec<Vec<u8>> {
        let mut sorted = sorter.sorted().unwrap();
        std::iter::from_fn(|| sorted.next().unwrap().map(|pair| pair.key)).collect()
    }

    #[test]
    fn what_was_kept_is_gone_on_with_unless_a_byte_of_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let new = || Sorter::kept(folder.path(), "rows", 100);
        let mut first = new();
        (0..9_u8).rev().for_each(|n| first.push(&[n; 20], b"").unwrap());
        let runs = first.put_down().unwrap();
        assert!(runs.len() > 2 && runs.iter().map(|run| run.pairs).sum::<u64>() == 9);
        // What came later was not put down.
        first.push(&[77; 20], b"").unwrap();

        let mut second = new();
        assert!(second.take_up(&runs).unwrap());
        second.push(&[4; 20], b"again").unwrap();
        assert_eq!(second.count(), 10);
        let wanted: Vec<_> = [0, 1, 2, 3, 4, 4, 5, 6, 7, 8].map(|n: u8| vec![n; 20]).into();
        assert_eq!(all(second), wanted);

        let path = folder.path().join("rows-1");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(!new().take_up(&runs).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(new().take_up(&runs).is_err());
    }
}
