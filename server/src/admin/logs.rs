//! `log status`, `log check` and `log export`.

use std::{fs, path::Path, sync::Arc};

use veilmatch_audit::{
    folder::LogFolder,
    leaf::Leaf,
    origin::LogOrigin,
    tile::{Files, Tile, TilePath},
    verify::{Known, read_leaves, verify},
};
use veilmatch_protocol::note::Verifier;

use super::Agency;
use crate::{
    Error,
    clock::SystemClock,
    logs::{
        LogHealth, LogKeys,
        keeper::folder,
        reading::LogReader,
        witnesses::{Compared, WitnessWork, Witnesses},
    },
    store::{Cosignature, LogRow},
};

/// A log as `log status` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Its row.
    pub row: LogRow,
    /// Its leaves, published or not.
    pub leaves: u64,
    /// Who cosigned the published tree.
    pub cosignatures: Vec<Cosignature>,
}

/// What `log check` found in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChecked {
    /// The log.
    pub origin: String,
    /// Size of the published tree.
    pub size: u64,
    /// What is wrong with it, a line each.
    pub findings: Vec<String>,
}

impl Agency {
    /// Every log, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_status(&self) -> Result<Vec<LogStatus>, Error> {
        let status = |row: LogRow| {
            let leaves = self.store.log_len(row.id)?;
            let cosignatures = self.store.cosignatures(row.id, row.published_size)?;
            Ok(LogStatus { row, leaves, cosignatures })
        };
        self.store.logs()?.into_iter().map(status).collect()
    }

    /// Asks the witnesses of the policy what they have seen, before anything is signed. Gives those that were not reached.
    ///
    /// # Errors
    /// [`Error::LogHalted`] if one has seen a tree that is not ours; those of [`Witnesses::read`], [`LogKeys::read`].
    pub fn ask_witnesses(&self) -> Result<Vec<String>, Error> {
        self.compare_with_witnesses()?.sound()
    }

    pub(super) fn compare_with_witnesses(&self) -> Result<Compared, Error> {
        let Some(witnesses) = Witnesses::of(&self.dir, &self.config)? else { return Ok(Compared::default()) };
        let agency = self.config.agency();
        let keys = LogKeys::read(&self.dir, &agency)?.public().clone();
        let (health, clock) = (Arc::new(LogHealth::new(|_| ())), Arc::new(SystemClock));
        let reader = Arc::new(LogReader::new(self.dir.clone(), keys, health, clock.clone()));
        witnesses.compare(&Arc::new(WitnessWork { agency, dir: self.dir.clone(), reader, clock }))
    }

    /// Looks whether files and store have the tree that was signed: its right edge, or with `full` every entry, tile and
    /// leaf, as an auditor does, and each leaf in the store.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Store`]: the log could not be read, which says nothing about it.
    pub fn log_check(&self, full: bool, now: u64) -> Result<Vec<LogChecked>, Error> {
        let keys = LogKeys::read(&self.dir, &self.config.agency())?;
        let rows = self.store.logs()?;
        let of = |row: &LogRow| {
            let origin = LogOrigin::parse(&row.origin)?;
            let key = keys.public().of(&origin).ok_or(Error::Internal("a log in the store is not the agency's"))?;
            self.check_log(row, &origin, key, full, now)
        };
        // A log that has no checkpoint yet has nothing that could be checked.
        rows.iter().filter(|row| !row.published_note.is_empty()).map(of).collect()
    }

    fn check_log(
        &self,
        row: &LogRow,
        origin: &LogOrigin,
        key: Verifier,
        full: bool,
        now: u64,
    ) -> Result<LogChecked, Error> {
        let path = folder(&self.dir, origin);
        let files = LogFolder::new(&path);
        let mut findings = Vec::new();
        if let Some(why) = row.stopped() {
            findings.push(format!("halted: {why}"));
        }
        let leaves = self.store.log_len(row.id)?;
        let (size, root) = row.kept_tree();
        if leaves < size {
            findings.push(format!("the store has {leaves} leaves, and a tree of {size} was signed"));
        }
        if full {
            let known = Known { key, policy: None, now, seen: Vec::new(), every_root: false };
            let read = |error| Error::io("read", &path)(error);
            let mut audited = verify(&files, &known).map_err(read)?;
            let mut differs = |index: u64| findings.push(format!("leaf {index} is another one in the store"));
            let mut stored = Stored { agency: self, log: row.id, from: 0, leaves: Vec::new() };
            let mut failed = None;
            read_leaves(&files, &mut audited, 1, &|_: &Leaf| true, |read| match stored.leaf(read.index) {
                Ok(leaf) if leaf == Some(&read.bytes) => {}
                // The files of a log that was given up may have more than the store has.
                Ok(None) if row.lost.is_some() => {}
                Ok(_) => differs(read.index),
                Err(error) => failed = failed.take().or(Some(error)),
            })
            .map_err(read)?;
            findings.extend(
                audited
                    .findings
                    .iter()
                    .map(|finding| format!("{}: {}: {}", finding.code.name(), finding.place, finding.evidence.text)),
            );
            if let Some(error) = failed {
                return Err(error);
            }
        } else if files.resume(size, &root).is_err() {
            findings.push("the right edge of its files is not that of the tree that was signed".into());
        }
        Ok(LogChecked { origin: row.origin.clone(), size: row.published_size, findings })
    }

    /// Copies the files of a log's published tree, entries and all, into a folder: what an auditor is given. The log is
    /// `manifest`, `query` for its newest shard, or an origin.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Io`].
    pub fn log_export(&self, log: &str, out: &Path) -> Result<LogRow, Error> {
        let unknown = || Error::argument("--log", format!("there is no log {log}; `log status` names them"));
        let is_meant = |row: &LogRow, origin: &LogOrigin| match (log, origin) {
            ("manifest", LogOrigin::Manifest(_)) | ("query", LogOrigin::Query(..)) => true,
            _ => row.origin == log,
        };
        let published = self.store.logs()?.into_iter().filter(|row| !row.published_note.is_empty());
        let named = published.filter_map(|row| LogOrigin::parse(&row.origin).ok().map(|origin| (origin, row)));
        // The newest half-year, and of that the last that goes on: a lost one of an earlier half-year may begin after it.
        let meant = named.filter(|(origin, row)| is_meant(row, origin)).max_by_key(|(origin, _)| origin.shard());
        let (origin, row) = meant.ok_or_else(unknown)?;
        let from = folder(&self.dir, &origin);
        let files = LogFolder::new(&from);
        // The published tree may grow meanwhile: what is copied is that of the row, and its files stay.
        empty(out)?;
        for tile in Tile::all(row.published_size) {
            copy(&files, &from, out, TilePath::Hashes(tile))?;
            if tile.level == 0 {
                copy(&files, &from, out, TilePath::Entries(tile))?;
            }
        }
        let cosignatures = self.store.cosignatures(row.id, row.published_size)?;
        let note = crate::logs::keeper::with_cosignatures(&row, cosignatures);
        let checkpoint = out.join("checkpoint");
        fs::write(&checkpoint, note).map_err(Error::io("write", &checkpoint))?;
        Ok(row)
    }

    /// Writes the newest checkpoint of each match log that this agency cosigned into an empty or new folder, one file for
    /// each, named by its origin with hyphens for slashes; gives how many.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is something in the folder, [`Error::Store`], [`Error::Io`].
    pub fn log_export_seen(&self, out: &Path) -> Result<usize, Error> {
        empty(out)?;
        let all = self.store.all_watched()?;
        for watched in &all {
            let path = out.join(watched.origin.replace('/', "-"));
            fs::write(&path, &watched.note).map_err(Error::io("write", &path))?;
        }
        Ok(all.len())
    }
}

fn empty(out: &Path) -> Result<(), Error> {
    fs::create_dir_all(out).map_err(Error::io("create", out))?;
    if fs::read_dir(out).map_err(Error::io("read", out))?.next().is_some() {
        return Err(Error::argument("FOLDER", "is not empty"));
    }
    Ok(())
}

fn copy(files: &LogFolder, from: &Path, out: &Path, path: TilePath) -> Result<(), Error> {
    let (source, target) = (from.join(path.to_string()), out.join(path.to_string()));
    let read = files.read(&path.to_string(), path.limit()).map_err(Error::io("read", &source))?;
    let bytes = read.ok_or_else(|| Error::Damaged {
        what: source.display().to_string(),
        why: "it is not there; `log check` says more".into(),
    })?;
    let parent = target.parent().unwrap_or(out);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    fs::write(&target, bytes).map_err(Error::io("write", &target))
}

// The leaves of the store, read ahead in the order in which they are asked for.
struct Stored<'a> {
    agency: &'a Agency,
    log: i64,
    from: u64,
    leaves: Vec<Vec<u8>>,
}

impl Stored<'_> {
    fn leaf(&mut self, index: u64) -> Result<Option<&Vec<u8>>, Error> {
        let have = self.from..self.from + self.leaves.len() as u64;
        if !have.contains(&index) {
            self.leaves = self.agency.store.leaves(self.log, index..index + 1_024)?;
            self.from = index;
        }
        Ok(usize::try_from(index - self.from).ok().and_then(|at| self.leaves.get(at)))
    }
}

#[cfg(test)]
mod tests;
