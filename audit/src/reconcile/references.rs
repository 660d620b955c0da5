//! What was done about matches of earlier logs, where both logs are shown (D02, E01).

use veilmatch_protocol::manifest::Timestamp;

use super::Platform;
use crate::{
    finding::{Code, Finding, Place},
    origin::LogOrigin,
    verify::Matches,
};

/// Leaves that name a leaf of another log which is no match there.
pub(super) fn check(platform: &Platform) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, log) in &platform.logs {
        let actions =
            log.actions.iter().map(|(at, leaf)| (Code::D02, *at, &leaf.log, std::slice::from_ref(&leaf.index)));
        let erased = log.erased_before.iter().map(|(at, leaf)| (Code::E01, *at, &leaf.log, &leaf.indices[..]));
        for (code, at, named, indices) in actions.chain(erased) {
            let missing = shown(platform, log, named).and_then(|other| missing(other, indices));
            findings.extend(missing.map(|index| {
                let text = format!("leaf {index} of {named} is no match");
                Finding::new(code, Place::leaf(&log.origin, at), text).beside(Place::leaf(&named.to_string(), index))
            }));
        }
    }
    findings
}

/// The log that is named, if it is another one and was shown whole.
fn shown<'a>(platform: &'a Platform, log: &Matches, named: &LogOrigin) -> Option<&'a Matches> {
    let named = named.to_string();
    let other = platform.logs.iter().find(|(audited, other)| other.origin == named && audited.complete());
    other.map(|(_, other)| other).filter(|other| other.origin != log.origin)
}

fn missing(log: &Matches, indices: &[u64]) -> Option<u64> {
    indices.iter().copied().find(|index| !log.matches.contains_key(index))
}

impl Platform {
    /// When the record of a match was erased, whichever of the logs says so.
    pub(super) fn erased(&self, log: &Matches, index: u64) -> Option<Timestamp> {
        let later = || {
            let leaves = self.logs.iter().flat_map(|(_, later)| &later.erased_before);
            leaves
                .map(|(_, leaf)| leaf)
                .find(|leaf| leaf.indices.binary_search(&index).is_ok() && leaf.log.to_string() == log.origin)
        };
        log.erased.get(&index).copied().or_else(|| Some(later()?.t))
    }
}
