//! From what was examined to what a report says.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{codebook::CodeBook, label::CodedLabel, manifest::Timestamp, receipt::Receipt};

use super::{
    ARTIFACT, CanaryRow, CategoryRow, Count, DayCell, FindingRow, GapRow, LogRow, NOT_PROVED, PlatformDays, PolicyOf,
    ReceiptRow, Report, VersionRow, omission_bound,
    repeat::{self, Places},
};
use crate::{
    case::Examined,
    date::Date,
    finding::{Finding, Part},
    reconcile::{Artifacts, Cell, Period, Platform, Status},
    verify::{Audited, Gap},
};

/// What a report says beside what was examined.
pub struct Made<'a> {
    /// Name of the report key.
    pub auditor: &'a str,
    /// What was reconciled.
    pub period: Period,
    /// Unix seconds.
    pub now: u64,
    /// Published files that were at hand.
    pub artifacts: &'a dyn Artifacts,
    /// Keys and places of the logs, by origin.
    pub places: &'a Places,
}

/// The report about what was examined.
#[must_use]
pub fn summarise(examined: &Examined, made: &Made<'_>) -> Report {
    let auditor = made.auditor.split('/').next().unwrap_or_default().to_owned();
    Report {
        id: id(examined, made.now),
        agency: examined.agency.manifests.1.agency().to_owned(),
        auditor,
        made: Timestamp::from_unix(made.now).to_string(),
        from: made.period.from.to_string(),
        to: made.period.to.to_string(),
        software: concat!("veilmatch-audit ", env!("CARGO_PKG_VERSION")).to_owned(),
        scope: scope(examined, made),
        not_judged: examined.reconciled.not_judged.clone(),
        split_view_open: split_view_open(examined),
        logs: log_rows(examined, made.now),
        findings: examined.findings.iter().map(|finding| FindingRow::new(finding, Vec::new())).collect(),
        days: days(examined),
        categories: categories(examined, made.artifacts),
        versions: versions(examined, made),
        canaries: canaries(examined),
        receipts: receipts(examined),
        not_proved: NOT_PROVED.map(str::to_owned).to_vec(),
        repeat: repeat::commands(&audited(examined).collect::<Vec<_>>(), made.places),
    }
}

/// Whether platforms could have been shown two manifest logs, each under cosignatures that count: the agreed policy is not
/// met, or two quorums of it need have nobody in common but those who are audited.
fn split_view_open(examined: &Examined) -> bool {
    let parties: Vec<&str> = examined.platforms.iter().map(|platform| platform.name.as_str()).collect();
    let log = &examined.agency.manifests.0;
    !log.judged.as_ref().is_some_and(|judged| judged.met && judged.policy.excludes_split_view(&log.origin, &parties))
}

fn audited(examined: &Examined) -> impl Iterator<Item = &Audited> {
    let match_logs = examined.platforms.iter().flat_map(|platform| platform.logs.iter().map(|(audited, _)| audited));
    let queries = examined.agency.queries.iter().map(|(audited, _)| audited);
    std::iter::once(&examined.agency.manifests.0).chain(queries).chain(match_logs)
}

/// The logs of an audit, with the number of findings of each.
#[must_use]
pub fn log_rows(examined: &Examined, now: u64) -> Vec<LogRow> {
    let platforms = examined.platforms.iter().map(|platform| &platform.coverage);
    let gaps: Vec<&Gap> = platforms.chain([&examined.agency.coverage]).flat_map(|coverage| &coverage.gaps).collect();
    let row = |log: &Audited| {
        let of_it = gaps.iter().filter(|gap| gap.said_by.to_string() == log.origin);
        LogRow { gaps: of_it.map(|gap| gap_row(gap)).collect(), ..log_row(log, &examined.findings, now) }
    };
    audited(examined).map(row).collect()
}

fn gap_row(gap: &Gap) -> GapRow {
    GapRow {
        log: gap.log.to_string(),
        from: gap.from,
        to: gap.to,
        since: gap.since.to_string(),
        until: gap.until.to_string(),
        lost: gap.lost,
    }
}

/// The row of one log.
#[must_use]
pub fn log_row(audited: &Audited, findings: &[Finding], now: u64) -> LogRow {
    LogRow {
        origin: audited.origin.clone(),
        from: audited.from,
        size: audited.size(),
        root: audited.checkpoint.as_ref().map(|checkpoint| STANDARD.encode(checkpoint.root)).unwrap_or_default(),
        policy: match &audited.judged {
            Some(judged) if judged.agreed => PolicyOf::Agreed,
            Some(_) => PolicyOf::Counterparty,
            None => PolicyOf::None,
        },
        cosigners: audited.cosigners.clone(),
        age_s: audited.newest.map(|newest| now.saturating_sub(newest)),
        gaps: Vec::new(),
        findings: findings.iter().filter(|finding| finding.place.origin == audited.origin).count() as u64,
    }
}

fn id(examined: &Examined, now: u64) -> String {
    let mut hash = Sha256::new().chain_update(now.to_be_bytes());
    audited(examined).for_each(|log| hash.update(&log.note));
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn scope(examined: &Examined, made: &Made<'_>) -> Vec<String> {
    let logs = audited(examined).filter(|log| log.sound).count();
    let leaves: u64 = audited(examined).map(Audited::size).sum();
    let frames: u64 = examined
        .reconciled
        .days
        .values()
        .flat_map(BTreeMap::values)
        .map(|cell| cell.agreed + cell.differ + cell.unfinished)
        .sum();
    let names: Vec<&str> = examined.platforms.iter().map(|platform| platform.name.as_str()).collect();
    let receipts: u64 = examined.reconciled.receipts.values().map(|all| all.good.len() as u64).sum();
    let files = examined.agency.manifests.1.versions.values();
    let files =
        files.filter(|version| made.artifacts.artifact(&version.manifest.list, version.manifest.version).is_some());
    vec![
        format!(
            "{logs} of {} logs, {leaves} leaves: signatures, policy, consistency, every tile and root, every leaf.",
            audited(examined).count()
        ),
        format!(
            "{} to {} (UTC), {}: {frames} answered frames found in both logs and compared.",
            made.period.from,
            made.period.to,
            names.join(", ")
        ),
        format!(
            "{} of {} published versions with their files; {} released receipts that hold.",
            files.count(),
            examined.agency.manifests.1.versions.len(),
            Count(receipts)
        ),
    ]
}

fn days(examined: &Examined) -> Vec<PlatformDays> {
    let of = |platform: &Platform| {
        let days = examined.reconciled.days.get(&platform.name)?;
        let cell = |(date, cell): (&Date, &Cell)| DayCell {
            date: date.to_string(),
            agreed: cell.agreed,
            query_only: cell.query_only,
            match_only: cell.match_only,
            differ: cell.differ,
            unfinished: cell.unfinished,
            refused: cell.refused,
            elements: cell.elements,
            closed: cell.unclosed == 0,
            findings: on_day(examined, platform, *date),
        };
        Some(PlatformDays { platform: platform.name.to_string(), days: days.iter().map(cell).collect() })
    };
    examined.platforms.iter().filter_map(of).collect()
}

/// Findings that name a day of the platform's log.
fn on_day(examined: &Examined, platform: &Platform, date: Date) -> u64 {
    let date = date.to_string();
    let of = |finding: &&Finding| {
        let theirs = finding.place.origin.split('/').next() == Some(platform.name.as_str());
        theirs && matches!(&finding.place.part, Part::Day { date: day, .. } if *day == date)
    };
    examined.findings.iter().filter(of).count() as u64
}

fn categories(examined: &Examined, artifacts: &dyn Artifacts) -> Vec<CategoryRow> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for receipt in examined.reconciled.receipts.values().flat_map(|receipts| &receipts.good) {
        *counts.entry(category(examined, artifacts, receipt)).or_default() += 1;
    }
    let mut rows: Vec<_> =
        counts.into_iter().map(|(category, n)| CategoryRow { category, receipts: Count(n) }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.receipts.shown()));
    rows
}

/// The category of a receipt's label, by the code book of its version.
fn category(examined: &Examined, artifacts: &dyn Artifacts, receipt: &Receipt) -> String {
    let named = || {
        let version = examined.agency.manifests.1.version_of(receipt.list.as_str(), receipt.version.0)?;
        let bytes = artifacts.code_book(receipt.list.as_str(), receipt.version.0)?;
        let book = CodeBook::of(&version.manifest, bytes).ok()?;
        let label = CodedLabel::decode(&receipt.label).ok()?;
        book.category(label.category).map(|category| format!("{}:{}", category.scheme, category.code))
    };
    named().unwrap_or_else(|| "not explained".to_owned())
}

fn versions(examined: &Examined, made: &Made<'_>) -> Vec<VersionRow> {
    let (first, last) = (made.period.from.start(), made.period.to.next().start());
    let in_force =
        |version: &&crate::verify::Published| version.manifest.not_after >= first && version.manifest.not_before < last;
    let bad = |list: &str, version: u32| {
        examined.findings.iter().any(|finding| {
            let part = &finding.place.part;
            matches!(part, Part::Version { list: l, version: v, file: "artifact" } if l == list && *v == version)
        })
    };
    let row = |version: &crate::verify::Published| {
        let manifest = &version.manifest;
        let at_hand = made.artifacts.artifact(&manifest.list, manifest.version).is_some();
        VersionRow {
            list: manifest.list.clone(),
            version: manifest.version,
            epoch: manifest.epoch,
            index: version.index,
            not_before: manifest.not_before.to_string(),
            not_after: manifest.not_after.to_string(),
            count: manifest.artifact.count,
            root: STANDARD.encode(manifest.artifact.root.0),
            artifact: match (at_hand, bad(&manifest.list, manifest.version)) {
                (true, false) => ARTIFACT[0],
                (true, true) => ARTIFACT[1],
                (false, _) => ARTIFACT[2],
            }
            .to_owned(),
        }
    };
    examined.agency.manifests.1.versions.values().filter(in_force).map(row).collect()
}

fn canaries(examined: &Examined) -> Vec<CanaryRow> {
    let row = |(platform, canaries): (&veilmatch_protocol::name::PlatformId, &crate::reconcile::Canaries)| CanaryRow {
        platform: platform.to_string(),
        planted: canaries.planted,
        seen: canaries.seen,
        bound_permille: omission_bound(canaries.planted, canaries.planted - canaries.seen),
    };
    examined.reconciled.canaries.iter().map(row).collect()
}

fn receipts(examined: &Examined) -> Vec<ReceiptRow> {
    let of = |(platform, receipts): (&veilmatch_protocol::name::PlatformId, &crate::reconcile::Receipts)| {
        let platform = platform.to_string();
        let row = |(status, number): (&Status, &u64)| ReceiptRow {
            platform: platform.clone(),
            status: status.words().to_owned(),
            number: Count(*number),
        };
        receipts.statuses.iter().map(row).collect::<Vec<_>>()
    };
    examined.reconciled.receipts.iter().flat_map(of).collect()
}
