//! The exact leaves behind findings. They are read again when all is found: no audit keeps the bytes of a whole log.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, TOLD};
use crate::{
    finding::{Code, Finding, Part, Place},
    verify::{Audited, leaves_at},
};

/// Adds the leaf at the place of each finding, and those that it was compared with, if they are of logs that were read and
/// can be read again: of the first findings of each code in each log.
pub(super) fn attach(findings: &mut [Finding], sources: &[Source<'_>], audited: &[&Audited]) {
    let mut told: BTreeMap<(Code, String), usize> = BTreeMap::new();
    let mut wanted: Vec<(&mut Finding, Vec<(String, Place)>)> = Vec::new();
    for finding in findings {
        let number = told.entry((finding.code, finding.place.origin.clone())).or_default();
        *number += 1;
        if *number <= TOLD {
            let leaves = missing(finding);
            wanted.push((finding, leaves));
        }
    }
    let leaves = read(wanted.iter().flat_map(|(_, leaves)| leaves), sources, audited);
    for (finding, missing) in wanted {
        let files = missing.into_iter().filter_map(|(name, place)| Some((name, leaves.get(&place)?.clone())));
        finding.evidence.files.extend(files);
    }
}

/// The leaves of a finding that are not among its files, each with the name that it gets there.
fn missing(finding: &Finding) -> Vec<(String, Place)> {
    const OWN: &str = "leaf.json";
    let own = finding.evidence.files.iter().all(|(name, _)| name != OWN).then(|| (OWN.to_owned(), &finding.place));
    let other = |number| if number == 1 { "other-leaf.json".to_owned() } else { format!("other-leaf-{number}.json") };
    let others = (1..).zip(&finding.evidence.others).map(|(number, place)| (other(number), place));
    own.into_iter().chain(others).map(|(name, place)| (name, place.clone())).collect()
}

fn read<'a>(
    places: impl Iterator<Item = &'a (String, Place)>,
    sources: &[Source<'_>],
    audited: &[&Audited],
) -> BTreeMap<Place, Vec<u8>> {
    let mut indices: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (_, place) in places {
        if let Part::Leaf { index } = place.part {
            indices.entry(&place.origin).or_default().insert(index);
        }
    }
    let mut leaves = BTreeMap::new();
    for source in sources {
        let origin = source.known.key.name();
        let Some(audited) = audited.iter().find(|audited| audited.origin == origin) else { continue };
        let Some(indices) = indices.get(origin) else { continue };
        // Whoever lets a file be read twice and not again does not take the findings away, only the bytes behind them.
        let Ok(found) = leaves_at(&*source.files, audited, indices) else { continue };
        leaves.extend(found.into_iter().map(|(index, bytes)| (Place::leaf(origin, index), bytes)));
    }
    leaves
}
