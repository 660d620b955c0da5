//! What is signed about a log: its checkpoint, cosignatures, and the checkpoints that others saw (L01 to L03, L05 to L07).

use std::io;

use veilmatch_protocol::note::{MAX_NOTE_LEN, Note};

use super::{Applied, Audited, Judged, Known, LogFiles, Source, of_checkpoint};
use crate::{
    checkpoint::{self, Checkpoint},
    finding::{Code, Finding},
    origin::{LogOrigin, Shard},
    policy::MAX_AHEAD,
};

/// Seconds after which a cosignature is not fresh.
const FRESH: u64 = 24 * 3_600;

/// A checkpoint seen elsewhere whose signature verifies.
pub(super) struct Other {
    pub(super) source: Source,
    pub(super) checkpoint: Checkpoint,
    note: Vec<u8>,
}

/// Reads the newest checkpoint and counts its cosignatures.
pub(super) fn checkpoint(
    files: &LogFiles<'_>,
    known: &Known<'_>,
    audited: &mut Audited,
) -> io::Result<Option<Checkpoint>> {
    let origin = known.key.name();
    let Some(note) = files.read("checkpoint", MAX_NOTE_LEN)? else {
        audited.findings.push(of_checkpoint(Code::L01, origin, b"", "there is no checkpoint"));
        return Ok(None);
    };
    audited.note.clone_from(&note);
    let Ok(checkpoint) = checkpoint::open(&note, origin, &known.key) else {
        let text = "the note is not a checkpoint of this log with a signature of the pinned key";
        audited.findings.push(of_checkpoint(Code::L01, origin, &note, text));
        return Ok(None);
    };
    count(known, audited, &note);
    Ok(Some(checkpoint))
}

fn count(known: &Known<'_>, audited: &mut Audited, note: &[u8]) {
    let Some(Applied { policy, agreed }) = known.policy else { return };
    let origin = known.key.name();
    let parsed = Note::parse(note).expect("it was opened");
    let counted = policy.count(&parsed, known.now);
    let met = counted.as_ref().is_ok_and(|counted| counted.met);
    audited.judged = Some(Judged { policy: policy.clone(), agreed, met });
    let Ok(counted) = counted else {
        let text = "a line of a known witness does not verify";
        audited.findings.push(of_checkpoint(Code::L01, origin, note, text));
        return;
    };
    if policy.witnesses().any(|witness| {
        let latest = |at| witness.key.cosigned(&parsed, at).ok().flatten();
        latest(u64::MAX).is_some_and(|time| time > known.now.saturating_add(MAX_AHEAD))
    }) {
        let text = "a cosignature is of the future, and was not counted";
        audited.findings.push(of_checkpoint(Code::T01, origin, note, text));
    }
    if !counted.met {
        let text =
            format!("counted: {}", if counted.names.is_empty() { "nobody".into() } else { counted.names.join(", ") });
        audited.findings.push(of_checkpoint(Code::L05, origin, note, &text));
    }
    let ended = LogOrigin::parse(origin).ok().and_then(|origin| origin.shard()).map(Shard::end);
    // Nothing has to be cosigned any more once a half-year is over.
    let until = ended.map_or(known.now, |ended| ended.unix().min(known.now));
    let age = counted.newest.map(|newest| until.saturating_sub(newest));
    if counted.met && age.is_none_or(|age| age >= FRESH) {
        let text =
            age.map_or("no cosignature was counted".to_owned(), |age| format!("the newest is {} h old", age / 3_600));
        audited.stale = Some(of_checkpoint(Code::L06, origin, note, &text));
    }
    (audited.cosigners, audited.newest) = (counted.names, counted.newest);
}

/// The checkpoints that others saw and this log's key signed. What the key did not sign shows nothing.
pub(super) fn seen(known: &Known<'_>, audited: &mut Audited) -> Vec<Other> {
    let mut others = Vec::new();
    for seen in &known.seen {
        let Ok(checkpoint) = checkpoint::open(&seen.note, known.key.name(), &known.key) else { continue };
        if seen.by == Source::LastAudit {
            audited.from = audited.from.max(checkpoint.size);
        }
        if let (Some(Applied { policy, .. }), Ok(note)) = (known.policy, Note::parse(&seen.note))
            && let Ok(counted) = policy.count(&note, known.now)
            && let Some(newest) = counted.newest
        {
            audited.bounds.push((checkpoint.size, newest));
        }
        others.push(Other { source: seen.by.clone(), checkpoint, note: seen.note.clone() });
    }
    others
}

/// Compares a checkpoint that was seen elsewhere with the tree that was derived.
pub(super) fn compare(ours: &Checkpoint, audited: &Audited, other: &Other) -> Option<Finding> {
    let theirs = &other.checkpoint;
    let (code, text) = if theirs.size > ours.size {
        (
            Code::L03,
            format!("{} was signed with {} leaves, and this one has {}", by(&other.source), theirs.size, ours.size),
        )
    } else {
        // Files that are not the signed tree say nothing about another one, but two roots of one size do.
        let root = if theirs.size == ours.size { Some(&ours.root) } else { audited.roots.get(&theirs.size) };
        if root.is_none_or(|root| *root == theirs.root || (!audited.sound && theirs.size < ours.size)) {
            return None;
        }
        let code = if matches!(other.source, Source::Witness(_)) { Code::L07 } else { Code::L02 };
        (code, format!("{} has another root for {} leaves", by(&other.source), theirs.size))
    };
    let name = match &other.source {
        Source::LastAudit => "checkpoint-last-audit".to_owned(),
        Source::Witness(name) => format!("checkpoint-{}", name.replace(['/', '.'], "-")),
        Source::OtherFiles => "checkpoint-other-files".to_owned(),
    };
    Some(of_checkpoint(code, &ours.origin, &audited.note, &text).with(&name, other.note.clone()))
}

pub(super) fn by(source: &Source) -> String {
    match source {
        Source::LastAudit => "the checkpoint of the last audit".to_owned(),
        Source::Witness(name) => format!("the checkpoint that {name} shows"),
        Source::OtherFiles => "the checkpoint in other files of the log".to_owned(),
    }
}
