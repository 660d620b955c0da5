//! The digests of a file, whatever else it says: for what is done to digests and not to records.

use veilmatch_lists::{Quarantine, Says};

use super::{Intake, ListFile, OnImport, sorter::Sorter};
use crate::{Error, store::Tally};

/// Rows between two reports of progress.
const REPORT: u64 = 4_096;

impl Intake<'_> {
    /// Sorts the digests of a file's rows. Withdrawals have none.
    pub(super) fn digests(&self, file: ListFile, tally: &mut Tally, progress: OnImport<'_>) -> Result<Sorter, Error> {
        let mut digests = Sorter::new(self.dir.root());
        let bytes = file.bytes();
        for (row, number) in file.zip(1..) {
            let row = row?;
            tally.read += row.weight();
            let listed = match row.says {
                Says::Listed(listing) => listing.digests,
                Says::Withdrawn => vec![Err(Quarantine::NoDigest)],
            };
            for digest in listed {
                match digest {
                    Ok(item) if self.list.kinds.contains(&item.kind()) => digests.push(item.as_bytes(), b"")?,
                    Ok(_) => tally.quarantine(row.place, Quarantine::KindNotInList),
                    Err(reason) => tally.quarantine(row.place, reason),
                }
            }
            if u64::is_multiple_of(number, REPORT) {
                bytes.report(progress);
            }
        }
        Ok(digests)
    }
}
