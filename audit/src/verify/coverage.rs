//! Which days the logs of one party cover: in how far something that is not there was left out (SPEC §17.1, §21.5).

use std::collections::BTreeMap;

use crate::{
    date::Date,
    origin::{LogOrigin, Shard},
};

/// The days on which nothing can be missed in the logs of one party.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Half-years of which a log was shown, and whether all that were are whole.
    pub halves: BTreeMap<Shard, bool>,
    /// What is not in the logs that were shown.
    pub gaps: Vec<Gap>,
}

/// Leaves that stood in a log and were not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The log that they stood in.
    pub log: LogOrigin,
    /// The log whose first leaf says so.
    pub said_by: LogOrigin,
    /// First index.
    pub from: u64,
    /// First index behind them; `from` where nobody knows how many they are.
    pub to: u64,
    /// First day on which one of them can have been written.
    pub since: Date,
    /// Last day on which one of them can have been written.
    pub until: Date,
    /// Whether they are lost, as the party says; else it did not show them.
    pub lost: bool,
}

impl Coverage {
    /// Whether every leaf that was written on this day is there.
    #[must_use]
    pub fn covers(&self, date: Date) -> bool {
        let whole = self.halves.get(&Shard::of(date.start())).copied().unwrap_or(false);
        whole && !self.gaps.iter().any(|gap| (gap.since..=gap.until).contains(&date))
    }

    /// Whether every leaf is there that is written on this day or the next: what ends at midnight, totals and closing
    /// statements.
    #[must_use]
    pub fn covers_with_next(&self, date: Date) -> bool {
        self.covers(date) && self.covers(date.next())
    }

    /// Whether every leaf is there that was written from one day on to another.
    #[must_use]
    pub fn covers_all(&self, from: Date, to: Date) -> bool {
        let mut half = Shard::of(from.start());
        let last = Shard::of(to.start());
        while half < last {
            if !self.halves.get(&half).copied().unwrap_or(false) {
                return false;
            }
            half = half.next_half();
        }
        self.halves.get(&last).copied().unwrap_or(false)
            && !self.gaps.iter().any(|gap| gap.since <= to && from <= gap.until)
    }

    /// The gap that a leaf of this log falls into.
    #[must_use]
    pub fn gap_of(&self, log: &LogOrigin, index: u64) -> Option<&Gap> {
        let has = |gap: &&Gap| (gap.from..gap.to).contains(&index) || gap.from == gap.to;
        self.gaps.iter().find(|gap| gap.log == *log && has(gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn a_day_is_covered_by_its_half_year_and_its_totals_by_that_of_the_next_day() {
        // SPEC §17.1, §21.5
        let half = |text: &str| text.parse::<Shard>().unwrap();
        let mut coverage = Coverage { halves: [(half("2026h1"), true)].into(), gaps: Vec::new() };
        assert!(coverage.covers(date("2026-06-30")) && !coverage.covers(date("2026-07-01")));
        assert!(coverage.covers_with_next(date("2026-06-29")) && !coverage.covers_with_next(date("2026-06-30")));
        coverage.halves.insert(half("2026h2"), true);
        assert!(coverage.covers_with_next(date("2026-06-30")));
        assert!(coverage.covers_all(date("2026-01-01"), date("2026-12-31")));
        assert!(!coverage.covers_all(date("2025-12-31"), date("2026-12-31")));
        let log = LogOrigin::parse("agency.example/veilmatch/query/2026h2").unwrap();
        let said_by = log.in_shard(half("2026h2.2"));
        let (since, until) = (date("2026-08-02"), date("2026-08-04"));
        coverage.gaps.push(Gap { log: log.clone(), said_by, from: 5, to: 9, since, until, lost: true });
        assert!(coverage.covers(date("2026-08-01")) && !coverage.covers_with_next(date("2026-08-01")));
        assert!(!coverage.covers(date("2026-08-04")) && coverage.covers(date("2026-08-05")));
        assert!(!coverage.covers_all(date("2026-01-01"), date("2026-12-31")));
        assert!(coverage.gap_of(&log, 8).is_some() && coverage.gap_of(&log, 9).is_none());
        coverage.halves.insert(half("2026h1"), false);
        assert!(!coverage.covers(date("2026-06-29")));
    }
}
