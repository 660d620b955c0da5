//! Retractions by the agency: of digests, whoever claims them, and of records of a source by their keys.

use std::path::Path;

use veilmatch_protocol::item::Item;

use super::{Feed, Intake, ListFile, OnImport, TOUCHED, apply, body, keep, resolve::Steps, sorter::Sorter};
use crate::{
    Error,
    store::{Change, Gone, Ledger, Record, SourceRow, Tally},
};

/// Records or digests that are withdrawn, or given back to their source.
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
    /// [`Error::UnknownSource`], [`Error::HashList`], [`Error::Store`], [`Error::Io`].
    pub(crate) fn retract(&self, ledger: Ledger<'_>, file: ListFile, progress: OnImport<'_>) -> Result<Change, Error> {
        let sources = self.sources(&ledger)?;
        let mut tally = Tally::default();
        let name = file.name();
        let digests = self.digests(file, &mut tally, progress)?;
        let mut claims: Vec<Claims> = sources.iter().map(|_| Claims::new(self.dir.root())).collect();
        let mut digests = digests.sorted()?;
        while let Some(digest) = digests.next()? {
            if digests.peek() == Some(&digest.key[..]) {
                tally.duplicate += 1;
                continue;
            }
            let item = Item::from_bytes(&digest.key)?;
            let mut claimed = false;
            for (source, claims) in sources.iter().zip(&mut claims) {
                for claim in ledger.standing(source.id, &item)? {
                    claimed = true;
                    claims.take_back(&item, &claim.record)?;
                }
            }
            if claimed {
                tally.accepted += 1;
            } else {
                tally.duplicate += 1;
            }
        }
        self.taken_back(ledger, &name, &sources, claims, tally, progress)
    }

    /// Withdraws digests from a source, or from all that claim them, or gives them back. `named`: what was said on the
    /// command line; else the digests of a file.
    ///
    /// # Errors
    /// [`Error::UnknownSource`], [`Error::Argument`] for digests that no such source claims, [`Error::HashList`],
    /// [`Error::Store`], [`Error::Io`].
    pub(crate) fn withdraw_digests(
        &self,
        ledger: Ledger<'_>,
        digests: Digests,
        what: Withdrawal,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        let mut tally = Tally::default();
        let (name, digests) = match digests {
            Digests::Named(items) => (String::new(), self.named(&items, &mut tally)?),
            Digests::Of(file) => (file.name(), self.digests(*file, &mut tally, progress)?),
        };
        let sources = self.sources(&ledger)?;
        let mut claims: Vec<Claims> = sources.iter().map(|_| Claims::new(self.dir.root())).collect();
        let mut unknown = Unknown::default();
        let mut digests = digests.sorted()?;
        while let Some(digest) = digests.next()? {
            if digests.peek() == Some(&digest.key[..]) {
                tally.duplicate += 1;
                continue;
            }
            let item = Item::from_bytes(&digest.key)?;
            let mut found = Found::Nothing;
            for (source, claims) in sources.iter().zip(&mut claims) {
                found = found.max(match what {
                    Withdrawal::Withdraw => claims.withdraw(&ledger, source, &item)?,
                    Withdrawal::GiveBack if ledger.set_withdrawn(source.id, item.as_bytes(), false)? => Found::Given,
                    Withdrawal::GiveBack => Found::Nothing,
                });
            }
            match found {
                Found::Nothing => unknown.add(&item),
                Found::Already => tally.duplicate += 1,
                Found::Claimed => tally.retracted += 1,
                Found::Given => tally.accepted += 1,
            }
        }
        unknown.none(self.options.source.as_deref(), what)?;
        self.taken_back(ledger, &name, &sources, claims, tally, progress)
    }

    fn named(&self, items: &[Item], tally: &mut Tally) -> Result<Sorter, Error> {
        let mut digests = Sorter::new(self.dir.root());
        tally.read = items.len() as u64;
        items.iter().try_for_each(|item| digests.push(item.as_bytes(), b""))?;
        Ok(digests)
    }

    // The one that was named, or all.
    fn sources(&self, ledger: &Ledger<'_>) -> Result<Vec<SourceRow>, Error> {
        match &self.options.source {
            Some(name) => Ok(vec![ledger.known_source(name)?]),
            None => ledger.sources(),
        }
    }

    // Writes what each source's claims become.
    fn taken_back(
        &self,
        ledger: Ledger<'_>,
        file: &str,
        sources: &[SourceRow],
        claims: Vec<Claims>,
        mut tally: Tally,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        let whole = claims.iter().map(Claims::count).sum::<u64>() > TOUCHED;
        for (source, claims) in sources.iter().zip(claims) {
            let feed = Feed { ledger: &ledger, source };
            self.written(&feed, claims.steps(&feed)?, whole, &mut tally, progress)?;
        }
        let source = self.options.source.as_deref().unwrap_or("all");
        let worth = !tally.is_empty();
        keep(ledger, self.row("retract", file, source, tally), whole, worth)
    }

    // Writes steps. A retraction counts in digests or in records, and tells the claims beside.
    fn written(
        &self,
        feed: &Feed<'_>,
        steps: Steps,
        whole: bool,
        tally: &mut Tally,
        progress: OnImport<'_>,
    ) -> Result<(), Error> {
        let mut written = Tally::default();
        apply::apply(feed, steps, whole, &mut written, progress)?;
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
        self.written(&Feed { ledger: &ledger, source: &source }, steps, false, &mut tally, progress)?;
        let worth = !tally.is_empty();
        keep(ledger, self.row("retract", "", name, tally), false, worth)
    }
}

/// Digests to be withdrawn.
pub(crate) enum Digests {
    /// Said one by one.
    Named(Vec<Item>),
    /// Those of a file.
    Of(Box<ListFile>),
}

// What there was to do about a digest. Of several sources, the last of these counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Already,
    Claimed,
    Given,
}

// Digests with which there is nothing to do: whoever mistypes one must not think that it is gone.
#[derive(Default)]
struct Unknown {
    count: u64,
    first: Option<Item>,
}

impl Unknown {
    fn add(&mut self, item: &Item) {
        self.count += 1;
        self.first.get_or_insert_with(|| item.clone());
    }

    fn none(self, source: Option<&str>, what: Withdrawal) -> Result<(), Error> {
        let Some(first) = self.first else { return Ok(()) };
        let first = format!("{}:{}", first.kind().name(), hex::encode(first.digest()));
        let more = if self.count > 1 { format!(" and {} more", self.count - 1) } else { String::new() };
        let what = match (what, source) {
            (Withdrawal::Withdraw, None) => "no source claims".to_owned(),
            (Withdrawal::Withdraw, Some(source)) => format!("source {source} does not claim"),
            (Withdrawal::GiveBack, None) => "nobody withdrew".to_owned(),
            (Withdrawal::GiveBack, Some(source)) => format!("nobody withdrew from source {source}"),
        };
        Err(Error::argument("--digest", format!("{what} {first}{more}; nothing was changed")))
    }
}

/// Claims of one source that are taken back.
struct Claims {
    steps: Steps,
    // Record │ item: a record forgets its digest, so that the same row, given again, says something new.
    by_record: Sorter,
}

impl Claims {
    fn new(folder: &Path) -> Self {
        Self { steps: Steps::new(folder), by_record: Sorter::new(folder) }
    }

    fn count(&self) -> u64 {
        self.steps.count() + self.by_record.count()
    }

    fn withdraw(&mut self, ledger: &Ledger<'_>, source: &SourceRow, item: &Item) -> Result<Found, Error> {
        let standing = ledger.standing(source.id, item)?;
        if standing.is_empty() {
            let already = ledger.is_withdrawn(source.id, item.as_bytes())?;
            return Ok(if already { Found::Already } else { Found::Nothing });
        }
        standing.iter().try_for_each(|claim| self.take_back(item, &claim.record))?;
        ledger.set_withdrawn(source.id, item.as_bytes(), true)?;
        Ok(Found::Claimed)
    }

    fn take_back(&mut self, item: &Item, record: &[u8]) -> Result<(), Error> {
        match record {
            [] => self.steps.unclaim(item, b""),
            record => self.by_record.push(record, item.as_bytes()),
        }
    }

    fn steps(self, feed: &Feed<'_>) -> Result<Steps, Error> {
        let Self { mut steps, by_record } = self;
        let mut by_record = by_record.sorted()?;
        while let Some(first) = by_record.next()? {
            let mut gone = vec![first.tail];
            while by_record.peek() == Some(&first.key[..]) {
                gone.extend(by_record.next()?.map(|next| next.tail));
            }
            without(feed, &first.key, &gone, &mut steps)?;
        }
        Ok(steps)
    }
}

// Steps that leave digests out of a record: what is said of the others may change with it.
fn without(feed: &Feed<'_>, key: &[u8], gone: &[Vec<u8>], steps: &mut Steps) -> Result<(), Error> {
    let Feed { ledger, source } = feed;
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
