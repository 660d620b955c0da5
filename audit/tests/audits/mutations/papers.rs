//! Receipts, acknowledgements, canaries and published files.

use veilmatch_audit::{
    finding::{Code, Finding, Place},
    reconcile::{Acknowledged, CanaryLine, Paper, Period, Terms, reconcile},
};

use super::{
    bytes::{ALL, Change, change},
    seeded,
};
use crate::{
    scenarios::{MANIFEST, MATCH, MONTH, PLATFORM},
    world::{NOW, agency::Files, at, shown::read_certificates},
};
use rand::RngExt;
use veilmatch_audit::{case::Examined, date::Date, opening::Opening};

const TIMES: usize = 12;

/// What both sides come to, with papers and files as they are given.
fn again(examined: &Examined, files: &Files) -> Vec<Finding> {
    let period = Period { from: Date::parse("2026-10-01").unwrap(), to: Date::parse("2026-10-31").unwrap() };
    let now = at(NOW).unix();
    let terms = Terms { certificates: 1, ..MONTH.terms };
    reconcile(&examined.agency, &examined.platforms, files, &terms, period, now).findings
}

fn lines(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

/// A line is changed within itself: a newline in it would make it two.
fn change_line(line: &[u8], how: Change, rng: &mut rand::rngs::StdRng) -> Vec<u8> {
    loop {
        let changed = change(line, 1, how, rng);
        if !changed.contains(&b'\n') {
            return changed;
        }
    }
}

#[test]
fn a_changed_receipt_fails_at_its_line() {
    // SPEC §19.4, §21.4
    let mut rng = seeded();
    let shown = MONTH.shown();
    let mut examined = shown.examine(&MONTH);
    let originals = &shown.openings[PLATFORM];
    for how in ALL {
        for _ in 0..TIMES {
            let at = rng.random_range(0..originals.len());
            let mut openings = originals.clone();
            openings[at] = change_line(&originals[at], how, &mut rng);
            examined.platforms[0].openings = Some(Paper::read(&lines(&openings), |line| Opening::decode(line).ok()));
            let findings = again(&examined, &shown.files);
            let place = Place::line(PLATFORM, "opening", at as u64 + 1);
            let failed = findings.iter().filter(|finding| finding.place == place).map(|finding| finding.code.name());
            let failed: Vec<&str> = failed.collect();
            assert!(failed.len() == 1 && failed[0].starts_with('R'), "{how:?} line {at}: {findings:?}");
            // The match has no receipt then, and a canary may be missing.
            let follows = |finding: &Finding| match finding.code {
                Code::R08 => finding.place.origin == MATCH,
                Code::C01 => finding.place.origin == "agency.example",
                _ => finding.place == place,
            };
            assert!(findings.iter().all(follows), "{how:?} line {at}: {findings:?}");
        }
    }
}

#[test]
fn a_changed_acknowledgement_is_none() {
    // SPEC §18.4
    let mut rng = seeded();
    let shown = MONTH.shown();
    let mut examined = shown.examine(&MONTH);
    let originals = &shown.acks[PLATFORM];
    for how in ALL {
        for _ in 0..TIMES {
            let at = rng.random_range(0..originals.len());
            let mut acks = originals.clone();
            acks[at] = change_line(&originals[at], how, &mut rng);
            examined.platforms[0].acks = Paper::read(&lines(&acks), Acknowledged::decode);
            let findings = again(&examined, &shown.files);
            let place = Place::line(PLATFORM, "acknowledgement", at as u64 + 1);
            let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
            assert_eq!(found, [(Code::Q04, &place)], "{how:?} line {at}");
        }
    }
}

#[test]
fn a_changed_canary_was_not_committed_to() {
    // SPEC §18.7
    let mut rng = seeded();
    let shown = MONTH.shown();
    let mut examined = shown.examine(&MONTH);
    for how in ALL {
        for _ in 0..TIMES {
            let at = rng.random_range(0..shown.canaries.len());
            let mut canaries = shown.canaries.clone();
            canaries[at] = change_line(&shown.canaries[at], how, &mut rng);
            examined.agency.canaries = Some(Paper::read(&lines(&canaries), CanaryLine::decode));
            let findings = again(&examined, &shown.files);
            let place = Place::line("agency.example", "canary", at as u64 + 1);
            let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
            assert_eq!(found, [(Code::C02, &place)], "{how:?} line {at}");
        }
    }
}

#[test]
fn a_changed_artifact_is_not_the_signed_one() {
    // SPEC §7.4, §8.2
    let mut rng = seeded();
    let shown = MONTH.shown();
    let examined = shown.examine(&MONTH);
    for how in ALL {
        for _ in 0..TIMES {
            let version = rng.random_range(1..=4);
            let mut files = shown.files.clone();
            let artifact = files.artifacts.get_mut(&version).unwrap();
            *artifact = change(artifact, 1, how, &mut rng);
            only(&again(&examined, &files), version, "artifact", how);
        }
    }
}

#[test]
fn a_changed_delta_is_not_the_signed_one() {
    // SPEC §8.2
    let mut rng = seeded();
    let shown = MONTH.shown();
    let examined = shown.examine(&MONTH);
    for how in ALL {
        for _ in 0..TIMES {
            let mut files = shown.files.clone();
            let delta = files.deltas.get_mut(&2).unwrap();
            *delta = change(delta, 1, how, &mut rng);
            only(&again(&examined, &files), 2, "delta", how);
        }
    }
}

#[test]
fn a_changed_code_book_is_not_the_one_that_the_manifests_name() {
    // SPEC §7.7, §8.2
    let mut rng = seeded();
    let shown = MONTH.shown();
    let examined = shown.examine(&MONTH);
    for how in ALL {
        for _ in 0..TIMES {
            let book = change(&shown.files.book, 1, how, &mut rng);
            let findings = again(&examined, &Files { book, ..shown.files.clone() });
            let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.place.clone())).collect();
            let place = |version| (Code::M02, Place::version(MANIFEST, "baseline", version, "codes"));
            assert_eq!(found, [1, 2, 3, 4].map(place), "{how:?}");
        }
    }
}

#[test]
fn a_changed_certificate_certifies_nothing() {
    // SPEC §18.2
    let mut rng = seeded();
    let shown = MONTH.shown();
    let mut examined = shown.examine(&MONTH);
    for how in ALL {
        for _ in 0..TIMES {
            let version = rng.random_range(1..=4);
            let mut notes = shown.files.certificates.clone();
            let note = notes.get_mut(&version).unwrap();
            *note = change(note, 1, how, &mut rng);
            examined.agency.certificates = read_certificates(notes.values());
            only_of(Code::M05, &again(&examined, &shown.files), version, "certificates", how);
        }
    }
}

/// Exactly that file of that version is another than its manifest says.
fn only(findings: &[Finding], version: u32, file: &'static str, how: Change) {
    only_of(Code::M02, findings, version, file, how);
}

fn only_of(code: Code, findings: &[Finding], version: u32, file: &'static str, how: Change) {
    let place = Place::version(MANIFEST, "baseline", version, file);
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
    assert_eq!(found, [(code, &place)], "{how:?} version {version}");
}
