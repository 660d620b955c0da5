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
    day: u64,
    used: BudgetUse,
    reserved: BudgetUse,
}

#[derive(Debug, Default)]
struct State {
    days: HashMap<(PlatformId, ListId), DayUse>,
    // Elements evaluated or reserved under each key.
    keys: HashMap<(ListId, Epoch), u64>,
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
        let who = (platform.clone(), list.clone());
        if state.days.get(&who).is_none_or(|known| known.day != day) {
            let used = store.budget_use(platform, list, day)?;
            state.days.insert(who.clone(), DayUse { day, used, reserved: BudgetUse::default() });
        }
        let evaluated = state.keys.get_mut(&key).expect("inserted above");
        if *evaluated + elements > EPOCH_CAP {
            return Err(NoBudget::EpochCap);
        }
        *evaluated += elements;
        let today = state.days.get_mut(&who).expect("inserted above");
        let taken = |of: fn(&BudgetUse) -> u64| of(&today.used) + of(&today.reserved);
        if taken(|of| of.elements) + elements > budget.elements || taken(|of| of.frames) + 1 > budget.frames {
            *state.keys.get_mut(&key).expect("inserted above") -= elements;
            return Err(NoBudget::Exhausted { retry_after: Duration::from_secs((day + 1) * DAY - now) });
        }
        today.reserved.elements += elements;
        today.reserved.frames += 1;
        Ok(Reservation { state: Arc::clone(&self.state), who, key, day, elements, charged: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
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
    who: (PlatformId, ListId),
    key: (ListId, Epoch),
    day: u64,
    elements: u64,
    charged: bool,
}

impl Reservation {
    /// The UTC day that it is charged to, in days since 1970.
    #[must_use]
    pub fn day(&self) -> u64 {
        self.day
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
            *evaluated -= self.elements;
        }
        // After midnight the day's row is another one, and this reservation is none of its.
        if let Some(today) = state.days.get_mut(&self.who).filter(|today| today.day == self.day) {
            today.reserved.elements -= self.elements;
            today.reserved.frames -= 1;
            if self.charged {
                today.used.elements += self.elements;
                today.used.frames += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        _dir: tempfile::TempDir,
        store: Store,
        budgets: Budgets,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
        World { _dir: dir, store, budgets: Budgets::default() }
    }

    const BUDGET: DayBudget = DayBudget { elements: 100, frames: 3 };
    const NOON: u64 = 20_000 * DAY + DAY / 2;

    impl World {
        fn reserve(&self, elements: u32, now: u64) -> Result<Reservation, NoBudget> {
            let (platform, list) = (PlatformId::parse("p").unwrap(), ListId::parse("l").unwrap());
            let claim = Claim { platform: &platform, list: &list, epoch: Epoch(1), elements };
            self.budgets.reserve(&self.store, BUDGET, &claim, now)
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
