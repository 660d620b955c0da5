//! The checkpoints of the last audit: one file per log, moved forward only when a report is on the disk.

use std::{fs, io::Write, path::Path};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Failure;
use crate::{
    finding::{Code, Finding, Place},
    folder::create_dir,
    verify::{Audited, Seen, Source},
};

/// The checkpoint that the last audit ended with.
pub(super) fn last(state: &Path, origin: &str) -> Result<Option<Seen>, Failure> {
    let path = state.join(name(origin));
    match fs::read(&path) {
        Ok(note) => Ok(Some(Seen { by: Source::LastAudit, note })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(&path, error)),
    }
}

/// The notes of all logs that were audited before.
pub(super) fn all(state: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let refused = |error| Failure::file(state, error);
    let entries = match fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|extension| extension == "checkpoint") {
            notes.push(fs::read(&path).map_err(|error| Failure::file(&path, error))?);
        }
    }
    Ok(notes)
}

/// Keeps the checkpoints of an audit, each whole or not at all. A log whose files are not its tree, or that was forked or
/// rolled back, stays where it was.
pub(super) fn advance<'a>(
    state: &Path,
    audited: impl IntoIterator<Item = &'a Audited>,
    findings: &[Finding],
) -> Result<(), Failure> {
    create_dir(state).map_err(|error| Failure::file(state, error))?;
    let forked = |log: &Audited| {
        let place = Place::checkpoint(&log.origin);
        findings.iter().any(|finding| is_fork(finding) && finding.place == place)
    };
    for log in audited.into_iter().filter(|log| log.sound && log.size() >= log.from && !forked(log)) {
        let path = state.join(name(&log.origin));
        write(&path, &log.note).map_err(|error| Failure::file(&path, error))?;
    }
    Ok(())
}

fn is_fork(finding: &Finding) -> bool {
    matches!(finding.code, Code::L02 | Code::L03 | Code::L07)
}

/// Writes a file durably: whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = NamedTempFile::new_in(dir)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    fs::File::open(dir)?.sync_all()
}

/// An origin has slashes, so its digest is the name.
fn name(origin: &str) -> String {
    format!("{}.checkpoint", Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
