//! A synthetic month of one agency and two platforms: real frames, proofs, receipts and trees, made-up digests.

pub mod agency;
pub mod evidence;
pub mod log;
pub mod platform;
pub mod shown;

use std::{cell::Cell, collections::BTreeMap};

use ed25519_dalek::SigningKey;
use rand::{SeedableRng, rngs::StdRng};
use veilmatch_audit::{
    closing::{AnsweredFrame, Closing, Day},
    cosignature::Cosigner,
    date::Date,
    leaf::{Close, Key, Leaf, Nonce, Pad, Role, VerifierKey},
    origin::{LogOrigin, Shard},
    policy::Policy,
    reconcile::{CanaryLine, Terms},
};
use veilmatch_protocol::{
    derive::Tag,
    manifest::Timestamp,
    name::{Epoch, ListId},
};

use agency::{Agency, UNSEEN};
use log::Log;
use platform::Platform;

/// When the audit is made.
pub const NOW: &str = "2026-11-01T01:00:00Z";

/// When the newest checkpoints were cosigned.
pub const COSIGNED: &str = "2026-11-01T00:45:00Z";

/// When the audit before was made.
pub const BEFORE: &str = "2026-10-16T00:40:00Z";

thread_local! {
    // Days by which the month that is being made, or audited, is earlier than October.
    static EARLIER: Cell<u64> = const { Cell::new(0) };
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::from_unix(Timestamp::parse(text).unwrap().unix() - EARLIER.get() * 86_400)
}

/// What is done within it is done so many days before October.
pub fn days_earlier<T>(days: u64, act: impl FnOnce() -> T) -> T {
    let before = EARLIER.replace(days);
    let done = act();
    EARLIER.set(before);
    done
}

/// Days from the first of July to the sixteenth of October: the fifteenth is the last day of a half-year.
pub const TO_JULY: u64 = 107;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn nonce(rng: &mut StdRng) -> Nonce {
    let mut bytes = [0; 16];
    rand::Rng::fill_bytes(rng, &mut bytes);
    Nonce(bytes)
}

pub fn list() -> ListId {
    ListId::parse("baseline").unwrap()
}

/// Everything that the parties have.
pub struct World {
    pub agency: Agency,
    pub platforms: Vec<Platform>,
    pub canaries: Vec<CanaryLine>,
    pub terms: Terms,
    /// Sizes of the logs at the audit before, by origin; empty for the first audit.
    pub audited: BTreeMap<String, usize>,
    pub rng: StdRng,
    /// Who lost its log on the morning of the 20th, and first index of what is lost.
    pub lost: Option<(String, u64)>,
    /// Days by which the month is earlier than October.
    pub earlier: u64,
}

impl World {
    /// October 2026, without anything wrong in it.
    pub fn month() -> Self {
        Self::with_withdrawn(UNSEEN)
    }

    /// The same month, in which this entry was withdrawn on the 8th.
    pub fn with_withdrawn(entry: usize) -> Self {
        Self::made(entry, None)
    }

    /// The same month, in which somebody lost what its log had since the end of the 17th, and goes on with another.
    pub fn with_lost(party: &str) -> Self {
        Self::made(UNSEEN, Some(party))
    }

    /// The same month, whose fifteenth is the last day of June.
    pub fn around_midsummer() -> Self {
        let world = days_earlier(TO_JULY, || Self::made(UNSEEN, None));
        Self { earlier: TO_JULY, ..world }
    }

    fn made(entry: usize, loses: Option<&str>) -> Self {
        let rng = StdRng::seed_from_u64(20_261_001);
        let agency = Agency::new(entry);
        let platforms = vec![Platform::new("platform.example", 10), Platform::new("videos.example", 20)];
        let terms = Terms { receipt_days: Some(7), erase_days: None, certificates: 0 };
        let mut world = Self {
            agency,
            platforms,
            canaries: Vec::new(),
            terms,
            audited: BTreeMap::new(),
            rng,
            lost: None,
            earlier: 0,
        };
        world.agency.publish(&mut world.rng);
        world.canaries = world.agency.planted();
        for day in 1..=31 {
            if let Some((party, from)) = world.lost.clone().filter(|_| day == 20) {
                world.go_on(&party, from, at("2026-10-20T05:00:00Z"));
            }
            world.day(day);
            if let Some(party) = loses.filter(|_| day == 17) {
                world.lost = Some((party.to_owned(), world.newest(party).leaves.len() as u64));
            }
            if day == 15 {
                world.platforms.iter_mut().for_each(|platform| platform.pad(&mut world.rng));
                let logs = world.logs();
                world.audited = logs.into_iter().map(|log| (log.origin.clone(), log.leaves.len())).collect();
            }
        }
        let last = at("2026-10-31T00:00:00Z");
        let canaries: Vec<Tag> = world.canaries.iter().map(|line| line.opening.canary().tag).collect();
        for platform in &mut world.platforms {
            // Nothing is written any more into a log that was lost.
            if platform.earlier.is_empty() || loses.is_none() {
                platform.erase(&canaries, last, &mut world.rng);
            }
            let leaves = &mut platform.log.leaves;
            // Some to spare, where a test writes something else.
            leaves.push(Leaf::from(Pad { nonce: nonce(&mut world.rng) }).encode().unwrap());
            platform.pad(&mut world.rng);
        }
        world
    }

    fn day(&mut self, day: u64) {
        let date = at(&format!("2026-10-{day:02}T00:00:00Z"));
        for platform in &mut self.platforms {
            platform.adopt(&self.agency, date, &mut self.rng);
        }
        if !day.is_multiple_of(7) {
            for hour in [9, 12, 18] {
                for platform in &mut self.platforms {
                    platform.ask(
                        &mut self.agency,
                        Timestamp::from_unix(date.unix() + hour * 3_600 + 120),
                        &mut self.rng,
                    );
                }
            }
        }
        let shard = Shard::of(Date::of(date).next().start());
        self.agency.turn(shard);
        self.platforms.iter_mut().for_each(|platform| platform.turn(shard));
        for at in 0..self.platforms.len() {
            self.close(at, Date::of(date));
            self.platforms[at].total(Date::of(date), &mut self.rng);
        }
    }

    /// Both sides close the day.
    fn close(&mut self, at: usize, date: Date) {
        let mut by_epoch: BTreeMap<u32, Vec<AnsweredFrame>> = BTreeMap::new();
        let platform = self.platforms[at].name.clone();
        let leaves = self.agency.earlier.iter().flat_map(|log| &log.leaves);
        for leaf in leaves.chain(&self.agency.query.leaves) {
            let Ok(Leaf::Query(query)) = Leaf::decode(leaf) else { continue };
            if let Some(resp) = query.resp.filter(|_| query.platform == platform && date.contains(query.t)) {
                let frames = by_epoch.entry(query.epoch.0).or_default();
                frames.push(AnsweredFrame { req: query.req, resp, n: query.n });
            }
        }
        let t = Timestamp::from_unix(date.next().start().unix() + 1_800);
        for (epoch, frames) in by_epoch {
            let (agency, platform) = (self.agency.name.clone(), platform.clone());
            let day =
                Day { agency: agency.clone(), platform: platform.clone(), list: list(), epoch: Epoch(epoch), date };
            let digest = Closing::of(day, frames).digest().unwrap();
            let leaf = |rng: &mut StdRng| Close {
                agency: agency.clone(),
                date,
                digest,
                epoch: Epoch(epoch),
                list: list(),
                nonce: nonce(rng),
                platform: platform.clone(),
                t,
            };
            self.agency.query.leaves.push(leaf(&mut self.rng).encode().unwrap());
            self.platforms[at].log.leaves.push(leaf(&mut self.rng).encode().unwrap());
        }
    }

    pub fn logs(&self) -> Vec<&Log> {
        let match_logs = self.platforms.iter().flat_map(Platform::logs);
        std::iter::once(&self.agency.manifest).chain(self.agency.queries()).chain(match_logs).collect()
    }

    fn newest(&mut self, party: &str) -> &mut Log {
        match self.platforms.iter_mut().find(|platform| platform.name.as_str() == party) {
            Some(platform) => &mut platform.log,
            None => &mut self.agency.query,
        }
    }

    /// A log that was lost from an index on goes on as another, whose first leaf says so.
    fn go_on(&mut self, party: &str, from: u64, t: Timestamp) {
        let nonce = nonce(&mut self.rng);
        let log = self.newest(party);
        let origin = LogOrigin::parse(&log.origin).unwrap();
        let next = origin.in_shard(origin.shard().unwrap().successor());
        let role = if matches!(origin, LogOrigin::Query(..)) { Role::QueryLog } else { Role::MatchLog };
        let first = Key {
            cross: None,
            key: VerifierKey::signer(&origin.key_name(), log.key.verifying_key()).unwrap(),
            lost_from: from,
            lost_to: log.leaves.len() as u64,
            nonce,
            old: None,
            previous: Some(origin.clone()),
            role,
            t,
        };
        let mut new = Log::new(&next.to_string(), &log.key);
        new.leaves.push(first.encode().unwrap());
        let old = std::mem::replace(log, new);
        match self.platforms.iter_mut().find(|platform| platform.name.as_str() == party) {
            Some(platform) => {
                platform.lose(&origin, from);
                platform.earlier.push(old);
            }
            None => self.agency.earlier.push(old),
        }
    }

    /// Everybody who cosigns: the agency, both platforms, and a third party.
    pub fn witnesses() -> Vec<Cosigner> {
        let names = ["agency.example", "platform.example", "videos.example", "witness.example"];
        let name = |name| format!("{name}/veilmatch/witness");
        (30..).zip(names).map(|(seed, of)| Cosigner::new(&name(of), key(seed)).unwrap()).collect()
    }

    /// Two of the four, of whom a log's own keeper does not count.
    pub fn policy() -> Policy {
        Policy::parse(&Self::policy_text()).unwrap()
    }

    pub fn policy_text() -> String {
        let mut text = String::new();
        for (at, witness) in Self::witnesses().iter().enumerate() {
            text += &format!("witness w{at} {}\n", witness.witness());
        }
        text + "group q 2 w0 w1 w2 w3\nquorum q\n"
    }
}
