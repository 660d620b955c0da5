//! What people type.

mod lists;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum, builder::RangedU64ValueParser, value_parser};
use clap_complete::Shell;
use veilmatch_protocol::name::{AgencyName, ListId, PlatformId};

pub(super) use lists::ListCommand;

use crate::config::MAX_BUDGET;

// A number of a day's budget, which must fit a manifest.
fn budget() -> RangedU64ValueParser<u64> {
    value_parser!(u64).range(..MAX_BUDGET)
}

/// The agency's side of Veilmatch: holds a list of digests, publishes it so that nobody can read it, and answers
/// platforms without learning what they ask.
#[derive(Debug, Parser)]
#[command(
    name = "veilmatch-server",
    bin_name = "veilmatch-server",
    disable_version_flag = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 the machine or the program failed, 2 the command line was not understood, \
                  3 what was given is refused, 4 somebody else is at work on the directory."
)]
pub struct Args {
    /// The agency's directory
    #[arg(long, global = true, default_value = "./veilmatch-agency")]
    pub dir: PathBuf,

    /// Print the version
    #[arg(short = 'V', long)]
    pub version: bool,

    /// With --version: the arithmetic in use, too
    #[arg(short, long)]
    pub verbose: bool,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a directory that can serve: configuration, keys, a trial certificate authority
    Init {
        /// Name of the agency, by convention its domain name; part of every transcript, never changed later
        #[arg(long)]
        agency: AgencyName,
        /// HOST:PORT that platforms connect to
        #[arg(long, value_name = "HOST:PORT")]
        address: String,
        /// Address to listen on, if it is not the same
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<SocketAddr>,
        /// Serve the logs as files on this address, too, so that everybody can check them; not served if not given
        #[arg(long, value_name = "ADDRESS:PORT")]
        log_listen: Option<SocketAddr>,
    },
    /// Create, fill and publish lists
    List {
        #[command(subcommand)]
        command: ListCommand,
    },
    /// Enrol and suspend platforms
    Client {
        #[command(subcommand)]
        command: ClientCommand,
    },
    /// Rotate and retire the keys of a list
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Enrol and suspend auditors, who read the entries of the query log
    Auditor {
        #[command(subcommand)]
        command: AuditorCommand,
    },
    /// Look at the agency's logs, check them, hand them to an auditor, and go on where one was lost
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Answer platforms until SIGTERM or Ctrl-C
    Serve {
        /// Address to listen on, instead of the configuration's
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<SocketAddr>,
        /// Offer gRPC server reflection
        #[arg(long)]
        reflection: bool,
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
pub(super) enum AuditorCommand {
    /// Certify an auditor's request, or take the key of a certificate that the authority has signed
    Add {
        /// Name of the auditor
        name: PlatformId,
        /// Its certificate request: an ECDSA key on P-256, in PEM
        #[arg(long, requires = "out", required_unless_present = "certificate")]
        csr: Option<PathBuf>,
        /// Where to write the certificate for it
        #[arg(long, requires = "csr")]
        out: Option<PathBuf>,
        /// Its certificate, in PEM
        #[arg(long, conflicts_with = "csr")]
        certificate: Option<PathBuf>,
    },
    /// Show the auditors
    List,
    /// Refuse an auditor from now on
    Suspend {
        /// Name of the auditor
        name: PlatformId,
        /// Admit it again instead
        #[arg(long)]
        resume: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Show each log: leaves, what is published, who cosigned it
    Status,
    /// Compare files and store with what was signed
    Check {
        /// Derive every tile and the root anew from the entries, as an auditor does
        #[arg(long)]
        full: bool,
    },
    /// Let another log go on from one that was lost: a backup was restored that is older than what others have seen
    ///
    /// The new log's first leaf states what is lost. The server must be stopped, and the witnesses of the policy are asked
    /// what they have seen. docs/restoring.md tells what else is gone.
    Recover {
        /// Which log; a manifest log cannot go on as another one, and is told what to do instead
        #[arg(long, value_enum)]
        log: RecoverLog,
    },
    /// Copy the files of a log, entries and all, into a folder
    Export {
        /// `manifest`, `query` for its newest half-year, or a log's whole name as `log status` shows it; `seen` for the
        /// checkpoints of platforms' match logs that were cosigned last
        #[arg(long)]
        log: String,
        /// An empty or new folder
        #[arg(value_name = "FOLDER")]
        out: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RecoverLog {
    Manifest,
    Query,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Answer a platform's request with an invitation; the same request again renews its certificate
    Add {
        /// The platform's request file
        #[arg(long)]
        request: PathBuf,
        /// Where to write the invitation
        #[arg(long)]
        out: PathBuf,
        /// Elements that it may ask of one list in a UTC day
        #[arg(long, value_name = "N", value_parser = budget())]
        elements_per_day: Option<u64>,
        /// Frames that it may ask of one list in a UTC day
        #[arg(long, value_name = "N", value_parser = budget())]
        frames_per_day: Option<u64>,
        /// A list that it may ask; may be repeated; if not given, a new platform may ask all lists and a known one those
        /// that it could ask before
        #[arg(long = "list", value_name = "NAME", conflicts_with = "all_lists")]
        lists: Vec<ListId>,
        /// Open all lists to a known platform
        #[arg(long)]
        all_lists: bool,
        /// Take new keys in place of those that the platform was enrolled with
        #[arg(long)]
        replace: bool,
    },
    /// Show the platforms
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Refuse a platform from now on
    Suspend {
        /// Name of the platform
        platform: PlatformId,
        /// Admit it again instead
        #[arg(long)]
        resume: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Begin a new epoch: a fresh key, the whole list evaluated under it, both epochs served while they overlap
    Rotate {
        /// Name of the list
        name: ListId,
    },
    /// Destroy the keys of epochs whose time is over; publish and serve do this by themselves
    Retire {
        /// Name of the list
        name: ListId,
    },
}
