//! `log export`: a folder for an auditor, with the log's own files, and of a period the acknowledgements, the openings of what
//! was handed out, and the records.

use std::{
    fs,
    io::{BufWriter, Write},
    ops::RangeInclusive,
    path::Path,
};

use veilmatch_audit::date::Date;

use super::{
    super::{args::Records, exit::Exit, failure::Failure, print},
    new_file,
};
use crate::{
    Error,
    enrol::Invitation,
    matchlog::{MatchLog, MatchView},
    state_dir::create_private_dir,
};

/// The columns of the records: a match record as agencies and courts ask for it. What this program does not know is empty,
/// for the platform to fill in.
const COLUMNS: [&str; 29] = [
    "platform",
    "certificate",
    "role",
    "time",
    "batch",
    "position",
    "log",
    "index",
    "list",
    "epoch",
    "version",
    "root",
    "kind",
    "exact",
    "software",
    "source",
    "reference",
    "scheme",
    "code",
    "label_hex",
    "viewed",
    "decision",
    "action",
    "report",
    "appeal",
    "legal_basis",
    "deleted",
    "receipt_level",
    "receipt_released",
];

pub(super) fn export(
    dir: &Path,
    log: &MatchLog,
    days: RangeInclusive<Date>,
    out: &Path,
    format: Records,
) -> Result<Exit, Failure> {
    if out.exists() {
        return Err(Failure::OutExists { out: out.to_owned() });
    }
    create_private_dir(out)?;
    let logs = copy_logs(log, out)?;
    let certificate = Invitation::of(dir)?.certificate_digest()?;
    let acknowledged = acknowledgements(log, &days, &out.join("acknowledgements.jsonl"))?;
    let (openings, records) = (
        out.join("openings.jsonl"),
        out.join(match format {
            Records::Csv => "matches.csv",
            Records::Jsonl => "matches.jsonl",
        }),
    );
    let mut lines = BufWriter::new(new_file(&openings)?);
    let mut rows = Rows::new(format, new_file(&records)?, &records)?;
    let (mut matches, mut released) = (0_u64, 0_u64);
    log.each_match(days, |opened| {
        matches += 1;
        rows.add(&record(log, &certificate, &opened.view)).map_err(Error::io("write", &records))?;
        if opened.view.released {
            released += 1;
            let line = log.opening_line(&opened, opened.view.level, true)?;
            lines.write_all(line.as_bytes()).map_err(Error::io("write", &openings))?;
        }
        Ok(())
    })?;
    lines.flush().map_err(Failure::io("write", &openings))?;
    rows.finish().map_err(Failure::io("write", &records))?;
    print(&format!(
        "{}: {logs} logs, {acknowledged} acknowledgements, {matches} matches, {released} receipts that were handed out\n",
        out.display()
    ))
}

/// Writes the acknowledgements of a period; gives how many.
fn acknowledgements(log: &MatchLog, days: &RangeInclusive<Date>, path: &Path) -> Result<u64, Failure> {
    let mut lines = BufWriter::new(new_file(path)?);
    let mut written = 0;
    log.each_acknowledgement(days, |line| {
        written += 1;
        lines.write_all(line).and_then(|()| lines.write_all(b"\n")).map_err(Error::io("write", path))
    })?;
    lines.flush().map_err(Failure::io("write", path))?;
    Ok(written)
}

/// The published files of every log; gives how many have any.
fn copy_logs(log: &MatchLog, out: &Path) -> Result<usize, Failure> {
    let mut copied = 0;
    for (name, folder) in log.folders()? {
        if folder.join("checkpoint").is_file() {
            copy(&folder, &out.join("logs").join(name))?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// The checkpoint first: the files of its tree are there already, and never change.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    create_private_dir(to)?;
    let checkpoint = from.join("checkpoint");
    if checkpoint.is_file() {
        fs::copy(&checkpoint, to.join("checkpoint")).map_err(Failure::io("copy", &checkpoint))?;
    }
    for entry in fs::read_dir(from).map_err(Failure::io("read", from))? {
        let entry = entry.map_err(Failure::io("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        // What begins with a dot is being written.
        if target.exists() || entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(Failure::io("copy", &path))?;
        }
    }
    Ok(())
}

fn record(log: &MatchLog, certificate: &str, view: &MatchView) -> [String; COLUMNS.len()] {
    let (name, index) = view.place.split_once('/').unwrap_or(("", &view.place));
    let taken = |what: &str| view.actions.iter().any(|action| action.taken == what);
    let decision = match view.actions.last() {
        _ if view.actions.is_empty() => "pending",
        Some(last) if last.taken == "rejected" => "rejected",
        _ => "confirmed",
    };
    let join = |of: fn(&crate::matchlog::ActionView) -> &str| {
        let all: Vec<&str> = view.actions.iter().map(of).filter(|text| !text.is_empty()).collect();
        all.join(" ")
    };
    let text = str::to_owned;
    [
        log.platform().to_string(),
        text(certificate),
        String::new(),
        view.matched.clone(),
        view.batch.clone(),
        view.position.to_string(),
        text(name),
        text(index),
        view.list.clone(),
        view.epoch.to_string(),
        view.version.to_string(),
        view.root.clone(),
        view.kind.clone(),
        text("true"),
        format!("veilmatch {}", env!("CARGO_PKG_VERSION")),
        view.source.clone(),
        view.reference.clone(),
        view.scheme.clone(),
        view.code.clone(),
        view.label_hex.clone(),
        // Who rejects has looked.
        if taken("rejected") { text("yes") } else { String::new() },
        text(decision),
        join(|action| &action.taken),
        join(|action| &action.report),
        String::new(),
        String::new(),
        String::new(),
        view.level.to_string(),
        view.released.to_string(),
    ]
}

/// Writes records in either format.
enum Rows {
    Csv(Box<csv::Writer<fs::File>>),
    Jsonl(BufWriter<fs::File>),
}

impl Rows {
    fn new(format: Records, file: fs::File, path: &Path) -> Result<Self, Failure> {
        match format {
            Records::Jsonl => Ok(Self::Jsonl(BufWriter::new(file))),
            Records::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                writer.write_record(COLUMNS).map_err(|error| Failure::io("write", path)(error.into()))?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    fn add(&mut self, record: &[String]) -> std::io::Result<()> {
        match self {
            Self::Csv(writer) => writer.write_record(record).map_err(Into::into),
            Self::Jsonl(writer) => {
                let object: serde_json::Map<String, serde_json::Value> = COLUMNS
                    .iter()
                    .zip(record)
                    .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                    .collect();
                serde_json::to_writer(&mut *writer, &object)?;
                writer.write_all(b"\n")
            }
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush(),
            Self::Jsonl(mut writer) => writer.flush(),
        }
    }
}
