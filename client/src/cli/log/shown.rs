//! Matches as people see them.

use std::{fmt::Write, ops::RangeInclusive};

use veilmatch_audit::date::Date;

use super::super::{exit::Exit, failure::Failure, print};
use crate::matchlog::{ActionView, MatchLog, MatchView, Place};

pub(super) fn list(log: &MatchLog, days: RangeInclusive<Date>, json: bool) -> Result<Exit, Failure> {
    let mut out = String::new();
    log.each_match(days, |opened| {
        let line = if json { to_json(&opened.view) } else { line(&opened.view) };
        out.push_str(&line);
        Ok(())
    })?;
    if out.is_empty() && !json {
        out.push_str("no matches\n");
    }
    print(&out)
}

pub(super) fn show(log: &MatchLog, place: Place, json: bool) -> Result<Exit, Failure> {
    let view = log.one_match(place)?.view;
    print(&if json { to_json(&view) } else { text(&view) })
}

fn to_json(view: &MatchView) -> String {
    serde_json::to_string(view).expect("strings and numbers always serialise") + "\n"
}

fn line(view: &MatchView) -> String {
    let MatchView { place, matched, list, version, kind, level, released, actions, .. } = view;
    let last = actions.last().map_or("open", |action| action.taken.as_str());
    let released = if *released { ", receipt handed out" } else { "" };
    format!("{place}  {matched}  {list} {version}  {}  {kind}  level {level}, {last}{released}\n", category(view))
}

/// The category with its scheme, or the label's bytes.
fn category(view: &MatchView) -> String {
    match (view.scheme.as_str(), view.code.as_str()) {
        ("", "") => view.label_hex.clone(),
        ("custom", code) => code.to_owned(),
        (scheme, code) => format!("{scheme}:{code}"),
    }
}

fn text(view: &MatchView) -> String {
    let MatchView { place, matched, list, epoch, version, root, kind, label_hex, .. } = view;
    let MatchView { source, reference, batch, position, level, released, actions, .. } = view;
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<10}{value}");
    };
    row("match", place);
    row("found", matched);
    row("list", &format!("{list}, version {version} of epoch {epoch}, root {root}"));
    row("kind", kind);
    row("category", &category(view));
    row("label", label_hex);
    for (name, value) in [("source", source), ("reference", reference)] {
        if !value.is_empty() {
            row(name, value);
        }
    }
    row("frame", &format!("{batch}, position {position}"));
    row("receipt", &format!("level {level}{}", if *released { ", handed out" } else { ", not handed out" }));
    for ActionView { taken, report, t } in actions {
        let report = if report.is_empty() { String::new() } else { format!(", report {report}") };
        row("action", &format!("{taken} on {t}{report}"));
    }
    out
}
