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

use std::process::ExitCode;

use clap::Parser;

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
    match args.command {
        Command::Verify(verify) => alone::verify(&verify, verify.when.unix()),
        Command::Reconcile(reconcile) => whole::reconcile(&reconcile, reconcile.when.unix()),
        Command::Report(report) => whole::report(&report, report.of.when.unix()),
        Command::VerifyReport { note, key } => whole::verify_report(&note, &key),
        Command::Witness(args) => witness::run(*args).map(Outcome::Text),
        Command::NewKey { name, file } => key::make(&name, &file).map(Outcome::Text),
    }
}
