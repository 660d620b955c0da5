//! Days and totals of a platform, over all its logs (D01, D02).

use super::{Agency, Period, Platform};
use crate::{
    date::Date,
    finding::Finding,
    verify::{Totals, judge_days},
};

pub(super) fn judge(agency: &Agency, platform: &Platform, settled: Period) -> Vec<Finding> {
    let versions = agency.manifests.1.versions.values();
    let totals = Totals {
        logs: platform.logs.iter().map(|(_, log)| log).collect(),
        coverage: &platform.coverage,
        begin: versions.map(|version| Date::of(version.manifest.not_before)).min(),
    };
    judge_days(&totals, &settled.days().collect::<Vec<_>>())
}
