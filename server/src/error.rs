//! What can go wrong on the agency's side outside a frame, and what the operator does about it.

use std::path::{Path, PathBuf};

use thiserror::Error;
use veilmatch_audit::origin::LogOrigin;

/// A command or a part of the running server that could not do its work. Texts carry no digest, element or key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    // The operator acts.
    /// The directory holds no agency.
    #[error("{} is not an agency's directory", dir.display())]
    NotInitialised {
        /// The directory that was named.
        dir: PathBuf,
    },
    /// The directory holds an agency already.
    #[error("{} holds an agency already", dir.display())]
    AlreadyInitialised {
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
    /// An argument cannot be used.
    #[error("{what}: {why}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// Why not.
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
    /// The directory that is to hold an agency has other things in it and is open to others.
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
    /// No list of this name.
    #[error("no list {list}")]
    UnknownList {
        /// The name.
        list: String,
    },
    /// The list has no source of this name.
    #[error("no source {source_name}")]
    UnknownSource {
        /// The name.
        source_name: String,
    },
    /// A source would grow or shrink suddenly; nothing was taken.
    #[error("{source_name} would have {after} digests after {before}; {least} to {most} are taken without a word")]
    Jump {
        /// The source.
        source_name: String,
        /// Its digests so far.
        before: u64,
        /// Its digests with this file.
        after: u64,
        /// The fewest that are taken.
        least: u64,
        /// The most that are taken.
        most: u64,
    },
    /// The list exists.
    #[error("list {list} exists already")]
    ListExists {
        /// The name.
        list: String,
    },
    /// The list has no published version yet.
    #[error("list {list} has no published version")]
    NothingPublished {
        /// The name.
        list: String,
    },
    /// A rotation is still going on.
    #[error("list {list} still overlaps two epochs")]
    EpochsOverlap {
        /// The name.
        list: String,
    },
    /// No platform of this name.
    #[error("no client {platform}")]
    UnknownClient {
        /// The name.
        platform: String,
    },
    /// No auditor of this name.
    #[error("no auditor {auditor}")]
    UnknownAuditor {
        /// The name.
        auditor: String,
    },
    /// The platform is enrolled with other keys.
    #[error("client {platform} is enrolled with other keys")]
    ClientExists {
        /// The name.
        platform: String,
    },
    /// Another platform is enrolled with this TLS key.
    #[error("the certificate request's key belongs to another client already")]
    KeyInUse,
    /// An enrolment request is refused.
    #[error("enrolment request {}: {why}", path.display())]
    EnrolmentRequest {
        /// The file.
        path: PathBuf,
        /// Field and cause.
        why: String,
    },
    /// A label is longer than the list has room for.
    #[error("label of {given} bytes does not fit into {room}")]
    LabelTooLong {
        /// Its length.
        given: usize,
        /// The most that fits.
        room: usize,
    },
    /// A hash list could not be read to its end; nothing was taken from it.
    #[error("hash list {}", path.display())]
    HashList {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: veilmatch_lists::Error,
    },
    /// Another command that changes the same directory is running.
    #[error("another command is changing this directory")]
    Busy,
    /// Another server runs on the same directory.
    #[error("a server is already running on this directory")]
    AlreadyServing,
    /// The store was written by a newer program.
    #[error("{} has schema {found}; this program knows {known}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },

    // The environment acts.
    /// A file operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The store refused; its state is what it was before.
    #[error("store")]
    Store(#[from] rusqlite::Error),
    /// The store does not keep a setting that durability rests on.
    #[error("the store keeps {setting} at {found}, not {wanted}")]
    StoreSetting {
        /// The pragma.
        setting: &'static str,
        /// What it reads back.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Writing a record ended in an I/O error: what is on the disk is unknown, so the process ends.
    #[error("the query log could not be written; the server stops")]
    AuditFailed,
    /// Whether a signed head is in place could not be found out: the process ends, and the next start looks.
    #[error("it is unclear whether a log's head was replaced; the server stops")]
    HeadUnclear(#[source] rusqlite::Error),
    /// The clock is behind the time of the last signature: nothing is signed before it has caught up.
    #[error("the clock is behind the last checkpoint of {origin}")]
    ClockBehind {
        /// The log.
        origin: String,
    },
    /// The network edge failed.
    #[error("cannot {what}")]
    Network {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate could not be made or read.
    #[error("certificate: {why}")]
    Certificate {
        /// The cause.
        why: String,
    },

    /// A log of ours has been seen with another tree than the one here.
    #[error("log {origin} may not go on: {why}")]
    LogHalted {
        /// The log.
        origin: String,
        /// How it shows.
        why: String,
    },

    /// The manifest log is halted, and cannot go on as another one.
    #[error("the manifest log cannot go on as another one: platforms and witnesses hold it to what they have seen")]
    ManifestLogLost,

    /// Nothing is known to be lost of a log.
    #[error("nothing is known to be lost of the {log} log")]
    LogWhole {
        /// Which.
        log: &'static str,
    },

    /// A check of the logs found something.
    #[error("the logs are not as they were signed: {findings} findings")]
    LogFindings {
        /// How many.
        findings: usize,
    },

    // We act.
    /// The store and the files disagree.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What.
        what: String,
        /// How it shows.
        why: String,
    },
    /// The protocol refused what we made ourselves.
    #[error("protocol")]
    Protocol(#[from] veilmatch_protocol::Error),
    /// A log refused what we made ourselves.
    #[error("log")]
    Log(#[from] veilmatch_audit::Error),
    /// A thread of ours ended.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// What to type or look at next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotInitialised { dir } => {
                format!("veilmatch-server --dir {} init --agency NAME --address HOST:PORT", dir.display())
            }
            Self::KeyFileMode { path, .. } => format!("chmod 600 {}", path.display()),
            Self::DirectoryMode { path, .. } => format!("chmod 700 {}, or choose another --dir", path.display()),
            Self::ListExists { list } => format!("list import {list} FILE"),
            Self::NothingPublished { list } => format!("list publish {list}"),
            Self::EpochsOverlap { list } => format!("`list status {list}` tells when the old epoch retires"),
            Self::LogHalted { origin, .. } if matches!(LogOrigin::parse(origin), Ok(LogOrigin::Query(..))) => {
                "keep a copy of the directory; restore a newer backup, or if there is none let another log go on: `log recover \
                 --log query`"
                    .to_owned()
            }
            Self::HashList { source, .. } => format!("{}; nothing was taken", source.hint()),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "make room on the disk, then repeat the command; nothing was half done".to_owned()
            }
            other => other.action().to_owned(),
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn argument(what: &'static str, why: impl Into<String>) -> Self {
        Self::Argument { what, why: why.into() }
    }
}

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:pat => $name:literal, $action:literal;)*) => {
        impl Error {
            /// Every reason of this program's own with what to do next, for docs/errors.md.
            pub const REASONS: &[(&str, &str)] = &[$(($name, $action)),*];

            /// The stable name of this error, as in docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self { $($variant => $name,)* }
            }

            fn action(&self) -> &'static str {
                match self { $($variant => $action,)* }
            }
        }
    };
}

reasons! {
    Self::NotInitialised { .. } => "NOT_INITIALISED", "make the directory with `veilmatch-server init`";
    Self::AlreadyInitialised { .. } => "ALREADY_INITIALISED", "choose another --dir, or go on with `list create`";
    Self::Config { .. } => "BAD_CONFIG", "docs/config.md names every key; `init` in an empty directory writes a fresh file";
    Self::Argument { .. } => "BAD_ARGUMENT", "correct the argument that the message names";
    Self::KeyFileMode { .. } => "KEY_FILE_MODE", "chmod 600 the file; if others could read it, rotate the key";
    Self::DirectoryMode { .. } => "DIRECTORY_MODE", "chmod 700 the directory, or choose another --dir";
    Self::KeyFile { .. } => "BAD_KEY_FILE", "restore the file from your backup";
    Self::UnknownList { .. } => "UNKNOWN_LIST", "`list status` names the lists, `list create NAME` makes one";
    Self::UnknownSource { .. } => "UNKNOWN_SOURCE", "`list status NAME` names the sources of a list";
    Self::Jump { .. } => "JUMP", "look at the file; if it is right, repeat the command with --allow-jump";
    Self::ListExists { .. } => "LIST_EXISTS", "go on with `list import`";
    Self::NothingPublished { .. } => "NOTHING_PUBLISHED", "publish the list first: `list publish`";
    Self::EpochsOverlap { .. } => "EPOCHS_OVERLAP", "`list status` tells when the old epoch retires";
    Self::UnknownClient { .. } => "UNKNOWN_CLIENT", "`client list` names the clients";
    Self::UnknownAuditor { .. } => "UNKNOWN_AUDITOR", "`auditor list` names the auditors";
    Self::ClientExists { .. } => "CLIENT_EXISTS", "if the platform has made new keys, repeat with --replace";
    Self::KeyInUse => "KEY_IN_USE", "the platform makes keys of its own with `veilmatch init`";
    Self::EnrolmentRequest { .. } => "BAD_ENROLMENT_REQUEST", "the platform makes a request with `veilmatch init`";
    Self::LabelTooLong { .. } => "LABEL_TOO_LONG", "use a shorter label, or a list made with a larger --label-bytes";
    Self::HashList { .. } => "BAD_HASH_LIST", "the message names what is wrong with the file; nothing was taken from it";
    Self::Busy => "BUSY", "wait for it to end, then repeat the command";
    Self::AlreadyServing => "ALREADY_SERVING", "stop the running server first, or use another --dir";
    Self::NewerSchema { .. } => "NEWER_SCHEMA", "use the newer program, or restore a backup made with this one";
    Self::Io { .. } => "IO", "mend what the message names, then repeat the command; nothing was half done";
    Self::Store(_) => "STORE", "look whether the disk is full or failing, then repeat the command; nothing was half done";
    Self::StoreSetting { .. } => "STORE_SETTING", "keep the directory on a local file system; network file systems lose records";
    Self::AuditFailed => "AUDIT_FAILED", "look at the disk and the system's log of it before you start again: it failed to keep what was written";
    Self::HeadUnclear(_) => "HEAD_UNCLEAR", "look at the disk, then start the server again: it finds out which head is in place";
    Self::ClockBehind { .. } => "CLOCK_BEHIND", "set the clock; nothing is signed or answered until it has caught up";
    Self::LogHalted { .. } => "LOG_HALTED", "keep a copy of the directory; if it was restored from a backup, restore a newer one; docs/restoring.md";
    Self::ManifestLogLost => "MANIFEST_LOG_LOST", "restore a newer backup of the whole directory; if there is none, found an agency of another name and enrol each platform anew; docs/restoring.md";
    Self::LogWhole { .. } => "LOG_WHOLE", "nothing needs to be recovered; if `serve` starts, it finds what it can";
    Self::LogFindings { .. } => "LOG_FINDINGS", "keep the directory as it is; the findings are on standard output, their codes in SPEC §21.1";
    Self::Network { .. } => "NETWORK", "look whether the address is this machine's and the port is free";
    Self::Certificate { .. } => "CERTIFICATE", "restore the keys folder from your backup";
    Self::Damaged { .. } => "DAMAGED", "restore the directory from a backup, or ask for help with the whole message";
    Self::Protocol(_) => "PROTOCOL", "tell us: this should not happen";
    Self::Log(_) => "LOG", "tell us: this should not happen";
    Self::Internal(_) => "INTERNAL", "tell us: this should not happen";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reasons_are_stable_names_and_each_its_own() {
        let names: HashSet<_> = Error::REASONS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Error::REASONS.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
    }

    #[test]
    fn what_nobody_can_provoke_is_told_as_our_own_fault() {
        let error = Error::from(veilmatch_protocol::Error::DeriveKeyPair);
        assert_eq!(error.reason(), "PROTOCOL");
        assert!(error.hint().contains("tell us"));
        let error = Error::from(veilmatch_audit::Error::BadLeaf);
        assert_eq!(error.reason(), "LOG");
        assert!(error.hint().contains("tell us"));
    }
}
