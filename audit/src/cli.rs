//! The auditor's command line: what is typed, what is seen, and how the process ends.
//!
//! Results go to stdout, everything else to stderr: `veilmatch-audit: error: …`, `… hint: …`.

mod alone;
mod args;
mod artifacts;
mod config;
mod failure;
mod key;
mod open;
mod outcome;
mod state;
mod whole;
mod witness;

use std::{process::ExitCode, time::SystemTime};

use clap::Parser;
use veilmatch_protocol::manifest::Timestamp;

pub use args::Args;
pub use failure::{Exit, Failure};

use args::Command;
use outcome::Outcome;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(outcome) => {
            outcome.print();
            ExitCode::from(outcome.exit() as u8)
        }
        Err(failure) => {
            eprintln!("veilmatch-audit: error: {failure}");
            eprintln!("veilmatch-audit: hint: {}", failure.hint());
            ExitCode::from(failure.exit() as u8)
        }
    }
}

/// Runs a command line.
///
/// # Errors
/// What the command could not do; findings are no failure.
pub fn run(args: Args) -> Result<Outcome, Failure> {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = args.at.map_or_else(clock, Timestamp::unix);
    match args.command {
        Command::Verify(verify) => alone::verify(&verify, now),
        Command::Reconcile(reconcile) => whole::reconcile(&reconcile, now),
        Command::Report(report) => whole::report(&report, now),
        Command::VerifyReport { note, key } => whole::verify_report(&note, &key),
        Command::Witness(args) => witness::run(*args).map(Outcome::Text),
        Command::NewKey { name, file } => key::make(&name, &file).map(Outcome::Text),
    }
}
