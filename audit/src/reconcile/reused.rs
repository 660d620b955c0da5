//! Batch ids that two logs of one party have: shards and generations are one log (Q05). Within a log they are found where it
//! is read.

use std::collections::{HashMap, HashSet};

use veilmatch_protocol::{frame::BatchId, name::PlatformId};

use super::{Agency, Platform};
use crate::{
    finding::{Code, Finding, Place},
    leaf::Key,
    verify::Asked,
};

/// What one answer is unique in.
type Id<'a> = (&'a PlatformId, &'a str, u32, BatchId);

/// Batches that were answered in two query logs. The same leaf twice is one that its keeper took along from a log that was
/// lost, and is shown still.
pub(super) fn queries(agency: &Agency) -> Vec<Finding> {
    if agency.queries.len() < 2 {
        return Vec::new();
    }
    let mut first: HashMap<Id<'_>, &Asked> = HashMap::new();
    let mut findings = Vec::new();
    for frame in agency.queries.iter().flat_map(|(_, log)| &log.frames).filter(|frame| frame.answered()) {
        let id = (&frame.platform, frame.list.as_str(), frame.epoch, frame.batch);
        let before = *first.entry(id).or_insert(frame);
        let again = before.origin != frame.origin;
        let taken_along = || {
            let keys = agency.queries.iter().map(|(_, log)| &log.keys[..]);
            before.leaf_hash == frame.leaf_hash
                && lost_from(keys, &before.origin).is_some_and(|lost| before.index >= lost)
        };
        if again && !taken_along() {
            let text = format!("the batch was answered in {} before", before.place());
            findings.push(Finding::new(Code::Q05, frame.place(), text).beside(before.place()));
        }
    }
    findings
}

/// Batches that ended in two match logs. What is stated to be lost and is shown still is not held against what came after.
pub(super) fn frames(platform: &Platform) -> Vec<Finding> {
    if platform.logs.len() < 2 {
        return Vec::new();
    }
    let mut first: HashMap<BatchId, Place> = HashMap::new();
    let mut findings = Vec::new();
    for (audited, log) in &platform.logs {
        let lost = lost_from(platform.logs.iter().map(|(_, log)| &log.keys[..]), &audited.origin);
        let mut seen = HashSet::new();
        for (index, frame) in &log.frames {
            let place = Place::leaf(&log.origin, *index);
            match first.get(&frame.batch) {
                Some(before) if before.origin != log.origin && seen.insert(frame.batch) => {
                    let text = format!("the batch ended in {before} before");
                    findings.push(Finding::new(Code::Q05, place, text).beside(before.clone()));
                }
                Some(_) => {}
                None if lost.is_some_and(|lost| *index >= lost) => {}
                None => drop(first.insert(frame.batch, place)),
            }
        }
    }
    findings
}

/// The index from which on logs that go on from this one state it to be lost. `keys` are those of each log.
fn lost_from<'a>(keys: impl Iterator<Item = &'a [(u64, Key)]>, origin: &str) -> Option<u64> {
    let of_it = |key: &Key| key.previous.as_ref().is_some_and(|previous| previous.to_string() == origin);
    let first = keys.filter_map(|keys| keys.first()).filter(|(index, key)| *index == 0 && of_it(key));
    first.map(|(_, key)| key.lost_from).min()
}
