//! Logs that go on from one that was lost: what an auditor remembers of the one before is shown still, or the first leaf of
//! the next one states that it is lost (SPEC §17.1, §21.5, `L03`).

use std::{collections::BTreeSet, ops::RangeInclusive};

use veilmatch_protocol::manifest::Timestamp;

use super::{Audited, Coverage, Gap, Matches, Queries, Source, signed::by};
use crate::{
    date::Date,
    finding::{Code, Finding, Place},
    leaf::Key,
    origin::{LogOrigin, Shard},
};

/// Logs in front of those that are shown that are told one by one.
const MOST_HIDDEN: usize = 100;

/// A checkpoint that the keeper of a log signed, of a log that may not be shown any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The log.
    pub origin: LogOrigin,
    /// Its leaves.
    pub size: u64,
    /// Who remembers it.
    pub by: Source,
    /// The note.
    pub note: Vec<u8>,
}

/// A log of which several shards can be shown.
pub trait Sharded {
    /// Its `key` leaves, with their indices.
    fn keys(&self) -> &[(u64, Key)];

    /// A time at which the leaves in front of this one were written, as late as they show one.
    fn latest_before(&self, index: u64) -> Option<Timestamp>;
}

impl Sharded for Queries {
    fn keys(&self) -> &[(u64, Key)] {
        &self.keys
    }

    fn latest_before(&self, index: u64) -> Option<Timestamp> {
        let frames = self.frames.iter().take_while(|frame| frame.index < index).map(|frame| frame.t);
        frames.chain(before(&self.closes, index).map(|close| close.t)).max()
    }
}

impl Sharded for Matches {
    fn keys(&self) -> &[(u64, Key)] {
        &self.keys
    }

    fn latest_before(&self, index: u64) -> Option<Timestamp> {
        let frames = before(&self.frames, index).map(|frame| frame.t);
        let others = before(&self.adopts, index).map(|adopt| adopt.t);
        frames.chain(others).chain(before(&self.closes, index).map(|close| close.t)).max()
    }
}

fn before<T>(leaves: &[(u64, T)], index: u64) -> impl Iterator<Item = &T> {
    leaves.iter().take_while(move |(at, _)| *at < index).map(|(_, leaf)| leaf)
}

/// What the logs of one party come to, taken together.
#[derive(Debug, Default)]
pub struct Continuity {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What is not judged, one sentence each.
    pub not_judged: Vec<String>,
    /// What the logs cover.
    pub coverage: Coverage,
}

/// Follows the shards of one party's log from one to the next. `remembered` is what was seen of its logs before, shown or
/// not; `days` are those that are audited, and `now` is in Unix seconds.
#[must_use]
pub fn follow<L: Sharded>(
    logs: &[(Audited, L)],
    remembered: &[Remembered],
    days: &RangeInclusive<Date>,
    now: u64,
) -> Continuity {
    let shown = logs.iter().filter_map(|(audited, log)| {
        let origin = LogOrigin::parse(&audited.origin).ok()?;
        Some(Shown { shard: origin.shard()?, origin, audited, log })
    });
    let chain = Chain { shown: shown.collect(), remembered, now };
    let mut all = Continuity::default();
    for shown in &chain.shown {
        *all.coverage.halves.entry(shown.shard.first()).or_insert(true) &= shown.audited.complete();
        all.findings.extend(shown.begins_with_nothing());
        all.findings.extend(chain.unfollowed(shown));
        chain.ended(shown, &mut all);
    }
    for hidden in chain.hidden() {
        chain.left_out(&hidden, days, &mut all);
    }
    all
}

struct Shown<'a, L> {
    shard: Shard,
    origin: LogOrigin,
    audited: &'a Audited,
    log: &'a L,
}

impl<L: Sharded> Shown<'_, L> {
    /// What the first leaf says of a log before.
    fn statement(&self) -> Option<(&LogOrigin, &Key)> {
        let (index, first) = self.log.keys().first()?;
        let previous = first.previous.as_ref()?;
        let shard = previous.shard()?;
        let before = shard < self.shard && shard.first() == self.shard.first();
        let same = previous.in_shard(self.shard) == self.origin;
        (self.readable() && *index == 0 && before && same).then_some((previous, first))
    }

    /// Whether the first leaf, or that there is none, is what was signed.
    fn readable(&self) -> bool {
        self.audited.sound && self.audited.holes.first() != Some(&0)
    }

    /// A log whose name says that it goes on from another, and that does not say what is lost.
    fn begins_with_nothing(&self) -> Option<Finding> {
        let previous = self.origin.predecessor().filter(|_| self.readable() && self.statement().is_none())?;
        let text = format!("it does not begin with what is lost of {previous}, or of one before that");
        let origin = &self.audited.origin;
        let place = if self.audited.size() > 0 { self.begin() } else { Place::checkpoint(origin) };
        Some(Finding::new(Code::L03, place, text).with("checkpoint", self.audited.note.clone()))
    }

    fn begin(&self) -> Place {
        Place::leaf(&self.audited.origin, 0)
    }
}

struct Chain<'a, L> {
    shown: Vec<Shown<'a, L>>,
    remembered: &'a [Remembered],
    now: u64,
}

/// What the first leaves of later logs say of one that was lost. More of it may come to light after the first of them.
struct Statements<'a, L> {
    by: Vec<(&'a Shown<'a, L>, &'a Key)>,
}

impl<'a, L: Sharded> Statements<'a, L> {
    /// Whether all of this is stated to be lost.
    fn cover(&self, from: u64, to: u64) -> bool {
        let mut at = from;
        while at < to {
            let further = self.by.iter().filter(|(_, key)| key.lost_from <= at).map(|(_, key)| key.lost_to).max();
            match further.filter(|further| *further > at) {
                Some(further) => at = further,
                None => return false,
            }
        }
        true
    }

    fn from(&self) -> u64 {
        self.by.iter().map(|(_, key)| key.lost_from).min().unwrap_or(0)
    }

    fn to(&self) -> u64 {
        self.by.iter().map(|(_, key)| key.lost_to).max().unwrap_or(0)
    }

    /// The log that states most.
    fn last(&self) -> Option<&'a Shown<'a, L>> {
        self.by.iter().max_by_key(|(shown, key)| (key.lost_to, shown.shard)).map(|(shown, _)| *shown)
    }

    /// When the first of them was made: since then nothing was written into the lost log.
    fn made(&self) -> u64 {
        self.by.iter().map(|(_, key)| key.t.unix()).min().unwrap_or(0)
    }
}

impl<L: Sharded> Chain<'_, L> {
    fn shown(&self, origin: &LogOrigin) -> Option<&Shown<'_, L>> {
        self.shown.iter().find(|shown| shown.origin == *origin)
    }

    fn statements(&self, origin: &LogOrigin) -> Statements<'_, L> {
        let of_it = |shown| Shown::statement(shown).filter(|(previous, _)| *previous == origin);
        Statements { by: self.shown.iter().filter_map(|shown| Some((shown, of_it(shown)?.1))).collect() }
    }

    /// The largest tree that was seen of a log.
    fn seen(&self, origin: &LogOrigin) -> Option<&Remembered> {
        let of_it = self.remembered.iter().filter(|seen| seen.origin == *origin && seen.size > 0);
        of_it.max_by_key(|seen| seen.size)
    }

    fn size(&self, origin: &LogOrigin) -> u64 {
        self.seen(origin).map_or(0, |seen| seen.size)
    }

    /// That a log has less than was seen of it, unless another one states that it is lost; that nobody cosigns it any more,
    /// unless another one is there.
    fn unfollowed(&self, shown: &Shown<'_, L>) -> Vec<Finding> {
        let said = self.statements(&shown.origin);
        let shrunk = shown.audited.shrunk.iter().filter(|(size, _)| !said.cover(shown.audited.size(), *size));
        let newer = self.shown.iter().any(|other| {
            let behind = other.shard > shown.shard && other.shard.first() == shown.shard.first();
            behind && other.statement().is_some()
        });
        let stale = shown.audited.stale.iter().filter(|_| !newer);
        shrunk.map(|(_, finding)| finding).chain(stale).cloned().collect()
    }

    /// A log that is shown, as far as it is there, and that others go on from.
    fn ended(&self, shown: &Shown<'_, L>, all: &mut Continuity) {
        let said = self.statements(&shown.origin);
        let Some(last) = said.last().filter(|_| shown.audited.sound) else { return };
        let (size, from, to) = (shown.audited.size(), said.from(), said.to());
        // Where it is smaller than it was seen before, too, that is the finding.
        if size < from && shown.audited.shrunk.is_empty() {
            let text =
                format!("leaves {size} to {} of {} are neither shown nor stated to be lost", from - 1, shown.origin);
            all.findings.push(Finding::new(Code::L03, last.begin(), text));
        }
        if from < to && size > to {
            let text = format!("{} was said to have ended with {to} leaves, and has {size}", shown.origin);
            all.findings.push(Finding::new(Code::T01, last.begin(), text));
        }
        let from = size.max(from);
        if from < to {
            let since = shown.log.latest_before(from).unwrap_or_else(|| shown.shard.start());
            all.missing(self.gap(&shown.origin, &said, last, from, Date::of(since)));
        }
    }

    /// What is lost from an index on, of a log whose last leaf before that was written on a day. What was asked on the day
    /// before may have ended behind it.
    fn gap(&self, of: &LogOrigin, said: &Statements<'_, L>, last: &Shown<'_, L>, from: u64, since: Date) -> Gap {
        Gap {
            log: of.clone(),
            said_by: last.origin.clone(),
            from,
            to: said.to(),
            since: since.previous(),
            until: Date::of(Timestamp::from_unix(said.made().min(self.now))),
            lost: true,
        }
    }

    /// Logs that were seen, or that others come after, and that are not shown; oldest first.
    fn hidden(&self) -> BTreeSet<LogOrigin> {
        let seen = self.remembered.iter().filter(|seen| seen.size > 0).map(|seen| seen.origin.clone());
        // A name can claim more generations than anybody has lost.
        let before = self.shown.iter().flat_map(|shown| {
            std::iter::successors(shown.origin.predecessor(), LogOrigin::predecessor).take(MOST_HIDDEN)
        });
        seen.chain(before).filter(|origin| self.shown(origin).is_none()).collect()
    }

    /// A log that is not shown: what was seen of it must be stated to be lost.
    fn left_out(&self, hidden: &LogOrigin, days: &RangeInclusive<Date>, all: &mut Continuity) {
        let Some(shard) = hidden.shard() else { return };
        let said = self.statements(hidden);
        if let Some(last) = said.last() {
            return self.ended_hidden(hidden, shard, &said, last, all);
        }
        let others: Vec<&Shown<'_, L>> =
            self.shown.iter().filter(|shown| shown.shard.first() == shard.first()).collect();
        let seen = self.seen(hidden).filter(|_| others.is_empty() || !self.lost_behind(hidden, shard));
        let Some(seen) = seen else {
            // One in front of one that is shown, which nobody has seen, or which was lost with one that came after.
            let next = others.iter().filter(|shown| shown.shard > shard).min_by_key(|shown| shown.shard);
            let begun = next.and_then(|next| Some((next, next.statement()?.1.t.unix())));
            if let Some((next, t)) = begun {
                let (said_by, since) = (next.origin.clone(), Date::of(shard.start()).previous());
                let until = Date::of(Timestamp::from_unix(t.min(self.now)));
                all.missing(Gap { log: hidden.clone(), said_by, from: 0, to: 0, since, until, lost: false });
            }
            return;
        };
        if others.is_empty() {
            let touched = Shard::of(days.start().start()) <= shard.first()
                && shard.first() <= Shard::of(days.end().next().start());
            if touched {
                all.not_judged.push(format!("{hidden}: seen before with {} leaves, and not shown", seen.size));
            }
            return;
        }
        // Where the next one says nothing, that is the finding.
        if others.iter().any(|shown| shown.begins_with_nothing().is_some()) {
            return;
        }
        let names: Vec<&str> = others.iter().map(|shown| shown.audited.origin.as_str()).collect();
        let text = format!(
            "{} has {} leaves; {} is shown, and neither this log nor a statement of what is lost of it",
            by(&seen.by),
            seen.size,
            names.join(", ")
        );
        let place = Place::checkpoint(&hidden.to_string());
        all.findings.push(Finding::new(Code::L03, place, text).with("checkpoint", seen.note.clone()));
    }

    /// A log that others go on from, and that is not shown.
    fn ended_hidden(
        &self,
        hidden: &LogOrigin,
        shard: Shard,
        said: &Statements<'_, L>,
        last: &Shown<'_, L>,
        all: &mut Continuity,
    ) {
        let (seen, from, to) = (self.size(hidden), said.from(), said.to());
        if !said.cover(0, seen) {
            let text = format!(
                "{hidden} was seen with {seen} leaves and is not shown, and {from} to {to} are stated to be lost"
            );
            all.findings.push(Finding::new(Code::L03, last.begin(), text));
        }
        let gap = self.gap(hidden, said, last, from, Date::of(shard.start()));
        if from > 0 {
            all.missing(Gap { from: 0, to: from, lost: false, ..gap.clone() });
        }
        if from < to {
            all.missing(gap);
        }
    }

    /// Whether a log behind this one was seen, too, and is lost with what its first leaf stated.
    fn lost_behind(&self, hidden: &LogOrigin, shard: Shard) -> bool {
        let later = self.remembered.iter().filter(|seen| {
            let behind = seen.origin.shard().is_some_and(|of| of > shard && of.first() == shard.first());
            behind && seen.origin.in_shard(shard) == *hidden && seen.size > 0 && self.shown(&seen.origin).is_none()
        });
        later.into_iter().any(|seen| {
            let (said, size) = (self.statements(&seen.origin), self.size(&seen.origin));
            !said.by.is_empty() && said.cover(0, size)
        })
    }
}

impl Continuity {
    /// Leaves that are not there, and what cannot be judged without them.
    fn missing(&mut self, gap: Gap) {
        let Gap { log, said_by, from, to, since, until, .. } = &gap;
        let what = if from < to { format!("leaves {from} to {}", to - 1) } else { "what it has".to_owned() };
        let why = if gap.lost {
            format!("are lost, as the first leaf of {said_by} says")
        } else {
            format!("not shown, and in front of {said_by}")
        };
        self.not_judged.push(format!("{log}: {what}, written from {since} to {until} at most, {why}"));
        self.coverage.gaps.push(gap);
    }
}
