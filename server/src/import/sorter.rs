//! Sorting more than memory holds: pairs of a key and a tail, by key and then by tail, in bounded runs that wait on disk.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use rayon::slice::ParallelSliceMut;

use crate::Error;

/// Bytes of a run in memory, its index included.
const RUN_BYTES: usize = 24 << 20;

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

    fn bounded(folder: &Path, limit: usize) -> Self {
        Self { folder: folder.to_owned(), limit, arena: Vec::new(), index: Vec::new(), runs: Vec::new(), count: 0 }
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
        let file = tempfile::tempfile_in(&self.folder).map_err(Error::io("write in", &self.folder))?;
        let file = self.write_run(file).map_err(Error::io("write in", &self.folder))?;
        self.runs.push(file);
        self.arena.clear();
        self.index.clear();
        Ok(())
    }

    fn write_run(&self, file: File) -> io::Result<File> {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        for slot in &self.index {
            let (key, tail) = slot.pair(&self.arena);
            out.write_all(&slot.key.to_le_bytes())?;
            out.write_all(&slot.tail.to_le_bytes())?;
            out.write_all(key)?;
            out.write_all(tail)?;
        }
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Everything that was taken, ascending.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sorted(mut self) -> Result<Sorted, Error> {
        self.sort();
        let folder = self.folder.clone();
        let disk = self.runs.drain(..).map(|file| Run::Disk(BufReader::with_capacity(READ_BYTES, file)));
        let mut runs: Vec<Run> = disk.collect();
        runs.push(Run::Memory { arena: self.arena, index: self.index, next: 0 });
        let mut sorted = Sorted { folder, runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
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
}
