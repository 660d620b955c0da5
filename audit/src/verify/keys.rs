//! Keys that change: a `key` leaf that the old key signed brings the next one (SPEC §18.2).

use ed25519_dalek::VerifyingKey;

use crate::{
    finding::{Code, Finding, Place},
    leaf::{Key, Role},
    origin::LogOrigin,
};

/// The keys of one role that an auditor accepts: the pinned one, and those that followed or went before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    role: Role,
    keys: Vec<VerifyingKey>,
}

impl KeySet {
    /// The pinned key of a role.
    #[must_use]
    pub fn pinned(role: Role, key: VerifyingKey) -> Self {
        Self { role, keys: vec![key] }
    }

    /// The keys, the pinned one first.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Takes a key change, if it is one of this role and tied to a known key.
    pub fn follow(&mut self, change: &Key) {
        let Some(old) = change.old.as_ref().filter(|_| change.role == self.role && change.verify_cross().is_ok())
        else {
            return;
        };
        let (old, new) = (*old.key(), *change.key.key());
        for (known, other) in [(old, new), (new, old)] {
            if self.keys.contains(&known) && !self.keys.contains(&other) {
                self.keys.push(other);
            }
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
