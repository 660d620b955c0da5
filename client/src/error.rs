//! What can go wrong on the platform's side outside an item's outcome.

use std::path::{Path, PathBuf};

use thiserror::Error;
use veilmatch_proto::Refused;

/// A command or a call that could not do its work. Texts carry no digest, element or key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    // The operator acts.
    /// The directory holds no platform.
    #[error("{} is not a platform's directory", dir.display())]
    NotInitialised {
        /// The directory that was named.
        dir: PathBuf,
    },
    /// The directory holds a platform already.
    #[error("{} holds a platform already", dir.display())]
    AlreadyInitialised {
        /// The directory that was named.
        dir: PathBuf,
    },
    /// No invitation was taken yet.
    #[error("{} has not joined an agency", dir.display())]
    NotJoined {
        /// The directory that was named.
        dir: PathBuf,
    },
    /// The configuration cannot be used.
    #[error("configuration {}: {why}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Line, field and cause.
        why: String,
    },
    /// The invitation cannot be used.
    #[error("invitation {}: {why}", path.display())]
    Invitation {
        /// The file.
        path: PathBuf,
        /// Field and cause.
        why: String,
    },
    /// A key file can be read by others.
    #[error("key file {} has mode {mode:04o}; others can read it", path.display())]
    KeyFileMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file does not hold what it should.
    #[error("key file {}: {why}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The list is not one of the invitation's.
    #[error("list {list} is not in the invitation")]
    UnknownList {
        /// The name.
        list: String,
    },
    /// Another process uses the directory.
    #[error("{} is in use by another veilmatch", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },

    // The agency acts.
    /// The server cannot be reached.
    #[error("cannot reach the agency's server at {address}")]
    Unreachable {
        /// Its address.
        address: String,
        /// What the transport said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused a call.
    #[error("the agency's server refused: {}", .0.reason.name())]
    Refused(#[source] Refused),
    /// A manifest, artifact or delta is not what it must be. Evidence is kept where there is some.
    #[error("list {list}: {source}")]
    Untrusted {
        /// The list.
        list: String,
        /// What is wrong.
        #[source]
        source: veilmatch_protocol::Error,
    },
    /// The list has no published version.
    #[error("list {list} has no published version yet")]
    NothingPublished {
        /// The list.
        list: String,
    },

    // The environment.
    /// A file could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The platform's database could not be used.
    #[error("the database {} cannot be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The database was written by a newer program.
    #[error("the database {} has schema {found}, newer than this program's {known}", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Keys or certificates could not be made or read.
    #[error("TLS: {0}")]
    Tls(String),
    /// A sealed result does not open: its file was altered or its key replaced.
    #[error("a sealed result of list {list} does not open")]
    SealedResults {
        /// The list.
        list: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The stable name, as in docs/errors.md.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotInitialised { .. } => "NOT_INITIALISED",
            Self::AlreadyInitialised { .. } => "ALREADY_INITIALISED",
            Self::NotJoined { .. } => "NOT_JOINED",
            Self::Config { .. } => "BAD_CONFIG",
            Self::Invitation { .. } => "BAD_INVITATION",
            Self::KeyFileMode { .. } => "KEY_FILE_MODE",
            Self::KeyFile { .. } => "BAD_KEY_FILE",
            Self::UnknownList { .. } => "UNKNOWN_LIST",
            Self::Busy { .. } => "BUSY",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::Refused(refused) => refused.reason.name(),
            Self::Untrusted { source, .. } => source.reason(),
            Self::NothingPublished { .. } => "NOTHING_PUBLISHED",
            Self::Io { .. } => "IO",
            Self::Database { .. } => "DATABASE",
            Self::NewerSchema { .. } => "NEWER_SCHEMA",
            Self::Tls(_) => "TLS",
            Self::SealedResults { .. } => "SEALED_RESULTS",
        }
    }

    /// What the operator does next, for the line `veilmatch: hint:`.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotInitialised { dir } => {
                format!("make one: veilmatch --dir {} init --platform NAME", dir.display())
            }
            Self::AlreadyInitialised { .. } => "choose another directory with --dir".to_owned(),
            Self::NotJoined { dir } => format!(
                "send {} to the agency, then: veilmatch --dir {} join INVITATION",
                dir.join("request.json").display(),
                dir.display()
            ),
            Self::KeyFileMode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Config { .. } => "correct the file; docs/config.md lists every field".to_owned(),
            Self::Invitation { .. } => "ask the agency for a new invitation to your latest request.json".to_owned(),
            Self::UnknownList { .. } => "veilmatch status names the lists".to_owned(),
            Self::Busy { .. } => "wait for it, or ask the running `veilmatch run` through its socket".to_owned(),
            Self::Unreachable { .. } => "check address and network; nothing was counted as no match".to_owned(),
            Self::Refused(refused) => refused.reason.action().to_owned(),
            Self::Untrusted { .. } => "call the agency; the version held stays in use until it expires".to_owned(),
            Self::NothingPublished { list } => format!("the agency runs: veilmatch-server list publish {list}"),
            Self::NewerSchema { .. } => "use the newer program".to_owned(),
            Self::SealedResults { .. } => {
                "restore results and keys together, or delete both: items are then asked again".to_owned()
            }
            Self::KeyFile { .. } | Self::Io { .. } | Self::Database { .. } | Self::Tls(_) => return None,
        };
        Some(hint)
    }
}

impl From<veilmatch_proto::Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
