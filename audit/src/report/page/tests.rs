use super::*;
use crate::{
    finding::{Code, Finding, Place},
    report::{FindingRow, NOT_PROVED},
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
