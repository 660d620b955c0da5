//! `check`: files, folders or digests against a list, answers to stdout.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use veilmatch_lists::{Options, Rows};

use super::{
    args::{Check, Telling},
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    progress::{Progress, count_found, count_lines},
    session::{Session, own},
    source::{LineCounts, Source},
    sweep::{Answered, End, Next, sweep},
    tally::{Tally, is_passing},
};
use crate::{
    NotChecked, Outcome,
    output::{Answer, Printer},
    walk::Walk,
};

/// Longest time that printed answers stay in our buffer while others come in.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

pub async fn check(dir: &Path, mut args: Check) -> Result<Exit, Failure> {
    if args.paths == [PathBuf::from("-")] {
        args.hashes = args.paths.pop();
    }
    let input = args.hashes.as_ref().map(|path| open_hashes(path, &args.reading.options())).transpose()?;
    let Session { client, list, kinds } = Session::open(dir, args.list)?;
    let interrupt = Interrupt::listen("stopping when what is on its way is answered")?;

    let own = own(dir, None);
    let (source, counts) = match (input, args.hashes.clone()) {
        (Some(rows), Some(path)) => {
            let (source, counts) = Source::lines(rows, path, 0);
            (source, Some(counts))
        }
        _ => {
            let walks = args.paths.iter().map(|path| Walk::new(path, own.clone())).collect();
            (Source::files(walks, &kinds, args.threads), None)
        }
    };
    let (paths, hashes) = (args.paths, args.hashes.clone());
    let progress = Progress::start(args.telling, 0, move |stop: &AtomicBool| match hashes {
        Some(path) => count_lines(&path, stop),
        None => count_found(&paths, &own, stop),
    });

    let terminal = io::stdout().is_terminal();
    let mut printer = Printer::new(args.format, args.all, BufWriter::new(io::stdout().lock()));
    let (mut tally, mut flushed) = (Tally::default(), Instant::now());
    let done = Arc::clone(&progress.done);
    let receive = |Answered { origin, outcome, detail }: Answered<'_>| {
        tally.count(outcome);
        let answer = Answer { origin, list: &list, outcome, detail, new: None };
        if terminal {
            progress.beside(|| printer.answer(&answer).and_then(|()| printer.flush())).map_err(Failure::Print)?;
        } else {
            printer.answer(&answer).map_err(Failure::Print)?;
            if flushed.elapsed() > FLUSH_EVERY {
                printer.flush().map_err(Failure::Print)?;
                flushed = Instant::now();
            }
        }
        // An agency that cannot answer now is not asked for everything that is still to come.
        Ok(if passing(outcome).is_some() { Next::Drain } else { Next::Go })
    };
    let end = sweep(&client, &list, source, &interrupt, &done, receive).await;
    let printed = printer.flush().map_err(Failure::Print);
    drop(progress);
    let end = end?;
    printed?;
    client.publish_if_due().await;
    client.shutdown().await;

    if let (Some(counts), Some(path)) = (counts, &args.hashes) {
        tell_counts(&counts, path, args.telling)?;
    }
    tell(&tally, list.as_str(), args.telling);
    if end == End::Early {
        eprintln!("veilmatch: stopped before the end: what is not printed was not checked");
        return Ok(Exit::Stopped);
    }
    Ok(Exit::after(&tally))
}

/// Opens a file of digests, or standard input.
pub fn open_hashes(path: &Path, options: &Options) -> Result<Rows<'static>, Failure> {
    let input: Box<dyn BufRead + Send> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path).map_err(Failure::io("read", path))?))
    };
    Rows::open(input, options).map_err(|source| Failure::HashList { path: path.to_owned(), source })
}

/// Says what became of the rows of a file of digests.
///
/// # Errors
/// If not every row is accounted for.
pub fn tell_counts(counts: &Mutex<LineCounts>, path: &Path, telling: Telling) -> Result<(), Failure> {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let closed = counts.counts.close(counts.read);
    let closed = closed.map_err(|source| Failure::HashList { path: path.to_owned(), source })?;
    if !telling.quiet {
        let so_far = if counts.ended { "" } else { ", and not to its end" };
        let first = if counts.duplicates_of_first { " (duplicates of the first rows only)" } else { "" };
        eprintln!("veilmatch: {}: {closed}{first}{so_far}", path.display());
    }
    Ok(())
}

/// Says what came out, and what can be done about what was not checked.
pub fn tell(tally: &Tally, list: &str, telling: Telling) {
    if telling.quiet {
        return;
    }
    let mut err = io::stderr().lock();
    // Nobody can be told that nobody can be told anything.
    let _ = writeln!(err, "veilmatch: {list}: {tally}");
    for hint in tally.hints() {
        let _ = writeln!(err, "veilmatch: hint: {hint}");
    }
}

/// Whether a *not checked* says something about the moment, not about the subject.
pub fn passing(outcome: &Outcome) -> Option<&NotChecked> {
    match outcome {
        Outcome::NotChecked(why) if is_passing(why) => Some(why),
        _ => None,
    }
}
