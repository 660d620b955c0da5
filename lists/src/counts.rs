//! Counts that add up.

use std::fmt;

use crate::{Error, Quarantine};

/// What became of the rows of one input. The caller counts, because it alone knows which items it holds already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries taken.
    pub accepted: u64,
    /// Entries that were there already, or that a later row of the same key says otherwise.
    pub duplicate: u64,
    /// Withdrawals, and entries that their source has withdrawn already.
    pub retracted: u64,
    quarantined: [u64; Quarantine::ALL.len()],
}

impl Counts {
    /// Counts a quarantined row.
    pub fn quarantine(&mut self, reason: Quarantine) {
        self.quarantined[reason as usize] += 1;
    }

    /// Quarantined rows of all reasons.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.quarantined.iter().sum()
    }

    /// Quarantined rows by reason, those that occurred, in the order of [`Quarantine::ALL`].
    pub fn by_reason(&self) -> impl Iterator<Item = (Quarantine, u64)> + '_ {
        Quarantine::ALL.into_iter().zip(self.quarantined).filter(|(_, count)| *count > 0)
    }

    /// Checks that every row that was read is accounted for: read = accepted + duplicate + retracted + quarantined.
    ///
    /// # Errors
    /// [`Error::Counts`] if the sum does not close: the import must not be used.
    pub fn close(&self, read: u64) -> Result<Closed<'_>, Error> {
        let accounted = self.accepted + self.duplicate + self.retracted + self.quarantined();
        if read == accounted { Ok(Closed { read, counts: self }) } else { Err(Error::Counts { read, accounted }) }
    }
}

/// Counts whose sum closed. Displays as `read 3 = accepted 1 + duplicate 1 + retracted 0 + quarantined 1`.
#[derive(Debug, Clone, Copy)]
pub struct Closed<'a> {
    read: u64,
    counts: &'a Counts,
}

impl Closed<'_> {
    /// Rows read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }
}

impl fmt::Display for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { accepted, duplicate, retracted, .. } = self.counts;
        let quarantined = self.counts.quarantined();
        write!(
            f,
            "read {} = accepted {accepted} + duplicate {duplicate} + retracted {retracted} + quarantined {quarantined}",
            self.read
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_at_their_place_in_the_list_of_all() {
        for (place, reason) in Quarantine::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }

    #[test]
    fn counts_that_miss_a_row_do_not_close() {
        let mut counts = Counts { accepted: 2, duplicate: 1, ..Counts::default() };
        counts.quarantine(Quarantine::BadHex);
        assert!(counts.close(4).is_ok());
        assert!(counts.close(5).is_err_and(|error| error.reason() == "LIST_COUNTS"));
        assert_eq!(counts.by_reason().collect::<Vec<_>>(), [(Quarantine::BadHex, 1)]);
    }
}
