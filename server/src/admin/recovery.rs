//! `log recover`: what goes on after a backup was restored.

use std::ops::Range;

use veilmatch_audit::origin::LogOrigin;

use super::Agency;
use crate::{
    Error,
    logs::{
        LogKeys,
        lost::{go_on, lost_of},
    },
};

/// Which log of an agency is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recover {
    /// The manifest log.
    Manifest,
    /// The query log, each half-year of it that was halted.
    Query,
}

/// A log that goes on as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The one that was lost.
    pub lost: String,
    /// The one that it goes on as.
    pub log: String,
    /// The indices that are lost.
    pub range: Range<u64>,
}

/// What `log recover` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The logs, one or more.
    pub logs: Vec<Recovered>,
    /// Witnesses that were not reached: what they have seen is not counted.
    pub unreached: Vec<String>,
    /// Whether the manifest log is halted, too: then the server does not start.
    pub manifest_halted: bool,
}

impl Agency {
    /// Lets another log go on from each query log that was halted; its first leaf states what is lost (SPEC §17.1). The
    /// witnesses are asked before what they have seen. A manifest log cannot go on: platforms pin it.
    ///
    /// # Errors
    /// [`Error::LogWhole`] if nothing is lost, [`Error::ManifestLogLost`], [`Error::AlreadyServing`], [`Error::Busy`], and
    /// those of [`Agency::ask_witnesses`] but that a log was halted.
    pub fn log_recover(&mut self, which: Recover, now: u64) -> Result<Recovery, Error> {
        let _serving = self.dir.lock_serving()?;
        let _lock = self.dir.lock_changes()?;
        let unreached = self.compare_with_witnesses()?.unreached;
        let (mut manifest, mut queries) = (None, Vec::new());
        for row in self.store.logs()?.into_iter().filter(|row| row.stopped().is_some()) {
            match LogOrigin::parse(&row.origin)? {
                LogOrigin::Manifest(_) => manifest = Some(row),
                _ => queries.push(row),
            }
        }
        match (which, manifest.is_some()) {
            (Recover::Manifest, true) => return Err(Error::ManifestLogLost),
            (Recover::Manifest, false) => return Err(Error::LogWhole { log: "manifest" }),
            (Recover::Query, _) if queries.is_empty() => return Err(Error::LogWhole { log: "query" }),
            _ => {}
        }
        let keys = LogKeys::read(&self.dir, &self.config.agency())?;
        let mut logs = Vec::new();
        for row in queries {
            let range = lost_of(&self.store, &row)?;
            let log = go_on(&mut self.store, keys.public(), &row, &range, now)?.to_string();
            logs.push(Recovered { lost: row.origin, log, range });
        }
        Ok(Recovery { logs, unreached, manifest_halted: manifest.is_some() })
    }
}

#[cfg(test)]
mod tests;
