//! The command line: what people type, what they see, and how the process ends.
//!
//! Results go to stdout, everything else to stderr: `veilmatch-server: error: …`, `… hint: …`, `… warning: …`.

mod args;
mod lists;
mod logs;
mod progress;
mod report;
mod serve;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

pub use args::Args;

use args::{AuditorCommand, ClientCommand, Command, KeyCommand, ListCommand, LogCommand};
use progress::Bars;

use crate::{
    Error,
    admin::{Agency, ClientTerms, InitOptions, init, move_log},
    clock::{Clock, SystemClock},
    hardening::forbid_core_dumps,
    status::Chain,
};

/// How the process ends, as `--help` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The machine or the program failed; the message says which.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// What was given is refused: a file, a name, a configuration.
    Refused = 3,
    /// Somebody else is at work on the directory; try again.
    Busy = 4,
}

impl Exit {
    /// How an error ends the process.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::NotInitialised { .. }
            | Error::AlreadyInitialised { .. }
            | Error::Config { .. }
            | Error::Argument { .. }
            | Error::KeyFileMode { .. }
            | Error::DirectoryMode { .. }
            | Error::KeyFile { .. }
            | Error::UnknownList { .. }
            | Error::UnknownSource { .. }
            | Error::Jump { .. }
            | Error::ListExists { .. }
            | Error::NothingPublished { .. }
            | Error::EpochsOverlap { .. }
            | Error::UnknownClient { .. }
            | Error::ClientExists { .. }
            | Error::UnknownAuditor { .. }
            | Error::LogWhole { .. }
            | Error::KeyInUse
            | Error::EnrolmentRequest { .. }
            | Error::LabelTooLong { .. }
            | Error::HashList { .. } => Self::Refused,
            Error::Busy | Error::AlreadyServing => Self::Busy,
            Error::NewerSchema { .. }
            | Error::Io { .. }
            | Error::Store(_)
            | Error::StoreSetting { .. }
            | Error::AuditFailed
            | Error::HeadUnclear(_)
            | Error::ClockBehind { .. }
            | Error::LogHalted { .. }
            | Error::ManifestLogLost
            | Error::LogFindings { .. }
            | Error::Log(_)
            | Error::Network { .. }
            | Error::Certificate { .. }
            | Error::Damaged { .. }
            | Error::Protocol(_)
            | Error::Internal(_) => Self::Failed,
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    // Every command that opens a directory may hold a key of it.
    match forbid_core_dumps().and_then(|()| run(args)) {
        Ok(output) => {
            // A reader that has gone away, as `head` does, is no failure of the command.
            let _ = io::stdout().write_all(output.as_bytes());
            ExitCode::from(Exit::Done as u8)
        }
        Err(error) => {
            eprintln!("veilmatch-server: error: {} ({})", Chain(&error), error.reason());
            eprintln!("veilmatch-server: hint: {}", error.hint());
            ExitCode::from(Exit::of(&error) as u8)
        }
    }
}

fn run(args: Args) -> Result<String, Error> {
    if args.version {
        return Ok(report::version(args.verbose));
    }
    let Some(command) = args.command else {
        return Ok(Args::command().render_help().to_string());
    };
    let (dir, now) = (args.dir.as_path(), SystemClock.now());
    let writes = writes_into_the_store(&command);
    let output = execute(dir, command, now)?;
    if writes && let Err(error) = move_log(dir) {
        // The command is done, and the next one or the server tries again.
        eprintln!("veilmatch-server: warning: done, but the store's log could not be moved into it: {}", Chain(&error));
    }
    Ok(output)
}

// Those that only read leave the files as they are, so that a copy may be made beside them.
fn writes_into_the_store(command: &Command) -> bool {
    match command {
        Command::Init { .. } | Command::Key { .. } => true,
        Command::List { command } => match command {
            ListCommand::Create { .. } | ListCommand::Publish { .. } | ListCommand::Policy { .. } => true,
            ListCommand::Import { publish, .. } | ListCommand::Retract { publish, .. } => *publish,
            _ => false,
        },
        Command::Client { command } => !matches!(command, ClientCommand::List { .. }),
        Command::Auditor { command } => !matches!(command, AuditorCommand::List),
        Command::Log { command } => matches!(command, LogCommand::Recover { .. }),
        Command::Serve { .. } | Command::Completions { .. } | Command::Man { .. } => false,
    }
}

fn execute(dir: &Path, command: Command, now: u64) -> Result<String, Error> {
    match command {
        Command::Init { agency, address, listen, log_listen } => {
            init(dir, &InitOptions { agency, address, listen, log_listen }, now)?;
            Ok(report::initialised(dir))
        }
        Command::List { command } => lists::list(dir, command, now),
        Command::Client { command } => client(dir, command, now),
        Command::Key { command } => key(dir, command, now),
        Command::Log { command } => logs::log(dir, command, now),
        Command::Auditor { command } => logs::auditor(dir, command, now),
        Command::Serve { listen, reflection } => serve::serve(dir, listen, reflection).map(|()| String::new()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "veilmatch-server", &mut script);
            Ok(String::from_utf8_lossy(&script).into_owned())
        }
        Command::Man { out } => {
            clap_mangen::generate_to(Args::command(), &out).map_err(Error::io("write", &out))?;
            Ok(String::new())
        }
    }
}

fn client(dir: &Path, command: ClientCommand, now: u64) -> Result<String, Error> {
    let mut agency = Agency::open(dir)?;
    match command {
        ClientCommand::Add { request, out, elements_per_day, frames_per_day, lists, all_lists, replace } => {
            let terms = ClientTerms { elements_per_day, frames_per_day, lists, all_lists, replace };
            let added = agency.client_add(&request, &out, &terms, now)?;
            Ok(report::client_added(&added, &out))
        }
        ClientCommand::List { json } => {
            let clients = agency.clients()?;
            Ok(if json { report::clients_json(&clients) } else { report::clients(&clients) })
        }
        ClientCommand::Suspend { platform, resume } => {
            agency.client_suspend(&platform, resume, now)?;
            Ok(format!("{platform} {}\n", if resume { "may ask again" } else { "is suspended" }))
        }
    }
}

fn key(dir: &Path, command: KeyCommand, now: u64) -> Result<String, Error> {
    let mut agency = Agency::open(dir)?;
    match command {
        KeyCommand::Rotate { name } => {
            lists::compare_with_witnesses(&agency)?;
            let bars = Bars::default();
            let rotated = agency.rotate(&name, now, &|progress| bars.show(progress))?;
            bars.clear();
            Ok(report::rotated(&name, &rotated))
        }
        KeyCommand::Retire { name } => {
            let destroyed = agency.retire(&name, now)?;
            Ok(report::retired(&name, &destroyed))
        }
    }
}

#[cfg(test)]
mod tests;
