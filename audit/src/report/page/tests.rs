use super::*;
use crate::{
    finding::{Code, Finding, Place},
    report::{DayCell, FindingRow, GapRow, LogRow, NOT_PROVED, PlatformDays, PolicyOf},
};

pub(in crate::report) fn report() -> Report {
    Report {
        id: "00112233445566aa".into(),
        agency: "agency.example".into(),
        auditor: "auditor.example".into(),
        made: "2026-11-01T00:00:00Z".into(),
        from: "2026-10-01".into(),
        to: "2026-10-31".into(),
        software: "veilmatch-audit 0.1.0".into(),
        scope: vec!["one log".into()],
        not_judged: Vec::new(),
        split_view_open: false,
        logs: Vec::new(),
        findings: Vec::new(),
        days: Vec::new(),
        categories: Vec::new(),
        versions: Vec::new(),
        canaries: Vec::new(),
        receipts: Vec::new(),
        not_proved: NOT_PROVED.map(str::to_owned).to_vec(),
        repeat: Vec::new(),
    }
}

#[test]
fn the_page_loads_and_runs_nothing() {
    let page = render(&report());
    for word in ["<script", "http://", "https://", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn what_a_log_says_is_never_markup() {
    let mut report = report();
    let place = Place::leaf("<script>alert(1)</script>", 0);
    report.findings.push(FindingRow::new(&Finding::new(Code::L08, place, "<img src=x onerror=1>"), Vec::new()));
    let page = render(&report);
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn the_verdict_says_where_a_split_view_is_not_excluded() {
    // SPEC §21.2, §21.3
    let mut report = report();
    assert!(!render(&report).contains("A split view is not excluded"));
    report.split_view_open = true;
    let page = render(&report);
    assert!(page.contains("A split view is not excluded"));
    assert!(NOT_PROVED.iter().all(|line| page.contains(line)));
}

#[test]
fn what_is_lost_stands_with_the_log_that_says_so_and_unfinished_frames_with_their_day() {
    // SPEC §21.1, §21.3
    let mut report = report();
    let log = "agency.example/veilmatch/query/2026h2".to_owned();
    let (since, until) = ("2026-10-17".into(), "2026-10-20".into());
    let gap = GapRow { log: log.clone(), from: 5_000, to: 5_300, since, until, lost: true };
    let (root, cosigners) = (String::new(), Vec::new());
    let origin = log + ".2";
    report.logs.push(LogRow {
        origin,
        from: 0,
        size: 9,
        root,
        policy: PolicyOf::Counterparty,
        cosigners,
        age_s: None,
        gaps: vec![gap],
        findings: 0,
    });
    let day = DayCell { date: "2026-10-01".into(), unfinished: 7, ..DayCell::default() };
    report.days.push(PlatformDays { platform: "platform.example".into(), days: vec![day] });
    let page = render(&report);
    assert!(page.contains("Stated to be lost: ") && page.contains("5\u{202f}299"), "{page}");
    assert!(page.contains("asked of the counterparty alone"), "{page}");
    assert!(page.contains("answered and never finished by the platform") && page.contains(">7<"), "{page}");
    let json = serde_json_canonicalizer::to_string(&report).unwrap();
    assert!(json.contains("\"from\":5000") && json.contains("\"unfinished\":7"), "{json}");
}
