//! Reads the rows of a file and sorts them: loose digests by themselves, rows with a key by their key.

use std::{path::Path, sync::mpsc, thread};

use veilmatch_lists::{Category, Listing, Place, Quarantine, Row, Says};
use veilmatch_protocol::{
    codebook::{is_code, is_scheme},
    item::Item,
};

use super::{
    Feed, Intake, ListFile, OnImport, body,
    file::Upto,
    is_stronger,
    sorter::Sorter,
    staging::{Restored, Staging},
};
use crate::{
    Error,
    store::{Categories, Said, Tally},
};

/// What a digest takes at most, as an item of its own.
const BYTES_PER_DIGEST: usize = 128;

/// Bytes after which fewer travel together.
const BATCH_BYTES: usize = 1 << 20;

/// Key of a row that is longer: no source has one.
const MAX_KEY: usize = 1_024;

/// What a file says, sorted.
///
/// ```text
/// loose  item   │ number(8) ‖ row(8) ‖ said
/// keyed  record │ at(8) ‖ withdrawn(1) ‖ number(8) ‖ row(8) ‖ weight(4) ‖ body
/// ```
/// number: how many rows came before, so that the last of a key is the one that counts; of one time, a withdrawal is.
pub(super) struct Staged {
    pub(super) loose: Sorter,
    pub(super) keyed: Sorter,
}

impl Staged {
    fn unnamed(folder: &Path, run_bytes: usize) -> Self {
        Self { loose: Sorter::bounded(folder, run_bytes), keyed: Sorter::bounded(folder, run_bytes) }
    }
}

pub(super) fn stage(
    intake: &Intake<'_>,
    feed: &Feed<'_>,
    mut file: ListFile,
    categories: &mut Categories,
    tally: &mut Tally,
    progress: OnImport<'_>,
) -> Result<Staged, Error> {
    // A dry run leaves nothing behind, wherever it is killed.
    let mut staging = match intake.options.dry_run {
        true => None,
        false => Some(Staging::open(intake, feed, &file, categories, progress)?),
    };
    let found = match &mut staging {
        Some(staging) => staging.go_on(&mut file, categories, progress)?,
        None => None,
    };
    let staged = match &staging {
        Some(staging) => staging.staged(),
        None => Staged::unnamed(intake.dir.root(), intake.portion.run),
    };
    let mut stage = Stage {
        intake,
        feed,
        check_known: feed.ledger.knows_files()?,
        check_withdrawn: feed.ledger.has_withdrawn(feed.source.id)?,
        categories,
        tally,
        staged,
        number: 0,
        now: intake.now,
    };
    if let Some(found) = found {
        let at_end = found.at_end;
        stage.restore(found);
        if at_end {
            return Ok(stage.staged);
        }
    }
    let bytes = file.bytes();
    thread::scope(|scope| {
        let (batches, queue) = mpsc::sync_channel::<Result<Batch, Error>>(4);
        scope.spawn(move || read(file, intake.portion.rows, &batches));
        for batch in queue {
            let Batch { rows, upto } = batch?;
            for row in rows {
                stage.row(row)?;
            }
            if let (Some(staging), Some(upto)) = (&staging, upto) {
                stage.put_down(staging, upto)?;
            }
            bytes.report(progress);
        }
        Ok(stage.staged)
    })
}

// Rows, and how far the file was read with them. At its end there are none.
struct Batch {
    rows: Vec<Row>,
    upto: Option<Upto>,
}

// About what a row takes.
fn taken_by(row: &Row) -> usize {
    let Says::Listed(listing) = &row.says else { return 0 };
    listing.digests.len() * BYTES_PER_DIGEST + listing.reference.as_ref().map_or(0, String::len)
}

// Ends early where nobody listens any more.
fn read(mut file: ListFile, at_once: usize, batches: &mpsc::SyncSender<Result<Batch, Error>>) {
    loop {
        let mut rows = Vec::with_capacity(at_once);
        let (mut failed, mut bytes) = (None, 0);
        for row in file.by_ref().take(at_once) {
            match row {
                Ok(row) => {
                    bytes += taken_by(&row);
                    rows.push(row);
                    if bytes > BATCH_BYTES {
                        break;
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        let ended = rows.is_empty() && failed.is_none();
        let upto = if ended { file.end() } else { file.upto() };
        if batches.send(Ok(Batch { rows, upto })).is_err() || ended {
            return;
        }
        if let Some(error) = failed {
            let _ = batches.send(Err(error));
            return;
        }
    }
}

// The key of a row that has none and names several digests: the strongest.
fn key_of(items: &[Item]) -> Option<Vec<u8>> {
    let [first, others @ ..] = items else { return None };
    let strongest = others.iter().fold(first, |a, b| if is_stronger(b.kind(), a.kind()) { b } else { a });
    (!others.is_empty()).then(|| strongest.as_bytes().to_vec())
}

// Sources write what they like. What lies beyond this is as good as never.
fn storable(time: u64) -> u64 {
    time.min(1 << 53)
}

struct Stage<'a> {
    intake: &'a Intake<'a>,
    feed: &'a Feed<'a>,
    check_known: bool,
    check_withdrawn: bool,
    categories: &'a mut Categories,
    tally: &'a mut Tally,
    staged: Staged,
    number: u64,
    // A row of tomorrow is one of now: it must not outlive what is said of it tomorrow.
    now: u64,
}

impl Stage<'_> {
    fn restore(&mut self, found: Restored) {
        let Restored { staged, categories, tally, number, began, .. } = found;
        (*self.categories, *self.tally) = (categories, tally);
        (self.staged, self.number, self.now) = (staged, number, began);
    }

    // Puts down what is worth it: runs that are full, and at the end of the file the last ones of several.
    fn put_down(&mut self, staging: &Staging, upto: Upto) -> Result<(), Error> {
        let Staged { loose, keyed } = &self.staged;
        let worth = match upto.is_end() {
            true => loose.has_runs() || keyed.has_runs(),
            false => loose.is_nearly_full() || keyed.is_nearly_full(),
        };
        if !worth {
            return Ok(());
        }
        staging.put_down(&mut self.staged, (self.number, self.tally, self.categories), upto)
    }

    fn row(&mut self, row: Row) -> Result<(), Error> {
        self.number += 1;
        let (place, weight) = (row.place, row.weight());
        self.tally.read += weight;
        match (row.id, row.says) {
            (Some(id), _) if id.is_empty() || id.len() > MAX_KEY => self.malformed(place, weight),
            (None, Says::Withdrawn) => self.malformed(place, weight),
            (Some(id), Says::Withdrawn) => self.keyed(&id, row.at, place, 1, None)?,
            (id, Says::Listed(listing)) => self.listing(id, row.at, place, listing)?,
        }
        Ok(())
    }

    // Sets a whole row aside, each digest of it.
    fn malformed(&mut self, place: Place, weight: u64) {
        (0..weight).for_each(|_| self.tally.quarantine(place, Quarantine::Malformed));
    }

    fn listing(&mut self, id: Option<Vec<u8>>, at: Option<u64>, place: Place, listing: Listing) -> Result<(), Error> {
        let Some(said) = self.said(&listing)? else {
            self.malformed(place, listing.digests.len() as u64);
            return Ok(());
        };
        let keyed = id.is_some() || listing.digests.len() > 1;
        let mut items = Vec::with_capacity(listing.digests.len());
        for digest in listing.digests {
            match digest {
                Ok(item) if keyed && self.is_set_aside(&item)? => self.tally.quarantine(place, Quarantine::KnownFile),
                Ok(item) if self.intake.list.kinds.contains(&item.kind()) => items.push(item),
                Ok(_) => self.tally.quarantine(place, Quarantine::KindNotInList),
                Err(reason) => self.tally.quarantine(place, reason),
            }
        }
        // Without a key the strongest digest stands for the row, be it withdrawn or not.
        let id = id.or_else(|| key_of(&items));
        let items = self.not_withdrawn(items)?;
        let weight = u32::try_from(items.len()).unwrap_or(u32::MAX);
        match id {
            Some(id) => self.keyed(&id, at, place, weight, Some(&body::body(&said, &items))),
            None => items.iter().try_for_each(|item| self.loose(item, place, &said)),
        }
    }

    // What the agency withdrew from the source counts as retracted, like records that it withdrew.
    fn not_withdrawn(&mut self, items: Vec<Item>) -> Result<Vec<Item>, Error> {
        if !self.check_withdrawn {
            return Ok(items);
        }
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            match self.feed.ledger.is_withdrawn(self.feed.source.id, item.as_bytes())? {
                true => self.tally.retracted += 1,
                false => left.push(item),
            }
        }
        Ok(left)
    }

    // A record does not have a digest that is known to be harmless: its other digests have no stronger one by it, and once
    // the set changes the same row says something new. What the source has listed already stays.
    fn is_set_aside(&self, item: &Item) -> Result<bool, Error> {
        let Feed { ledger, source } = self.feed;
        let known = self.check_known && ledger.is_known(item.as_bytes())?;
        Ok(known && ledger.standing(source.id, item)?.is_empty())
    }

    // What the row says beside its digests; `None` if its category is none that a code book can have.
    fn said(&mut self, listing: &Listing) -> Result<Option<Said>, Error> {
        let options = self.intake.options;
        let category = match options.category.as_ref().or(listing.category.as_ref()) {
            Some(Category { scheme, code })
                if is_scheme(scheme) && is_code(code) && code.len() <= self.intake.room() =>
            {
                self.categories.number(scheme, code, &options.action)?
            }
            Some(_) => return Ok(None),
            None => 0,
        };
        let reference = listing.reference.as_ref().unwrap_or(&options.reference);
        Ok(Some(Said {
            category,
            stronger: false,
            reference: reference.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            valid_from: listing.valid_from.or(options.valid_from).map(storable),
            valid_until: listing.valid_until.or(options.valid_until).map(storable),
        }))
    }

    fn loose(&mut self, item: &Item, place: Place, said: &Said) -> Result<(), Error> {
        let mut tail = Vec::with_capacity(48);
        tail.extend_from_slice(&self.number.to_be_bytes());
        tail.extend_from_slice(&place.row.to_be_bytes());
        body::put_said(&mut tail, said);
        self.staged.loose.push(item.as_bytes(), &tail)
    }

    // `body`: what the row says, or `None` if it withdraws.
    fn keyed(
        &mut self,
        id: &[u8],
        at: Option<u64>,
        place: Place,
        weight: u32,
        body: Option<&[u8]>,
    ) -> Result<(), Error> {
        let mut tail = Vec::with_capacity(128);
        tail.extend_from_slice(&at.map_or(u64::MAX, |at| at.min(self.now)).to_be_bytes());
        tail.push(u8::from(body.is_none()));
        tail.extend_from_slice(&self.number.to_be_bytes());
        tail.extend_from_slice(&place.row.to_be_bytes());
        tail.extend_from_slice(&weight.to_be_bytes());
        tail.extend_from_slice(body.unwrap_or_default());
        self.staged.keyed.push(id, &tail)
    }
}
