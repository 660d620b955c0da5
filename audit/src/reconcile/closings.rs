//! Closing statements: in both logs, and of the frames that the query log has (Q06).

use std::collections::{BTreeMap, HashSet};

use veilmatch_protocol::name::{AgencyName, Epoch, ListId};

use super::{Agency, Cell, Period, Platform, Reconciled};
use crate::{
    closing::{AnsweredFrame, Closing, Day},
    date::Date,
    finding::{Code, Finding, Place},
    leaf::Close,
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
    let last = |mut origins: Vec<&str>| origins.pop().unwrap_or_default().to_owned();
    let sides = [
        (theirs, agency.complete(), last(agency.queries.iter().map(|(_, log)| log.origin()).collect())),
        (ours, platform.complete(), last(platform.logs.iter().map(|(_, log)| log.origin.as_str()).collect())),
    ];
    for ((list, epoch, date), frames) in frames {
        let Some(digest) = digest(agency, platform, (&list, epoch, date), frames) else { continue };
        let mut closed = true;
        for (closes, complete, origin) in &sides {
            let of_day = |close: &Close| (&close.list, close.epoch.0, close.date) == (&list, epoch, date);
            let found = match closes.iter().find(|(_, _, close)| of_day(close)) {
                Some((_, _, close)) if close.digest == digest => continue,
                Some((origin, index, _)) => {
                    let text = "the statement is not of the frames that the query log has for the day";
                    Finding::new(Code::Q06, Place::leaf(origin, *index), text)
                }
                None if !complete => continue,
                None => {
                    let place = Place::day(origin, &date.to_string(), list.as_str(), epoch);
                    Finding::new(Code::Q06, place, format!("no closing statement about {}", platform.name))
                }
            };
            closed = false;
            all.findings.push(found);
        }
        if let Some(cell) = days.get_mut(&date) {
            cell.unclosed += u64::from(!closed);
        }
    }
}

fn answered(agency: &Agency, platform: &Platform, period: Period) -> BTreeMap<Key, Vec<AnsweredFrame>> {
    let mut groups: BTreeMap<Key, Vec<AnsweredFrame>> = BTreeMap::new();
    // A batch that was answered twice is a finding of its own, and counts once.
    let mut counted = HashSet::new();
    for frame in agency.queries.iter().flat_map(|(_, log)| &log.frames) {
        let (Some(resp), date) = (frame.resp, Date::of(frame.t)) else { continue };
        if frame.platform == platform.name && period.contains(date) && counted.insert(frame.batch) {
            let frames = groups.entry((frame.list.clone(), frame.epoch, date)).or_default();
            frames.push(AnsweredFrame { req: frame.req, resp, n: frame.n });
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
