//! Half-years that the audit would need and that were not shown, or not whole.

use std::collections::BTreeSet;

use super::{Agency, Period, Platform, Reconciled};
use crate::{origin::Shard, verify::Coverage};

/// Says what is not judged about a platform because a log is not there.
pub(super) fn tell(agency: &Agency, platform: &Platform, period: Period, all: &mut Reconciled) {
    let sides = [("query logs", &agency.coverage), ("match logs", &platform.coverage)];
    for (side, coverage) in sides {
        for text in missing(coverage, period) {
            all.not_judged.push(format!("what is missing in the {side}, for {}: {text}", platform.name));
        }
    }
}

fn missing(coverage: &Coverage, period: Period) -> Vec<String> {
    let half = |date: crate::date::Date| Shard::of(date.start());
    let days: BTreeSet<Shard> = period.days().map(half).collect();
    let mut lines = Vec::new();
    for needed in &days {
        match coverage.halves.get(needed) {
            Some(true) => {}
            Some(false) => lines.push(format!("{needed} was not shown whole")),
            None => lines.push(format!("no log of {needed} was shown")),
        }
    }
    let after = half(period.to.next());
    if !days.contains(&after) && !coverage.halves.get(&after).copied().unwrap_or(false) {
        lines.push(format!("no whole log of {after} was shown, where what belongs to {} may stand", period.to));
    }
    lines
}
