//! What people type.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use veilmatch_audit::date::Date;
use veilmatch_lists::{Format as ListFormat, Names, Options};
use veilmatch_protocol::{
    item::Kind,
    name::{ListId, PlatformId},
};

use crate::{
    matchlog::{Place, Taken},
    output::Format,
};

/// The platform's side of Veilmatch: checks files against an agency's list without showing them to the agency, and
/// without holding the list.
///
/// Take digests before you recompress what was uploaded: only exact copies are found.
#[derive(Debug, Parser)]
#[command(
    name = "veilmatch",
    bin_name = "veilmatch",
    disable_version_flag = true,
    max_term_width = 100,
    after_help = super::exit::HELP,
    after_long_help = super::exit::HELP
)]
pub struct Args {
    /// The platform's directory [default: $XDG_STATE_HOME/veilmatch, else ~/.local/state/veilmatch]
    #[arg(long, global = true)]
    pub dir: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'V', long)]
    pub version: bool,

    /// More on stderr; with --version, the arithmetic in use
    #[arg(short, long, global = true)]
    pub verbose: bool,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a platform's directory: its keys, its configuration, and the request for the agency
    Init {
        /// Name of the platform, by convention its domain name
        #[arg(long)]
        platform: PlatformId,
        /// How the agency reaches the people in charge
        #[arg(long, default_value = "", value_parser = contact)]
        contact: String,
    },
    /// Take the agency's answer to the request
    Join {
        /// The invitation file
        invitation: PathBuf,
    },
    /// Fetch the newest version of the lists
    Sync {
        /// Only this list
        #[arg(long)]
        list: Option<ListId>,
        #[command(flatten)]
        telling: Telling,
    },
    /// Check files, folders or digests, and print the answers
    Check(Check),
    /// Check an archive into a file; run it again to go on where it stopped
    Scan(Scan),
    /// Check everything that was checked before against the version held now, without the network
    Rescan {
        /// The list, if there are several
        #[arg(long)]
        list: Option<ListId>,
        /// Print only what the rescan before did not find; exit code 1 is then a match among that
        #[arg(long)]
        new: bool,
        /// What the answers look like
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        #[command(flatten)]
        telling: Telling,
    },
    /// Forget kept results of what was deleted, so that nothing of them stays on disk
    Forget(Forget),
    /// What was found, what was done about it, and what auditors get: the match log
    #[command(subcommand)]
    Log(Log),
    /// Say what is held, until when, and what was asked
    Status {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Keep the lists current and answer on a Unix socket until SIGTERM or Ctrl-C
    #[command(long_about = super::run::ABOUT)]
    Run {
        /// The socket [default: veilmatch.sock in the platform's directory]
        #[arg(long)]
        socket: Option<PathBuf>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write man pages into a folder
    Man {
        /// The folder
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Log {
    /// List the matches, oldest first
    List {
        #[command(flatten)]
        days: Days,
        /// As JSON Lines
        #[arg(long)]
        json: bool,
    },
    /// Show all that is kept of a match
    Show {
        /// Its index, or log/index
        index: Place,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Record what was done about a match
    Action {
        /// Index of the match, or log/index
        index: Place,
        /// What was done
        #[arg(long, value_enum)]
        taken: Taken,
        /// Number of the report
        #[arg(long, default_value = "")]
        report: String,
    },
    /// Hand out the receipt of a match, as one line of JSON
    #[command(long_about = super::log::RECEIPT)]
    Receipt {
        /// Index of the match, or log/index
        index: Place,
        /// 1 shows the receipt, 2 opens the blind as well
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
        level: u8,
        /// Leave the entry's secret out: for the agency, which has it
        #[arg(long)]
        no_secret: bool,
        /// Where to; else it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write what an auditor needs into a folder: the log's files, the agency's acknowledgements, the receipts that were handed
    /// out, and the records
    Export {
        #[command(flatten)]
        days: Days,
        /// The folder; it must not be there yet
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// What the records look like
        #[arg(long, value_enum, default_value_t = Records::Csv)]
        format: Records,
    },
    /// Destroy the records of matches; the log says so and still verifies
    Erase {
        /// Indices of the matches, or log/index
        #[arg(required = true)]
        indices: Vec<Place>,
        /// Why, in a word of a-z, 0-9 and -: it stands in the log
        #[arg(long, value_name = "WORD")]
        basis: String,
    },
    /// Publish a checkpoint now and have the agency cosign it
    Publish,
    /// Go on with a new log where the agency has cosigned more than is here
    Recover,
}

/// A period.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(super) struct Days {
    /// First day, UTC
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) from: Option<Date>,
    /// Last day, UTC
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) to: Option<Date>,
}

/// What the records of an export look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Records {
    /// JSON Lines
    Jsonl,
    /// For spreadsheets
    Csv,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("what").required(true).args(["paths", "hashes"]))]
pub(super) struct Check {
    /// Files and folders; - reads digests from standard input
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// A file of digests; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) hashes: Option<PathBuf>,
    #[command(flatten)]
    pub(super) reading: Reading,
    /// The list, if there are several
    #[arg(long)]
    pub(super) list: Option<ListId>,
    /// What the answers look like
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// In a table, show what is not listed, too
    #[arg(long)]
    pub(super) all: bool,
    /// Files that are read at a time [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) telling: Telling,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("what").required(true).args(["path", "hashes"]))]
pub(super) struct Scan {
    /// A folder or a file
    pub(super) path: Option<PathBuf>,
    /// A file of digests
    #[arg(long, value_name = "FILE")]
    pub(super) hashes: Option<PathBuf>,
    /// Where the answers go, as JSON Lines: all of them, in the order of the walk
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) reading: Reading,
    /// The list, if there are several
    #[arg(long)]
    pub(super) list: Option<ListId>,
    /// Files that are read at a time [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
    #[command(flatten)]
    pub(super) telling: Telling,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("what").required(true).args(["paths", "hashes", "lost"]))]
pub(super) struct Forget {
    /// Files and folders as they were checked; they need not be there any more
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// A file of digests: everything that has one of them; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) hashes: Option<PathBuf>,
    /// Results that are damaged or went with an old key: rescans speak no more of them
    #[arg(long)]
    pub(super) lost: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
    /// Only this list
    #[arg(long)]
    pub(super) list: Option<ListId>,
}

/// How a file of digests is read.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Reading {
    /// Kind of digests that do not name theirs: md5, sha1, sha256 or sha512
    #[arg(long, value_parser = Kind::from_name)]
    kind: Option<Kind>,
    /// Format of the file: sums, sums-z, hashdeep, plain, csv, jsonl, or one of an agency's: icse, vics, ncmec, stopncii, nsrl
    /// [default: recognised]
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::from_name)]
    read_as: Option<ListFormat>,
}

impl Reading {
    pub(super) fn options(&self) -> Options {
        Options { format: self.read_as, kind: self.kind, names: Names::Keep, ..Options::default() }
    }
}

/// What goes to stderr beside errors.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(super) struct Telling {
    /// Show progress even where stderr is no terminal
    #[arg(long)]
    pub(super) progress: bool,
    /// No progress and no summary
    #[arg(short, long, conflicts_with = "progress")]
    pub(super) quiet: bool,
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).map_err(|_| "is not a date such as 2026-05-28".to_owned())
}

fn contact(text: &str) -> Result<String, String> {
    match text.len() {
        0..=256 => Ok(text.to_owned()),
        _ => Err("is longer than 256 bytes".to_owned()),
    }
}
