//! The match log: what this platform says it asked, found and did, for auditors to compare with the agency's (SPEC §18.5,
//! §19). Nothing in it tells what matched: a match is a salted commitment, and its opening lies outside, sealed.

mod action;
mod closing;
mod days;
mod erase;
mod hand_out;
mod matches;
mod names;
mod publish;
mod read;
mod record;
mod recover;
mod vault;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ed25519_dalek::SigningKey;
use rand::{Rng, rand_core::UnwrapErr, rngs::SysRng};
use veilmatch_audit::{
    date::Date,
    leaf::{Adopt, Code, Frame, FrameStatus, Nonce, Pad},
    origin::Shard,
};
use veilmatch_protocol::{
    frame::{BatchId, View},
    manifest::{Hash, SignedManifest, Timestamp},
    merkle,
    name::{AgencyName, ListId, PlatformId, Version},
};

use crate::{
    Error,
    frames::now,
    outcome::NotChecked,
    state_dir::StateDir,
    store::{End, Ended, Entry, Flush, FrameRow, NewBlock, Pending, Sent, Store},
};
pub use action::{Action, Taken};
pub use erase::Erased;
pub(crate) use matches::{Hit, Opened};
pub use names::{LogName, Place};
pub use publish::Published;
pub use read::{ActionView, MatchView};
pub use recover::Recovered;
pub(crate) use vault::Vault;

/// The match log of one platform about one agency.
pub(crate) struct MatchLog {
    store: Arc<Store>,
    dir: StateDir,
    platform: PlatformId,
    agency: AgencyName,
    key: SigningKey,
    receipts: SigningKey,
    vault: Vault,
    // What waits to be added to the totals of days, for the next transaction: one comes before anything of it is answered.
    pending: Mutex<Pending>,
    publishing: tokio::sync::Mutex<()>,
}

/// What is counted, and how often.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What came of a frame, or of none where everything was known.
#[derive(Default)]
pub(crate) struct Brought {
    /// The frame, its end, and how many items were asked in it.
    pub(crate) end: Option<(BatchId, Ended, usize)>,
    /// Results, to be kept.
    pub(crate) block: Option<NewBlock>,
}

/// The two keys that sign what is about the match log.
pub(crate) struct LogKeys {
    pub(crate) log: SigningKey,
    pub(crate) receipts: SigningKey,
}

impl MatchLog {
    pub(crate) fn open(
        dir: &StateDir,
        store: Arc<Store>,
        (platform, agency): (PlatformId, AgencyName),
        keys: LogKeys,
    ) -> Result<Self, Error> {
        let vault = Vault::open(dir)?;
        let (pending, publishing) = (Mutex::default(), tokio::sync::Mutex::default());
        let LogKeys { log: key, receipts } = keys;
        Ok(Self { store, dir: dir.clone(), platform, agency, key, receipts, vault, pending, publishing })
    }

    /// Frames that a killed process left without an end; gives their number.
    pub(crate) fn abandon_unfinished(&self) -> Result<usize, Error> {
        let now = now();
        let leaf = |row: &FrameRow| frame_leaf(row, &Ended::Abandoned, now);
        self.store.abandon_unfinished((&shard(now), &date(now)), leaf)
    }

    /// The intent to send a frame, durable with what was offered for it.
    pub(crate) fn frame_sent(&self, sent: &Sent<'_>) -> Result<(), Error> {
        let pending = self.take_pending();
        self.store.frame_sent(sent, &pending).inspect_err(|_| self.put_back(pending))
    }

    /// The end of a frame that brought nothing, in which so many items were asked.
    pub(crate) fn frame_ended(&self, list: &ListId, batch: BatchId, ended: Ended, queried: usize) -> Result<(), Error> {
        self.keep(list, &Brought { end: Some((batch, ended, queried)), block: None })
    }

    /// Records what a frame brought, before anything of it is looked up. It is on the disk with the transaction after it: the
    /// next intent, or the answers, before which nobody is told anything.
    pub(crate) fn keep(&self, list: &ListId, brought: &Brought) -> Result<(), Error> {
        if brought.end.is_none() && brought.block.is_none() {
            return Ok(());
        }
        let (now, mut counts) = (now(), Counts::new());
        let ended = brought.end.as_ref().map(|(batch, ended, queried)| {
            counts.insert("queried".to_owned(), *queried as u64);
            (*batch, ended, |row: &FrameRow| frame_leaf(row, ended, now))
        });
        let end = ended.as_ref().map(|(batch, ended, leaf)| End { batch: *batch, ended, leaf });
        let entry = Entry { end, block: brought.block.as_ref(), found: None };
        self.record(list, &entry, counts, now, Flush::Later)
    }

    fn record(
        &self,
        list: &ListId,
        entry: &Entry<'_>,
        counts: Counts,
        now: Timestamp,
        flush: Flush,
    ) -> Result<(), Error> {
        let (shard, date) = (shard(now), date(now));
        // What waits, waits for a flush: somebody may be told after it.
        let pending = if flush == Flush::Now { self.take_pending() } else { Pending::new() };
        let mut totals = pending.clone();
        for (what, n) in counts {
            *totals.entry((list.to_string(), date.clone(), what)).or_default() += n;
        }
        self.store.record((&shard, &date), entry, &totals, flush).inspect_err(|_| self.put_back(pending))
    }

    /// This platform uses a version from now on.
    pub(crate) fn adopted(&self, list: &ListId, signed: &SignedManifest, view: View) -> Result<(), Error> {
        let (manifest, now) = (signed.manifest(), now());
        let leaf = Adopt {
            agency: self.agency.clone(),
            epoch: veilmatch_protocol::name::Epoch(manifest.epoch),
            list: list.clone(),
            manifest: Hash(merkle::leaf_hash(signed.leaf())),
            nonce: nonce(),
            t: now,
            version: Version(manifest.version),
            view,
        };
        let leaf = leaf.encode().expect("a verified manifest has numbers within their limits");
        self.store.set_held(list, Version(manifest.version), &shard(now), &leaf)
    }

    /// Counts what was offered for a check, answered, or could not be checked, in items. It is durable with the frame that
    /// it is offered for, or before the answer is given out.
    pub(crate) fn count(&self, list: &ListId, what: &str, items: u64) {
        *self.pending().entry((list.to_string(), date(now()), what.to_owned())).or_default() += items;
    }

    /// Counts items that could not be checked.
    pub(crate) fn count_not_checked(&self, list: &ListId, why: &NotChecked, items: u64) {
        self.count(list, &not_checked(why), items);
    }

    /// Makes totals durable that wait.
    pub(crate) fn flush_totals(&self) -> Result<(), Error> {
        let pending = self.take_pending();
        self.store.add_totals(&pending).inspect_err(|_| self.put_back(pending))
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_pending(&self) -> Pending {
        std::mem::take(&mut *self.pending())
    }

    fn put_back(&self, numbers: Pending) {
        let mut pending = self.pending();
        numbers.into_iter().for_each(|(what, n)| *pending.entry(what).or_default() += n);
    }
}

/// What items are counted as that could not be checked.
pub(crate) fn not_checked(why: &NotChecked) -> String {
    format!("not_checked:{}", why.reason())
}

fn frame_leaf(row: &FrameRow, ended: &Ended, now: Timestamp) -> Vec<u8> {
    let (status, code, answered) = match ended {
        Ended::Answered(answered) => (FrameStatus::Answered, None, Some(answered)),
        Ended::Refused(code) => (FrameStatus::Refused, Some(*code), None),
        Ended::Abandoned => (FrameStatus::Abandoned, None, None),
    };
    let leaf = Frame {
        ack: answered.map(|answered| Hash(answered.ack)),
        batch: row.batch,
        code: code.map(|code| Code::parse(code).expect("names of reasons are of this form")),
        epoch: row.epoch,
        list: row.list.clone(),
        n: row.n,
        nonce: nonce(),
        req: row.req,
        resp: answered.map(|answered| answered.resp),
        status,
        t: now.hour(),
    };
    leaf.encode().expect("what was recorded before sending is within its limits")
}

fn pad() -> Vec<u8> {
    Pad { nonce: nonce() }.encode().expect("a pad has nothing but a nonce")
}

/// So that a leaf's hash cannot be guessed.
fn nonce() -> Nonce {
    let mut bytes = [0; 16];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    Nonce(bytes)
}

/// The half-year whose log leaves of this time go to.
fn shard(now: Timestamp) -> String {
    Shard::of(now).to_string()
}

fn date(now: Timestamp) -> String {
    Date::of(now).to_string()
}

#[cfg(test)]
mod tests;
