//! What a command gives: text, or findings with the logs they are about.

use std::io::{self, Write};

use serde::Serialize;

use super::Exit;
use crate::report::{FindingRow, LogRow, PolicyOf};

/// What a command gives.
#[derive(Debug)]
pub enum Outcome {
    /// Text.
    Text(String),
    /// Findings.
    Audit {
        /// The logs.
        logs: Vec<LogRow>,
        /// What was found.
        findings: Vec<FindingRow>,
        /// What could not be judged.
        not_judged: Vec<String>,
        /// Where a report was written.
        report: Option<String>,
        /// Print JSON.
        json: bool,
    },
}

#[derive(Serialize)]
struct Printed<'a> {
    logs: &'a [LogRow],
    findings: &'a [FindingRow],
    not_judged: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a str>,
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Audit { findings, .. } if !findings.is_empty() => Exit::Findings,
            _ => Exit::Clean,
        }
    }

    /// What is printed.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Audit { logs, findings, not_judged, report, json: true } => {
                let printed = Printed { logs, findings, not_judged, report: report.as_deref() };
                serde_json::to_string_pretty(&printed).expect("rows are text and numbers") + "\n"
            }
            Self::Audit { logs, findings, not_judged, report, json: false } => {
                let mut lines: Vec<String> = logs.iter().map(log_line).collect();
                lines.extend(
                    findings.iter().map(|row| format!("{} {}: {}: {}", row.code, row.severity, row.place, row.seen)),
                );
                lines.extend(not_judged.iter().map(|line| format!("not judged: {line}")));
                lines.extend(report.iter().map(|path| format!("report: {path}")));
                lines.push(match findings.len() {
                    0 => "no findings".to_owned(),
                    1 => "1 finding".to_owned(),
                    n => format!("{n} findings"),
                });
                lines.join("\n") + "\n"
            }
        }
    }

    pub(super) fn print(&self) {
        // A reader that has gone away, as `head` does, is no failure of the audit.
        let _ = io::stdout().write_all(self.text().as_bytes());
    }
}

fn log_line(log: &LogRow) -> String {
    let cosigned =
        if log.cosigners.is_empty() { String::new() } else { format!(", cosigned by {}", log.cosigners.join(", ")) };
    let alone = if log.policy == PolicyOf::Counterparty { " (the counterparty alone is asked for)" } else { "" };
    format!("{}: {} to {}, root {}{cosigned}{alone}", log.origin, log.from, log.size, log.root)
}
