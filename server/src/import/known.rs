//! The set of files that are known to be harmless.

use std::io::BufRead;

use veilmatch_lists::{Rows, Says};
use veilmatch_protocol::item::Item;

use super::{ImportStage, Intake, OnImport, sorter::Sorter};
use crate::{
    Error,
    store::{Change, Ledger, Tally},
};

/// What became of a file of known digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// Its counts: accepted are digests that were put on the set, or taken off it.
    pub change: Change,
    /// Digests of the file that some source claims.
    pub listed: u64,
}

impl Intake<'_> {
    /// Puts the digests of a file on the list's set of known files, or takes them off. Claims stay as they are.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`], and what `refuse` makes of the file's own errors.
    pub(crate) fn exclude(
        &self,
        ledger: Ledger<'_>,
        remove: bool,
        input: impl BufRead + Send,
        refuse: &(dyn Fn(veilmatch_lists::Error) -> Error + Sync),
        progress: OnImport<'_>,
    ) -> Result<Excluded, Error> {
        let mut tally = Tally::default();
        let mut digests = Sorter::new(self.dir.root());
        for row in Rows::open(input, &self.options.reading).map_err(refuse)? {
            let row = row.map_err(refuse)?;
            tally.read += row.weight();
            let Says::Listed(listing) = row.says else {
                tally.quarantine(row.place, "NO_DIGEST");
                continue;
            };
            for digest in listing.digests {
                match digest {
                    Ok(item) if self.list.kinds.contains(&item.kind()) => digests.push(item.as_bytes(), b"")?,
                    Ok(_) => tally.quarantine(row.place, "KIND_NOT_IN_LIST"),
                    Err(reason) => tally.quarantine(row.place, reason.reason()),
                }
            }
            if tally.read.is_multiple_of(4_096) {
                self.read(progress);
            }
        }
        let sources = ledger.sources()?;
        let mut listed = 0;
        let total = digests.count();
        let mut digests = digests.sorted()?;
        while let Some(digest) = digests.next()? {
            if !ledger.set_known(&digest.key, !remove)? {
                tally.duplicate += 1;
                continue;
            }
            tally.accepted += 1;
            let item = Item::from_bytes(&digest.key)?;
            for source in &sources {
                if !ledger.standing(source.id, &item)?.is_empty() {
                    listed += 1;
                    break;
                }
            }
            progress(ImportStage::Write, tally.accepted + tally.duplicate, Some(total));
        }
        let change = if tally.accepted == 0 {
            Change { id: 0, source: String::new(), tally }
        } else {
            let row = self.row("exclude", "", tally);
            Change { id: ledger.keep(&row, false)?, source: row.source, tally: row.tally }
        };
        Ok(Excluded { change, listed })
    }
}
