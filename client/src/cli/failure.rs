//! Why a command could not run, with what to type next.

use std::{io, path::PathBuf};

use thiserror::Error;
use veilmatch_protocol::name::ListId;

/// A command that could not run.
#[derive(Debug, Error)]
pub enum Failure {
    /// The library's.
    #[error(transparent)]
    Client(#[from] crate::Error),
    /// A file of digests cannot be used.
    #[error("{}", path.display())]
    HashList {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: veilmatch_lists::Error,
    },
    /// Several lists, and none was named.
    #[error("there are several lists: {}", names(lists))]
    WhichList {
        /// Their names.
        lists: Vec<ListId>,
    },
    /// Neither `--dir` nor a home directory.
    #[error("there is no home directory to keep the platform's directory in")]
    NoHome,
    /// The file of a scan is there, and no scan of ours wrote it.
    #[error("{} exists and is not the file of a scan of this platform", out.display())]
    OutExists {
        /// The file.
        out: PathBuf,
    },
    /// The file of a scan belongs to a scan of something else.
    #[error("{} belongs to a scan of {what}", out.display())]
    OtherScan {
        /// The file.
        out: PathBuf,
        /// What that scan looks at.
        what: String,
    },
    /// The file of a scan is not as the scan left it.
    #[error("{}: line {line} is not a line of a scan", out.display())]
    OutDamaged {
        /// The file.
        out: PathBuf,
        /// The first such line.
        line: u64,
    },
    /// The record of a scan cannot be read.
    #[error("{} is not the record of a scan", path.display())]
    ScanRecord {
        /// The file.
        path: PathBuf,
    },
    /// The digests changed since the scan began.
    #[error("{} changed since the scan began", path.display())]
    InputChanged {
        /// The file.
        path: PathBuf,
    },
    /// Somebody answers on the socket already.
    #[error("another process answers on {}", path.display())]
    SocketTaken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The results cannot be printed.
    #[error("cannot write to standard output")]
    Print(#[source] io::Error),
    /// The machine does not give what any process needs.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:pat => $name:literal, $action:literal;)*) => {
        /// Every reason of the command line's own with what to do next, for docs/errors.md.
        pub const REASONS: &[(&str, &str)] = &[$(($name, $action)),*];

        impl Failure {
            /// The stable name, as in docs/errors.md.
            pub fn reason(&self) -> &'static str {
                match self {
                    $($variant => $name,)*
                    Self::Client(error) => error.reason(),
                    Self::HashList { source, .. } => source.reason(),
                }
            }
        }
    };
}

reasons! {
    Self::WhichList { .. } => "WHICH_LIST", "name the list with --list";
    Self::NoHome => "NO_HOME", "name the platform's directory with --dir";
    Self::OutExists { .. } => "OUT_EXISTS", "choose another file with --out";
    Self::OtherScan { .. } => "OTHER_SCAN", "choose another file with --out";
    Self::OutDamaged { .. } => "OUT_DAMAGED", "remove the file and scan again; what was checked before is not asked again";
    Self::ScanRecord { .. } => "SCAN_RECORD", "remove the record and scan again";
    Self::InputChanged { .. } => "INPUT_CHANGED", "scan the new file with another --out";
    Self::SocketTaken { .. } => "SOCKET_TAKEN", "use that process, or choose another path with --socket";
    Self::NotASocket { .. } => "NOT_A_SOCKET", "choose another path with --socket";
    Self::Print(_) => "PRINT", "look at what reads the output";
    Self::System { .. } => "SYSTEM", "look at the limits of the process: memory, threads, open files";
}

impl Failure {
    /// Wraps an I/O error with what was tried on which file.
    pub fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let wrap = crate::Error::io(action, path);
        move |source| Self::Client(wrap(source))
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Client(crate::Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                "free space on the disk, then run the same command again".to_owned()
            }
            Self::Client(error) => return error.hint(),
            Self::HashList { source, .. } if source.reason().ends_with("_LIST_FORMAT") => {
                "say what it is with --read-as: sums, sums-z, hashdeep or plain".to_owned()
            }
            Self::HashList { source, .. } => source.hint().to_owned(),
            Self::WhichList { lists } => {
                format!("name one: --list {}", lists.first().map_or("NAME", ListId::as_str))
            }
            Self::NoHome => "name the directory with --dir".to_owned(),
            Self::OutExists { .. } | Self::OtherScan { .. } => "choose another file with --out".to_owned(),
            Self::OutDamaged { out, .. } => {
                format!("remove {} and scan again; what was checked before is not asked again", out.display())
            }
            Self::ScanRecord { path } => format!("remove {} and scan again", path.display()),
            Self::InputChanged { .. } => "scan the new file with another --out".to_owned(),
            Self::SocketTaken { .. } => "use that process, or choose another path with --socket".to_owned(),
            Self::NotASocket { .. } => "choose another path with --socket".to_owned(),
            Self::Print(_) | Self::System { .. } => return None,
        };
        Some(hint)
    }
}

fn names(lists: &[ListId]) -> String {
    lists.iter().map(ListId::as_str).collect::<Vec<_>>().join(", ")
}
