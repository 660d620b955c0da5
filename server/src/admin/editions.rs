//! `list diff`, `history`, `export`: what versions had, told from the claims.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    path::Path,
};

use veilmatch_protocol::{
    item::{Item, Kind},
    name::{Epoch, ListId, Version},
};

use super::Agency;
use crate::{
    Error,
    store::{Edition, Entries, ListRow, PendingEntry, PendingKind, Rule},
};

/// What leads from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The older version; 0 for none.
    pub from: Option<Version>,
    /// The newer version; `None` for what would be published.
    pub to: Option<Version>,
    /// Entries that come.
    pub added: u64,
    /// Entries with another label.
    pub relabelled: u64,
    /// Entries that go.
    pub removed: u64,
    /// All of these, if they were asked for.
    pub entries: Vec<PendingEntry>,
}

/// A version in a list's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionChange {
    /// Its number.
    pub version: Version,
    /// Its epoch.
    pub epoch: Epoch,
    /// When it was published.
    pub published: u64,
    /// Its entries.
    pub entries: u64,
    /// The last change that it has.
    pub change: i64,
    /// The rule.
    pub rule: Rule,
}

/// A claim on a digest, now or in the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Who claimed it.
    pub source: String,
    /// Key of the record; empty if it has none.
    pub record: String,
    /// The category, or `no category`.
    pub category: String,
    /// The change that made it, and when that was.
    pub since: (i64, u64),
    /// The change that took it back, and when that was.
    pub until: Option<(i64, u64)>,
}

impl Agency {
    /// Compares two versions, or one with what would be published. Entries are given if they are asked for.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Argument`] if there is no such version, [`Error::Store`].
    pub fn diff(
        &self,
        list: &ListId,
        from: Option<Version>,
        to: Option<Version>,
        with_entries: bool,
        now: u64,
    ) -> Result<Diff, Error> {
        let row = self.store.list(list)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        let newest = self.store.newest_version(list, None)?.map_or(Version(0), |newest| newest.version);
        let from = from.unwrap_or(newest);
        let (before, after) = (self.edition(list, from, &entries)?, self.edition_or_next(list, to, &entries, now)?);
        let labels = entries.labels(list, row.label_bytes)?;
        let mut diff = Diff { from: Some(from), to, added: 0, relabelled: 0, removed: 0, entries: Vec::new() };
        entries.visit(list, &before, &after, &labels, None, |entry| {
            match entry.kind {
                PendingKind::Kept => return ControlFlow::Continue(()),
                PendingKind::Added => diff.added += 1,
                PendingKind::Relabelled => diff.relabelled += 1,
                PendingKind::Removed => diff.removed += 1,
            }
            if with_entries {
                diff.entries.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        Ok(diff)
    }

    /// The versions of a list.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Store`].
    pub fn history(&self, list: &ListId) -> Result<Vec<VersionChange>, Error> {
        self.store.list(list)?;
        let versions = self.store.versions_after(list, Version(0))?.into_iter();
        Ok(versions
            .map(|row| VersionChange {
                version: row.version,
                epoch: row.epoch,
                published: row.not_before,
                entries: row.entries,
                change: row.edition.change,
                rule: row.edition.rule,
            })
            .collect())
    }

    /// Who claimed a digest, and when. `KIND:HEX`, or `HEX` whose length has one kind.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Argument`] if it is no digest, [`Error::Store`].
    pub fn past(&self, list: &ListId, digest: &str) -> Result<Vec<Past>, Error> {
        self.store.list(list)?;
        Entries::open(&self.dir.entries_database())?.past(list, &item(digest)?)
    }

    /// Writes the entries of a version, or of what would be published, in clear: kind, digest, scheme, code, action, source,
    /// reference. Says how many. The file is its owner's alone.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Argument`] if there is no such version, [`Error::Store`], [`Error::Io`].
    pub fn export(&self, list: &ListId, version: Option<Version>, out: &Path, now: u64) -> Result<u64, Error> {
        let row = self.store.list(list)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        let edition = self.edition_or_next(list, version, &entries, now)?;
        let written = |error| Error::io("write", out)(error);
        if out == Path::new("-") {
            return self.write_entries(&row, &entries, &edition, &mut io::stdout().lock(), out);
        }
        if out.exists() {
            return Err(written(io::ErrorKind::AlreadyExists.into()));
        }
        // Under its name it is whole.
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(written)?;
        let count = self.write_entries(&row, &entries, &edition, file.as_file_mut(), out)?;
        file.as_file().sync_all().map_err(written)?;
        file.persist_noclobber(out).map_err(|error| written(error.error))?;
        Ok(count)
    }

    fn write_entries(
        &self,
        row: &ListRow,
        entries: &Entries,
        edition: &Edition,
        file: &mut dyn Write,
        out: &Path,
    ) -> Result<u64, Error> {
        let written = |error| Error::io("write", out)(error);
        let list = &row.list;
        let mut file = BufWriter::new(file);
        file.write_all(b"kind,digest,scheme,code,action,source,reference\n").map_err(written)?;
        let labels = entries.labels(list, row.label_bytes)?;
        let (mut count, mut failed) = (0, None);
        entries.visit(list, &Edition::EMPTY, edition, &labels, None, |entry| {
            count += 1;
            let line = [
                entry.item.kind().name(),
                ",",
                &hex::encode(entry.item.digest()),
                ",",
                &labels.in_csv(&entry.label),
                "\n",
            ];
            match file.write_all(line.concat().as_bytes()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or_else(|| file.flush(), Err).map_err(written)?;
        Ok(count)
    }

    // Version 0 lists nothing.
    pub(super) fn edition(&self, list: &ListId, version: Version, entries: &Entries) -> Result<Edition, Error> {
        if version.0 == 0 {
            return Ok(Edition::EMPTY);
        }
        let found = self.store.versions_after(list, Version(version.0 - 1))?.into_iter().next();
        match found.filter(|row| row.version == version) {
            Some(row) if row.edition.change < entries.compacted(list)? => {
                let why = format!("what version {} of list {list} had was forgotten by `list compact`", version.0);
                Err(Error::argument("version", why))
            }
            Some(row) => Ok(row.edition),
            None => Err(Error::argument("version", format!("list {list} has no version {}", version.0))),
        }
    }

    fn edition_or_next(
        &self,
        list: &ListId,
        version: Option<Version>,
        entries: &Entries,
        now: u64,
    ) -> Result<Edition, Error> {
        match version {
            Some(version) => self.edition(list, version, entries),
            None => entries.current(list, self.store.list(list)?.rule, now),
        }
    }
}

// A digest as people write it.
pub(super) fn item(digest: &str) -> Result<Item, Error> {
    let wrong = || Error::argument("--digest", "is hexadecimal, or KIND:HEX");
    let (kind, hex) = match digest.split_once(':') {
        Some((kind, hex)) => (Kind::from_name(kind).map_err(|_| wrong())?, hex),
        None => {
            let kind = Kind::ALL.into_iter().find(|kind| 2 * kind.digest_len() == digest.len());
            (kind.ok_or_else(wrong)?, digest)
        }
    };
    let digest = hex::decode(hex).map_err(|_| wrong())?;
    Item::new(kind, &digest).map_err(|_| wrong())
}
