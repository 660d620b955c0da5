//! `log status`, `log check`, `log recover` and `log export`, and `auditor add`, `list` and `suspend`.

use std::{fmt::Write, path::Path};

use super::args::{AuditorCommand, LogCommand, RecoverLog};
use crate::{
    Error,
    admin::{Agency, AuditorKey, LogChecked, LogStatus, Recover, Recovered},
    clock::rfc3339,
};

pub(super) fn log(dir: &Path, command: LogCommand, now: u64) -> Result<String, Error> {
    let mut agency = Agency::open(dir)?;
    match command {
        LogCommand::Recover { log } => recover(&mut agency, log, now),
        LogCommand::Status => Ok(status(&agency.log_status()?)),
        LogCommand::Check { full } => {
            let checked = agency.log_check(full, now)?;
            let findings = checked.iter().map(|log| log.findings.len()).sum();
            let text = found(&checked, full);
            if findings == 0 {
                return Ok(text);
            }
            print!("{text}");
            Err(Error::LogFindings { findings })
        }
        LogCommand::Export { log, out } if log == "seen" => {
            let logs = agency.log_export_seen(&out)?;
            Ok(format!("checkpoints of {logs} match logs in {}\n", out.display()))
        }
        LogCommand::Export { log, out } => {
            let row = agency.log_export(&log, &out)?;
            Ok(format!("{}: {} leaves in {}\n", row.origin, row.published_size, out.display()))
        }
    }
}

pub(super) fn auditor(dir: &Path, command: AuditorCommand, now: u64) -> Result<String, Error> {
    let mut agency = Agency::open(dir)?;
    match command {
        AuditorCommand::Add { name, csr, out, certificate } => {
            let key = match (&csr, &out, &certificate) {
                (Some(csr), Some(out), _) => AuditorKey::Request(csr, out),
                (_, _, Some(certificate)) => AuditorKey::Certificate(certificate),
                _ => return Err(Error::argument("auditor add", "needs --csr and --out, or --certificate")),
            };
            let row = agency.auditor_add(&name, key, now)?;
            Ok(format!("{name} may read the entries of the query log until {}\n", rfc3339(row.certificate_until)))
        }
        AuditorCommand::List => {
            let rows = agency.auditors()?;
            Ok(rows.iter().fold(String::new(), |mut out, row| {
                let state = if row.suspended_at.is_some() { "suspended" } else { "admitted" };
                let _ = writeln!(out, "{:<32} {state:<10} until {}", row.name.as_str(), rfc3339(row.certificate_until));
                out
            }))
        }
        AuditorCommand::Suspend { name, resume } => {
            agency.auditor_suspend(&name, resume, now)?;
            Ok(format!("{name} {}\n", if resume { "may read again" } else { "is suspended" }))
        }
    }
}

fn recover(agency: &mut Agency, log: RecoverLog, now: u64) -> Result<String, Error> {
    let which = match log {
        RecoverLog::Manifest => Recover::Manifest,
        RecoverLog::Query => Recover::Query,
    };
    let recovery = agency.log_recover(which, now)?;
    for witness in &recovery.unreached {
        eprintln!("veilmatch-server: warning: witness {witness} was not reached; what it has seen is not counted");
    }
    if recovery.manifest_halted {
        eprintln!("veilmatch-server: warning: the manifest log is halted, too, and `serve` does not start");
    }
    let line = |Recovered { lost, log, range }: &Recovered| {
        format!("{lost}: leaves {} up to {} are lost; it goes on as {log}\n", range.start, range.end)
    };
    Ok(recovery.logs.iter().map(line).collect())
}

fn status(logs: &[LogStatus]) -> String {
    if logs.is_empty() {
        return "no log yet; the first publication begins the manifest log, `serve` the query log\n".to_owned();
    }
    let mut out = String::new();
    for LogStatus { row, leaves, cosignatures } in logs {
        let _ = writeln!(out, "{}: {leaves} leaves, {} published", row.origin, row.published_size);
        if row.head.at > 0 {
            let _ = writeln!(out, "  signed {}: size {}", rfc3339(row.head.at), row.head.size);
        }
        for cosignature in cosignatures {
            let _ = writeln!(out, "  cosigned {} by {}", rfc3339(cosignature.at), cosignature.witness);
        }
        if let Some(lost) = &row.lost {
            let _ = writeln!(out, "  lost: leaves {} up to {}; another log goes on", lost.start, lost.end);
        }
        if let Some(why) = row.stopped() {
            let _ = writeln!(out, "  HALTED: {why}");
        }
    }
    out + SPLIT_VIEW
}

/// What cosignatures of platforms do not show.
pub(super) const SPLIT_VIEW: &str = "Where only the platforms themselves cosign, it is not excluded that two of them are shown two lists: \
     that takes witnesses that they have in common.\n";

fn found(checked: &[LogChecked], full: bool) -> String {
    let mut out = String::new();
    let how = if full { "every entry, tile and leaf" } else { "the right edge" };
    for LogChecked { origin, size, findings } in checked {
        let verdict = if findings.is_empty() { "as signed" } else { "NOT as signed" };
        let _ = writeln!(out, "{origin}: {size} leaves, {how} {verdict}");
        for finding in findings {
            let _ = writeln!(out, "  {finding}");
        }
    }
    out
}
