//! The command line of a platform: what people type, what they see, how the process ends.
//!
//! Results go to stdout, everything else to stderr, as `veilmatch: error: …` and `veilmatch: hint: …`.

mod args;
mod check;
mod enrol;
mod exit;
mod failure;
mod forget;
mod interrupt;
mod log;
mod progress;
mod rescan;
mod run;
mod scan;
mod session;
mod source;
mod status;
mod sweep;
mod sync;
mod tally;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use tracing_subscriber::filter::LevelFilter;

pub use args::Args;
pub use failure::REASONS;
pub use source::LINE_REASONS;

use args::Command;
use exit::Exit;
use failure::Failure;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let exit = match Args::try_parse() {
        Ok(args) => run(args).unwrap_or_else(|failure| complain(&failure)),
        Err(error) => usage(&error),
    };
    ExitCode::from(exit as u8)
}

fn usage(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(&error.render().to_string()).unwrap_or(Exit::Pipe),
        _ => {
            eprint!("veilmatch: {}", error.render());
            Exit::Usage
        }
    }
}

fn complain(failure: &Failure) -> Exit {
    let exit = Exit::of(failure);
    if exit != Exit::Pipe {
        eprintln!("veilmatch: error: {} ({})", chain(failure), failure.reason());
        if let Some(hint) = failure.hint() {
            eprintln!("veilmatch: hint: {hint}");
        }
    }
    exit
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        next = cause.source();
    }
    text
}

/// Prints a command's whole result.
fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Print)?;
    Ok(Exit::Done)
}

fn run(args: Args) -> Result<Exit, Failure> {
    if args.version {
        return print(&version(args.verbose));
    }
    let Some(command) = args.command else {
        eprint!("veilmatch: error: no command\n\n{}", Args::command().render_help());
        return Ok(Exit::Usage);
    };
    start_log(matches!(command, Command::Run { .. }), args.verbose);
    let dir = || session::directory(args.dir);
    match command {
        Command::Init { platform, contact } => print(&enrol::init(&dir()?, &platform, &contact)?),
        Command::Join { invitation } => print(&enrol::join(&dir()?, &invitation)?),
        Command::Sync { list, telling } => print(&block_on(sync::sync(&dir()?, list, telling))?),
        Command::Check(check) => block_on(check::check(&dir()?, check)),
        Command::Scan(scan) => block_on(scan::scan(&dir()?, scan)),
        Command::Rescan { list, new, format, telling } => block_on(rescan::rescan(&dir()?, list, new, format, telling)),
        Command::Forget(args) => block_on(forget::forget(&dir()?, args)),
        Command::Log(what) => block_on(log::log(&dir()?, what)),
        Command::Status { json } => print(&status::status(&dir()?, json)?),
        Command::Run { socket } => block_on(run::run(&dir()?, socket)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "veilmatch", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man { out } => {
            std::fs::create_dir_all(&out).map_err(Failure::io("create", &out))?;
            clap_mangen::generate_to(Args::command(), &out).map_err(Failure::io("write", &out))?;
            Ok(Exit::Done)
        }
    }
}

fn version(verbose: bool) -> String {
    let mut text = format!("veilmatch {}\n", env!("CARGO_PKG_VERSION"));
    if verbose {
        text.push_str(&format!("ristretto255: {}\nprotocol: veilmatch.v1\n", veilmatch_ristretto::backend()));
    }
    text
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::System { what: "start the runtime", source })?;
    let done = runtime.block_on(work);
    // Threads that still read a file hold nothing that must be finished; what was asked is recorded by `shutdown`.
    runtime.shutdown_background();
    done
}

fn start_log(serving: bool, verbose: bool) {
    let level = match (serving, verbose) {
        (_, true) => LevelFilter::DEBUG,
        (true, false) => LevelFilter::INFO,
        (false, false) => LevelFilter::WARN,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    let log = log.with_ansi(io::stderr().is_terminal());
    // Another subscriber is there already where somebody embeds this; then that one is told.
    let _ = if serving { log.try_init() } else { log.without_time().try_init() };
}
