//! One log, with nobody's word for it: its checkpoint, every tile and the root from the entries, and each leaf by itself.

mod coverage;
mod days;
mod generations;
mod keys;
mod leaves;
mod manifests;
mod matches;
mod queries;
mod signed;
mod tree;

use std::{collections::BTreeMap, io};

use veilmatch_protocol::note::Verifier;

pub use coverage::{Coverage, Gap};
pub use days::{Totals, judge as judge_days};
pub use generations::{Continuity, Remembered, Sharded, follow};
pub use keys::{Dated, KeySet};
pub(crate) use leaves::leaves_at;
pub use leaves::{Read, read_leaves};
pub use manifests::{Manifests, Published};
pub use matches::Matches;
pub use queries::{Asked, Queries};

use crate::{
    checkpoint::Checkpoint,
    finding::{Code, Finding, Place},
    policy::Policy,
    tile::Files,
    tree::Hash,
};

/// Whoever has a log's files, wherever they are.
pub type LogFiles<'a> = dyn Files<Error = io::Error> + Sync + 'a;

/// What is known of a log before it is read.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// The pinned key, under the log's origin as name.
    pub key: Verifier,
    /// Whose cosignatures count; none, if no policy is about the log.
    pub policy: Option<Applied<'a>>,
    /// Unix seconds.
    pub now: u64,
    /// Checkpoints of this log that were seen elsewhere or before.
    pub seen: Vec<Seen>,
    /// Whether the roots of all sizes are wanted, not only of those that were seen: of as many leaves as are there.
    pub every_root: bool,
}

/// The policy that a log is judged under.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// Whose cosignatures count.
    pub policy: &'a Policy,
    /// Whether the parties agreed on it for this log; else it is that the counterparty cosigns.
    pub agreed: bool,
}

/// What a checkpoint came to under a policy.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Whose cosignatures count.
    pub policy: Policy,
    /// As in [`Applied`].
    pub agreed: bool,
    /// Whether they make the quorum.
    pub met: bool,
}

/// A checkpoint that was seen elsewhere or before.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Who showed it.
    pub by: Source,
    /// The note.
    pub note: Vec<u8>,
}

/// Who showed a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The audit before this one.
    LastAudit,
    /// A witness of this name.
    Witness(String),
    /// The log itself, in other files of it that were given.
    OtherFiles,
}

/// What an audit of one log gives.
#[derive(Debug)]
pub struct Audited {
    /// Origin of the log.
    pub origin: String,
    /// Its newest checkpoint, if one was signed.
    pub checkpoint: Option<Checkpoint>,
    /// The note of it.
    pub note: Vec<u8>,
    /// Size at the last audit, or 0.
    pub from: u64,
    /// How its cosignatures were judged; not, if no policy is about it or nothing could be read.
    pub judged: Option<Judged>,
    /// Names of the witnesses that were counted.
    pub cosigners: Vec<String>,
    /// Unix seconds of the newest counted cosignature.
    pub newest: Option<u64>,
    /// When each size that was seen before was cosigned: a leaf behind it cannot be older.
    pub bounds: Vec<(u64, u64)>,
    /// Whether the files are the signed tree. If not, no leaf of them is evidence.
    pub sound: bool,
    /// Leaves whose entry is missing or altered.
    pub holes: Vec<u64>,
    /// One root for each 256 leaves, holes aside: entries are read twice, and must be the same.
    pub stretches: Vec<Hash>,
    /// Roots by size, as far as they were wanted.
    pub roots: BTreeMap<u64, Hash>,
    /// Checkpoints that were seen with more leaves, by size: a finding each, unless the next log states what is lost.
    pub shrunk: Vec<(u64, Finding)>,
    /// That no counted cosignature is fresh: a finding, unless the log has ended and another goes on from it.
    pub stale: Option<Finding>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Audited {
    /// Number of leaves; 0 without a checkpoint.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size)
    }

    /// What is a finding unless another log goes on from this one.
    pub fn take_unfollowed(&mut self) -> impl Iterator<Item = Finding> {
        let shrunk = std::mem::take(&mut self.shrunk).into_iter().map(|(_, finding)| finding);
        shrunk.chain(self.stale.take())
    }

    /// Whether leaves can be missed in it: only a whole tree shows that something is not there.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.sound && self.holes.is_empty()
    }
}

/// Audits checkpoint and tree of a log. Its leaves are for [`read_leaves`].
///
/// # Errors
/// If a file could not be read, which says nothing about the log.
pub fn verify(files: &LogFiles<'_>, known: &Known<'_>) -> io::Result<Audited> {
    let origin = known.key.name();
    let mut audited = Audited {
        origin: origin.to_owned(),
        checkpoint: None,
        note: Vec::new(),
        from: 0,
        judged: None,
        cosigners: Vec::new(),
        newest: None,
        bounds: Vec::new(),
        sound: false,
        holes: Vec::new(),
        stretches: Vec::new(),
        roots: BTreeMap::new(),
        shrunk: Vec::new(),
        stale: None,
        findings: Vec::new(),
    };
    let Some(checkpoint) = signed::checkpoint(files, known, &mut audited)? else { return Ok(audited) };
    let others = signed::seen(known, &mut audited);
    let mut sizes: Vec<u64> = others.iter().map(|other| other.checkpoint.size).collect();
    sizes.sort_unstable();
    let derived = tree::derive(files, &checkpoint, &sizes, known.every_root)?;
    audited.findings.extend(derived.findings);
    (audited.sound, audited.holes, audited.roots) = (derived.sound, derived.holes, derived.roots);
    audited.stretches = derived.stretches;
    for other in others {
        match signed::compare(&checkpoint, &audited, &other) {
            Some(finding) if finding.code == Code::L03 => audited.shrunk.push((other.checkpoint.size, finding)),
            found => audited.findings.extend(found),
        }
    }
    audited.checkpoint = Some(checkpoint);
    Ok(audited)
}

/// A finding about the checkpoint, with the note as evidence.
fn of_checkpoint(code: Code, origin: &str, note: &[u8], text: &str) -> Finding {
    Finding::new(code, Place::checkpoint(origin), text).with("checkpoint", note)
}
