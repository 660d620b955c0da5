//! `scan`: an archive into a file. What the file says is where the scan stands, so a scan that was stopped in any way goes
//! on where it was.

use std::{
    fs::{File, OpenOptions},
    io::BufWriter,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    args::Scan,
    check::{open_hashes, passing, tell, tell_counts},
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    progress::{Progress, count_found, count_lines},
    session::{Session, own},
    source::Source,
    sweep::{Answered, End, Next, absolute, sweep},
};
use crate::{
    output::{Answer, Format, Printer},
    walk::Walk,
};

mod cursor;
pub mod record;

use cursor::{Cursor, Place};
use record::{Record, Subject};

/// Bytes of answers that a crash of the machine can cost at most; they are then taken from the kept results.
const BUFFER: usize = 64 * 1_024;

pub async fn scan(dir: &Path, args: Scan) -> Result<Exit, Failure> {
    let subject = Subject::of(args.path.as_deref(), args.hashes.as_deref())?;
    let out = absolute(&args.out);
    let Session { client, list, kinds } = Session::open(dir, args.list)?;
    let mut record = Record::open(dir, &out, &list, &subject)?;
    let mut file = open_out(&out, &record)?;
    let Cursor { mut tally, place } = cursor::find(&mut file, &out)?;
    let before = tally.total();
    if !place.is_of(&subject) {
        return Err(Failure::OutDamaged { out, line: before });
    }
    if record.finished && before == record.answers() {
        if !args.telling.quiet {
            eprintln!("veilmatch: {} is finished; scan again with another --out", out.display());
        }
        tell(&tally, list.as_str(), args.telling);
        return Ok(Exit::after(&tally));
    }
    if before > 0 && !args.telling.quiet {
        eprintln!("veilmatch: going on after {before} answers");
    }
    let interrupt = Interrupt::listen("stopping when what is on its way is answered and written")?;

    let own = own(dir, Some(&out));
    let (source, counts) = match &subject {
        Subject::Hashes { path, .. } => {
            let rows = open_hashes(path, &args.reading.options())?;
            let (source, counts) = Source::lines(rows, path.clone(), place.line());
            (source, Some((counts, path.clone())))
        }
        Subject::Tree { root } => {
            let walk = match &place {
                Place::Path(last) => Walk::after(root, own.clone(), last),
                _ => Walk::new(root, own.clone()),
            };
            (Source::files(vec![walk], &kinds, args.threads), None)
        }
    };
    let counted = subject.clone();
    let progress = Progress::start(args.telling, before, move |stop: &AtomicBool| match &counted {
        Subject::Hashes { path, .. } => count_lines(path, stop),
        Subject::Tree { root } => count_found(std::slice::from_ref(root), &own, stop),
    });

    let mut printer = Printer::new(Format::Jsonl, true, BufWriter::with_capacity(BUFFER, &file));
    let mut halted = None;
    let done = Arc::clone(&progress.done);
    let receive = |Answered { origin, outcome, detail }: Answered<'_>| {
        // What another hour would answer is not written down as an answer.
        if let Some(why) = passing(outcome) {
            halted = Some(why.clone());
            return Ok(Next::Halt);
        }
        tally.count(outcome);
        printer
            .answer(&Answer { origin, list: &list, outcome, detail, new: None })
            .map_err(Failure::io("write", &out))?;
        Ok(Next::Go)
    };
    let end = sweep(&client, &list, source, &interrupt, &done, receive).await;
    let written = printer.flush().map_err(Failure::io("write", &out));
    drop(printer);
    drop(progress);
    client.publish_if_due().await;
    client.shutdown().await;
    let end = end?;
    written?;
    file.sync_all().map_err(Failure::io("sync", &out))?;
    record.finish(&tally, end == End::Complete)?;

    if let Some((counts, path)) = counts {
        tell_counts(&counts, &path, args.telling)?;
    }
    if let Some(why) = &halted {
        tally.count_not_checked(why.reason());
    }
    tell(&tally, list.as_str(), args.telling);
    if end == End::Early {
        let reason = halted.map_or("stopped", |why| why.reason());
        eprintln!("veilmatch: the scan is not finished: {reason}");
        eprintln!("veilmatch: hint: go on with the same command: {}", record.command());
        return Ok(Exit::Stopped);
    }
    Ok(Exit::after(&tally))
}

/// Opens the file of a scan: a new one for a new scan, its own for one that goes on.
fn open_out(out: &Path, record: &Record) -> Result<File, Failure> {
    if record.is_new {
        if out.symlink_metadata().is_ok() {
            return Err(Failure::OutExists { out: out.to_owned() });
        }
        // First the record: a crash between the two leaves a scan that begins anew, not a file that nobody knows.
        record.save()?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).create_new(record.is_new).mode(0o600);
    options.open(out).map_err(Failure::io("open", out))
}
