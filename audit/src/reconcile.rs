//! Both sides for a period: what the agency's logs and a platform's match logs say of the same frames, days, versions and
//! matches (SPEC §21).

mod acknowledgements;
mod budgets;
mod canaries;
mod closings;
mod coverage;
mod frames;
mod papers;
mod published;
mod receipts;
mod references;
mod reused;
mod totals;
mod validity;
mod views;

use std::{collections::BTreeMap, ops::RangeInclusive};

use veilmatch_protocol::{
    manifest::{Hash, Quota, Timestamp},
    name::PlatformId,
};

pub use canaries::Canaries;
pub use papers::{Acknowledged, CanaryLine, Disclosed, Items, Paper};
pub use receipts::{Artifacts, Receipts, Status};

use crate::{
    date::Date,
    finding::Finding,
    leaf::Certificate,
    verify::{Audited, Coverage, KeySet, Manifests, Matches, Queries},
};

/// First and last day that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
}

impl Period {
    /// Whether a day is in it.
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        (self.from..=self.to).contains(&date)
    }

    /// The part of it for which both sides must have everything: days that ended an hour ago. Until then the checkpoint of a
    /// match log is due, with the day's totals and closing statements.
    #[must_use]
    pub fn settled(&self, now: u64) -> Self {
        Self { from: self.from, to: self.to.min(settled_day(now)) }
    }

    /// The same, as a range.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<Date> {
        self.from..=self.to
    }

    /// Its days, ascending.
    pub fn days(&self) -> impl Iterator<Item = Date> {
        let (mut next, to) = (self.from, self.to);
        let mut over = next > to;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let date = next;
            next = date.next();
            over = next > to || next == date;
            Some(date)
        })
    }
}

/// The last day for which both sides must have everything.
fn settled_day(now: u64) -> Date {
    Date::of(Timestamp::from_unix(now.saturating_sub(86_400 + 3_600)))
}

/// What the agency showed.
pub struct Agency {
    /// The manifest log.
    pub manifests: (Audited, Manifests),
    /// The query logs that were shown, oldest first.
    pub queries: Vec<(Audited, Queries)>,
    /// What they cover.
    pub coverage: Coverage,
    /// Keys of acknowledgements.
    pub ack_keys: KeySet,
    /// Canaries that it opens; none if it opens none.
    pub canaries: Option<Paper<CanaryLine>>,
    /// Its own records of entries; none if it shows none.
    pub items: Option<Items>,
    /// Certificates whose signature verified: name of the certifier, digest of the note, what it says.
    pub certificates: Vec<(String, Hash, Certificate)>,
}

/// What a platform showed.
pub struct Platform {
    /// Its name.
    pub name: PlatformId,
    /// Its match logs that were shown, oldest first.
    pub logs: Vec<(Audited, Matches)>,
    /// What they cover.
    pub coverage: Coverage,
    /// Acknowledgements that it kept.
    pub acks: Paper<Acknowledged>,
    /// Receipts that it released; none if it released none at all.
    pub openings: Option<Paper<Disclosed>>,
    /// Keys of its receipts.
    pub receipt_keys: KeySet,
    /// Its daily budget, if its invitation says another than the manifest.
    pub budget: Option<Quota>,
}

/// Terms that the parties agreed on outside of the logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// Days after a match until its receipt is released.
    pub receipt_days: Option<u64>,
    /// Days after a match until its record is erased.
    pub erase_days: Option<u64>,
    /// Certificates that a version has at least.
    pub certificates: usize,
}

/// One platform on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Frames that both logs have alike.
    pub agreed: u64,
    /// Frames in the query log alone.
    pub query_only: u64,
    /// Frames in the match log alone.
    pub match_only: u64,
    /// Frames that both have, with a difference.
    pub differ: u64,
    /// Frames that were answered, and that the platform says it never finished.
    pub unfinished: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Elements of answered frames.
    pub elements: u64,
    /// Groups of frames of the day that have no closing statement in both logs.
    pub unclosed: u64,
}

/// What the two sides come to.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was not judged, one sentence each.
    pub not_judged: Vec<String>,
    /// Days of each platform.
    pub days: BTreeMap<PlatformId, BTreeMap<Date, Cell>>,
    /// Receipts of each platform.
    pub receipts: BTreeMap<PlatformId, Receipts>,
    /// Canaries of each platform.
    pub canaries: BTreeMap<PlatformId, Canaries>,
}

/// Compares what the agency and its platforms showed. `artifacts` has the published files that are at hand; `now` is in
/// Unix seconds.
#[must_use]
pub fn reconcile(
    agency: &Agency,
    platforms: &[Platform],
    artifacts: &dyn Artifacts,
    terms: &Terms,
    period: Period,
    now: u64,
) -> Reconciled {
    let mut all = Reconciled::default();
    let settled = period.settled(now);
    if settled.to < period.to {
        let first = period.from.max(settled.to.next());
        all.not_judged.push(format!(
            "{first} to {}: what one side alone has, totals and closing statements, until an hour after the day",
            period.to
        ));
    }
    all.findings.extend(views::compare(agency, platforms));
    all.findings.extend(reused::queries(agency));
    all.findings.extend(published::check(agency, artifacts, terms));
    all.findings.extend(validity::frames(agency, period));
    canaries::strangers(agency, platforms, &mut all);
    for platform in platforms {
        let mut days = period.days().map(|date| (date, Cell::default())).collect();
        coverage::tell(agency, platform, period, &mut all);
        let acknowledged = acknowledgements::judge(agency, platform);
        frames::join((agency, platform), &acknowledged.proven(), settled, &mut days, &mut all);
        all.findings.extend(reused::frames(platform));
        all.findings.extend(totals::judge(platform, settled));
        acknowledged.tell(platform, &mut all);
        closings::compare(agency, platform, settled, &mut days, &mut all);
        all.findings.extend(references::check(platform));
        all.findings.extend(budgets::check(agency, platform, period));
        let receipts = receipts::judge(agency, platform, artifacts, terms, (period, now), &mut all);
        if let Some(canaries) = canaries::judge(agency, platform, &receipts, terms, period, now, &mut all) {
            all.canaries.insert(platform.name.clone(), canaries);
        }
        all.receipts.insert(platform.name.clone(), receipts);
        all.days.insert(platform.name.clone(), days);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_settled_an_hour_after_its_end() {
        // Totals and closing statements of today, and frames since the last checkpoint, were findings.
        let date = |text| Date::parse(text).unwrap();
        let at = |text: &str| Timestamp::parse(text).unwrap().unix();
        let period = Period { from: date("2026-10-01"), to: date("2026-10-31") };
        assert_eq!(period.settled(at("2026-10-20T00:59:59Z")).to, date("2026-10-18"));
        assert_eq!(period.settled(at("2026-10-20T01:00:00Z")).to, date("2026-10-19"));
        assert_eq!(period.settled(at("2026-12-01T00:00:00Z")), period);
        let today = Period { from: date("2026-10-20"), to: date("2026-10-20") };
        assert_eq!(today.settled(at("2026-10-20T12:00:00Z")).days().count(), 0);
    }
}
