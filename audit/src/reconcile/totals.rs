//! Days and totals of a platform, over all its logs (D01, D02).

use super::{Period, Platform};
use crate::{
    finding::Finding,
    verify::{Totals, judge_days},
};

pub(super) fn judge(platform: &Platform, settled: Period) -> Vec<Finding> {
    let logs = platform.logs.iter().map(|(_, log)| log).collect();
    let totals = Totals { logs, coverage: &platform.coverage };
    judge_days(&totals, &settled.days().collect::<Vec<_>>())
}
