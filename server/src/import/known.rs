//! The set of files that are known to be harmless.

use veilmatch_protocol::item::Item;

use super::{ImportStage, Intake, ListFile, OnImport, keep, pace::Pace};
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
    /// [`Error::HashList`], [`Error::Store`], [`Error::Io`].
    pub(crate) fn exclude(
        &self,
        ledger: Ledger<'_>,
        remove: bool,
        file: ListFile,
        progress: OnImport<'_>,
    ) -> Result<Excluded, Error> {
        let mut tally = Tally::default();
        let name = file.name();
        let digests = self.digests(file, &mut tally, progress)?;
        let sources = ledger.sources()?;
        let mut listed = 0;
        let mut pace = Pace::new(ImportStage::Write, digests.count(), progress);
        let mut digests = digests.sorted()?;
        while let Some(digest) = digests.next()? {
            pace.step(1);
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
        }
        let worth = tally.accepted > 0;
        let change = keep(ledger, self.row("exclude", &name, "", tally), false, worth)?;
        Ok(Excluded { change, listed })
    }
}
