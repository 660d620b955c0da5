//! Writes steps, in the order in which the tables lie.

use veilmatch_lists::{Place, Quarantine};

use super::{
    Feed, ImportStage, OnImport, body,
    pace::Pace,
    resolve::Steps,
    sorter::{Pair, Sorted},
};
use crate::{
    Error,
    store::{Gone, Ledger, Record, SourceRow, Tally},
};

/// Writes the steps of one source. Digests without a key that are known to be harmless are set aside here, where items come
/// in order.
pub(super) fn apply(
    feed: &Feed<'_>,
    steps: Steps,
    whole: bool,
    tally: &mut Tally,
    progress: OnImport<'_>,
) -> Result<(), Error> {
    let Feed { ledger, source } = *feed;
    let pace = Pace::new(ImportStage::Write, steps.items.count() + steps.records.count(), progress);
    let mut apply = Apply { ledger, source, check_known: ledger.knows_files()?, whole, tally, pace };
    apply.items(steps.items.sorted()?)?;
    apply.records(steps.records.sorted()?)?;
    let size = source.size + apply.tally.added - apply.tally.removed;
    ledger.resize(source, size)
}

struct Apply<'a, 'b> {
    ledger: &'a Ledger<'a>,
    source: &'a SourceRow,
    check_known: bool,
    whole: bool,
    tally: &'a mut Tally,
    pace: Pace<'b>,
}

// What one step does with an item.
struct Step {
    record: Vec<u8>,
    // Row and what is said, of a claim.
    claim: Option<(u64, crate::store::Said)>,
}

impl Step {
    fn of(tail: &[u8]) -> Result<Self, Error> {
        let (fixed, rest) = tail.split_first_chunk::<3>().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes([fixed[1], fixed[2]]));
        let (record, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        let claim = match fixed[0] {
            0 => None,
            _ => {
                let (row, said) = rest.split_first_chunk::<8>().ok_or(CUT)?;
                Some((u64::from_be_bytes(*row), body::take_said(said)?.0))
            }
        };
        Ok(Self { record: record.to_vec(), claim })
    }
}

impl Apply<'_, '_> {
    fn items(&mut self, mut steps: Sorted) -> Result<(), Error> {
        while let Some(Pair { key: item, tail }) = steps.next()? {
            let mut of_item = vec![Step::of(&tail)?];
            while steps.peek() == Some(&item[..]) {
                let Some(next) = steps.next()? else { break };
                of_item.push(Step::of(&next.tail)?);
            }
            self.item(&item, &of_item)?;
            self.pace.step(of_item.len() as u64);
        }
        Ok(())
    }

    fn item(&mut self, item: &[u8], steps: &[Step]) -> Result<(), Error> {
        let known = self.check_known && self.ledger.is_known(item)?;
        let mut taken = Vec::new();
        for step in steps.iter().filter(|step| step.claim.is_none()) {
            if self.ledger.unclaim(self.source.id, item, &step.record)? {
                self.tally.removed += 1;
                taken.push(&step.record);
            }
        }
        let mut touched = !taken.is_empty();
        for step in steps {
            let Some((row, said)) = &step.claim else { continue };
            // Of rows with a key they were set aside when they were read; what is listed stays.
            if known && step.record.is_empty() && !taken.contains(&&step.record) {
                self.tally.quarantine(Place { row: *row, offset: 0 }, Quarantine::KnownFile);
                continue;
            }
            self.ledger.claim(self.source.id, item, &step.record, said)?;
            touched = true;
            self.tally.accepted += 1;
            // Taken back and said otherwise is one thing.
            if taken.contains(&&step.record) {
                self.tally.relabelled += 1;
                self.tally.removed -= 1;
            } else {
                self.tally.added += 1;
            }
        }
        if touched && !self.whole {
            self.ledger.touch(item)?;
        }
        Ok(())
    }

    fn records(&mut self, mut steps: Sorted) -> Result<(), Error> {
        while let Some(Pair { key, tail }) = steps.next()? {
            match tail.split_first_chunk::<10>() {
                Some((fixed, body)) => {
                    let at = u64::from_be_bytes(fixed[1..9].try_into().expect("eight bytes"));
                    let gone = match fixed[9] {
                        0 => Gone::No,
                        1 => Gone::BySource,
                        _ => Gone::ByHand,
                    };
                    self.ledger.put_record(self.source.id, &Record { key, at, gone, body: body.to_vec() })?;
                }
                None => self.ledger.forget_record(self.source.id, &key)?,
            }
            self.pace.step(1);
        }
        Ok(())
    }
}

const CUT: Error = Error::Internal("a step that an import sorted cannot be read back");
