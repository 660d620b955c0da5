//! Retractions by the agency: of digests, whoever claims them, and of records of a source by their keys.

use std::io::BufRead;

use veilmatch_protocol::item::Item;

use super::{Intake, OnImport, TOUCHED, apply, body, keep, resolve::Steps, sorter::Sorter};
use crate::{
    Error,
    store::{Change, Gone, Ledger, Record, SourceRow, Tally},
};

/// Records that are withdrawn, or given back to their source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// Not listed any more, whatever their source says.
    Withdraw,
    /// As their source says: its next file lists them again if they are in it.
    GiveBack,
}

impl Intake<'_> {
    /// Takes the digests of a file out of the list: of one source, or of all. Sources that name them again list them again.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Store`], [`Error::Io`], and what `refuse` makes of the file's own errors.
    pub(crate) fn retract(
        &self,
        ledger: Ledger<'_>,
        input: impl BufRead + Send,
        refuse: &(dyn Fn(veilmatch_lists::Error) -> Error + Sync),
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        let sources = match &self.options.source {
            Some(name) => vec![ledger.known_source(name)?],
            None => ledger.sources()?,
        };
        let mut tally = Tally::default();
        let digests = self.digests(input, refuse, &mut tally, progress)?;
        self.unlist(ledger, &sources, digests, tally, progress)
    }

    fn unlist(
        &self,
        ledger: Ledger<'_>,
        sources: &[SourceRow],
        digests: Sorter,
        mut tally: Tally,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        let mut all: Vec<Steps> = sources.iter().map(|_| Steps::new(self.dir.root())).collect();
        let mut digests = digests.sorted()?;
        while let Some(digest) = digests.next()? {
            if digests.peek() == Some(&digest.key[..]) {
                tally.duplicate += 1;
                continue;
            }
            let item = Item::from_bytes(&digest.key)?;
            let mut claimed = false;
            for (source, steps) in sources.iter().zip(&mut all) {
                for claim in ledger.standing(source.id, &item)? {
                    claimed = true;
                    steps.unclaim(&item, &claim.record)?;
                }
            }
            if claimed {
                tally.accepted += 1;
            } else {
                tally.duplicate += 1;
            }
        }
        let whole = all.iter().map(Steps::count).sum::<u64>() > TOUCHED;
        for (source, steps) in sources.iter().zip(all) {
            self.take_out(&ledger, source, steps, whole, &mut tally, progress)?;
        }
        let name = self.options.source.as_deref().unwrap_or("all");
        keep(ledger, self.row("retract", name, tally), whole, self.options.dry_run)
    }

    // Claims go; their records forget the digest, so that the same row, given again, says something new.
    fn take_out(
        &self,
        ledger: &Ledger<'_>,
        source: &SourceRow,
        steps: Steps,
        whole: bool,
        tally: &mut Tally,
        progress: OnImport<'_>,
    ) -> Result<(), Error> {
        let mut again = Steps::new(self.dir.root());
        let mut by_record = Sorter::new(self.dir.root());
        let mut items = steps.items.sorted()?;
        while let Some(step) = items.next()? {
            let item = Item::from_bytes(&step.key)?;
            match step.tail.get(3..).unwrap_or_default() {
                [] => again.unclaim(&item, b"")?,
                record => by_record.push(record, item.as_bytes())?,
            }
        }
        let mut by_record = by_record.sorted()?;
        while let Some(first) = by_record.next()? {
            let mut gone = vec![first.tail];
            while by_record.peek() == Some(&first.key[..]) {
                gone.extend(by_record.next()?.map(|next| next.tail));
            }
            without(ledger, source, &first.key, &gone, &mut again)?;
        }
        // Counted in digests above, and not in claims.
        let mut written = Tally::default();
        apply::apply(ledger, source, again, whole, &mut written, progress)?;
        tally.added += written.added;
        tally.relabelled += written.relabelled;
        tally.removed += written.removed;
        Ok(())
    }

    /// Withdraws records of a source by their keys, or gives them back.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Argument`] for a key that the source does not have, [`Error::Store`],
    /// [`Error::Io`].
    pub(crate) fn withdraw(
        &self,
        ledger: Ledger<'_>,
        keys: &[String],
        what: Withdrawal,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        let name = self.options.source.as_deref().unwrap_or(super::LOCAL);
        let source = ledger.known_source(name)?;
        let mut tally = Tally { read: keys.len() as u64, ..Tally::default() };
        let mut steps = Steps::new(self.dir.root());
        for key in keys {
            let record = ledger.record(source.id, key.as_bytes())?;
            match (what, record) {
                (Withdrawal::Withdraw, Some(Record { gone: Gone::ByHand, .. })) => tally.duplicate += 1,
                (Withdrawal::Withdraw, Some(record)) => {
                    for (item, _) in body::claims(&record.body)? {
                        if ledger.standing(source.id, &item)?.iter().any(|claim| claim.record == record.key) {
                            steps.unclaim(&item, &record.key)?;
                        }
                    }
                    steps.put(&Record { gone: Gone::ByHand, body: Vec::new(), ..record })?;
                    tally.retracted += 1;
                }
                (Withdrawal::GiveBack, Some(record)) if record.gone == Gone::ByHand => {
                    steps.forget(&record.key)?;
                    tally.accepted += 1;
                }
                (_, _) => {
                    let why = format!("source {name} has no such record {key:?}; nothing was changed");
                    return Err(Error::argument("--id", why));
                }
            }
        }
        let mut written = Tally::default();
        apply::apply(&ledger, &source, steps, false, &mut written, progress)?;
        tally.removed = written.removed;
        keep(ledger, self.row("retract", name, tally), false, self.options.dry_run)
    }
}

// Steps that leave digests out of a record: what is said of the others may change with it.
fn without(
    ledger: &Ledger<'_>,
    source: &SourceRow,
    key: &[u8],
    gone: &[Vec<u8>],
    steps: &mut Steps,
) -> Result<(), Error> {
    let Some(record) = ledger.record(source.id, key)? else {
        for item in gone {
            steps.unclaim(&Item::from_bytes(item)?, key)?;
        }
        return Ok(());
    };
    let before = body::claims(&record.body)?;
    let left: Vec<Item> = before
        .iter()
        .map(|(item, _)| item.clone())
        .filter(|item| !gone.iter().any(|gone| gone[..] == *item.as_bytes()))
        .collect();
    let body = match before.first() {
        Some((_, said)) => body::body(said, &left),
        None => Vec::new(),
    };
    let after = body::claims(&body)?;
    for (item, said) in &before {
        let now = after.iter().find(|(other, _)| other == item);
        if now.is_some_and(|(_, now)| now == said) {
            continue;
        }
        // One that is known to be harmless was never claimed.
        if ledger.standing(source.id, item)?.iter().any(|claim| claim.record == key) {
            steps.unclaim(item, key)?;
            if let Some((item, now)) = now {
                steps.claim(item, key, 0, now)?;
            }
        }
    }
    steps.put(&Record { body, ..record })
}
