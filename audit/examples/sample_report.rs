//! Writes docs/sample-report.html and docs/sample-report.note: the report about a synthetic month in which some things went
//! wrong. `cargo run -p veilmatch-audit --example sample_report`

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "the month is that of the tests")]

#[path = "../tests/audits"]
mod audits {
    pub mod world;
}

use std::{fs, path::Path};

use veilmatch_audit::{
    date::Date,
    leaf::{FrameStatus, Leaf, Nonce, Pad},
    reconcile::Period,
    report::{Given, Made, render, sign, summarise},
};

use veilmatch_protocol::note::Verifier;

use audits::world::{World, key};

const MATCH: &str = "platform.example/veilmatch/match/agency.example/2026h2";

fn main() -> std::io::Result<()> {
    let world = World::month();
    let pad = Leaf::from(Pad { nonce: Nonce([9; 16]) }).encode().unwrap();
    // A quiet day without totals, and a frame that the platform left out.
    let mut shown = world.shown_with(|logs| {
        let leaves = &mut logs.get_mut(MATCH).unwrap().leaves;
        let late = |leaf: &Leaf| matches!(leaf, Leaf::Day(day) if day.date.to_string() == "2026-10-28");
        let silent = leaves.iter().position(|leaf| late(&Leaf::decode(leaf).unwrap())).unwrap();
        leaves[silent].clone_from(&pad);
        let answered = |leaf: &Leaf| matches!(leaf, Leaf::Frame(frame) if frame.status == FrameStatus::Answered && frame.n.len() == 1);
        let left_out = leaves.iter().rposition(|leaf| answered(&Leaf::decode(leaf).unwrap())).unwrap();
        leaves[left_out].clone_from(&pad);
    });
    // A canary that was not reported.
    let tag = world.canaries[6].opening.canary().tag;
    let videos = &world.platforms[1];
    let at = videos.matched.iter().position(|matched| *matched == tag).unwrap();
    shown.terms.receipt_days = None;
    shown.openings.get_mut("videos.example").unwrap().remove(at);
    let examined = shown.examine(&world);
    let period = Period { from: Date::parse("2026-10-01").unwrap(), to: Date::parse("2026-10-31").unwrap() };
    let auditor = "auditor.example/veilmatch/report";
    let given = |(origin, key): (&String, &Verifier)| {
        (origin.clone(), Given { key: key.clone(), place: format!("logs/{origin}") })
    };
    let places = shown.keys.iter().map(given).collect();
    let made = Made { auditor, period, now: shown.now, artifacts: &shown.files, places: &places };
    let mut report = summarise(&examined, &made);
    for (at, (row, finding)) in (1..).zip(report.findings.iter_mut().zip(&examined.findings)) {
        let files = finding.evidence.files.iter();
        row.evidence = files.map(|(file, _)| format!("{at:04}-{}/{file}", row.code)).collect();
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::write(docs.join("sample-report.html"), render(&report))?;
    fs::write(docs.join("sample-report.note"), sign(&report, auditor, &key(90)).unwrap())
}
