//! Joins the query logs with a platform's match logs, frame by frame (Q02 to Q04).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use veilmatch_protocol::frame::BatchId;

use super::{Agency, Cell, Period, Platform, Reconciled};
use crate::{
    date::Date,
    finding::{Code, Finding, Place},
    leaf::{Frame, FrameStatus},
    verify::Asked,
};

/// Refusals with which a retry of an answered frame may end: the answer is lost, and no side lies.
const LOST: [&str; 10] = [
    "AUDIT_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "EPOCH_RETIRED",
    "NOT_SERVING",
    "OVERLOADED",
    "RESPONSE_MISMATCH",
    "RETRY_LIMIT",
    "SUSPENDED",
    "UNKNOWN_CLIENT",
    "UNKNOWN_LIST",
];

pub(super) fn join(
    (agency, platform): (&Agency, &Platform),
    proven: &BTreeSet<BatchId>,
    settled: Period,
    days: &mut BTreeMap<Date, Cell>,
    all: &mut Reconciled,
) {
    let asked = asked_by(agency, platform);
    let mut judged = HashSet::new();
    for query in asked.values().flatten() {
        let date = Date::of(query.t);
        let Some(cell) = days.get_mut(&date) else { continue };
        if !query.answered() {
            cell.refused += 1;
        }
        let Some((origin, index, frame)) = frame_of(platform, &query.batch) else {
            // It ended on that day or, at midnight, on the next.
            if query.signed && platform.coverage.covers_with_next(date) && settled.contains(date) {
                cell.query_only += u64::from(query.answered());
                let text = format!("no leaf of batch {}, asked at {}", STANDARD.encode(query.batch.0), query.t);
                all.findings.push(Finding::new(Code::Q02, query.place(), text));
            }
            continue;
        };
        if !query.answered() || !judged.insert(query.batch) {
            continue;
        }
        cell.elements += query.n.len() as u64;
        match difference(query, frame) {
            // What the platform did not sign is a finding of its own.
            Some(text) if query.signed => {
                cell.differ += 1;
                let text = format!("{text}; leaf {} of {}", query.index, query.origin);
                let finding = Finding::new(Code::Q04, Place::leaf(origin, index), text);
                all.findings.push(finding.beside(query.place()));
            }
            _ if frame.status != FrameStatus::Answered => cell.unfinished += 1,
            _ => cell.agreed += 1,
        }
    }
    only_in_match_log((agency, platform), (&asked, proven), settled, days, all);
}

fn asked_by<'a>(agency: &'a Agency, platform: &Platform) -> BTreeMap<BatchId, Vec<&'a Asked>> {
    let mut asked: BTreeMap<BatchId, Vec<&Asked>> = BTreeMap::new();
    let frames = agency.queries.iter().flat_map(|(_, queries)| &queries.frames);
    for frame in frames.filter(|frame| frame.platform == platform.name) {
        asked.entry(frame.batch).or_default().push(frame);
    }
    asked
}

pub(super) fn frame_of<'a>(platform: &'a Platform, batch: &BatchId) -> Option<(&'a str, u64, &'a Frame)> {
    platform
        .logs
        .iter()
        .find_map(|(_, log)| log.frame(batch).map(|(index, frame)| (log.origin.as_str(), *index, frame)))
}

/// What the two records of an answered frame say differently.
fn difference(query: &Asked, frame: &Frame) -> Option<&'static str> {
    let lost = |code: &crate::leaf::Code| LOST.contains(&code.as_str());
    if frame.req != query.req {
        return Some("the request digests differ");
    }
    if frame.n != query.n || frame.list != query.list || frame.epoch.0 != query.epoch {
        return Some("n, list or epoch differ");
    }
    match frame.status {
        FrameStatus::Answered if frame.resp != query.resp => Some("the response digests differ"),
        FrameStatus::Refused if !frame.code.as_ref().is_some_and(lost) => Some("answered here, refused there"),
        _ => None,
    }
}

fn only_in_match_log(
    (agency, platform): (&Agency, &Platform),
    (asked, proven): (&BTreeMap<BatchId, Vec<&Asked>>, &BTreeSet<BatchId>),
    period: Period,
    days: &mut BTreeMap<Date, Cell>,
    all: &mut Reconciled,
) {
    for (_, log) in &platform.logs {
        for (index, frame) in log.frames.iter().filter(|(_, frame)| frame.status == FrameStatus::Answered) {
            let date = Date::of(frame.t);
            let queries = asked.get(&frame.batch).map_or(&[][..], Vec::as_slice);
            if !period.contains(date) || queries.iter().any(|query| query.answered()) {
                continue;
            }
            let proven = proven.contains(&frame.batch);
            let cell = days.entry(date).or_default();
            cell.match_only += u64::from(!queries.is_empty() || proven || recorded_there(agency, date));
            let place = Place::leaf(&log.origin, *index);
            if let Some(query) = queries.first() {
                let text = "answered in the match log, refused in the query log";
                all.findings.push(Finding::new(Code::Q04, place, text).beside(query.place()));
            } else if recorded_there(agency, date) && !proven {
                all.findings.push(Finding::new(Code::Q03, place, "the query log has no leaf of this frame"));
            }
        }
    }
}

/// Whether a frame that ended on this day would be in the query logs that were shown: it was asked then or the day before.
fn recorded_there(agency: &Agency, date: Date) -> bool {
    agency.coverage.covers(date) && agency.coverage.covers(date.previous())
}
