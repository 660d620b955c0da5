//! Days of one platform over all its match logs: those without totals, and totals that the leaves of their day do not give
//! (D01, D02). Totals stand in the log of the day after, which can be another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use veilmatch_protocol::{frame::BatchId, name::ListId};

use super::{Coverage, Matches};
use crate::{
    date::Date,
    finding::{Code, Finding, Place},
    leaf::{Action, Day, Match},
    origin::{LogOrigin, Shard},
};

/// The match logs of a platform, oldest first, and what they cover.
pub struct Totals<'a> {
    /// The logs.
    pub logs: Vec<&'a Matches>,
    /// What they cover.
    pub coverage: &'a Coverage,
}

/// Judges the days that were written. `settled` are those of the audit by whose end totals must be there.
#[must_use]
pub fn judge(totals: &Totals<'_>, settled: &[Date]) -> Vec<Finding> {
    let mut findings = totals.silent_days(settled);
    let lists = totals.lists();
    for log in &totals.logs {
        for (index, day) in &log.days {
            if let Some(text) = totals.wrong(day, &lists) {
                findings.push(Finding::new(Code::D02, Place::leaf(&log.origin, *index), text));
            }
        }
    }
    findings
}

impl Totals<'_> {
    /// Each day has totals of each list that the platform uses, from the day on which it began: one finding for each gap.
    fn silent_days(&self, settled: &[Date]) -> Vec<Finding> {
        let mut begun: BTreeMap<&str, Date> = BTreeMap::new();
        let mut totals: BTreeMap<&str, BTreeSet<Date>> = BTreeMap::new();
        let mut uses = |list, date: Date| {
            let first = begun.entry(list).or_insert(date);
            *first = date.min(*first);
        };
        for log in &self.logs {
            log.frames.iter().for_each(|(_, frame)| uses(frame.list.as_str(), Date::of(frame.t)));
            log.adopts.iter().for_each(|(_, adopt)| uses(adopt.list.as_str(), Date::of(adopt.t)));
            for (_, day) in &log.days {
                uses(day.list.as_str(), day.date);
                totals.entry(day.list.as_str()).or_default().insert(day.date);
            }
        }
        let mut findings = Vec::new();
        for (list, first) in begun {
            let dates = totals.remove(list).unwrap_or_default();
            findings.extend(self.gaps(list, &dates));
            let (earliest, latest) = (dates.first(), dates.last());
            let between = |date: &Date| earliest.is_some_and(|e| e < date) && latest.is_some_and(|l| date < l);
            for date in settled.iter().filter(|date| **date >= first && !dates.contains(date) && !between(date)) {
                if self.coverage.covers_with_next(*date) {
                    findings.push(Finding::new(Code::D01, self.place(*date, list), "the day has no totals"));
                }
            }
        }
        findings
    }

    /// Between the first and the last day with totals.
    fn gaps(&self, list: &str, dates: &BTreeSet<Date>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (&before, &after) in dates.iter().zip(dates.iter().skip(1)) {
            let days = std::iter::successors(Some(before.next()), |date| Some(date.next()));
            let missing: Vec<Date> =
                days.take_while(|date| *date < after).filter(|date| self.coverage.covers_with_next(*date)).collect();
            let (Some(first), Some(last)) = (missing.first(), missing.last()) else { continue };
            let text = format!("there are totals before {first} and after {last}, and none between");
            findings.push(Finding::new(Code::D01, self.place(*first, list), text));
        }
        findings
    }

    /// In the newest log of the half-year that the day ends in.
    fn place(&self, date: Date, list: &str) -> Place {
        let half = Shard::of(date.next().start());
        let of_half = |log: &&&Matches| {
            let shard = LogOrigin::parse(&log.origin).ok().and_then(|origin| origin.shard());
            shard.is_some_and(|shard| shard.first() == half)
        };
        let log = self.logs.iter().rev().find(of_half).or(self.logs.first());
        Place::day(log.map_or("", |log| &log.origin), &date.to_string(), list, 0)
    }

    /// The list of each frame: a match may cite one of an earlier log.
    fn lists(&self) -> HashMap<BatchId, &ListId> {
        let frames = self.logs.iter().flat_map(|log| &log.frames);
        frames.map(|(_, frame)| (frame.batch, &frame.list)).collect()
    }

    /// The match that something was done about, whichever log has it.
    fn matched(&self, action: &Action) -> Option<&Match> {
        let named = action.log.to_string();
        let log = self.logs.iter().find(|log| log.origin == named)?;
        log.matches.get(&action.index)
    }

    fn wrong(&self, day: &Day, lists: &HashMap<BatchId, &ListId>) -> Option<String> {
        if !self.coverage.covers(day.date) {
            return None;
        }
        let of_day = |t| day.date.contains(t);
        let of_list = |leaf: &Match| lists.get(&leaf.batch).is_none_or(|list| **list == day.list);
        let mut found = Counted::default();
        for log in &self.logs {
            let frames = log.frames.iter().filter(|(_, frame)| of_day(frame.t) && frame.list == day.list);
            for (_, frame) in frames {
                found.frames += 1;
                found.asked += frame.n.len() as u64;
            }
            let of_the_day = log.matches.values().filter(|leaf| of_day(leaf.t));
            for leaf in of_the_day.filter(|leaf| of_list(leaf)) {
                found.matches += 1;
                found.unknown += u64::from(!lists.contains_key(&leaf.batch));
            }
            for (_, action) in log.actions.iter().filter(|(_, action)| of_day(action.t)) {
                // Without the log of the match, its list is not known.
                let of = self.matched(action);
                found.actions += u64::from(of.is_none_or(of_list));
                found.unknown_actions += u64::from(of.is_none_or(|leaf| !lists.contains_key(&leaf.batch)));
            }
        }
        found.differs(day)
    }
}

/// What the leaves of a day come to.
#[derive(Default)]
struct Counted {
    frames: u64,
    asked: u64,
    matches: u64,
    // Matches of a frame whose list is not known.
    unknown: u64,
    actions: u64,
    // Actions whose match, or its frame, is not known.
    unknown_actions: u64,
}

impl Counted {
    fn differs(&self, day: &Day) -> Option<String> {
        let said = day.actions.values().fold(0, |sum: u64, number| sum.saturating_add(*number));
        let matches = self.matches.saturating_sub(self.unknown)..=self.matches;
        let actions = self.actions.saturating_sub(self.unknown_actions)..=self.actions;
        let totals = [
            ("frames", day.frames, self.frames, self.frames..=self.frames),
            ("matches", day.matches, self.matches, matches),
            ("actions", said, self.actions, actions),
        ];
        if let Some((what, said, are, _)) = totals.into_iter().find(|(_, said, _, possible)| !possible.contains(said)) {
            return Some(format!("it says {said} {what}, and there are {are}"));
        }
        let too_many = day.queried > self.asked;
        too_many.then(|| format!("it says {} asked, in frames of {}", day.queried, self.asked))
    }
}
