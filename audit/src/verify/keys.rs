//! Keys that change: a `key` leaf that the old key signed brings the next one (SPEC §18.2).

use ed25519_dalek::VerifyingKey;

use crate::{
    finding::{Code, Finding, Place},
    leaf::{Key, Role},
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

/// What is wrong with a `key` leaf by itself: a change that the old key did not sign (L01), or a new beginning that is not
/// the first leaf of its log (L08).
pub(super) fn judge(origin: &str, index: u64, change: &Key) -> Option<Finding> {
    let place = Place::leaf(origin, index);
    match &change.old {
        Some(_) if change.verify_cross().is_err() => {
            Some(Finding::new(Code::L01, place, "the key change is not signed by the old key"))
        }
        None if index > 0 => Some(Finding::new(Code::L08, place, "a key without an old one may only begin a log")),
        _ => None,
    }
}
