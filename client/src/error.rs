//! What can go wrong on the platform's side outside an item's outcome.

use std::path::{Path, PathBuf};

use thiserror::Error;
use veilmatch_proto::Refused;

use crate::outcome::NotChecked;

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
    /// The contact in a request is too long or unprintable.
    #[error("the contact is longer than 256 bytes or has control characters")]
    Contact,
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
    /// Others may enter the platform's directory.
    #[error("directory {} has mode {mode:04o}; others can enter it", path.display())]
    DirectoryMode {
        /// The directory.
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
    /// No version of the list is held, or none that opens: what is kept cannot be looked at.
    #[error("no version of list {list} is held")]
    NoVersion {
        /// The list.
        list: String,
        /// The platform's directory.
        dir: PathBuf,
    },
    /// A rescan where results are not kept.
    #[error("keep_results is off: there is nothing to check again")]
    KeepsNothing,
    /// Another process uses the directory.
    #[error("{} is in use by another veilmatch", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },

    /// The client was shut down.
    #[error("the client was shut down")]
    ShutDown,

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
    /// One of the two sides refuses the other's certificate.
    #[error("no trust between us and the agency's server at {address}: {source}")]
    Certificate {
        /// Its address.
        address: String,
        /// What TLS said.
        source: rustls::Error,
    },
    /// The server's answer has not the form that the protocol gives it.
    #[error("the agency's server sent a malformed answer: {what}")]
    BadAnswer {
        /// Which part.
        what: &'static str,
    },
    /// The server refused a call.
    #[error("the agency's server refused: {}", .0.reason.name())]
    Refused(#[source] Refused),
    /// A manifest, artifact or delta is not what it must be.
    #[error("list {list}: {source}")]
    Untrusted {
        /// The list.
        list: String,
        /// What is wrong.
        #[source]
        source: veilmatch_protocol::Error,
        /// Where the proof of it is kept.
        evidence: Option<PathBuf>,
    },
    /// A log's checkpoint is not signed, not vouched for, or does not have what it should.
    #[error("log {log}: {why}")]
    UnprovenLog {
        /// Its origin.
        log: String,
        /// What is missing.
        why: &'static str,
        /// Where the checkpoint is kept.
        evidence: Option<PathBuf>,
    },
    /// No cosignature of a log is fresh enough.
    #[error("log {log}: its newest cosignature that counts is older than a day")]
    StaleLog {
        /// Its origin.
        log: String,
        /// Where the checkpoint is kept.
        evidence: Option<PathBuf>,
    },
    /// A log shows a tree that does not extend the one it showed before.
    #[error("log {log} is forked: it does not extend the tree of {size} leaves that it showed before")]
    LogFork {
        /// Its origin.
        log: String,
        /// Size of the tree before.
        size: u64,
        /// Where the newer of the two checkpoints is kept.
        evidence: Option<PathBuf>,
    },
    /// A log shows a smaller tree than before.
    #[error("log {log} was rolled back: it had {size} leaves before")]
    LogRollback {
        /// Its origin.
        log: String,
        /// Size of the tree before.
        size: u64,
        /// Where the newer of the two checkpoints is kept.
        evidence: Option<PathBuf>,
    },
    /// The list has no published version.
    #[error("list {list} has no published version yet")]
    NothingPublished {
        /// The list.
        list: String,
    },

    // The match log.
    /// The agency has cosigned more of the match log, or another one, than this directory holds.
    #[error("match log {log}: the agency, or its own files, have {cosigned} leaves that the database does not have")]
    LogLost {
        /// Its origin.
        log: String,
        /// Size of the tree that the agency cosigned.
        cosigned: u64,
    },
    /// Nothing is lost of the match log.
    #[error("match log {log}: the agency cosigned nothing that this directory does not have")]
    LogWhole {
        /// Its origin.
        log: String,
    },
    /// The match log's head changed while it was being published.
    #[error("match log {log}: its signed head changed under this process")]
    HeadChanged {
        /// Its origin.
        log: String,
    },
    /// The files of the match log are not those of its leaves.
    #[error("match log {log}: its files do not fit its leaves")]
    LogFiles {
        /// Its origin.
        log: String,
        /// What does not fit.
        #[source]
        source: std::io::Error,
    },
    /// No such match in the match log.
    #[error("there is no match at {index} of the match log")]
    NoRecord {
        /// Where it was looked for.
        index: String,
    },
    /// The record of a match was erased.
    #[error("the record of the match at {index} was erased")]
    Erased {
        /// Its place.
        index: String,
    },
    /// The record of a match does not open.
    #[error("the record of the match at {index} was altered, or the key of the records replaced")]
    RecordDamaged {
        /// Its place.
        index: String,
    },
    /// The blind of a match is gone.
    #[error("the match at {index} was found in kept results: its blind is gone, so it has level 1 only")]
    NoBlind {
        /// Its place.
        index: String,
    },
    /// A word that stands in the log has another form than it may have.
    #[error("{what} {word:?} is not 1 to 32 of a-z, 0-9 and -")]
    LogWord {
        /// What it is for.
        what: &'static str,
        /// The word.
        word: String,
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
}

impl Error {
    /// Wraps an I/O error with what was tried on which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
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
            Self::NoVersion { dir, .. } => format!("fetch one: veilmatch --dir {} sync", dir.display()),
            Self::KeyFileMode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::DirectoryMode { path, .. } => format!("chmod 700 {}", path.display()),
            Self::NothingPublished { list } => format!("the agency runs: veilmatch-server list publish {list}"),
            Self::Refused(refused) => refused.reason.action().to_owned(),
            Self::LogFork { evidence: Some(path), .. } | Self::LogRollback { evidence: Some(path), .. } => {
                format!("stop, call the agency and an auditor, and send them the files log-* beside {}", path.display())
            }
            Self::UnprovenLog { evidence: Some(path), .. } | Self::StaleLog { evidence: Some(path), .. } => {
                format!("synchronise again; if that does not help, call the agency and send it {}", path.display())
            }
            Self::Untrusted { evidence: Some(path), .. } => {
                format!(
                    "call the agency and send it {}; the version held stays in use until it expires",
                    path.display()
                )
            }
            other => return other.action().map(str::to_owned),
        };
        Some(hint)
    }
}

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:pat => $name:literal, $action:literal;)*) => {
        impl Error {
            /// Every reason of this program's own with what to do next, for docs/errors.md. A refusal has the server's
            /// reason, a file that is not what it must be the protocol's.
            pub const REASONS: &[(&str, &str)] = &[$(($name, $action)),*];

            /// The stable name, as in docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self {
                    $($variant => $name,)*
                    Self::Refused(refused) => refused.reason.name(),
                    Self::Untrusted { source, .. } => source.reason(),
                }
            }

            fn action(&self) -> Option<&'static str> {
                match self {
                    $($variant => Some($action),)*
                    Self::Refused(refused) => Some(refused.reason.action()),
                    Self::Untrusted { .. } => {
                        Some("call the agency; the version held stays in use until it expires")
                    }
                }
            }
        }
    };
}

reasons! {
    Self::NotInitialised { .. } => "NOT_INITIALISED", "make one with `veilmatch init`";
    Self::AlreadyInitialised { .. } => "ALREADY_INITIALISED", "choose another directory with --dir";
    Self::NotJoined { .. } => "NOT_JOINED", "send request.json to the agency, then `veilmatch join INVITATION`";
    Self::Contact => "BAD_CONTACT", "give a short line, such as a mail address, with --contact";
    Self::Config { .. } => "BAD_CONFIG", "correct the file; docs/config.md lists every field";
    Self::Invitation { .. } => "BAD_INVITATION", "ask the agency for a new invitation to your latest request.json";
    Self::KeyFileMode { .. } => "KEY_FILE_MODE", "chmod 600 the file; if others could read it, enrol anew";
    Self::DirectoryMode { .. } => "DIRECTORY_MODE", "chmod 700 the directory";
    Self::KeyFile { .. } => "BAD_KEY_FILE", "restore the file from your backup, or enrol anew";
    Self::UnknownList { .. } => "UNKNOWN_LIST", "`veilmatch status` names the lists";
    Self::NoVersion { .. } => "NO_LIST", "fetch a version with `veilmatch sync`";
    Self::KeepsNothing => "KEEPS_NOTHING", "set keep_results = true in config.toml and scan again";
    Self::Busy { .. } => "BUSY", "wait for it, or ask the running `veilmatch run` through its socket";
    Self::ShutDown => "SHUT_DOWN", "open the directory again";
    Self::Unreachable { .. } => "UNREACHABLE", "check address and network; nothing was counted as no match";
    Self::Certificate { .. } => "CERTIFICATE", "look at the clock; ask the agency for a new invitation";
    Self::BadAnswer { .. } => "BAD_ANSWER", "update this program; if that does not help, tell the agency";
    Self::UnprovenLog { .. } => "UNPROVEN_LOG", "synchronise again; if that does not help, call the agency";
    Self::StaleLog { .. } => "STALE_LOG", "synchronise again; look at the clock; then call the agency and the witnesses";
    Self::LogFork { .. } => "LOG_FORK", "stop, call the agency and an auditor, and send them the files in evidence/";
    Self::LogRollback { .. } => "LOG_ROLLBACK", "stop, call the agency and an auditor, and send them the files in evidence/";
    Self::LogLost { .. } => "LOG_LOST", "was an old backup restored? Go on with a new log: `veilmatch log recover`";
    Self::LogWhole { .. } => "LOG_WHOLE", "nothing needs to be recovered";
    Self::HeadChanged { .. } => "HEAD_CHANGED", "run the command again";
    Self::LogFiles { .. } => "LOG_FILES", "move the folder of the log away and publish again: it is written anew from the database";
    Self::NoRecord { .. } => "NO_RECORD", "`veilmatch log list` names the matches";
    Self::Erased { .. } => "ERASED", "nothing is left of it but its place in the log";
    Self::RecordDamaged { .. } => "RECORD_DAMAGED", "restore keys/openings.key and the database from one backup";
    Self::NoBlind { .. } => "NO_BLIND", "hand out level 1; level 2 is there for what a check itself found";
    Self::LogWord { .. } => "LOG_WORD", "use lower-case letters, digits and -";
    Self::NothingPublished { .. } => "NOTHING_PUBLISHED", "ask the agency to publish the list";
    Self::Io { .. } => "IO", "mend what the message names";
    Self::Database { .. } => "DATABASE", "make room or mend the disk, then start again";
    Self::NewerSchema { .. } => "NEWER_SCHEMA", "use the newer program";
    Self::Tls(_) => "TLS", "ask the agency for a new invitation";
}

impl Error {
    /// What nothing is asked for, where this is about the manifest log itself.
    pub(crate) fn fault(&self) -> Option<NotChecked> {
        match self {
            Self::UnprovenLog { .. } => Some(NotChecked::UnprovenLog),
            Self::StaleLog { .. } => Some(NotChecked::StaleLog),
            Self::LogFork { .. } => Some(NotChecked::LogFork),
            Self::LogRollback { .. } => Some(NotChecked::LogRollback),
            _ => None,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_stable_names_and_each_its_own() {
        let names: std::collections::HashSet<_> = Error::REASONS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Error::REASONS.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
    }

    #[test]
    fn evidence_is_named_where_it_was_kept_and_only_there() {
        // The hint sent people to evidence/ for a file that was wrong, of which nothing is ever kept there.
        let source = veilmatch_protocol::Error::BadArtifact;
        let hint = |evidence| Error::Untrusted { list: "baseline".to_owned(), source, evidence }.hint().unwrap();
        assert!(!hint(None).contains("evidence") && hint(None).contains("call the agency"));
        assert!(hint(Some("evidence/manifest-1.note".into())).contains("send it evidence/manifest-1.note;"));
    }

    #[test]
    fn a_hint_says_what_to_type() {
        let error = Error::KeyFileMode { path: "/a/keys/tls.key.pem".into(), mode: 0o644 };
        assert_eq!(error.to_string(), "key file /a/keys/tls.key.pem has mode 0644; others can read it");
        assert_eq!(error.hint().unwrap(), "chmod 600 /a/keys/tls.key.pem");
    }
}
