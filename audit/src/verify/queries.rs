//! The leaves of a query log by themselves: signatures, batch ids, budgets' raw material, times (L08, Q04, Q05, T01).

use std::collections::{BTreeSet, HashMap};

use veilmatch_protocol::{
    frame::{BatchId, FrameSize, MINUTE_SKEW, RequestDigest, ResponseDigest, View},
    manifest::Timestamp,
    name::PlatformId,
};

use super::{Read, keys, manifests::SLACK};
use crate::{
    finding::{Code, Finding, Place},
    leaf::{self, Close, Key, Leaf, Query, QueryStatus},
};

/// Seconds within which an acknowledged leaf is under a checkpoint, with the rounding of its minute.
const PROMISE: u64 = 60 + 60;

/// A frame as the query log has it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which of the logs that were read.
    pub origin: std::sync::Arc<str>,
    /// Index of the leaf.
    pub index: u64,
    /// Leaf hash.
    pub leaf_hash: [u8; 32],
    /// Who asked.
    pub platform: PlatformId,
    /// The list.
    pub list: veilmatch_protocol::name::ListId,
    /// The epoch.
    pub epoch: u32,
    /// The version that was named.
    pub version: u32,
    /// The frame's id.
    pub batch: BatchId,
    /// Elements.
    pub n: FrameSize,
    /// Names the frame.
    pub req: RequestDigest,
    /// Names the answer; none of a refused frame.
    pub resp: Option<ResponseDigest>,
    /// Why it was refused.
    pub code: Option<leaf::Code>,
    /// What the platform had seen.
    pub view: View,
    /// The platform's minute.
    pub minute: u64,
    /// The server's minute.
    pub t: Timestamp,
    /// Whether the platform signed it.
    pub signed: bool,
}

impl Asked {
    /// Its place.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::leaf(&self.origin, self.index)
    }

    /// Whether it was answered.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.resp.is_some()
    }
}

/// What a query log says.
#[derive(Debug)]
pub struct Queries {
    origin: std::sync::Arc<str>,
    now: u64,
    bounds: Vec<(u64, u64)>,
    // The first answered leaf of each batch id.
    answered: HashMap<(PlatformId, String, u32, BatchId), u64>,
    latest: u64,
    /// The frames, in order.
    pub frames: Vec<Asked>,
    /// Closing statements, with the index of the leaf.
    pub closes: Vec<(u64, Close)>,
    /// Key changes, with the index of the leaf.
    pub keys: Vec<(u64, Key)>,
    /// Platforms that asked and of which no request key is known: their signatures are not judged.
    pub strangers: BTreeSet<PlatformId>,
    known: BTreeSet<PlatformId>,
}

impl Queries {
    /// What the log `origin` says, read at `now`; `bounds` are sizes with the Unix second at which they were cosigned, and
    /// `known` the platforms whose request keys are.
    #[must_use]
    pub fn new(origin: &str, now: u64, bounds: &[(u64, u64)], known: BTreeSet<PlatformId>) -> Self {
        Self {
            origin: origin.into(),
            now,
            bounds: bounds.to_vec(),
            answered: HashMap::new(),
            latest: 0,
            frames: Vec::new(),
            closes: Vec::new(),
            keys: Vec::new(),
            strangers: BTreeSet::new(),
            known,
        }
    }

    /// Origin of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is not judged in it, one sentence each.
    pub fn not_judged(&self) -> impl Iterator<Item = String> {
        self.strangers.iter().map(|platform| format!("frames of {platform}: no request key"))
    }

    /// Takes the next leaf, whose signature was checked; gives what is wrong with it.
    pub fn take(&mut self, read: Read) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, read.index);
        let found = |code, text: &str| vec![Finding::new(code, place.clone(), text)];
        let findings = match read.leaf {
            Some(Leaf::Query(query)) => self.query(read.index, &read.bytes, query, read.passed),
            Some(Leaf::Close(leaf)) => {
                self.closes.push((read.index, leaf));
                Vec::new()
            }
            Some(Leaf::Key(leaf)) => {
                let finding = keys::judge(&self.origin, read.index, &leaf);
                self.keys.push((read.index, leaf));
                finding.into_iter().collect()
            }
            Some(Leaf::Pad(_)) => Vec::new(),
            Some(_) => found(Code::L08, "a leaf of this type does not belong into a query log"),
            None => found(Code::L08, "the leaf cannot be read"),
        };
        findings.into_iter().map(|finding| finding.with("leaf.json", read.bytes.clone())).collect()
    }

    fn query(&mut self, index: u64, bytes: &[u8], query: Query, signed: bool) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, index);
        let mut findings = Vec::new();
        if !self.known.contains(&query.platform) {
            self.strangers.insert(query.platform.clone());
        } else if !signed {
            let text = format!("the request signature does not verify under a key of {}", query.platform);
            findings.push(Finding::new(Code::Q04, place.clone(), text));
        }
        if query.status == QueryStatus::Ok {
            let id = (query.platform.clone(), query.list.to_string(), query.epoch.0, query.batch);
            if let Some(first) = self.answered.get(&id) {
                let text = format!("the batch was answered in leaf {first} before");
                findings.push(Finding::new(Code::Q05, place.clone(), text));
            } else {
                self.answered.insert(id, index);
            }
        }
        if let Some(text) = self.impossible(index, &query) {
            findings.push(Finding::new(Code::T01, place, text));
        }
        self.latest = self.latest.max(query.t.unix());
        self.frames.push(Asked {
            origin: self.origin.clone(),
            index,
            leaf_hash: leaf::hash(bytes),
            platform: query.platform,
            list: query.list,
            epoch: query.epoch.0,
            version: query.version.0,
            batch: query.batch,
            n: query.n,
            req: query.req,
            resp: query.resp,
            code: query.code,
            view: query.view,
            minute: query.minute,
            t: query.t,
            signed,
        });
        findings
    }

    fn impossible(&self, index: u64, query: &Query) -> Option<String> {
        let t = query.t.unix();
        if t > self.now + SLACK {
            return Some("the leaf is of the future".into());
        }
        if t + SLACK < self.latest {
            return Some("the leaf is more than ten minutes older than one before it".into());
        }
        if query.status == QueryStatus::Ok && (t / 60).abs_diff(query.minute) > MINUTE_SKEW {
            return Some("the two sides' minutes are more than ten apart, and it was answered".into());
        }
        back_dated(&self.bounds, index, t + PROMISE)
    }
}

/// A leaf behind a tree that was cosigned cannot be older than that, but for the time until it is under a checkpoint.
pub(super) fn back_dated(bounds: &[(u64, u64)], index: u64, latest: u64) -> Option<String> {
    let older = bounds.iter().any(|&(size, cosigned)| index >= size && latest + SLACK < cosigned);
    older.then(|| "the leaf is older than the tree before it: back-dated, or kept back".to_owned())
}
