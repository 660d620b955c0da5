//! What the agency acknowledged is in its query log, at the index it named (Q01, Q04).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha2::{Digest, Sha256};
use veilmatch_protocol::{frame::BatchId, name::AgencyName, note::Verifier};

use super::{Acknowledged, Agency, Platform, Reconciled, frames, papers::Line};
use crate::{
    acknowledgement::Acknowledgement,
    finding::{Code, Finding, Place},
    leaf,
    origin::{self, LogOrigin},
    verify::{Audited, Dated, Gap, Queries},
};

/// Seconds until an acknowledged leaf is under a checkpoint: the promise of 60, and what its minute and clocks round.
const PROMISE: u64 = 60 + 60 + 600;

/// What is named in evidence.
const PAPER: &str = "acknowledgement";

/// The acknowledgements that a platform showed, each as it was judged.
pub(super) struct Judged<'a>(Vec<JudgedLine<'a>>);

/// A line, and the acknowledgement in it if it can be read.
type JudgedLine<'a> = (&'a Line<Acknowledged>, Option<(Acknowledgement, Kept)>);

pub(super) fn judge<'a>(agency: &Agency, platform: &'a Platform) -> Judged<'a> {
    let promises = Promises::of(agency);
    let keys = keys(agency);
    let judged = |line: &Line<Acknowledged>| {
        read(&keys, line).map(|ack| {
            let kept = promises.kept(&ack);
            (ack, kept)
        })
    };
    Judged(platform.acks.lines.iter().map(|line| (line, judged(line))).collect())
}

impl Judged<'_> {
    pub(super) fn tell(self, platform: &Platform, all: &mut Reconciled) {
        let mut hidden: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for (line, judged) in self.0 {
            let place = Place::line(platform.name.as_str(), PAPER, line.number);
            let Some((ack, kept)) = judged else {
                let text = "it is not one of the agency's acknowledgements, or not of this leaf";
                all.findings.push(with(Finding::new(Code::Q04, place, text), line));
                continue;
            };
            if let Some((frame, text)) = differs(platform, &ack, line) {
                let text = format!("{frame} {text}");
                all.findings.push(with(Finding::new(Code::Q04, place, text).beside(frame), line));
                continue;
            }
            match kept {
                Kept::Yes => {}
                Kept::No(text) => {
                    let other = Place::leaf(&ack.origin.to_string(), ack.index);
                    all.findings.push(with(Finding::new(Code::Q01, place, text).beside(other), line));
                }
                Kept::Hidden(why) => *hidden.entry((ack.origin.to_string(), why)).or_default() += 1,
            }
        }
        let name = &platform.name;
        let told = |((origin, why), number)| format!("{number} acknowledgements of {name}: {origin} {why}");
        all.not_judged.extend(hidden.into_iter().map(told));
    }

    /// Batches whose acknowledgement speaks for itself: what is wrong with them is found here, not by their absence.
    pub(super) fn proven(&self) -> BTreeSet<BatchId> {
        let broken = self.0.iter().filter_map(|(_, judged)| judged.as_ref());
        broken.filter(|(_, kept)| matches!(kept, Kept::No(_))).map(|(ack, _)| ack.batch).collect()
    }
}

fn with(finding: Finding, line: &Line<Acknowledged>) -> Finding {
    finding.with("acknowledgement.json", line.bytes.clone())
}

fn keys(agency: &Agency) -> Vec<(Dated, Verifier)> {
    let Ok(name) = AgencyName::parse(agency.manifests.1.agency()) else { return Vec::new() };
    agency.ack_keys.verifiers(&origin::ack_key(&name))
}

fn read(keys: &[(Dated, Verifier)], line: &Line<Acknowledged>) -> Option<Acknowledgement> {
    let said = line.said.as_ref()?;
    let open = |(dated, key): &(Dated, Verifier)| {
        let ack = Acknowledgement::open(said.note.as_bytes(), key).ok()?;
        dated.counts(ack.t).then_some(ack)
    };
    let ack = keys.iter().find_map(open)?;
    (leaf::hash(said.leaf.as_bytes()) == ack.leaf_hash.0).then_some(ack)
}

/// The frame in the platform's own log, if that names another acknowledgement for it, or an end without an answer.
fn differs(platform: &Platform, ack: &Acknowledgement, line: &Line<Acknowledged>) -> Option<(Place, &'static str)> {
    let (origin, index, frame) = frames::frame_of(platform, &ack.batch)?;
    let note = line.said.as_ref()?.note.as_bytes();
    let digest: [u8; 32] = Sha256::digest(note).into();
    match frame.ack {
        // A retry has the same note, so a frame has one.
        Some(named) if named.0 == digest => None,
        Some(_) => Some((Place::leaf(origin, index), "names another acknowledgement")),
        None => Some((Place::leaf(origin, index), "has the frame as one without an answer")),
    }
}

/// What the agency promised, and the logs that show whether it kept it.
struct Promises<'a> {
    agency: &'a Agency,
    // Leaves of logs that go on from another: what was acknowledged there may have been taken along.
    moved: HashSet<[u8; 32]>,
}

enum Kept {
    Yes,
    No(String),
    /// It cannot be seen, and why.
    Hidden(&'static str),
}

impl<'a> Promises<'a> {
    fn of(agency: &'a Agency) -> Self {
        let follow = |audited: &Audited| LogOrigin::parse(&audited.origin).is_ok_and(|of| of.predecessor().is_some());
        let later = agency.queries.iter().filter(|(audited, _)| follow(audited));
        Self { agency, moved: later.flat_map(|(_, log)| &log.frames).map(|frame| frame.leaf_hash).collect() }
    }

    /// Whether the acknowledged leaf is where it was promised.
    fn kept(&self, ack: &Acknowledgement) -> Kept {
        let named = ack.origin.to_string();
        let shown = self.agency.queries.iter().find(|(audited, _)| audited.origin == named);
        let size = shown.map_or(0, |(audited, _)| audited.size());
        let of_it = |gap: &&Gap| gap.lost && gap.log == ack.origin && gap.from <= ack.index;
        if let Some(gap) = self.agency.coverage.gaps.iter().find(of_it).filter(|_| ack.index >= size) {
            let lost = || Kept::No(format!("leaf {} of {named} is lost, as {} says", ack.index, gap.said_by));
            return if self.moved.contains(&ack.leaf_hash.0) { Kept::Yes } else { lost() };
        }
        let Some((audited, log)) = shown else { return Kept::Hidden("was not shown") };
        in_log(audited, log, ack)
    }
}

/// Whether the acknowledged leaf is in the log that it was promised in. What is not sound, or cannot be read, is a finding of
/// its own.
fn in_log(audited: &Audited, log: &Queries, ack: &Acknowledgement) -> Kept {
    let (index, size) = (ack.index, audited.size());
    match audited.newest {
        _ if !audited.sound => Kept::Yes,
        _ if index < size => match hash_at(audited, log, index) {
            Some(other) if other != ack.leaf_hash.0 => {
                Kept::No(format!("leaf {index} of the log is another than was acknowledged"))
            }
            _ => Kept::Yes,
        },
        None => Kept::Hidden("ends before them, and no cosignature that is judged says when"),
        Some(newest) if newest > ack.t.unix() + PROMISE => {
            Kept::No(format!("leaf {index} was promised by {}, and the log has {size}", ack.t))
        }
        Some(_) => Kept::Yes,
    }
}

/// The hash of a leaf; one that cannot be read is a finding of its own.
fn hash_at(audited: &Audited, log: &Queries, index: u64) -> Option<[u8; 32]> {
    if audited.holes.binary_search(&index).is_ok() {
        return None;
    }
    let at = log.frames.binary_search_by_key(&index, |frame| frame.index);
    Some(at.map_or([0; 32], |at| log.frames[at].leaf_hash))
}
