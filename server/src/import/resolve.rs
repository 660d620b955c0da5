//! Compares what a file says with what its source said before, and finds the steps that lead from the one to the other.

use std::collections::{BTreeMap, BTreeSet};

use veilmatch_lists::{Place, Quarantine};
use veilmatch_protocol::item::Item;

use super::{
    Feed, ImportStage, Intake, OnImport, body,
    pace::Pace,
    sorter::{Pair, Sorted, Sorter},
    stage::Staged,
};
use crate::{
    Error,
    store::{Gone, Ledger, Record, Said, SourceRow, Tally},
};

/// Where a file has fewer keys than this share of what the source said, they are looked up one by one.
const FEW: u64 = 16;

/// What is to be written.
///
/// ```text
/// items    item   │ verb(1): 0 unclaim, 1 claim ‖ record length(2) ‖ record ‖ row(8) ‖ said, of a claim
/// records  record │ verb(1): 0 forget, 1 put ‖ at(8) ‖ gone(1) ‖ body
/// ```
pub(super) struct Steps {
    pub(super) items: Sorter,
    pub(super) records: Sorter,
    pub(super) claims: u64,
    pub(super) unclaims: u64,
}

impl Steps {
    pub(super) fn new(folder: &std::path::Path) -> Self {
        Self { items: Sorter::new(folder), records: Sorter::new(folder), claims: 0, unclaims: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.items.count()
    }

    pub(super) fn claim(&mut self, item: &Item, record: &[u8], row: u64, said: &Said) -> Result<(), Error> {
        self.claims += 1;
        let mut tail = step(1, record);
        tail.extend_from_slice(&row.to_be_bytes());
        body::put_said(&mut tail, said);
        self.items.push(item.as_bytes(), &tail)
    }

    pub(super) fn unclaim(&mut self, item: &Item, record: &[u8]) -> Result<(), Error> {
        self.unclaims += 1;
        self.items.push(item.as_bytes(), &step(0, record))
    }

    pub(super) fn put(&mut self, record: &Record) -> Result<(), Error> {
        let mut tail = vec![1];
        tail.extend_from_slice(&record.at.to_be_bytes());
        tail.push(record.gone as u8);
        tail.extend_from_slice(&record.body);
        self.records.push(&record.key, &tail)
    }

    pub(super) fn forget(&mut self, key: &[u8]) -> Result<(), Error> {
        self.records.push(key, &[0])
    }
}

fn step(verb: u8, record: &[u8]) -> Vec<u8> {
    let mut tail = vec![verb];
    tail.extend_from_slice(&u16::try_from(record.len()).expect("keys are short").to_be_bytes());
    tail.extend_from_slice(record);
    tail
}

pub(super) fn resolve(
    intake: &Intake<'_>,
    feed: &Feed<'_>,
    snapshot: bool,
    staged: Staged,
    tally: &mut Tally,
    progress: OnImport<'_>,
) -> Result<Steps, Error> {
    let Feed { ledger, source } = *feed;
    let total = staged.loose.count() + staged.keyed.count();
    let few = !snapshot && total < source.size / FEW;
    let (loose, keyed) = (staged.loose.sorted()?, staged.keyed.sorted()?);
    let mut steps = Steps::new(intake.dir.root());
    let pace = Pace::new(ImportStage::Compare, total, progress);
    let mut resolve = Resolve { ledger, source, snapshot, few, now: intake.now, steps: &mut steps, tally, pace };
    resolve.loose(loose)?;
    resolve.keyed(keyed)?;
    Ok(steps)
}

struct Resolve<'a, 'b> {
    ledger: &'a Ledger<'a>,
    source: &'a SourceRow,
    snapshot: bool,
    few: bool,
    now: u64,
    steps: &'a mut Steps,
    tally: &'a mut Tally,
    pace: Pace<'b>,
}

// The last loose row of an item.
struct Loose {
    item: Item,
    row: u64,
    said: Said,
}

impl Resolve<'_, '_> {
    fn loose(&mut self, mut rows: Sorted) -> Result<(), Error> {
        if !self.few {
            let ledger = self.ledger;
            ledger.visit_loose(self.source.id, |claim| {
                while rows.peek().is_some_and(|item| item < claim.item.as_bytes()) {
                    let Some(new) = self.next_loose(&mut rows)? else { break };
                    self.say(&new, None)?;
                }
                if rows.peek() == Some(claim.item.as_bytes()) {
                    let Some(new) = self.next_loose(&mut rows)? else { return Ok(()) };
                    self.say(&new, Some(&claim.said))
                } else if self.snapshot {
                    self.steps.unclaim(&claim.item, b"")
                } else {
                    Ok(())
                }
            })?;
        }
        while let Some(new) = self.next_loose(&mut rows)? {
            let said = if self.few { self.ledger.loose(self.source.id, &new.item)? } else { None };
            self.say(&new, said.as_ref())?;
        }
        Ok(())
    }

    // All rows of the next item but the last say what is said again, or otherwise, by a later one.
    fn next_loose(&mut self, rows: &mut Sorted) -> Result<Option<Loose>, Error> {
        let Some(mut last) = rows.next()? else { return Ok(None) };
        self.pace.step(1);
        while rows.peek() == Some(&last.key[..]) {
            let Some(later) = rows.next()? else { break };
            self.tally.duplicate += 1;
            self.pace.step(1);
            last = later;
        }
        let (numbers, said) = last.tail.split_first_chunk::<16>().ok_or(CUT)?;
        let (said, _) = body::take_said(said)?;
        Ok(Some(Loose { item: Item::from_bytes(&last.key)?, row: number(&numbers[8..]), said }))
    }

    fn say(&mut self, new: &Loose, old: Option<&Said>) -> Result<(), Error> {
        if old == Some(&new.said) {
            self.tally.duplicate += 1;
            return Ok(());
        }
        if old.is_some() {
            self.steps.unclaim(&new.item, b"")?;
        }
        self.steps.claim(&new.item, b"", new.row, &new.said)
    }

    fn keyed(&mut self, mut rows: Sorted) -> Result<(), Error> {
        if !self.few {
            let ledger = self.ledger;
            ledger.visit_records(self.source.id, |record| {
                while rows.peek().is_some_and(|key| key < &record.key[..]) {
                    let Some(new) = self.next_keyed(&mut rows, None)? else { break };
                    self.replace(&new, None)?;
                }
                if rows.peek() == Some(&record.key[..]) {
                    let Some(new) = self.next_keyed(&mut rows, Some(&record))? else { return Ok(()) };
                    self.replace(&new, Some(&record))
                } else if self.snapshot && record.gone == Gone::No {
                    self.steps.forget(&record.key)?;
                    self.exchange(&record.key, 0, &record.body, b"", 0)
                } else {
                    Ok(())
                }
            })?;
        }
        while let Some(key) = rows.peek().map(<[u8]>::to_vec) {
            let old = if self.few { self.ledger.record(self.source.id, &key)? } else { None };
            let Some(new) = self.next_keyed(&mut rows, old.as_ref())? else { break };
            self.replace(&new, old.as_ref())?;
        }
        Ok(())
    }

    // The last row of the next key. What comes before it counts as said again, or as withdrawn.
    fn next_keyed(&mut self, rows: &mut Sorted, old: Option<&Record>) -> Result<Option<Keyed>, Error> {
        let Some(first) = rows.next()? else { return Ok(None) };
        self.pace.step(1);
        let mut last = Keyed::of(first)?;
        while rows.peek() == Some(&last.key[..]) {
            let Some(later) = rows.next()? else { break };
            self.pace.step(1);
            let later = Keyed::of(later)?;
            let gone = last.withdrawn || later.withdrawn || old.is_some_and(|old| old.gone == Gone::ByHand);
            if gone {
                self.tally.retracted += last.weight;
            } else {
                self.superseded(&last, &later)?;
            }
            last = later;
        }
        Ok(Some(last))
    }

    // What a row says that a later one of its key does not say, too, is set aside: perhaps the key is none.
    fn superseded(&mut self, row: &Keyed, later: &Keyed) -> Result<(), Error> {
        let named: BTreeSet<Item> = body::claims(&later.body)?.into_iter().map(|claim| claim.0).collect();
        let mut left = row.weight;
        for (item, _) in body::claims(&row.body)? {
            if !named.contains(&item) {
                let place = Place { row: row.row, offset: 0 };
                self.tally.quarantine(place, Quarantine::Superseded);
                left -= 1;
            }
        }
        self.tally.duplicate += left;
        Ok(())
    }

    fn replace(&mut self, new: &Keyed, old: Option<&Record>) -> Result<(), Error> {
        if let Some(old) = old
            && (old.gone == Gone::ByHand || new.is_older_than(old))
        {
            // What the agency withdrew stays withdrawn, and what is older than what is known says nothing.
            if old.gone == Gone::No {
                self.tally.duplicate += new.weight;
            } else {
                self.tally.retracted += new.weight;
            }
            return Ok(());
        }
        let before = old.map_or(&[][..], |old| &old.body);
        let known = old.map_or(0, |old| old.at);
        let at = match new.at {
            // What withdraws without a time is of now: older pages must not undo it.
            u64::MAX if new.withdrawn => known.max(self.now),
            u64::MAX => known,
            at => at,
        };
        let gone = if new.withdrawn { Gone::BySource } else { Gone::No };
        let now = Record { key: new.key.clone(), at, gone, body: new.body.clone() };
        if new.withdrawn {
            self.tally.retracted += new.weight;
        }
        // A row without a single digest that can be taken is remembered only where there was something to replace.
        if old != Some(&now) && (old.is_some() || new.withdrawn || new.weight > 0) {
            self.steps.put(&now)?;
        }
        self.exchange(&new.key, new.row, before, &new.body, new.weight)
    }

    // Steps from the claims of one body to those of another.
    fn exchange(&mut self, key: &[u8], row: u64, before: &[u8], after: &[u8], weight: u64) -> Result<(), Error> {
        if before == after {
            if !after.is_empty() {
                self.tally.duplicate += weight;
            }
            return Ok(());
        }
        let (before, after) = (body::claims(before)?, body::claims(after)?);
        let old: BTreeMap<&Item, &Said> = before.iter().map(|(item, said)| (item, said)).collect();
        let new: BTreeMap<&Item, &Said> = after.iter().map(|(item, said)| (item, said)).collect();
        for (item, said) in &before {
            if new.get(item) != Some(&said) {
                self.steps.unclaim(item, key)?;
            }
        }
        for (item, said) in &after {
            if old.get(item) == Some(&said) {
                self.tally.duplicate += 1;
            } else {
                self.steps.claim(item, key, row, said)?;
            }
        }
        if !after.is_empty() {
            // A digest that the row names twice.
            self.tally.duplicate += weight - after.len() as u64;
        }
        Ok(())
    }
}

// A row with a key.
struct Keyed {
    key: Vec<u8>,
    at: u64,
    row: u64,
    weight: u64,
    withdrawn: bool,
    body: Vec<u8>,
}

impl Keyed {
    // Of one time, a withdrawal is the later.
    fn is_older_than(&self, known: &Record) -> bool {
        self.at < known.at || self.at == known.at && known.gone == Gone::BySource && !self.withdrawn
    }

    fn of(Pair { key, tail }: Pair) -> Result<Self, Error> {
        let (fixed, body) = tail.split_first_chunk::<29>().ok_or(CUT)?;
        let weight = u32::from_be_bytes(fixed[25..].try_into().expect("four bytes"));
        Ok(Self {
            key,
            at: number(&fixed[..8]),
            row: number(&fixed[17..25]),
            weight: weight.into(),
            withdrawn: fixed[8] != 0,
            body: body.to_vec(),
        })
    }
}

const CUT: Error = Error::Internal("a row that an import sorted cannot be read back");

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
