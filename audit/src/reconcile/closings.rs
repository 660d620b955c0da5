//! Closing statements: in both logs, and of the frames that the query log has (Q06); and frames in one that the platform
//! says it never finished (Q04).

use std::collections::{BTreeMap, HashSet};

use veilmatch_protocol::{
    frame::BatchId,
    name::{AgencyName, Epoch, ListId},
};

use super::{Agency, Cell, Period, Platform, Reconciled};
use crate::{
    closing::{AnsweredFrame, Closing, Day},
    date::Date,
    finding::{Code, Finding, Place, Proves},
    leaf::{Close, FrameStatus},
};

type Key = (ListId, u32, Date);

pub(super) fn compare(
    agency: &Agency,
    platform: &Platform,
    period: Period,
    days: &mut BTreeMap<Date, Cell>,
    all: &mut Reconciled,
) {
    let frames = answered(agency, platform, period);
    let theirs: Vec<(&str, u64, &Close)> = agency
        .queries
        .iter()
        .flat_map(|(_, log)| log.closes.iter().map(|(index, close)| (log.origin(), *index, close)))
        .filter(|(_, _, close)| close.platform == platform.name)
        .collect();
    let ours: Vec<(&str, u64, &Close)> = platform
        .logs
        .iter()
        .flat_map(|(_, log)| log.closes.iter().map(|(index, close)| (log.origin.as_str(), *index, close)))
        .collect();
    let sides = [
        (theirs, &agency.coverage, agency.queries.last().map_or("", |(_, log)| log.origin())),
        (ours, &platform.coverage, platform.logs.last().map_or("", |(_, log)| log.origin.as_str())),
    ];
    for ((list, epoch, date), frames) in frames {
        let unfinished = unfinished(platform, &frames);
        let frames = frames.into_iter().map(|(_, frame)| frame).collect();
        let Some(digest) = digest(agency, platform, (&list, epoch, date), frames) else { continue };
        let mut closed = true;
        if let Some((closed_in, at, _)) = sides[1].0.iter().find(|(_, _, close)| close.digest == digest) {
            for (origin, index) in &unfinished {
                let text = format!("its answer is in the closing statement of {date}, and here it was never finished");
                let finding = Finding::new(Code::Q04, Place::leaf(origin, *index), text);
                all.findings.push(finding.beside(Place::leaf(closed_in, *at)).against(Proves::Platform));
            }
        }
        let of_day = |close: &Close| (&close.list, close.epoch.0, close.date) == (&list, epoch, date);
        for (side, (closes, coverage, origin)) in sides.iter().enumerate() {
            let mut found = match closes.iter().find(|(_, _, close)| of_day(close)) {
                Some((_, _, close)) if close.digest == digest => continue,
                // Without all frames of the day, nobody can tell what the statement should be of.
                Some(_) if !agency.coverage.covers(date) => continue,
                Some((origin, index, _)) => {
                    let text = "the statement is not of the frames that the query log has for the day";
                    Finding::new(Code::Q06, Place::leaf(origin, *index), text)
                }
                None if !coverage.covers_with_next(date) => continue,
                None => {
                    let place = Place::day(origin, &date.to_string(), list.as_str(), epoch);
                    let mut text = format!("no closing statement about {}", platform.name);
                    if !unfinished.is_empty() {
                        text += &format!("; its log has {} of the day's frames as never finished", unfinished.len());
                    }
                    Finding::new(Code::Q06, place, text)
                }
            };
            closed = false;
            let other = sides[1 - side].0.iter().find(|(_, _, close)| of_day(close));
            found.evidence.others.extend(other.map(|(origin, index, _)| Place::leaf(origin, *index)));
            all.findings.push(found);
        }
        if let Some(cell) = days.get_mut(&date) {
            cell.unclosed += u64::from(!closed);
        }
    }
}

/// The leaves of frames that were answered, and that the platform has without an answer.
fn unfinished<'a>(platform: &'a Platform, frames: &[(BatchId, AnsweredFrame)]) -> Vec<(&'a str, u64)> {
    let ended = frames.iter().filter_map(|(batch, _)| super::frames::frame_of(platform, batch));
    ended
        .filter(|(_, _, frame)| frame.status != FrameStatus::Answered)
        .map(|(origin, index, _)| (origin, index))
        .collect()
}

fn answered(agency: &Agency, platform: &Platform, period: Period) -> BTreeMap<Key, Vec<(BatchId, AnsweredFrame)>> {
    let mut groups: BTreeMap<Key, Vec<(BatchId, AnsweredFrame)>> = BTreeMap::new();
    // A batch that was answered twice is a finding of its own, and counts once.
    let mut counted = HashSet::new();
    for frame in agency.queries.iter().flat_map(|(_, log)| &log.frames) {
        let (Some(resp), date) = (frame.resp, Date::of(frame.t)) else { continue };
        if frame.platform == platform.name && period.contains(date) && counted.insert(frame.batch) {
            let frames = groups.entry((frame.list.clone(), frame.epoch, date)).or_default();
            frames.push((frame.batch, AnsweredFrame { req: frame.req, resp, n: frame.n }));
        }
    }
    groups
}

fn digest(
    agency: &Agency,
    platform: &Platform,
    (list, epoch, date): (&ListId, u32, Date),
    frames: Vec<AnsweredFrame>,
) -> Option<veilmatch_protocol::manifest::Hash> {
    let agency = AgencyName::parse(agency.manifests.1.agency()).ok()?;
    let (platform, list) = (platform.name.clone(), list.clone());
    Closing::of(Day { agency, platform, list, epoch: Epoch(epoch), date }, frames).digest().ok()
}
