//! A platform: it adopts versions, asks frames, logs matches, and closes days.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use rand::{Rng, RngExt, rngs::StdRng};
use sha2::{Digest, Sha256};
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    date::Date,
    leaf::{
        self, Action, Adopt, Code, Day, Erase, Frame, FrameStatus, Leaf, Match, Pad, Query, QueryStatus, Signature,
    },
    opening::Opening,
    origin::{LogOrigin, Shard},
    reconcile::Acknowledged,
    tree::{Edge, inclusion_proof},
};
use veilmatch_protocol::{
    artifact::Artifact,
    derive::{EpochContext, Tag},
    frame::{
        BatchId, BlindedFrame, Evaluated, FrameContext, FrameSize, ResponseDigest, View, answer, request_digest,
        response_digest, signed_message,
    },
    item::{Item, Kind},
    manifest::{Hash, Manifest, Timestamp},
    merkle,
    name::{Epoch, Origin, PlatformId, Version},
    receipt::{ElementOpening, OpenedBlind, Receipt, Salt, commit},
};

use super::{agency::Agency, key, list, log::Log, nonce};

pub struct Platform {
    pub name: PlatformId,
    pub request_key: SigningKey,
    pub receipt_key: SigningKey,
    /// The newest match log.
    pub log: Log,
    /// Those before it.
    pub earlier: Vec<Log>,
    pub acks: Vec<Acknowledged>,
    pub openings: Vec<Opening>,
    adopted: u32,
    asked: u64,
    // Of the matches, in the order of the openings.
    pub matched: Vec<Tag>,
    totals: BTreeMap<Date, (u64, u64, u64, u64)>,
}

impl Platform {
    pub fn new(name: &str, seed: u8) -> Self {
        Self {
            name: PlatformId::parse(name).unwrap(),
            request_key: key(seed),
            receipt_key: key(seed + 1),
            log: Log::new(
                &format!("{name}/veilmatch/match/agency.example/{}", Shard::of(super::at("2026-10-01T00:00:00Z"))),
                &key(seed + 2),
            ),
            earlier: Vec::new(),
            acks: Vec::new(),
            openings: Vec::new(),
            adopted: 0,
            asked: 0,
            matched: Vec::new(),
            totals: BTreeMap::new(),
        }
    }

    /// All match logs, oldest first.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.earlier.iter().chain([&self.log])
    }

    /// What comes now goes to the log of this half-year.
    pub fn turn(&mut self, shard: Shard) {
        self.earlier.extend(self.log.turn(shard));
    }

    /// With a part of a log, its openings are lost.
    pub fn lose(&mut self, log: &LogOrigin, from: u64) {
        let lost = |opening: &Opening| opening.log == *log && opening.index >= from;
        let kept: Vec<bool> = self.openings.iter().map(|opening| !lost(opening)).collect();
        let mut keep = kept.iter();
        self.matched.retain(|_| *keep.next().unwrap());
        self.openings.retain(|opening| !lost(opening));
    }

    fn view(agency: &Agency, version: u32) -> View {
        let size = agency.view_size(version);
        let mut edge = Edge::default();
        agency.manifest.leaves[..usize::try_from(size).unwrap()]
            .iter()
            .for_each(|leaf| edge.push(merkle::leaf_hash(leaf)));
        View { size, root: edge.root() }
    }

    /// Begins to use the version in force, if it is another.
    pub fn adopt(&mut self, agency: &Agency, t: Timestamp, rng: &mut StdRng) {
        let t = Timestamp::from_unix(t.unix() + 7 * 3_600);
        let manifest = agency.in_force(t.unix());
        if manifest.version == self.adopted {
            return;
        }
        self.adopted = manifest.version;
        let leaf = Adopt {
            agency: agency.name.clone(),
            epoch: Epoch(manifest.epoch),
            list: list(),
            manifest: Hash(leaf::hash(&manifest.encode().unwrap())),
            nonce: nonce(rng),
            t,
            version: Version(manifest.version),
            view: Self::view(agency, manifest.version),
        };
        self.log.leaves.push(leaf.encode().unwrap());
    }

    /// What is uploaded: a canary if one is due, sometimes something listed, else something new.
    fn uploads(&self, agency: &Agency, t: Timestamp, n: usize, rng: &mut StdRng) -> Vec<Item> {
        let day = (t.unix() - super::at("2026-10-01T00:00:00Z").unix()) / 86_400 + 1;
        let canary = Agency::canary_of(self.name.as_str(), day).filter(|_| n > 1);
        let listed = canary.or_else(|| (n > 1 && rng.random_range(0..3) == 0).then(|| rng.random_range(0..19)));
        let mut items: Vec<Item> = listed.map(|entry| agency.entries[entry].item.clone()).into_iter().collect();
        while items.len() < n.min(3) {
            let mut digest = [0; 32];
            rng.fill_bytes(&mut digest);
            items.push(Item::new(Kind::Sha256, &digest).unwrap());
        }
        items
    }

    /// Asks a frame at a time, and logs what both sides log. Now and then it is refused, or the answer is lost.
    pub fn ask(&mut self, agency: &mut Agency, t: Timestamp, rng: &mut StdRng) {
        self.asked += 1;
        let size = if self.asked.is_multiple_of(3) || (t.unix() / 3_600) % 24 == 12 {
            FrameSize::Four
        } else {
            FrameSize::One
        };
        let manifest = agency.in_force(t.unix()).clone();
        let items = self.uploads(agency, t, size.len(), rng);
        let outcome = match self.asked % 17 {
            5 => FrameStatus::Refused,
            11 if size == FrameSize::One => FrameStatus::Abandoned,
            _ => FrameStatus::Answered,
        };
        let frame = BlindedFrame::blind(size, &items, rng);
        let context = FrameContext {
            origin: Origin::of(&agency.name),
            list: list(),
            epoch: Epoch(manifest.epoch),
            platform: self.name.clone(),
            batch: BatchId::random(rng),
        };
        let req = request_digest(&context, frame.elements().encodings());
        let answer = answer(&context, &agency.keys[manifest.epoch as usize - 1], frame.elements(), rng);
        let resp = response_digest(&req, &answer.evaluated, &answer.proof);
        let (view, version) = (Self::view(agency, manifest.version), Version(manifest.version));
        let refused = outcome == FrameStatus::Refused;
        let minute = t.unix() / 60 - if refused { 15 } else { 0 };
        let signature = self.request_key.sign(&signed_message(&req, &view, version, minute)).to_bytes();
        let query = Query {
            batch: context.batch,
            code: refused.then(|| Code::parse("CLOCK_SKEW").unwrap()),
            epoch: context.epoch,
            list: list(),
            minute,
            n: size,
            nonce: nonce(rng),
            platform: self.name.clone(),
            req,
            req_sig: Signature(signature),
            resp: (!refused).then_some(resp),
            status: if refused { QueryStatus::Refused } else { QueryStatus::Ok },
            t: t.minute(),
            version,
            view,
        };
        let index = agency.query.leaves.len() as u64;
        let arrived = outcome != FrameStatus::Abandoned;
        let bytes = query.encode().unwrap();
        let origin = LogOrigin::parse(&agency.query.origin).unwrap();
        let ack = Acknowledgement::of(origin, index, &query).unwrap().sign(&agency.ack_key).unwrap();
        agency.query.leaves.extend(arrived.then(|| bytes.clone()));
        let digest = Hash(Sha256::digest(&ack).into());
        self.ended(&query, outcome, resp, digest, rng);
        if outcome == FrameStatus::Answered {
            self.acks.push(Acknowledged::new(String::from_utf8(bytes).unwrap(), ack));
            let elements = frame.elements().encodings().to_vec();
            let evaluated = answer.evaluated.as_flattened();
            let verified = frame.verify(&context, &manifest.public_key(), evaluated, &answer.proof.to_bytes()).unwrap();
            for evaluated in verified.finalize().unwrap() {
                self.look_up(agency, &manifest, &context, t, &elements, &evaluated, rng);
            }
        }
    }

    fn ended(&mut self, query: &Query, status: FrameStatus, resp: ResponseDigest, ack: Hash, rng: &mut StdRng) {
        let answered = status == FrameStatus::Answered;
        let leaf = Frame {
            ack: answered.then_some(ack),
            batch: query.batch,
            code: query.code.clone(),
            epoch: query.epoch,
            list: query.list.clone(),
            n: query.n,
            nonce: nonce(rng),
            req: query.req,
            resp: answered.then_some(resp),
            status,
            t: query.t.hour(),
        };
        let totals = self.totals.entry(Date::of(query.t)).or_default();
        totals.0 += 1;
        totals.1 += query.n.len() as u64;
        self.log.leaves.push(leaf.encode().unwrap());
    }

    #[expect(clippy::too_many_arguments, reason = "everything that a receipt names")]
    fn look_up(
        &mut self,
        agency: &Agency,
        manifest: &Manifest,
        context: &FrameContext,
        t: Timestamp,
        elements: &[[u8; 32]],
        evaluated: &Evaluated,
        rng: &mut StdRng,
    ) {
        let okm = EpochContext { list: list(), epoch: context.epoch }.okm(&evaluated.output);
        let tag = okm.tag();
        let file = &agency.files.artifacts[&manifest.version];
        let artifact = Artifact::open(file, &manifest.artifact, context.epoch).unwrap();
        let Some(record) = artifact.lookup(&tag).unwrap() else { return };
        if self.matched.contains(&tag) {
            return;
        }
        self.matched.push(tag);
        let label = veilmatch_protocol::label::open(&okm.label_key(), record.sealed_label()).unwrap();
        let receipt = Receipt {
            agency: agency.name.clone(),
            batch: context.batch,
            epoch: context.epoch,
            label,
            list: list(),
            manifest: Hash(leaf::hash(&manifest.encode().unwrap())),
            matched: Timestamp::from_unix(t.unix() + 60).minute(),
            object: String::new(),
            platform: self.name.clone(),
            position: evaluated.position,
            tag,
            version: Version(manifest.version),
        };
        let signed = receipt.sign(&okm.match_secret(), &self.receipt_key).unwrap();
        let salt = Salt::random(rng);
        let index = self.log.leaves.len() as u64;
        let found = Match { batch: context.batch, c: commit(&salt, signed.note()), nonce: nonce(rng), t: t.day() };
        self.log.leaves.push(found.encode().unwrap());
        let log = LogOrigin::parse(&self.log.origin).unwrap();
        let action = Action { c: commit(&salt, b"{}"), index, log: log.clone(), nonce: nonce(rng), t: t.day() };
        self.log.leaves.push(action.encode().unwrap());
        let totals = self.totals.entry(Date::of(t)).or_default();
        totals.2 += 1;
        totals.3 += 1;
        let hashes: Vec<[u8; 32]> = elements.iter().map(|element| merkle::leaf_hash(element)).collect();
        let (position, n) = (u64::from(evaluated.position), elements.len() as u64);
        self.openings.push(Opening {
            log,
            index,
            salt,
            receipt: String::from_utf8(signed.note().to_vec()).unwrap(),
            secret: Some(okm.match_secret()),
            element: Some(ElementOpening {
                blind: OpenedBlind::Add(evaluated.blind.clone()),
                element: elements[usize::from(evaluated.position)],
                path: inclusion_proof(&hashes[..], position, n).unwrap(),
            }),
        });
    }

    /// The totals of a day.
    pub fn total(&mut self, date: Date, rng: &mut StdRng) {
        let (frames, elements, matches, actions) = self.totals.get(&date).copied().unwrap_or_default();
        let leaf = Day {
            actions: if actions > 0 { BTreeMap::from([("reported".to_owned(), actions)]) } else { BTreeMap::new() },
            date,
            frames,
            list: list(),
            matches,
            nonce: nonce(rng),
            not_checked: BTreeMap::new(),
            offered: elements,
            queried: elements,
            receipts: matches,
        };
        self.log.leaves.push(leaf.encode().unwrap());
    }

    /// Erases the first match that is no canary's: what opened it is gone.
    pub fn erase(&mut self, canaries: &[Tag], t: Timestamp, rng: &mut StdRng) {
        let at = self.matched.iter().position(|tag| !canaries.contains(tag)).unwrap();
        self.matched.remove(at);
        let opening = self.openings.remove(at);
        let (basis, indices) = ("retention".into(), vec![opening.index]);
        let leaf = Erase { basis, indices, log: opening.log.clone(), nonce: nonce(rng), t: t.day() };
        self.log.leaves.push(leaf.encode().unwrap());
    }

    /// Fills up to the next multiple of 64.
    pub fn pad(&mut self, rng: &mut StdRng) {
        while !self.log.leaves.len().is_multiple_of(64) {
            self.log.leaves.push(Leaf::from(Pad { nonce: nonce(rng) }).encode().unwrap());
        }
    }
}
