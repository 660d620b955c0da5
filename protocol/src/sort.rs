//! Sorting of more records than memory holds: bounded runs, then one merge. Where runs are kept is the caller's matter.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Read},
};

use crate::{Error, artifact::Layout, artifact::tag_of};

/// Collects records up to a bound and gives them back sorted.
pub struct Runs {
    layout: Layout,
    limit: usize,
    records: Vec<u8>,
}

impl Runs {
    /// Runs of at most `limit` records.
    ///
    /// # Panics
    /// If `limit` is 0.
    #[must_use]
    pub fn new(layout: Layout, limit: usize) -> Self {
        assert!(limit > 0, "a run holds records");
        Self { layout, limit, records: Vec::new() }
    }

    /// Adds a record; gives a sorted run when the bound is reached.
    ///
    /// # Panics
    /// If the record has another length than the layout's.
    pub fn push(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        assert_eq!(record.len(), self.layout.record_len(), "records of one list have one length");
        self.records.extend_from_slice(record);
        (self.records.len() / record.len() == self.limit).then(|| self.take())
    }

    /// The records that remain, sorted; empty if there are none.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.take()
    }

    fn take(&mut self) -> Vec<u8> {
        let records = std::mem::take(&mut self.records);
        let mut sorted: Vec<&[u8]> = records.chunks_exact(self.layout.record_len()).collect();
        sorted.sort_unstable();
        sorted.concat()
    }
}

/// Merges sorted runs into strictly ascending records. Equal records of several runs become one.
pub struct Merge<R> {
    layout: Layout,
    runs: Vec<R>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    last: Vec<u8>,
}

impl<R: Read> Merge<R> {
    /// Begins to read the runs. Give it buffered readers.
    ///
    /// # Errors
    /// What a run reports.
    pub fn new(layout: Layout, runs: Vec<R>) -> io::Result<Self> {
        let mut merge = Self { layout, runs, heads: BinaryHeap::new(), last: Vec::new() };
        for run in 0..merge.runs.len() {
            merge.refill(run, Vec::new())?;
        }
        Ok(merge)
    }

    fn refill(&mut self, run: usize, mut record: Vec<u8>) -> io::Result<()> {
        record.resize(self.layout.record_len(), 0);
        let first = self.runs[run].read(&mut record)?;
        if first > 0 {
            self.runs[run].read_exact(&mut record[first..])?;
            self.heads.push(Reverse((record, run)));
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(Reverse((record, run))) = self.heads.pop() {
            self.refill(run, Vec::new())?;
            if record == self.last {
                continue;
            }
            if !self.last.is_empty() && tag_of(&record) <= tag_of(&self.last) {
                return Err(Error::DuplicateTag.into());
            }
            self.last.clone_from(&record);
            return Ok(Some(record));
        }
        Ok(None)
    }
}

impl<R: Read> Iterator for Merge<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_runs_merge_to_the_sorted_set(records in prop::collection::vec(any::<[u8; 16]>(), 0..200), limit in 1_usize..50) {
            let layout = Layout::new(0).unwrap();
            let mut runs = Runs::new(layout, limit);
            let mut done: Vec<Vec<u8>> = records.iter().filter_map(|record| runs.push(record)).collect();
            done.push(runs.finish());
            let merged: Vec<_> = Merge::new(layout, done.iter().map(Vec::as_slice).collect()).unwrap().map(Result::unwrap).collect();
            let want: std::collections::BTreeSet<_> = records.iter().map(|record| record.to_vec()).collect();
            prop_assert_eq!(merged, want.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn two_records_of_one_tag_and_a_truncated_run_are_errors() {
        // SPEC §7.2
        let layout = Layout::new(1).unwrap();
        let (a, b) = ([&[1; 20][..], &[1]].concat(), [&[1; 20][..], &[2]].concat());
        let mut merge = Merge::new(layout, vec![&a[..], &b[..]]).unwrap();
        assert!(merge.next().unwrap().is_ok());
        let refused = merge.next().unwrap().unwrap_err();
        assert_eq!(refused.get_ref().unwrap().downcast_ref(), Some(&Error::DuplicateTag));
        assert!(Merge::new(layout, vec![&a[..20]]).is_err());
    }
}
