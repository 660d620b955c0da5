//! What the auditor hands over: one record, signed as JSON and shown as a page (SPEC §21.3).

mod bound;
mod count;
mod form;
mod note;
mod page;
mod repeat;
mod summary;

use serde::{Deserialize, Serialize};

pub use bound::omission_bound;
pub use count::Count;
pub use note::{open, sign};
pub use page::render;
pub use repeat::{Given, Places};
pub use summary::{Made, log_row, log_rows, summarise};

use crate::finding::{Finding, Place, Proves, Severity};

/// What no audit shows (SPEC §21.2), in its order.
pub const NOT_PROVED: [&str; 8] = [
    "that the platform asked about all it hosts",
    "that it logged every match",
    "that content stood behind a digest",
    "that its hashing software is right",
    "that an action happened",
    "that an entry deserves to be listed",
    "that nobody leaked an evaluation",
    "the exact time within a checkpoint interval",
];

/// What is said of the artifact of a version.
pub const ARTIFACT: [&str; 3] = ["fits", "differs", "not at hand"];

/// The whole of a report. It has no number that is not counted from the logs, and no private data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Names this report: the first 16 hexadecimal digits of the digest of what was audited, and the time.
    pub id: String,
    /// The agency.
    pub agency: String,
    /// Name of the auditor, the first part of its report key's name.
    pub auditor: String,
    /// When it was made.
    pub made: String,
    /// First and last day; empty for logs as a whole.
    pub from: String,
    /// Last day.
    pub to: String,
    /// What made it.
    pub software: String,
    /// What was judged, one sentence each.
    pub scope: Vec<String>,
    /// What could not be judged, and why, one sentence each.
    pub not_judged: Vec<String>,
    /// Whether a split view is not excluded: the manifest log's policy is not met, or leaves room for two quorums that share
    /// nobody but parties of this audit.
    pub split_view_open: bool,
    /// The logs.
    pub logs: Vec<LogRow>,
    /// The findings, heaviest first.
    pub findings: Vec<FindingRow>,
    /// What was asked, per platform and day.
    pub days: Vec<PlatformDays>,
    /// Released receipts by category, small counts suppressed.
    pub categories: Vec<CategoryRow>,
    /// Versions in force.
    pub versions: Vec<VersionRow>,
    /// Canaries per platform.
    pub canaries: Vec<CanaryRow>,
    /// Receipts per platform and status, small counts suppressed.
    pub receipts: Vec<ReceiptRow>,
    /// SPEC §21.2.
    pub not_proved: Vec<String>,
    /// Commands that repeat the log checks with other tools.
    pub repeat: Vec<Command>,
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// Its origin.
    pub origin: String,
    /// Size of the last audited checkpoint, 0 for the first audit.
    pub from: u64,
    /// Size now.
    pub size: u64,
    /// Root now, base64; empty if there is no checkpoint.
    pub root: String,
    /// Whose cosignatures count.
    pub policy: PolicyOf,
    /// Names of the witnesses whose cosignatures count.
    pub cosigners: Vec<String>,
    /// Seconds between the newest counted cosignature and the audit; none if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// What of those before it is not there, as its first leaf says or because it was not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GapRow>,
    /// Number of findings.
    pub findings: u64,
}

/// Under which policy the cosignatures of a log were judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyOf {
    /// One that the parties agreed on for this log.
    Agreed,
    /// The counterparty's cosignature was asked for, as no agreed policy is about this match log.
    Counterparty,
    /// They were not judged.
    None,
}

/// Leaves that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRow {
    /// Origin of the log that they stood in.
    pub log: String,
    /// First index.
    pub from: u64,
    /// First index behind them; `from` where nobody knows how many they are.
    pub to: u64,
    /// First and last day on which one of them can have been written.
    pub since: String,
    /// Last day.
    pub until: String,
    /// Whether they are lost; else they were not shown.
    pub lost: bool,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRow {
    /// Its code.
    pub code: String,
    /// Its weight.
    pub severity: Severity,
    /// Whom it speaks against.
    pub proves: Proves,
    /// What the code says.
    pub sentence: String,
    /// Where.
    pub place: Place,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub advice: String,
    /// Files under `evidence/<id>/`.
    pub evidence: Vec<String>,
}

/// What one platform asked, day by day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformDays {
    /// The platform.
    pub platform: String,
    /// Its days, ascending, without gap.
    pub days: Vec<DayCell>,
}

/// One platform on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DayCell {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Frames that both logs have alike.
    pub agreed: u64,
    /// Frames in the query log alone.
    pub query_only: u64,
    /// Frames that were answered, and that the platform says it never finished.
    pub unfinished: u64,
    /// Frames in the match log alone, abandoned ones aside.
    pub match_only: u64,
    /// Frames that both have, with a difference.
    pub differ: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Elements of the answered frames, dummies included.
    pub elements: u64,
    /// Whether a closing statement stands in both logs, alike; always where nothing was asked.
    pub closed: bool,
    /// Number of findings of this platform and day.
    pub findings: u64,
}

/// Receipts of one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryRow {
    /// The category, by the code book; else the label in hexadecimal.
    pub category: String,
    /// How many receipts.
    pub receipts: Count,
}

/// A version that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// The list.
    pub list: String,
    /// The version.
    pub version: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Index of its leaf.
    pub index: u64,
    /// Start of validity.
    pub not_before: String,
    /// End of validity.
    pub not_after: String,
    /// Records, dummies included.
    pub count: u64,
    /// Root of the artifact, base64.
    pub root: String,
    /// Whether the artifact was at hand and fits: one of [`ARTIFACT`].
    pub artifact: String,
}

/// Canaries of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRow {
    /// The platform.
    pub platform: String,
    /// Declared beforehand, and due in the period.
    pub planted: u64,
    /// Reported by the deadline.
    pub seen: u64,
    /// Upper bound of the omission rate at 95 %, in tenths of a per cent.
    pub bound_permille: u64,
}

/// Receipts of one platform in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// The platform.
    pub platform: String,
    /// The words of a [`Status`](crate::reconcile::Status).
    pub status: String,
    /// How many.
    pub number: Count,
}

/// A command that repeats a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What it repeats.
    pub what: String,
    /// What to type.
    pub command: String,
}

impl FindingRow {
    /// The row of a finding whose evidence was copied to these files.
    #[must_use]
    pub fn new(finding: &Finding, evidence: Vec<String>) -> Self {
        Self {
            code: finding.code.name().to_owned(),
            severity: finding.code.severity(),
            proves: finding.proves,
            sentence: finding.code.sentence().to_owned(),
            place: finding.place.clone(),
            seen: finding.evidence.text.clone(),
            advice: finding.code.advice().to_owned(),
            evidence,
        }
    }
}

impl Report {
    /// The heaviest weight among the findings.
    #[must_use]
    pub fn heaviest(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The verdict in a few words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let open = if self.not_judged.is_empty() { "" } else { ", and not everything could be judged" };
        match self.findings.len() {
            0 => format!("No findings{open}"),
            1 => format!("1 finding{open}"),
            n => format!("{n} findings{open}"),
        }
    }
}
