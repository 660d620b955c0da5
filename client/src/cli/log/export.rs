//! `log export`: a folder for an auditor, with the log's own files, and of a period the acknowledgements, the openings of what
//! was handed out, and the records.

use std::{
    fs,
    io::{BufWriter, Write},
    ops::RangeInclusive,
    path::Path,
};

use serde_json::Value;
use veilmatch_audit::date::Date;

use super::{
    super::{args::Records, exit::Exit, failure::Failure, print},
    new_file,
};
use crate::{
    Error,
    enrol::Invitation,
    matchlog::{ActionView, MatchLog, MatchView},
    state_dir::create_private_dir,
};

/// The columns of the records: a match record as agencies and courts ask for it. What this program does not know is empty,
/// for the platform to fill in.
const COLUMNS: [&str; 33] = [
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
    "viewed_time",
    "viewed_role",
    "decision",
    "action",
    "action_time",
    "report",
    "appeal",
    "legal_basis",
    "delete_by",
    "deletion_proof",
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
    seen(log, &out.join("seen"))?;
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
        rows.add(record(log, &certificate, &opened.view)).map_err(Error::io("write", &records))?;
        if let Some(handed_out) = opened.handed_out {
            released += 1;
            let line = log.opening_line(&opened, handed_out)?;
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

/// The newest checkpoint of each of the agency's logs that was verified here: another tree of the agency's would be a fork.
fn seen(log: &MatchLog, out: &Path) -> Result<(), Failure> {
    create_private_dir(out)?;
    for (name, note) in log.seen()? {
        let path = out.join(name);
        new_file(&path)?.write_all(&note).map_err(Failure::io("write", &path))?;
    }
    Ok(())
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

fn record(log: &MatchLog, certificate: &str, view: &MatchView) -> [Value; COLUMNS.len()] {
    let (name, index) = view.place.split_once('/').unwrap_or(("", &view.place));
    let rejected = view.actions.iter().find(|action| action.taken == "rejected");
    let decision = match view.actions.last() {
        None => "pending",
        Some(last) if last.taken == "rejected" => "rejected",
        Some(_) => "confirmed",
    };
    let join = |of: fn(&ActionView) -> &str| {
        let all: Vec<&str> = view.actions.iter().map(of).filter(|text| !text.is_empty()).collect();
        Value::from(all.join(" "))
    };
    let unknown = || Value::from("");
    [
        log.platform().as_str().into(),
        certificate.into(),
        unknown(),
        view.matched.as_str().into(),
        view.batch.as_str().into(),
        view.position.into(),
        name.into(),
        index.parse::<u64>().map_or_else(|_| index.into(), Value::from),
        view.list.as_str().into(),
        view.epoch.into(),
        view.version.into(),
        view.root.as_str().into(),
        view.kind.as_str().into(),
        true.into(),
        format!("veilmatch {}", env!("CARGO_PKG_VERSION")).into(),
        view.source.as_str().into(),
        view.reference.as_str().into(),
        view.scheme.as_str().into(),
        view.code.as_str().into(),
        view.label_hex.as_str().into(),
        // Who rejects has looked.
        rejected.map_or("", |_| "yes").into(),
        rejected.map_or("", |action| &action.t).into(),
        unknown(),
        decision.into(),
        join(|action| &action.taken),
        join(|action| &action.t),
        join(|action| &action.report),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        view.level.into(),
        view.released.into(),
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

    fn add(&mut self, record: [Value; COLUMNS.len()]) -> std::io::Result<()> {
        match self {
            Self::Csv(writer) => {
                let field = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                writer.write_record(record.iter().map(field)).map_err(Into::into)
            }
            Self::Jsonl(writer) => {
                let names = COLUMNS.iter().copied().map(str::to_owned);
                let object: serde_json::Map<String, Value> = names.zip(record).collect();
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
