use std::collections::BTreeSet;

use super::*;

fn told_in_the_spec() -> BTreeSet<String> {
    let spec = include_str!("../../../SPEC.md");
    let section = spec.split("### 21.1").nth(1).and_then(|rest| rest.split("### 21.2").next()).unwrap();
    let cells = section.split('|').map(str::trim);
    let code = |cell: &&str| cell.len() == 3 && cell[1..].bytes().all(|b| b.is_ascii_digit());
    cells.filter(code).map(str::to_owned).collect()
}

#[test]
fn the_codes_are_those_of_the_spec() {
    // SPEC §21.1
    let ours: BTreeSet<String> = Code::ALL.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(ours.len(), Code::ALL.len());
    assert_eq!(ours, told_in_the_spec());
}

#[test]
fn every_code_has_a_sentence_and_advice() {
    for code in Code::ALL {
        assert!(code.sentence().ends_with('.') && code.advice().ends_with('.'), "{code}");
    }
}

#[test]
fn a_finding_reads_as_code_weight_place_and_what_was_seen() {
    let finding = Finding::new(Code::Q05, Place::leaf("a.example/veilmatch/query/2026h2", 7), "batch again");
    assert_eq!(finding.to_string(), "Q05 high: a.example/veilmatch/query/2026h2: leaf 7: batch again");
}

#[test]
fn the_auditors_paper_says_of_each_code_what_the_code_says() {
    let paper = include_str!("../../../docs/auditing.md");
    for code in Code::ALL {
        let (severity, proves) = (code.severity(), code.proves().words());
        let row = format!("| {code} | {severity} | {proves} | {} | {} |", code.sentence(), code.advice());
        assert!(paper.contains(&row), "docs/auditing.md lacks\n{row}");
    }
}
