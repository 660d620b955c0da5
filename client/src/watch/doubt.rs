//! What is found wrong with a log, with the notes that prove it kept.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::Watch;
use crate::{
    Error,
    evidence::{self, About},
    store::Watched,
};

impl Watch {
    pub(super) fn unproven(&self, log: &str, note: &[u8], why: &'static str) -> Error {
        Error::UnprovenLog { log: log.to_owned(), why, evidence: self.keep(About::Log, note) }
    }

    pub(super) fn stale(&self, log: &str, note: &[u8]) -> Error {
        Error::StaleLog { log: log.to_owned(), evidence: self.keep(About::Log, note) }
    }

    pub(super) fn fork(&self, log: &str, note: &[u8], before: &Watched) -> Error {
        Error::LogFork { log: log.to_owned(), size: before.size, evidence: self.keep_both(note, before) }
    }

    pub(super) fn rollback(&self, log: &str, note: &[u8], before: &Watched) -> Error {
        Error::LogRollback { log: log.to_owned(), size: before.size, evidence: self.keep_both(note, before) }
    }

    /// Two notes of one key that do not agree are the whole proof.
    fn keep_both(&self, note: &[u8], before: &Watched) -> Option<PathBuf> {
        self.keep(About::Fork, &before.note);
        self.keep(About::Fork, note)
    }

    fn keep(&self, about: About, note: &[u8]) -> Option<PathBuf> {
        if note.is_empty() {
            return None;
        }
        let name = format!("{}.note", hex::encode(&Sha256::digest(note)[..8]));
        let kept = evidence::keep(&self.dir, about, &name, note);
        tracing::error!(kept = kept.is_some(), "a log of the agency is not what it must be");
        kept
    }
}
