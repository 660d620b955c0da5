//! The set of files that are known to be harmless.

use std::io::BufRead;

use veilmatch_protocol::item::Item;

use super::{ImportStage, Intake, OnImport};
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
        let digests = self.digests(input, refuse, &mut tally, progress)?;
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
