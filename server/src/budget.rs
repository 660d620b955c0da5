//! Daily budgets and the cap of an epoch's key: reserved in memory before anything is decoded, charged in the transaction
//! that records the frame.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use veilmatch_protocol::name::{Epoch, ListId, PlatformId};

use crate::{
    Error,
    clock::DAY,
    store::{BudgetUse, Store},
};

/// Evaluations after which a key answers no more: what is known about static Diffie–Hellman stays far out of reach.
pub const EPOCH_CAP: u64 = 1 << 40;

/// Why a frame is not reserved.
#[derive(Debug)]
pub enum NoBudget {
    /// No day's budget would hold it.
    ExceedsDay,
    /// The day's budget is spent.
    Exhausted {
        /// Until the next one.
        retry_after: Duration,
    },
    /// The key has answered [`EPOCH_CAP`] elements.
    EpochCap,
    /// The store could not be read.
    Store(Error),
}

impl From<Error> for NoBudget {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What a platform may ask of one list in a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayBudget {
    /// Elements, dummies included.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

/// The frame that a budget is to hold.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Who asks.
    pub platform: &'a PlatformId,
    /// Which list.
    pub list: &'a ListId,
    /// Under which epoch's key.
    pub epoch: Epoch,
    /// Its size class.
    pub elements: u32,
}

/// Used is durable; reserved belongs to frames in work.
#[derive(Debug, Default, Clone, Copy)]
struct DayUse {
    used: BudgetUse,
    reserved: BudgetUse,
    // Refunds on their way to the disk, which `used` does not have yet.
    refunds: u32,
}

impl DayUse {
    // Whether what is in work makes this row more than a copy of the disk's.
    fn is_in_work(&self) -> bool {
        self.reserved.frames > 0 || self.refunds > 0
    }
}

/// Whose budget, of which list, of which UTC day.
type Account = (PlatformId, ListId, u64);

#[derive(Debug, Default)]
struct State {
    // Frames come here in another order than they read the clock, and the clock may step back: each day has its own row
    // as long as a frame in work belongs to it.
    days: HashMap<Account, DayUse>,
    // Elements evaluated or reserved under each key.
    keys: HashMap<(ListId, Epoch), u64>,
}

impl State {
    // Reads the account's row, unless it is here: then it may be ahead of the disk, or behind it.
    fn load(&mut self, store: &Store, account: &Account) -> Result<(), Error> {
        let (platform, list, day) = account;
        if !self.days.contains_key(account) {
            let used = store.budget_use(platform, list, *day)?;
            // What nobody has in work of a day that is over is on the disk, should the clock step back to it.
            self.days.retain(|(_, _, of), row| of >= day || row.is_in_work());
            self.days.insert(account.clone(), DayUse { used, ..DayUse::default() });
        }
        Ok(())
    }
}

/// The reservations of one server. The store is read once for each platform, list and day.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    state: Arc<Mutex<State>>,
}

impl Budgets {
    /// Reserves a frame.
    ///
    /// # Errors
    /// [`NoBudget`].
    pub fn reserve(
        &self,
        store: &Store,
        budget: DayBudget,
        claim: &Claim<'_>,
        now: u64,
    ) -> Result<Reservation, NoBudget> {
        let Claim { platform, list, epoch, .. } = *claim;
        let elements = u64::from(claim.elements);
        if elements > budget.elements || budget.frames == 0 {
            return Err(NoBudget::ExceedsDay);
        }
        let day = now / DAY;
        let mut state = self.lock();
        let key = (list.clone(), epoch);
        if !state.keys.contains_key(&key) {
            state.keys.insert(key.clone(), store.evaluations(list, epoch)?);
        }
        let account = (platform.clone(), list.clone(), day);
        state.load(store, &account)?;
        let State { days, keys } = &mut *state;
        let (evaluated, today) =
            (keys.get_mut(&key).expect("inserted above"), days.get_mut(&account).expect("loaded above"));
        let evaluated_then = evaluated.saturating_add(elements);
        if evaluated_then > EPOCH_CAP {
            return Err(NoBudget::EpochCap);
        }
        let taken = |of: fn(&BudgetUse) -> u64, more: u64| {
            of(&today.used).saturating_add(of(&today.reserved)).saturating_add(more)
        };
        if taken(|of| of.elements, elements) > budget.elements || taken(|of| of.frames, 1) > budget.frames {
            return Err(NoBudget::Exhausted { retry_after: Duration::from_secs((day + 1) * DAY - now) });
        }
        *evaluated = evaluated_then;
        today.reserved.add(elements);
        Ok(Reservation { state: Arc::clone(&self.state), account, key, elements, charged: false })
    }

    /// Prepares to give back what a frame was charged to `day`. To be called before the refund is submitted: the row is
    /// read now, without the refund, and kept until what is returned is dropped.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn refund(
        &self,
        store: &Store,
        platform: &PlatformId,
        list: &ListId,
        day: u64,
        elements: u32,
    ) -> Result<Refund, Error> {
        let account = (platform.clone(), list.clone(), day);
        let mut state = self.lock();
        state.load(store, &account)?;
        state.days.get_mut(&account).expect("loaded above").refunds += 1;
        Ok(Refund { state: Arc::clone(&self.state), account, elements: elements.into(), durable: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl BudgetUse {
    fn add(&mut self, elements: u64) {
        self.elements = self.elements.saturating_add(elements);
        self.frames = self.frames.saturating_add(1);
    }

    // Never below nothing: a number that wrapped around would let everything in, or nothing for a day.
    fn take(&mut self, elements: u64) {
        debug_assert!(self.elements >= elements && self.frames > 0, "more is given back than was taken");
        self.elements = self.elements.saturating_sub(elements);
        self.frames = self.frames.saturating_sub(1);
    }
}

// Every change under the lock is a few additions that cannot panic half-way.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame's share of a budget. Dropped without a charge, it is given back.
#[derive(Debug)]
pub struct Reservation {
    state: Arc<Mutex<State>>,
    account: Account,
    key: (ListId, Epoch),
    elements: u64,
    charged: bool,
}

impl Reservation {
    /// The UTC day that it is charged to, in days since 1970.
    #[must_use]
    pub fn day(&self) -> u64 {
        self.account.2
    }

    /// The frame's record is durable, and with it the charge.
    pub fn charged(mut self) {
        self.charged = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if !self.charged
            && let Some(evaluated) = state.keys.get_mut(&self.key)
        {
            *evaluated = evaluated.saturating_sub(self.elements);
        }
        // The row is there: it is not forgotten while this reservation stands in it.
        if let Some(day) = state.days.get_mut(&self.account) {
            day.reserved.take(self.elements);
            if self.charged {
                day.used.add(self.elements);
            }
        }
    }
}

/// A refund on its way. Dropped before it is durable, it changes nothing.
#[derive(Debug)]
pub struct Refund {
    state: Arc<Mutex<State>>,
    account: Account,
    elements: u64,
    durable: bool,
}

impl Refund {
    /// The UTC day that was charged, in days since 1970.
    #[must_use]
    pub fn day(&self) -> u64 {
        self.account.2
    }

    /// The refund is on the disk: the charge can be asked again.
    pub fn durable(mut self) {
        self.durable = true;
    }
}

impl Drop for Refund {
    fn drop(&mut self) {
        // The row is there: it is not forgotten while this refund stands in it.
        if let Some(day) = lock(&self.state).days.get_mut(&self.account) {
            day.refunds = day.refunds.saturating_sub(1);
            if self.durable {
                day.used.take(self.elements);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        store: Store,
        budgets: Budgets,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
        World { dir, store, budgets: Budgets::default() }
    }

    const BUDGET: DayBudget = DayBudget { elements: 100, frames: 3 };
    const NOON: u64 = 20_000 * DAY + DAY / 2;

    impl World {
        fn reserve(&self, elements: u32, now: u64) -> Result<Reservation, NoBudget> {
            let (platform, list) = (PlatformId::parse("p").unwrap(), ListId::parse("l").unwrap());
            let claim = Claim { platform: &platform, list: &list, epoch: Epoch(1), elements };
            self.budgets.reserve(&self.store, BUDGET, &claim, now)
        }

        fn refund(&self, day: u64, elements: u32) -> Refund {
            let (platform, list) = (PlatformId::parse("p").unwrap(), ListId::parse("l").unwrap());
            self.budgets.refund(&self.store, &platform, &list, day, elements).unwrap()
        }
    }

    #[test]
    fn what_is_reserved_counts_and_what_is_dropped_is_given_back() {
        let world = world();
        let held = world.reserve(60, NOON).unwrap();
        assert!(matches!(world.reserve(60, NOON), Err(NoBudget::Exhausted { .. })));
        drop(held);
        world.reserve(60, NOON).unwrap().charged();
        assert!(matches!(world.reserve(60, NOON), Err(NoBudget::Exhausted { .. })));
        world.reserve(40, NOON).unwrap();
    }

    #[test]
    fn frames_have_a_budget_of_their_own() {
        let world = world();
        for _ in 0..3 {
            world.reserve(1, NOON).unwrap().charged();
        }
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
    }

    #[test]
    fn the_wait_ends_at_midnight_utc_and_then_the_budget_is_whole() {
        let world = world();
        let last_second = 20_001 * DAY - 1;
        let over_midnight = world.reserve(100, last_second).unwrap();
        let Err(NoBudget::Exhausted { retry_after }) = world.reserve(1, last_second) else { panic!("budget left") };
        assert_eq!(retry_after, Duration::from_secs(1));
        world.reserve(100, last_second + 1).unwrap();
        drop(over_midnight);
        world.reserve(100, last_second + 1).unwrap();
    }

    #[test]
    fn frames_that_come_in_another_order_than_they_read_the_clock_keep_their_own_day() {
        // One row served all days of a platform: a thread that had read the clock before midnight put the old day back
        // over the new one, whose reservations then went below zero: nothing was counted, or nothing answered, all day.
        let world = world();
        let midnight = 20_001 * DAY;
        let before = world.reserve(60, midnight - 1).unwrap();
        let after = world.reserve(60, midnight).unwrap();
        let late = world.reserve(40, midnight - 1).unwrap();
        assert!(matches!(world.reserve(1, midnight - 1), Err(NoBudget::Exhausted { .. })));
        after.charged();
        before.charged();
        drop(late);
        assert!(matches!(world.reserve(41, midnight), Err(NoBudget::Exhausted { .. })));
        world.reserve(40, midnight).unwrap().charged();
        assert!(matches!(world.reserve(41, midnight - 1), Err(NoBudget::Exhausted { .. })));
    }

    #[test]
    fn a_day_is_forgotten_when_it_is_over_and_nothing_of_it_is_in_work() {
        let world = world();
        let held = world.reserve(1, NOON).unwrap();
        world.reserve(1, NOON + DAY).unwrap();
        assert_eq!(world.budgets.lock().days.len(), 2);
        drop(held);
        world.reserve(1, NOON + 2 * DAY).unwrap();
        assert_eq!(world.budgets.lock().days.len(), 1);
    }

    #[test]
    fn frames_at_midnight_from_many_threads_leave_nothing_reserved_and_exceed_no_budget() {
        const MIDNIGHT: u64 = 20_001 * DAY;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("veilmatch.db");
        drop(Store::open(&path).unwrap());
        let budgets = Budgets::default();
        let (platform, list) = (PlatformId::parse("p").unwrap(), ListId::parse("l").unwrap());
        let claim = Claim { platform: &platform, list: &list, epoch: Epoch(1), elements: 7 };
        let budget = DayBudget { elements: 100, frames: 1_000 };
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (budgets, claim, path) = (&budgets, &claim, &path);
                scope.spawn(move || {
                    let store = Store::open(path).unwrap();
                    for step in 0..200 {
                        // The clock goes over midnight, and for one of the threads back and forth.
                        let now = MIDNIGHT - 1 + if thread == 0 { step % 2 } else { step / 100 };
                        if let Ok(held) = budgets.reserve(&store, budget, claim, now) {
                            if step % 3 == 0 { held.charged() } else { drop(held) }
                        }
                    }
                });
            }
        });
        for row in budgets.lock().days.values() {
            assert!(!row.is_in_work());
            assert!(row.used.elements <= 100 && row.used.elements == 7 * row.used.frames);
        }
        // Nobody wrote what was charged, so the key has it and the disk has not.
        assert!(budgets.lock().keys[&(list, Epoch(1))] <= 4 * 200 * 7);
    }

    #[test]
    fn a_refund_is_there_to_be_asked_again() {
        let world = world();
        world.reserve(100, NOON).unwrap().charged();
        world.reserve(100, NOON - DAY).unwrap().charged();
        world.refund(NOON / DAY - 1, 100).durable();
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
        drop(world.refund(NOON / DAY, 100));
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
        world.refund(NOON / DAY, 100).durable();
        world.reserve(100, NOON).unwrap();
    }

    #[test]
    fn a_refund_counts_once_whoever_reads_the_row_meanwhile() {
        // After a restart the row was not in memory. A frame that came between the refund's commit and its count here
        // read the row with the refund in it, and the refund was taken from it a second time.
        let world = world();
        let database = rusqlite::Connection::open(world.dir.path().join("veilmatch.db")).unwrap();
        let charged = (NOON / DAY).cast_signed();
        database.execute("INSERT INTO budget VALUES ('p', 'l', ?1, 100, 1)", [charged]).unwrap();
        let refund = world.refund(NOON / DAY, 100);
        database.execute("UPDATE budget SET elements = 0, frames = 0", []).unwrap();
        // Neither this frame nor one of the next day, with which days that are over are forgotten, reads it again.
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
        world.reserve(1, NOON + DAY).unwrap();
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
        refund.durable();
        world.reserve(100, NOON).unwrap().charged();
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::Exhausted { .. })));
    }

    #[test]
    fn a_frame_larger_than_the_day_is_impossible_not_later() {
        assert!(matches!(world().reserve(101, NOON), Err(NoBudget::ExceedsDay)));
    }

    #[test]
    fn a_key_stops_at_its_cap() {
        let world = world();
        let key = (ListId::parse("l").unwrap(), Epoch(1));
        world.budgets.lock().keys.insert(key, EPOCH_CAP - 10);
        assert!(matches!(world.reserve(11, NOON), Err(NoBudget::EpochCap)));
        world.reserve(10, NOON).unwrap().charged();
        assert!(matches!(world.reserve(1, NOON), Err(NoBudget::EpochCap)));
    }
}
