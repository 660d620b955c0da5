//! What the agency acknowledged is in its query log, at the index it named (Q01, Q04).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use veilmatch_protocol::{frame::BatchId, note::Verifier};

use super::{Acknowledged, Agency, Platform, Reconciled, frames, papers::Line};
use crate::{
    acknowledgement::Acknowledgement,
    finding::{Code, Finding, Place},
    leaf, origin,
    verify::{Audited, Queries},
};

/// Seconds until an acknowledged leaf is under a checkpoint: the promise of 60, and what its minute and clocks round.
const PROMISE: u64 = 60 + 60 + 600;

/// What is named in evidence.
const PAPER: &str = "acknowledgement";

pub(super) fn check(agency: &Agency, platform: &Platform, all: &mut Reconciled) {
    for line in &platform.acks.lines {
        let place = Place::line(platform.name.as_str(), PAPER, line.number);
        let found = match read(agency, line) {
            None => Some((Code::Q04, "it is not one of the agency's acknowledgements, or not of this leaf".to_owned())),
            Some(ack) => differs(platform, &ack, line).or_else(|| absent(agency, &ack)),
        };
        if let Some((code, text)) = found {
            all.findings.push(Finding::new(code, place, text).with("acknowledgement.json", line.bytes.clone()));
        }
    }
}

/// Batches whose acknowledgement speaks for itself: what is wrong with them is found here, not by their absence.
pub(super) fn proven(agency: &Agency, platform: &Platform) -> BTreeSet<BatchId> {
    let acks = platform.acks.lines.iter().filter_map(|line| read(agency, line));
    acks.filter(|ack| absent(agency, ack).is_some()).map(|ack| ack.batch).collect()
}

fn read(agency: &Agency, line: &Line<Acknowledged>) -> Option<Acknowledgement> {
    let said = line.said.as_ref()?;
    let name = origin::ack_key(&veilmatch_protocol::name::AgencyName::parse(agency.manifests.1.agency()).ok()?);
    let keys = agency.ack_keys.keys().iter().filter_map(|key| Verifier::new(&name, *key).ok());
    let ack = keys.into_iter().find_map(|key| Acknowledgement::open(said.note.as_bytes(), &key).ok())?;
    (leaf::hash(said.leaf.as_bytes()) == ack.leaf_hash.0).then_some(ack)
}

/// Whether the platform's own log names another acknowledgement for the frame.
fn differs(platform: &Platform, ack: &Acknowledgement, line: &Line<Acknowledged>) -> Option<(Code, String)> {
    let (origin, index, frame) = frames::frame_of(platform, &ack.batch)?;
    let note = line.said.as_ref()?.note.as_bytes();
    let digest: [u8; 32] = Sha256::digest(note).into();
    // A retry has the same note, so a frame has one.
    let same = frame.ack.is_none_or(|named| named.0 == digest);
    (!same).then(|| (Code::Q04, format!("leaf {index} of {origin} names another acknowledgement")))
}

/// Why the acknowledged leaf is not where it was promised.
fn absent(agency: &Agency, ack: &Acknowledgement) -> Option<(Code, String)> {
    let named = ack.origin.to_string();
    let (audited, log) = agency.queries.iter().find(|(audited, _)| audited.origin == named)?;
    if !audited.sound {
        return None;
    }
    if ack.index >= audited.size() {
        let late = audited.newest.is_some_and(|newest| newest > ack.t.unix() + PROMISE);
        return late.then(|| {
            (Code::Q01, format!("leaf {} was promised by {}, and the log has {}", ack.index, ack.t, audited.size()))
        });
    }
    let other = hash_at(audited, log, ack.index)? != ack.leaf_hash.0;
    other.then(|| (Code::Q01, format!("leaf {} of the log is another than was acknowledged", ack.index)))
}

/// The hash of a leaf; one that cannot be read is a finding of its own.
fn hash_at(audited: &Audited, log: &Queries, index: u64) -> Option<[u8; 32]> {
    if audited.holes.binary_search(&index).is_ok() {
        return None;
    }
    let at = log.frames.binary_search_by_key(&index, |frame| frame.index);
    Some(at.map_or([0; 32], |at| log.frames[at].leaf_hash))
}
