//! Versions, canaries and receipts.

use maud::{Markup, html};

use super::{code, number, table, text};
use crate::report::{CanaryRow, ReceiptRow, Report, VersionRow};

pub(super) fn versions(report: &Report) -> Markup {
    let row = |version: &VersionRow| {
        let valid = html! { span.line.number { (version.not_before) } span.line.number { (version.not_after) } };
        let name = html! { strong { (version.list) " " (version.version) } };
        let root = html! { code.long { (version.root) } };
        vec![
            name,
            text(version.epoch),
            number(version.index),
            valid,
            number(version.count),
            root,
            text(&version.artifact),
        ]
    };
    html! {
        @if !report.versions.is_empty() {
            section {
                h2 { "Versions in force" }
                (table(&["List, version", "Epoch", "Leaf", "Valid", "Records", "Root", "File"], report.versions.iter().map(row)))
            }
        }
    }
}

pub(super) fn canaries(report: &Report) -> Markup {
    let row = |canary: &CanaryRow| {
        let missed = canary.planted.saturating_sub(canary.seen);
        let bound = if canary.planted == 0 { text("nothing") } else { text(per_cent(canary.bound_permille)) };
        vec![html! { strong { (canary.platform) } }, number(canary.planted), number(canary.seen), number(missed), bound]
    };
    html! {
        @if !report.canaries.is_empty() {
            section {
                h2 { "Canaries" }
                p { "Synthetic, lawful entries, committed to before they were uploaded through ordinary accounts. With c planted \
                     and all found, fewer than 1 − 0.05" sup { "1/c" } " of matches were left out, at 95 % confidence, if \
                     omission does not choose." }
                (table(&["Platform", "Planted", "Reported", "Missed", "Omitted at most"], report.canaries.iter().map(row)))
            }
        }
    }
}

fn per_cent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

pub(super) fn receipts(report: &Report) -> Markup {
    let row = |receipt: &ReceiptRow| {
        vec![html! { strong { (receipt.platform) } }, text(&receipt.status), text(receipt.number)]
    };
    html! {
        @if !report.receipts.is_empty() {
            section {
                h2 { "Receipts" }
                p { "Level 1: the platform vouches for the entry, and somebody had it evaluated. Level 2: this platform had this \
                     digest evaluated in this frame. Evidence means level 2." }
                (table(&["Platform", "State", "Number"], report.receipts.iter().map(row)))
                p.muted { "Numbers from 1 to 4 are not shown. Report " (code(&report.id)) "." }
            }
        }
    }
}
