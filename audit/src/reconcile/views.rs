//! What platforms saw of the manifest log, against that log and each other (M03, L03).

use std::collections::{BTreeMap, HashSet};

use veilmatch_protocol::frame::View;

use super::{Agency, Platform};
use crate::finding::{Code, Finding, Place, Proves};

/// Somebody's word that the manifest log had a root at a size.
struct Citation {
    by: Place,
    view: View,
    t: u64,
    // In an `adopt` leaf, which no agency has recorded.
    adopted: bool,
}

/// What is said of a root that no signed query cites.
const ALONE: &str =
    "; only `adopt` leaves do, which is the platform's word alone: it speaks against one of the two sides";

pub(super) fn compare(agency: &Agency, platforms: &[Platform]) -> Vec<Finding> {
    let (audited, _) = &agency.manifests;
    let mut roots: BTreeMap<u64, [u8; 32]> = if audited.sound { audited.roots.clone() } else { BTreeMap::new() };
    let mut told: Vec<(String, View)> = Vec::new();
    let mut findings = adopted(agency, platforms);
    let citations = citations(agency, platforms);
    let recorded: HashSet<(u64, [u8; 32])> =
        citations.iter().filter(|citation| !citation.adopted).map(|of| (of.view.size, of.view.root)).collect();
    for citation in citations {
        let View { size, root } = citation.view;
        let ours = roots.entry(size).or_insert_with(|| if size > audited.size() { root } else { [0; 32] });
        let ahead = audited.sound && size > audited.size() && audited.newest.is_none_or(|newest| newest > citation.t);
        let wrong = *ours != root && (audited.sound || *ours != [0; 32]);
        let who = (citation.by.origin.clone(), citation.view);
        if !(ahead || wrong) || told.contains(&who) {
            continue;
        }
        told.push(who);
        let alone = !recorded.contains(&(size, root));
        let whose = if alone { ALONE } else { "" };
        let finding = if wrong {
            let text = format!("it cites another root for {size} leaves of the manifest log{whose}");
            Finding::new(Code::M03, citation.by, text).with("checkpoint", audited.note.clone())
        } else {
            let text = format!("{} cites {size} leaves, and the log has {}{whose}", citation.by, audited.size());
            // On the platform's word alone the agency's log is not the place.
            let place = if alone { citation.by.clone() } else { Place::checkpoint(&audited.origin) };
            let finding = Finding::new(Code::L03, place, text).with("checkpoint", audited.note.clone());
            if alone { finding } else { finding.beside(citation.by) }
        };
        findings.push(if alone { finding.against(Proves::OneSide) } else { finding });
    }
    findings
}

fn citations(agency: &Agency, platforms: &[Platform]) -> Vec<Citation> {
    let queries = agency.queries.iter().flat_map(|(_, log)| &log.frames).filter(|frame| frame.signed);
    let adopts = platforms.iter().flat_map(|platform| &platform.logs);
    let adopts = adopts.flat_map(|(_, log)| log.adopts.iter().map(move |adopt| (log, adopt)));
    let asked =
        queries.map(|frame| Citation { by: frame.place(), view: frame.view, t: frame.t.unix(), adopted: false });
    let adopted = adopts.map(|(log, (index, adopt))| Citation {
        by: Place::leaf(&log.origin, *index),
        view: adopt.view,
        t: adopt.t.unix(),
        adopted: true,
    });
    asked.chain(adopted).collect()
}

/// A version that was adopted is the one in the log.
fn adopted(agency: &Agency, platforms: &[Platform]) -> Vec<Finding> {
    let (audited, manifests) = &agency.manifests;
    let mut findings = Vec::new();
    for (_, log) in platforms.iter().flat_map(|platform| &platform.logs) {
        for (index, adopt) in &log.adopts {
            let known = manifests.version_of(adopt.list.as_str(), adopt.version.0);
            let unreadable = !audited.complete() || adopt.view.size > audited.size();
            let text = match known {
                Some(known) if known.leaf_hash == adopt.manifest.0 => continue,
                Some(_) => "the manifest that it adopted is not the one in the log",
                None if unreadable => continue,
                None => "the version that it adopted is not in the log",
            };
            let mut finding = Finding::new(Code::M03, Place::leaf(&log.origin, *index), text);
            finding.evidence.others.extend(known.map(|known| Place::leaf(&audited.origin, known.index)));
            findings.push(finding.with("checkpoint", audited.note.clone()));
        }
    }
    findings
}
