//! One transaction of the writer: what was queued is applied in its order, and what many records add to is added to once.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use veilmatch_protocol::name::{Epoch, ListId, PlatformId};

use super::{
    BudgetUse, FrameKey, FrameRecord, FrameStatus, NewLeaf, closings, frames,
    logs::Ends,
    writer::{Recorded, Work},
};

/// Askers whose numbers are kept. Refused frames name epochs that never were, so that there may be any number of them.
const MOST_ASKERS: usize = 4_096;

/// Commits all of it or nothing, and gives what became of each.
pub(super) fn commit<'a>(
    connection: &mut Connection,
    askers: &mut Askers,
    works: impl Iterator<Item = &'a Work>,
) -> rusqlite::Result<Vec<Recorded>> {
    let committed = transact(connection, askers, works);
    if committed.is_err() {
        // Numbers that it gave away are gone with it.
        askers.0.clear();
    }
    committed
}

fn transact<'a>(
    connection: &mut Connection,
    askers: &mut Askers,
    works: impl Iterator<Item = &'a Work>,
) -> rusqlite::Result<Vec<Recorded>> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut group = Group { tx: &tx, askers, ends: Ends::default(), charges: Charges::default() };
    let outcomes = works.map(|work| group.apply(work)).collect::<Result<_, _>>()?;
    group.charges.write(&tx)?;
    tx.commit()?;
    Ok(outcomes)
}

struct Group<'a, 'tx> {
    tx: &'tx Transaction<'tx>,
    askers: &'tx mut Askers,
    ends: Ends,
    charges: Charges<'a>,
}

impl<'a> Group<'a, '_> {
    fn apply(&mut self, work: &'a Work) -> rusqlite::Result<Recorded> {
        match work {
            Work::Record { record, leaf, day } => self.record(record, leaf, *day),
            Work::Close { day, leaf } => {
                if !closings::is_as_compared(self.tx, day)? {
                    Ok(Recorded::Differs)
                } else if closings::insert(self.tx, day)? {
                    self.ends
                        .end(self.tx, &leaf.origin)?
                        .append(self.tx, leaf)
                        .map(|(log, index)| Recorded::Durable(log, index))
                } else {
                    Ok(Recorded::AlreadyAnswered)
                }
            }
            Work::Retry { key, most } => {
                let counted = frames::count_retry(self.tx, key, *most)?;
                Ok(if counted { Recorded::Counted } else { Recorded::TooManyRetries })
            }
            Work::Refund { key, day } => {
                let given_back = frames::refund(self.tx, key, *day)?;
                Ok(if given_back { Recorded::Counted } else { Recorded::AlreadyRefunded })
            }
        }
    }

    fn record(&mut self, record: &'a FrameRecord, leaf: &NewLeaf, day: u64) -> rusqlite::Result<Recorded> {
        let end = self.ends.end(self.tx, &leaf.origin)?;
        let asker = self.askers.number(self.tx, &record.key)?;
        if !frames::insert(self.tx, record, asker, end.place())? {
            return Ok(Recorded::AlreadyAnswered);
        }
        if matches!(record.status, FrameStatus::Answered { .. }) {
            self.charges.add(&record.key, record.n, day);
        }
        end.append(self.tx, leaf).map(|(log, index)| Recorded::Durable(log, index))
    }
}

/// The numbers of askers that the writer has met.
#[derive(Default)]
pub(super) struct Askers(HashMap<(PlatformId, ListId, Epoch), i64>);

impl Askers {
    fn number(&mut self, tx: &Transaction<'_>, key: &FrameKey) -> rusqlite::Result<i64> {
        let asker = (key.platform.clone(), key.list.clone(), key.epoch);
        if let Some(number) = self.0.get(&asker) {
            return Ok(*number);
        }
        let number = frames::asker(tx, key)?;
        if self.0.len() == MOST_ASKERS {
            self.0.clear();
        }
        self.0.insert(asker, number);
        Ok(number)
    }
}

// What the answered frames of a transaction are charged, each account once.
#[derive(Default)]
struct Charges<'a> {
    days: HashMap<(&'a PlatformId, &'a ListId, u64), BudgetUse>,
    keys: HashMap<(&'a ListId, Epoch), u64>,
}

impl<'a> Charges<'a> {
    fn add(&mut self, key: &'a FrameKey, elements: u32, day: u64) {
        let used = self.days.entry((&key.platform, &key.list, day)).or_default();
        used.elements += u64::from(elements);
        used.frames += 1;
        *self.keys.entry((&key.list, key.epoch)).or_default() += u64::from(elements);
    }

    fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for (account, used) in &self.days {
            frames::charge(tx, *account, *used)?;
        }
        for (key, elements) in &self.keys {
            frames::count_evaluations(tx, *key, *elements)?;
        }
        Ok(())
    }
}
