//! Frames under versions: published, of their epoch, and valid at the time (M06, Q04).

use super::{Agency, Period};
use crate::{
    date::Date,
    finding::{Code, Finding, Place},
};

/// Seconds that the two sides' clocks may be apart.
const SLACK: u64 = 600;

pub(super) fn frames(agency: &Agency, period: Period) -> Vec<Finding> {
    let (audited, manifests) = &agency.manifests;
    let mut findings = Vec::new();
    for frame in agency.queries.iter().flat_map(|(_, log)| &log.frames) {
        if !(frame.answered() && frame.signed && period.contains(Date::of(frame.t))) {
            continue;
        }
        let t = frame.t.unix();
        let finding = match manifests.version_of(frame.list.as_str(), frame.version) {
            None if !audited.complete() => continue,
            None => (Code::M06, "the version was never published"),
            Some(version) if version.manifest.epoch != frame.epoch => (Code::Q04, "the version is of another epoch"),
            Some(version) if t + 60 + SLACK < version.manifest.not_before.unix() => {
                (Code::M06, "the version was not valid yet")
            }
            Some(version) if t > version.manifest.not_after.unix() + SLACK => (Code::M06, "the version had expired"),
            Some(_) => continue,
        };
        let mut finding = Finding::new(finding.0, frame.place(), finding.1);
        let manifest = manifests.version_of(frame.list.as_str(), frame.version);
        finding.evidence.others.extend(manifest.map(|version| Place::leaf(&audited.origin, version.index)));
        findings.push(finding);
    }
    findings
}
