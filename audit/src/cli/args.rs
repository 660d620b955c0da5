//! What can be typed.

use std::{path::PathBuf, time::SystemTime};

use clap::{Parser, Subcommand};
use veilmatch_protocol::manifest::Timestamp;

use super::witness;
use crate::date::Date;

/// Audits the logs of an agency and of platforms, with nobody's word for them.
#[derive(Debug, Parser)]
#[command(name = "veilmatch-audit", version, after_help = EXITS)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The time that an audit judges by.
#[derive(Debug, clap::Args)]
pub struct When {
    /// Judge as of this time instead of now: `2026-11-01T01:00:00Z`.
    #[arg(long, value_parser = time, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl When {
    /// Unix seconds.
    pub(super) fn unix(&self) -> u64 {
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.at.map_or_else(clock, Timestamp::unix)
    }
}

const EXITS: &str = "Exit codes: 0 no findings, 1 findings, 2 could not audit, 75 a source did not answer: try again.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify one log: signature, policy, consistency, every tile and the root, every leaf.
    Verify(Verify),
    /// Compare both sides for a period and print what is found.
    Reconcile(Reconcile),
    /// As `reconcile`; then write the signed report, its page and the evidence, and move the state forward.
    Report(Report),
    /// Check signature and form of a report and print its JSON.
    VerifyReport {
        /// The file `report.note`.
        note: PathBuf,
        /// The auditor's verifier key.
        #[arg(long)]
        key: String,
    },
    /// Cosign the checkpoints of logs that only grow, for whoever asks, until SIGTERM or Ctrl-C.
    Witness(Box<witness::Args>),
    /// Make a key to sign reports with.
    NewKey {
        /// Name of the key: `auditor.example/veilmatch/report`.
        name: String,
        /// Where to write it; must not exist.
        file: PathBuf,
    },
}

/// One log.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Folder or URL with the log's files.
    pub log: String,
    /// The pinned verifier key, `name+hhhhhhhh+base64`.
    #[arg(long)]
    pub key: String,
    /// Origin, if the log's checkpoint shall not say it by itself.
    #[arg(long)]
    pub origin: Option<String>,
    /// Policy (C2SP tlog-policy) whose cosignatures count: of the logs that its lines `log` name, of any if it has none.
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// Request keys of platforms, for a query log: `platform.example=base64`; may be given several times.
    #[arg(long, value_name = "PLATFORM=KEY")]
    pub request_key: Vec<String>,
    /// Folder with the checkpoints of the last audit.
    #[arg(long)]
    pub state: Option<PathBuf>,
    /// Authorities in PEM to believe for a log at an https URL, in the place of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificates in PEM to show there, the own one first: what an auditor reads entries with.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub certificate_key: Option<PathBuf>,
    /// Checkpoints that others show, to compare: file names.
    #[arg(long, value_name = "FILE")]
    pub seen: Vec<PathBuf>,
    /// Only the tree, not the leaves.
    #[arg(long)]
    pub tree_only: bool,
    /// When it is judged.
    #[command(flatten)]
    pub when: When,
    /// Threads for signatures.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Both sides.
#[derive(Debug, clap::Args)]
pub struct Reconcile {
    /// Keys, logs and papers of all parties.
    #[arg(long, default_value = "audit.toml")]
    pub config: PathBuf,
    /// First day, UTC: `2026-10-01`.
    #[arg(long, value_parser = date)]
    pub from: Date,
    /// Last day, included.
    #[arg(long, value_parser = date)]
    pub to: Date,
    /// When it is judged.
    #[command(flatten)]
    pub when: When,
    /// Threads for signatures.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A report.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// As for `reconcile`.
    #[command(flatten)]
    pub of: Reconcile,
    /// Folder to write `report.note`, `report.html` and `evidence/` into.
    #[arg(long)]
    pub out: PathBuf,
    /// Key file of `new-key`.
    #[arg(long)]
    pub key: PathBuf,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| "not a time like 2026-11-01T01:00:00Z".to_owned())
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).map_err(|_| "not a day like 2026-10-01".to_owned())
}
