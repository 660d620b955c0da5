//! The leaves of a match log by themselves: versions adopted, days, erasures, references (D02, L08, M01, Q05, T01).

use std::collections::{BTreeMap, HashMap};

use veilmatch_protocol::{frame::BatchId, manifest::Timestamp};

use super::{Read, keys, manifests::SLACK, queries::back_dated};
use crate::{
    finding::{Code, Finding, Place},
    leaf::{Action, Adopt, Close, Day, Erase, Frame, FrameStatus, Key, Leaf, Match},
    origin::LogOrigin,
};

/// Seconds within which a leaf is under a checkpoint.
const PROMISE: u64 = 3_600;

/// What a match log says.
#[derive(Debug)]
pub struct Matches {
    /// Origin of the log.
    pub origin: String,
    now: u64,
    bounds: Vec<(u64, u64)>,
    /// Versions adopted, with the index of the leaf.
    pub adopts: Vec<(u64, Adopt)>,
    /// Frames, with the index of the leaf.
    pub frames: Vec<(u64, Frame)>,
    /// Matches by index.
    pub matches: BTreeMap<u64, Match>,
    /// Actions, with the index of the leaf.
    pub actions: Vec<(u64, Action)>,
    /// Totals, with the index of the leaf.
    pub days: Vec<(u64, Day)>,
    /// Closing statements, with the index of the leaf.
    pub closes: Vec<(u64, Close)>,
    /// Match leaves whose openings are destroyed, and when.
    pub erased: BTreeMap<u64, Timestamp>,
    /// What says so of match leaves of earlier logs, with the index of the leaf.
    pub erased_before: Vec<(u64, Erase)>,
    /// Key changes, with the index of the leaf.
    pub keys: Vec<(u64, Key)>,
    // First leaf of each batch id.
    batches: HashMap<BatchId, usize>,
    adopted: BTreeMap<(String, u32), u32>,
}

impl Matches {
    /// What the log `origin` says, read at `now`; `bounds` are sizes with the Unix second at which they were cosigned.
    #[must_use]
    pub fn new(origin: &str, now: u64, bounds: &[(u64, u64)]) -> Self {
        Self {
            origin: origin.to_owned(),
            now,
            bounds: bounds.to_vec(),
            adopts: Vec::new(),
            frames: Vec::new(),
            matches: BTreeMap::new(),
            actions: Vec::new(),
            days: Vec::new(),
            closes: Vec::new(),
            erased: BTreeMap::new(),
            erased_before: Vec::new(),
            keys: Vec::new(),
            batches: HashMap::new(),
            adopted: BTreeMap::new(),
        }
    }

    /// The frame of a batch id.
    #[must_use]
    pub fn frame(&self, batch: &BatchId) -> Option<&(u64, Frame)> {
        self.batches.get(batch).map(|&at| &self.frames[at])
    }

    /// Takes the next leaf; gives what is wrong with it.
    pub fn take(&mut self, read: Read) -> Vec<Finding> {
        let (index, origin) = (read.index, self.origin.clone());
        let wrong = match read.leaf {
            None => Some((Code::L08, "the leaf cannot be read".to_owned())),
            Some(Leaf::Adopt(leaf)) => self.adopt(index, leaf),
            Some(Leaf::Frame(leaf)) => self.frame_ended(index, leaf),
            Some(Leaf::Match(leaf)) => self.matched(index, leaf),
            Some(Leaf::Action(leaf)) => self.acted(index, leaf),
            Some(Leaf::Day(leaf)) => self.day(index, leaf),
            Some(Leaf::Close(leaf)) => {
                self.closes.push((index, leaf));
                None
            }
            Some(Leaf::Erase(leaf)) => self.erase(index, leaf),
            Some(Leaf::Pad(_)) => None,
            Some(Leaf::Key(leaf)) => {
                let finding = keys::judge(&origin, index, &leaf);
                self.keys.push((index, leaf));
                finding.map(|finding| (finding.code, finding.evidence.text))
            }
            Some(_) => Some((Code::L08, "a leaf of this type does not belong into a match log".to_owned())),
        };
        let finding =
            |(code, text)| Finding::new(code, Place::leaf(&origin, index), text).with("leaf.json", read.bytes);
        wrong.map(finding).into_iter().collect()
    }

    fn adopt(&mut self, index: u64, leaf: Adopt) -> Option<(Code, String)> {
        let newest = self.adopted.entry((leaf.list.to_string(), leaf.epoch.0)).or_default();
        let (back, before) = (leaf.version.0 <= *newest, *newest);
        *newest = leaf.version.0.max(before);
        let late = self.late(index, leaf.t.unix(), 0);
        let version = leaf.version.0;
        self.adopts.push((index, leaf));
        if back {
            return Some((Code::M01, format!("version {version} was adopted after {before}")));
        }
        late
    }

    fn frame_ended(&mut self, index: u64, leaf: Frame) -> Option<(Code, String)> {
        let late = if leaf.status == FrameStatus::Abandoned { None } else { self.late(index, leaf.t.unix(), 3_600) };
        let first = self.batches.get(&leaf.batch).map(|&at| self.frames[at].0);
        self.batches.entry(leaf.batch).or_insert(self.frames.len());
        self.frames.push((index, leaf));
        match first {
            Some(first) => Some((Code::Q05, format!("the batch ended in leaf {first} before"))),
            None => late,
        }
    }

    fn matched(&mut self, index: u64, leaf: Match) -> Option<(Code, String)> {
        let late = self.late(index, leaf.t.unix(), 86_400);
        self.matches.insert(index, leaf);
        late
    }

    fn acted(&mut self, index: u64, leaf: Action) -> Option<(Code, String)> {
        let wrong = self.wrong_reference(&leaf.log, &[leaf.index]);
        let late = self.late(index, leaf.t.unix(), 86_400);
        self.actions.push((index, leaf));
        wrong.map(|text| (Code::D02, text)).or(late)
    }

    /// What is wrong with naming match leaves. Those of an earlier log are only there where that log is shown, too.
    fn wrong_reference(&self, log: &LogOrigin, indices: &[u64]) -> Option<String> {
        if log.to_string() == self.origin {
            let unknown = indices.iter().find(|index| !self.matches.contains_key(index));
            return unknown.map(|index| format!("leaf {index} is no match before it"));
        }
        let is_earlier = match (LogOrigin::parse(&self.origin), log) {
            (Ok(LogOrigin::Match(platform, agency, here)), LogOrigin::Match(of, about, there)) => {
                (&platform, &agency) == (of, about) && *there < here
            }
            _ => false,
        };
        (!is_earlier).then(|| format!("{log} is no earlier log of the same two parties"))
    }

    fn day(&mut self, index: u64, leaf: Day) -> Option<(Code, String)> {
        let again = self.days.iter().any(|(_, day)| day.date == leaf.date && day.list == leaf.list);
        let text = again.then(|| format!("{} of {} is there twice", leaf.date, leaf.list));
        self.days.push((index, leaf));
        text.map(|text| (Code::D02, text))
    }

    fn erase(&mut self, index: u64, leaf: Erase) -> Option<(Code, String)> {
        let wrong = self.wrong_reference(&leaf.log, &leaf.indices);
        if leaf.log.to_string() == self.origin {
            for index in leaf.indices.iter().filter(|index| self.matches.contains_key(index)) {
                self.erased.entry(*index).or_insert(leaf.t);
            }
        } else {
            self.erased_before.push((index, leaf));
        }
        wrong.map(|text| (Code::E01, text))
    }

    fn late(&self, index: u64, t: u64, rounding: u64) -> Option<(Code, String)> {
        let text = if t > self.now + SLACK {
            Some("the leaf is of the future".to_owned())
        } else {
            back_dated(&self.bounds, index, t + rounding + PROMISE)
        };
        text.map(|text| (Code::T01, text))
    }
}
