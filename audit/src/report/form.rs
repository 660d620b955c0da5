//! What the members of a report may say (SPEC §21.3): a reader takes no other.

use base64::{Engine, engine::general_purpose::STANDARD};
use veilmatch_protocol::manifest::Timestamp;

use super::{ARTIFACT, DayCell, FindingRow, GapRow, LogRow, Report, VersionRow};
use crate::{date::Date, finding::Code, reconcile::Status};

impl Report {
    /// Whether every member is within its limits; types and names are those of the record itself.
    pub(super) fn within_limits(&self) -> bool {
        let hexadecimal = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let period =
            self.from.is_empty() && self.to.is_empty() || self.from <= self.to && date(&self.from) && date(&self.to);
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.words()).collect();
        (self.id.len() == 16 && hexadecimal(&self.id) && time(&self.made) && period)
            && self.logs.iter().all(LogRow::within_limits)
            && self.findings.iter().all(FindingRow::within_limits)
            && self.days.iter().flat_map(|platform| &platform.days).all(DayCell::within_limits)
            && self.versions.iter().all(VersionRow::within_limits)
            && self.canaries.iter().all(|row| row.seen <= row.planted && row.bound_permille <= 1_000)
            && self.receipts.iter().all(|row| words.contains(&row.status.as_str()))
    }
}

impl LogRow {
    fn within_limits(&self) -> bool {
        (self.root.is_empty() && self.size == 0 || hash(&self.root)) && self.gaps.iter().all(GapRow::within_limits)
    }
}

impl GapRow {
    fn within_limits(&self) -> bool {
        self.from <= self.to && date(&self.since) && date(&self.until)
    }
}

impl FindingRow {
    fn within_limits(&self) -> bool {
        Code::ALL.iter().any(|code| code.name() == self.code && code.severity() == self.severity)
    }
}

impl DayCell {
    fn within_limits(&self) -> bool {
        date(&self.date)
    }
}

impl VersionRow {
    fn within_limits(&self) -> bool {
        let word = ARTIFACT.contains(&self.artifact.as_str());
        word && hash(&self.root) && time(&self.not_before) && time(&self.not_after)
    }
}

fn hash(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn time(text: &str) -> bool {
    Timestamp::parse(text).is_ok()
}

fn date(text: &str) -> bool {
    Date::parse(text).is_ok()
}

#[cfg(test)]
mod tests;
