//! The report as one page: no script, nothing from elsewhere, for screen, phone and paper.

mod charts;
mod days;
mod findings;
mod papers;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{GapRow, LogRow, PolicyOf, Report};
use crate::finding::Severity;

/// The whole style; the page may load nothing else.
const STYLE: &str = include_str!("page/style.css");

/// Forbids whatever a page could fetch or run, should a name ever be taken for markup.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page of a report.
#[must_use]
pub fn render(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Audit of " (report.agency) ": " (report.verdict()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    (verdict(report))
                    (findings::section(report))
                    (logs(report))
                    (days::section(report))
                    (charts::section(report))
                    (papers::versions(report))
                    (papers::canaries(report))
                    (papers::receipts(report))
                    (not_proved(report))
                    (repeat(report))
                }
                (footer(report))
            }
        }
    };
    page.into_string()
}

/// A table that becomes a stack of cards on a phone: each cell carries its column's name.
fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    html! {
        table {
            thead { tr { @for column in columns { th scope="col" { (column) } } } }
            tbody {
                @for row in rows {
                    tr { @for (column, cell) in columns.iter().zip(row) { td data-label=(column) { div { (cell) } } } }
                }
            }
        }
    }
}

fn text(value: impl std::fmt::Display) -> Markup {
    html! { (value.to_string()) }
}

/// A number with thin spaces between its thousands.
fn number(value: u64) -> Markup {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    html! { span.number { (grouped) } }
}

fn code(value: impl std::fmt::Display) -> Markup {
    html! { code { (value.to_string()) } }
}

fn header(report: &Report) -> Markup {
    let period = match (report.from.is_empty(), report.from == report.to) {
        (true, _) => "logs as a whole".to_owned(),
        (false, true) => report.from.clone(),
        (false, false) => format!("{} to {}", report.from, report.to),
    };
    html! {
        header {
            p.kind { "Audit report" }
            h1 { (report.agency) }
            dl.facts {
                div { dt { "Period" } dd { (period) } }
                div { dt { "Made" } dd { (report.made) } }
                div { dt { "Auditor" } dd { (report.auditor) } }
                div { dt { "Report" } dd { (code(&report.id)) } }
            }
        }
    }
}

fn verdict(report: &Report) -> Markup {
    let class = match report.heaviest() {
        None if report.not_judged.is_empty() => "verdict good",
        None => "verdict open",
        Some(Severity::Low | Severity::Medium) => "verdict warn",
        Some(_) => "verdict bad",
    };
    html! {
        section class=(class) aria-label="Verdict" {
            h2 { (report.verdict()) }
            @if !report.findings.is_empty() { (weights(report)) }
            h3 { "What was judged" }
            ul { @for line in &report.scope { li { (line) } } }
            @if !report.not_judged.is_empty() {
                h3 { "What could not be judged" }
                ul { @for line in &report.not_judged { li { (line) } } }
            }
            @if report.split_view_open {
                p.caution {
                    strong { "A split view is not excluded." }
                    " There is no policy for the manifest log, it is not met, or two sets of witnesses that each meet it need \
                     not share anybody but parties of this audit. Two platforms could have been given two lists. A policy \
                     under which any two sets share a common witness would exclude it."
                }
            }
        }
    }
}

fn weights(report: &Report) -> Markup {
    let of = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    html! {
        p.weights {
            @for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low] {
                @if of(severity) > 0 { span class={ "badge " (severity) } { (of(severity)) " " (severity) } }
            }
        }
    }
}

fn logs(report: &Report) -> Markup {
    let row = |log: &LogRow| {
        let root = html! { code.long { (log.root) } };
        let cosigners = html! {
            @for name in &log.cosigners { span.line { (origin(name)) } }
            @if log.cosigners.is_empty() { span.line.muted { "none counted" } }
            @match log.policy {
                PolicyOf::Agreed => {}
                PolicyOf::Counterparty => span.line.muted { "asked of the counterparty alone" }
                PolicyOf::None => span.line.muted { "not judged: no policy" }
            }
        };
        let age = log
            .age_s
            .map_or_else(|| html! { span.muted { "unknown" } }, |age| html! { span.number { (duration(age)) } });
        let grown = html! { (number(log.from)) " → " (number(log.size)) };
        let name = html! {
            strong { (origin(&log.origin)) }
            @for gap in &log.gaps { (missing(gap)) }
        };
        vec![name, grown, root, cosigners, age, number(log.findings)]
    };
    html! {
        section {
            h2 { "Logs" }
            p { "Every tile and the root were computed anew from the entries. Size is that of the last audited checkpoint, and \
                 of this one." }
            (table(&["Origin", "Size", "Root", "Cosigned by", "Age", "Findings"], report.logs.iter().map(row)))
        }
    }
}

/// What a log that goes on from another leaves out.
fn missing(gap: &GapRow) -> Markup {
    let what = if gap.lost { "Stated to be lost: " } else { "Not shown: " };
    html! {
        span.line.muted {
            (what)
            @if gap.from < gap.to { "leaves " (number(gap.from)) " to " (number(gap.to - 1)) " of " }
            (origin(&gap.log)) ", written from "
            (gap.since) " to " (gap.until) " at most"
        }
    }
}

/// An origin, which may be broken behind its slashes.
fn origin(text: &str) -> Markup {
    html! { @for part in text.split_inclusive('/') { (part) wbr; } }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn not_proved(report: &Report) -> Markup {
    html! {
        section {
            h2 { "What no audit shows" }
            p { "Even without findings, the logs do not prove:" }
            ol.open { @for line in &report.not_proved { li { (line) } } }
            p { "Canaries bound the first two; nothing here bounds the others." }
        }
    }
}

fn repeat(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Repeat it with other tools" }
            p { "The logs are in open formats (RFC 6962, C2SP tlog-tiles, tlog-checkpoint, signed-note). These commands use no \
                 code of ours to check a log. Type them in the folder of " code { "audit.toml" } ", with "
                code { "tests/outside/rederive.go" } " of the source beside it; Go and its packages are Debian's "
                code { "golang-go" } " and " code { "golang-golang-x-mod-dev" } "." }
            @for command in &report.repeat {
                div.command { p { (command.what) } pre { code { (command.command) } } }
            }
        }
    }
}

fn footer(report: &Report) -> Markup {
    html! {
        footer {
            p { "Made by " (report.software) " from the files named above. The signed form of this report is "
                code { "report.note" } " beside this page; where the two differ, that one counts. Numbers from 1 to 4 of \
                receipts are shown as “< 5”." }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
