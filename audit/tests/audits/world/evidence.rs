//! The bytes behind findings: each that names a leaf has that leaf.

use std::collections::BTreeMap;

use veilmatch_audit::{
    case::Examined,
    finding::{Code, Finding, Part, Place},
    tile::View,
    verify::Audited,
};

use super::shown::Shown;

/// Findings of one code in one log that have the leaves behind them.
pub const MOST: usize = 100;

/// Each finding has the leaf at its place, and those that it was compared with, byte for byte.
pub fn assert_complete(shown: &Shown, examined: &Examined) {
    let logs = examined.agency.queries.iter().map(|(audited, _)| audited).chain([&examined.agency.manifests.0]);
    let logs = logs.chain(examined.platforms.iter().flat_map(|platform| &platform.logs).map(|(audited, _)| audited));
    let logs: BTreeMap<&str, &Audited> = logs.map(|audited| (audited.origin.as_str(), audited)).collect();
    let mut told: BTreeMap<(Code, &str), usize> = BTreeMap::new();
    for finding in &examined.findings {
        let number = told.entry((finding.code, &finding.place.origin)).or_default();
        *number += 1;
        if *number > MOST {
            continue;
        }
        for (name, place) in leaves_of(finding) {
            if let Some(bytes) = logs.get(place.origin.as_str()).and_then(|audited| bytes(shown, audited, place)) {
                assert_eq!(file(finding, &name), Some(&bytes[..]), "{name} of {finding}");
            }
        }
    }
}

fn leaves_of(finding: &Finding) -> Vec<(String, &Place)> {
    let others = &finding.evidence.others;
    let names = (1..).map(|number| if number == 1 { String::new() } else { format!("-{number}") });
    let others = names.zip(others).map(|(number, place)| (format!("other-leaf{number}.json"), place));
    [("leaf.json".to_owned(), &finding.place)].into_iter().chain(others).collect()
}

/// A file of evidence.
pub fn file<'a>(finding: &'a Finding, name: &str) -> Option<&'a [u8]> {
    finding.evidence.files.iter().find(|(of, _)| of == name).map(|(_, bytes)| &bytes[..])
}

/// A leaf that is part of the signed tree, from the files that are shown.
fn bytes(shown: &Shown, audited: &Audited, place: &Place) -> Option<Vec<u8>> {
    let Part::Leaf { index } = place.part else { return None };
    let there = audited.sound && index < audited.size() && !audited.holes.contains(&index);
    let files = there.then(|| &shown.logs[&audited.origin])?;
    let (_, bytes) = View::new(files, audited.size()).leaves(index..index + 1).next()?.unwrap();
    Some(bytes)
}
