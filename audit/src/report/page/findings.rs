//! What was found, heaviest first.

use maud::{Markup, html};

use super::origin;
use crate::report::{FindingRow, Report};

/// Cards that a page has at most; the signed report has them all.
const SHOWN: usize = 200;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Findings" }
            @if report.findings.is_empty() {
                p { "None. Every check listed in the scope above was made and held." }
            }
            @for finding in report.findings.iter().take(SHOWN) { (card(report, finding)) }
            @if report.findings.len() > SHOWN {
                p.muted { (report.findings.len() - SHOWN) " more are in the signed report." }
            }
        }
    }
}

fn card(report: &Report, finding: &FindingRow) -> Markup {
    html! {
        article class={ "finding " (finding.severity) } {
            h3 {
                span class={ "badge " (finding.severity) } { (finding.code) }
                " " (finding.sentence)
            }
            dl {
                div { dt { "Where" } dd { (origin(&finding.place.to_string())) } }
                div { dt { "Seen" } dd { (finding.seen) } }
                div { dt { "Weight" } dd { (finding.severity) "; speaks against " (finding.proves.words()) } }
                div { dt { "Next" } dd { (finding.advice) } }
                @if !finding.evidence.is_empty() {
                    div {
                        dt { "Evidence" }
                        dd { @for file in &finding.evidence { code.line { "evidence/" (report.id) "/" (file) } } }
                    }
                }
            }
        }
    }
}
