//! Canaries: declared beforehand, and reported in time (C01, C02).

use std::collections::HashSet;

use veilmatch_protocol::{derive::Tag, manifest::Timestamp, receipt::Receipt};

use super::{Agency, CanaryLine, Period, Platform, Receipts, Reconciled, Terms};
use crate::{
    date::Date,
    finding::{Code, Finding, Place},
};

/// What is named in evidence.
const PAPER: &str = "canary";

/// Seconds after the deadline of the upload within which a match is found and recorded.
const GRACE: u64 = 86_400;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Canaries of one platform that were due in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Canaries {
    /// Declared beforehand.
    pub planted: u64,
    /// Reported in time.
    pub seen: u64,
}

/// Judges the platform's canaries; nothing if the agency opens none, or the platform releases no receipts.
pub(super) fn judge(
    agency: &Agency,
    platform: &Platform,
    receipts: &Receipts,
    terms: &Terms,
    period: Period,
    now: u64,
    all: &mut Reconciled,
) -> Option<Canaries> {
    let (paper, (audited, manifests)) = (agency.canaries.as_ref()?, &agency.manifests);
    let mut canaries = Canaries::default();
    let mut met = HashSet::new();
    let released = (terms.receipt_days.unwrap_or(0) + 1) * DAY;
    for line in &paper.lines {
        let place = Place::line(agency.manifests.1.agency(), PAPER, line.number);
        let found = match &line.said {
            None => Some((Code::C02, "the line cannot be read")),
            Some(said) if said.platform != platform.name => continue,
            Some(said) if !declared(agency, said) => {
                Some((Code::C02, "the opening does not lead to the version's `canary_root`"))
            }
            // One that is opened twice would count twice in the bound.
            Some(said) if !met.insert((said.list.clone(), said.opening.canary().tag)) => {
                Some((Code::C02, "the same canary is in a line before it"))
            }
            Some(said) => due(said, period, now.saturating_sub(released)).and_then(|deadline| {
                let tag = said.opening.canary().tag;
                let seen = reported(tag, deadline, said, &receipts.good);
                canaries.planted += 1;
                canaries.seen += u64::from(seen);
                // Receipts may be kept back as a whole.
                if seen || platform.openings.is_none() {
                    return None;
                }
                if reported(tag, deadline, said, &receipts.open) {
                    all.not_judged
                        .push(format!("{place}: the receipt of {} for it could not be judged", platform.name));
                    return None;
                }
                Some((Code::C01, "no receipt of the platform that holds names its tag in time"))
            }),
        };
        if let Some((code, text)) = found {
            // A line that cannot be read is of no platform; it is told once.
            let told = all.findings.iter().any(|finding| finding.code == code && finding.place == place);
            if !told {
                let mut finding = Finding::new(code, place, text).with("canary.json", line.bytes.clone());
                let said = line.said.as_ref();
                let version = said.and_then(|said| manifests.version_of(said.list.as_str(), said.version.0));
                finding.evidence.others.extend(version.map(|version| Place::leaf(&audited.origin, version.index)));
                all.findings.push(finding);
            }
        }
    }
    platform.openings.as_ref().map(|_| canaries)
}

fn declared(agency: &Agency, line: &CanaryLine) -> bool {
    let version = agency.manifests.1.version_of(line.list.as_str(), line.version.0);
    let fixed = |version: &crate::verify::Published| {
        let before = version.manifest.not_before.unix() / 60 <= line.opening.canary().deadline;
        before && line.opening.verify(&version.manifest.canary_root).is_ok()
    };
    version.is_some_and(fixed)
}

/// The deadline in seconds, if it was in the period and its grace was over `before`: since then its receipt is released.
fn due(line: &CanaryLine, period: Period, before: u64) -> Option<u64> {
    let deadline = line.opening.canary().deadline.checked_mul(60)?;
    let date = Date::of(Timestamp::from_unix(deadline));
    (period.contains(date) && deadline.saturating_add(GRACE) <= before).then_some(deadline)
}

/// Whether one of these receipts names a canary in time.
fn reported(tag: Tag, deadline: u64, line: &CanaryLine, receipts: &[Receipt]) -> bool {
    let mut of_it = receipts.iter().filter(|receipt| receipt.tag == tag && receipt.list == line.list);
    of_it.any(|receipt| receipt.matched.unix() <= deadline + GRACE)
}

/// Canaries of platforms that are not in the audit: nobody can have met them.
pub(super) fn strangers(agency: &Agency, platforms: &[Platform], all: &mut Reconciled) {
    for line in agency.canaries.iter().flat_map(|paper| &paper.lines) {
        let Some(said) = &line.said else { continue };
        if !platforms.iter().any(|platform| platform.name == said.platform) {
            let place = Place::line(agency.manifests.1.agency(), PAPER, line.number);
            let text = format!("it was planted at {}, which is not in this audit", said.platform);
            all.findings.push(Finding::new(Code::C02, place, text).with("canary.json", line.bytes.clone()));
        }
    }
}
