//! Keys that change: a `key` leaf that the old key signed brings the next one (SPEC §18.2).

use ed25519_dalek::VerifyingKey;
use veilmatch_protocol::{manifest::Timestamp, note::Verifier};

use super::{Audited, Sharded, manifests::SLACK};
use crate::{
    finding::{Code, Finding, Place},
    leaf::{Key, Role},
    origin::LogOrigin,
};

/// Keys of one role that are followed: each of them is tried.
const MOST: usize = 64;

/// The keys of one role that an auditor accepts: the pinned one, and those that followed or went before it, each for what is
/// dated until it was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    role: Role,
    keys: Vec<Dated>,
}

/// A key, and for how long it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    /// The key.
    pub key: VerifyingKey,
    until: Option<u64>,
}

impl Dated {
    /// Whether it counts for what is dated so.
    #[must_use]
    pub fn counts(&self, t: Timestamp) -> bool {
        self.until.is_none_or(|until| t.unix() <= until)
    }
}

impl KeySet {
    /// The pinned key of a role.
    #[must_use]
    pub fn pinned(role: Role, key: VerifyingKey) -> Self {
        Self { role, keys: vec![Dated { key, until: None }] }
    }

    /// The keys, the pinned one first.
    #[must_use]
    pub fn keys(&self) -> &[Dated] {
        &self.keys
    }

    /// The keys as verifiers of notes under a name; none if the name is not legal.
    #[must_use]
    pub fn verifiers(&self, name: &str) -> Vec<(Dated, Verifier)> {
        let verifier = |dated: &Dated| Some((*dated, Verifier::new(name, dated.key).ok()?));
        self.keys.iter().filter_map(verifier).collect()
    }

    /// Takes the key changes of one party's logs, oldest first: those of this role that are tied to a known key, forwards
    /// and then backwards.
    pub fn follow<L: Sharded>(&mut self, logs: &[(Audited, L)]) {
        self.follow_in(&logs.iter().map(|(_, log)| log).collect::<Vec<_>>());
    }

    fn follow_in<L: Sharded>(&mut self, logs: &[&L]) {
        let changes = (0..).zip(logs).flat_map(|(at, log)| log.keys().iter().map(move |change| (at, change)));
        let changes: Vec<(usize, _)> = changes.filter(|(_, (_, change))| change.role == self.role).collect();
        for &(at, (index, change)) in changes.iter().chain(changes.iter().rev()) {
            // All of the logs before it are before it: one that begins a half-year is not the first thing that was signed.
            let earlier = logs[..at].iter().filter_map(|log| log.latest_before(u64::MAX));
            self.take(change, || earlier.chain(logs[at].latest_before(*index)).max());
        }
    }

    /// A change counts from its own time, and from that of the leaves before it: what is signed cannot be disowned by one
    /// that is back-dated.
    fn take(&mut self, change: &Key, before: impl FnOnce() -> Option<Timestamp>) {
        let Some(old) = change.old.as_ref().map(|old| *old.key()) else { return };
        let new = *change.key.key();
        let at = |key| self.keys.iter().position(|known| known.key == key);
        let (from, to) = (at(old), at(new));
        let replaced = from.is_some_and(|at| self.keys[at].until.is_some());
        let full = (from.is_none() || to.is_none()) && self.keys.len() >= MOST;
        if from.or(to).is_none() || replaced || full || change.verify_cross().is_err() {
            return;
        }
        let until = Some(before().unwrap_or(change.t).max(change.t).unix() + SLACK);
        match from {
            Some(at) => self.keys[at].until = until,
            None => self.keys.push(Dated { key: old, until }),
        }
        if to.is_none() {
            self.keys.push(Dated { key: new, until: None });
        }
    }
}

/// What is wrong with a `key` leaf by itself: a change that the old key did not sign (L01), a new beginning that is not the
/// first leaf of its log, or a log before that its name does not have (L08).
pub(super) fn judge(origin: &str, index: u64, change: &Key) -> Option<Finding> {
    let place = Place::leaf(origin, index);
    let goes_on = index == 0 && LogOrigin::parse(origin).is_ok_and(|origin| origin.predecessor().is_some());
    if change.previous.is_some() && !goes_on {
        let text = "only the first leaf of a log that goes on from another may say from which";
        return Some(Finding::new(Code::L08, place, text));
    }
    match &change.old {
        Some(_) if change.verify_cross().is_err() => {
            Some(Finding::new(Code::L01, place, "the key change is not signed by the old key"))
        }
        None if index > 0 => Some(Finding::new(Code::L08, place, "a key without an old one may only begin a log")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
