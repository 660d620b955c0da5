//! The record of a scan in the platform's directory: what it looks at and where its answers go.

use std::{
    ffi::OsString,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use veilmatch_protocol::name::ListId;

use super::Failure;
use crate::{
    cli::{sweep::absolute, tally::Tally},
    state_dir::{create_private_dir, write_private},
};

const TYPE: &str = "veilmatch/scan/v1";

/// What a scan looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everything below a path.
    Tree {
        /// The path, absolute.
        root: PathBuf,
    },
    /// A file of digests.
    Hashes {
        /// The file, absolute.
        path: PathBuf,
        /// Its length and time of last change: line numbers mean nothing in another file.
        state: String,
    },
}

impl Subject {
    /// What the command line names.
    pub fn of(path: Option<&Path>, hashes: Option<&Path>) -> Result<Self, Failure> {
        let named = path.or(hashes).unwrap_or(Path::new("."));
        let metadata = named.metadata().map_err(Failure::io("read", named))?;
        Ok(match hashes {
            None => Self::Tree { root: absolute(named) },
            Some(_) => {
                let state = format!("{} {}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
                Self::Hashes { path: absolute(named), state }
            }
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Tree { root: path } | Self::Hashes { path, .. } => path,
        }
    }
}

/// One scan's record.
pub struct Record {
    /// Whether this run began the scan.
    pub is_new: bool,
    /// Whether the scan came to its end.
    pub finished: bool,
    stored: Stored,
    path: PathBuf,
    dir: PathBuf,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    r#type: String,
    list: String,
    // Paths are bytes; in hexadecimal they come back as they were.
    subject_hex: String,
    hashes_state: Option<String>,
    out_hex: String,
    finished: bool,
    matches: u64,
    no_match: u64,
    not_checked: u64,
}

impl Record {
    /// The record of the scan that writes to `out`: a new one, or the one that is there if it is of the same scan.
    pub fn open(dir: &Path, out: &Path, list: &ListId, subject: &Subject) -> Result<Self, Failure> {
        let path = folder(dir).join(name_of(out));
        let wanted = Stored {
            r#type: TYPE.to_owned(),
            list: list.to_string(),
            subject_hex: hex::encode(subject.path().as_os_str().as_bytes()),
            hashes_state: match subject {
                Subject::Tree { .. } => None,
                Subject::Hashes { state, .. } => Some(state.clone()),
            },
            out_hex: hex::encode(out.as_os_str().as_bytes()),
            finished: false,
            matches: 0,
            no_match: 0,
            not_checked: 0,
        };
        let dir = dir.to_owned();
        let Some(stored) = read(&path)? else {
            return Ok(Self { is_new: true, finished: false, stored: wanted, path, dir });
        };
        let same = |a: &Stored, b: &Stored| {
            (&a.list, &a.subject_hex, a.hashes_state.is_some()) == (&b.list, &b.subject_hex, b.hashes_state.is_some())
        };
        if !same(&stored, &wanted) {
            return Err(Failure::OtherScan { out: out.to_owned(), what: stored.what() });
        }
        // An answer file that is gone was removed on purpose: the scan begins anew.
        if !out.exists() {
            return Ok(Self { is_new: true, finished: false, stored: wanted, path, dir });
        }
        if stored.hashes_state != wanted.hashes_state {
            return Err(Failure::InputChanged { path: subject.path().to_owned() });
        }
        Ok(Self { is_new: false, finished: stored.finished, stored, path, dir })
    }

    /// Writes the record, before there is anything to resume.
    pub fn save(&self) -> Result<(), Failure> {
        create_private_dir(&folder(&self.dir))?;
        let text = serde_json::to_string_pretty(&self.stored).expect("strings and numbers always serialise") + "\n";
        Ok(write_private(&self.path, text.as_bytes())?)
    }

    /// Notes how far the scan has come.
    pub fn finish(&mut self, tally: &Tally, finished: bool) -> Result<(), Failure> {
        self.finished = finished;
        self.stored.finished = finished;
        (self.stored.matches, self.stored.no_match) = (tally.matches, tally.no_match);
        self.stored.not_checked = tally.not_checked();
        self.save()
    }

    /// Answers noted.
    pub fn answers(&self) -> u64 {
        self.stored.matches + self.stored.no_match + self.stored.not_checked
    }

    /// What to type to go on.
    pub fn command(&self) -> String {
        let hashes = if self.stored.hashes_state.is_some() { "--hashes " } else { "" };
        let (dir, list) = (quoted(&self.dir), &self.stored.list);
        let (subject, out) = (quoted(&path_of(&self.stored.subject_hex)), quoted(&path_of(&self.stored.out_hex)));
        format!("veilmatch --dir {dir} scan {hashes}{subject} --out {out} --list {list}")
    }
}

impl Stored {
    fn what(&self) -> String {
        let of = path_of(&self.subject_hex);
        format!("{} against {}", of.display(), self.list)
    }
}

/// A scan as `status` shows it.
#[derive(Debug, Serialize)]
pub struct Shown {
    list: String,
    /// What it looks at.
    pub subject: String,
    /// Where its answers go.
    pub out: String,
    /// Whether it came to its end.
    pub finished: bool,
    /// Answers when it last stopped in order.
    pub answers: u64,
    /// Matches among them.
    pub matches: u64,
}

/// Every scan of a platform's directory, by its answer file.
pub fn all(dir: &Path) -> Result<Vec<Shown>, Failure> {
    let folder = folder(dir);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io("read", &folder)(error)),
    };
    let mut shown = Vec::new();
    for entry in entries {
        let path = entry.map_err(Failure::io("read", &folder))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let Some(stored) = read(&path)? else { continue };
        shown.push(Shown {
            subject: path_of(&stored.subject_hex).display().to_string(),
            out: path_of(&stored.out_hex).display().to_string(),
            finished: stored.finished,
            answers: stored.matches + stored.no_match + stored.not_checked,
            matches: stored.matches,
            list: stored.list,
        });
    }
    shown.sort_by(|a, b| a.out.cmp(&b.out));
    Ok(shown)
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("scans")
}

fn name_of(out: &Path) -> String {
    let digest = Sha256::digest(out.as_os_str().as_bytes());
    format!("{}.json", hex::encode(&digest[..8]))
}

fn read(path: &Path) -> Result<Option<Stored>, Failure> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("read", path)(error)),
    };
    match serde_json::from_slice::<Stored>(&text) {
        Ok(stored) if stored.r#type == TYPE => Ok(Some(stored)),
        _ => Err(Failure::ScanRecord { path: path.to_owned() }),
    }
}

fn path_of(hex: &str) -> PathBuf {
    OsString::from_vec(hex::decode(hex).unwrap_or_default()).into()
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, out: &Path, root: &str) -> Result<Record, Failure> {
        let list = ListId::parse("baseline").unwrap();
        Record::open(dir, out, &list, &Subject::Tree { root: root.into() })
    }

    #[test]
    fn a_scan_goes_on_only_as_the_scan_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut first = open(dir.path(), &out, "/a").unwrap();
        assert!(first.is_new);
        first.save().unwrap();
        std::fs::write(&out, "").unwrap();
        assert!(!open(dir.path(), &out, "/a").unwrap().is_new);
        assert!(
            matches!(open(dir.path(), &out, "/b"), Err(Failure::OtherScan { what, .. }) if what == "/a against baseline")
        );

        let mut tally = Tally::default();
        tally.matches = 2;
        first.finish(&tally, true).unwrap();
        let again = open(dir.path(), &out, "/a").unwrap();
        assert_eq!((again.finished, again.answers()), (true, 2));
        std::fs::remove_file(&out).unwrap();
        assert!(open(dir.path(), &out, "/a").unwrap().is_new, "removed to scan again");
    }

    #[test]
    fn the_command_to_go_on_can_be_pasted() {
        let dir = tempfile::tempdir().unwrap();
        let record = open(dir.path(), Path::new("/o'clock/out file"), "/a b").unwrap();
        let command = record.command();
        assert!(command.ends_with(r"scan '/a b' --out '/o'\''clock/out file' --list baseline"), "{command}");
    }
}
