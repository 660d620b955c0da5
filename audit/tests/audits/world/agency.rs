//! The agency: its list in two epochs, four versions with their files, canaries, and what it logs.

use std::{collections::BTreeMap, io::Cursor};

use ed25519_dalek::SigningKey;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};
use veilmatch_audit::{
    canary::{Canary, Commitments},
    leaf::{Absent, Certificate, Code, Key, Leaf, Role, Scope, Signature, VerifierKey, Withdraw},
    origin::Shard,
    reconcile::{Artifacts, CanaryLine},
};
use veilmatch_protocol::{
    artifact::{DummySeed, Layout, Writer, records},
    codebook::{Category, CodeBook, Source},
    delta::{self, Span},
    derive::{EpochContext, Okm, Tag},
    frame::{BatchId, FrameContext, FrameSize, answer},
    item::{Item, Kind},
    label::CodedLabel,
    manifest::{DeltaRef, Hash, Manifest, Publication, Quota},
    name::{AgencyName, Epoch, Origin, PlatformId, Version},
    note::Verifier,
    oprf::{self, Blind, Mode, SecretKey},
};

use super::{at, key, list, log::Log, nonce};

const LABEL_BYTES: u8 = 8;
const COUNT: usize = 1_024;

/// An entry of the list.
pub struct Entry {
    pub item: Item,
    pub label: Vec<u8>,
    /// By epoch, from 1.
    pub okms: Vec<Okm>,
}

#[derive(Default, Clone)]
pub struct Files {
    pub artifacts: BTreeMap<u32, Vec<u8>>,
    pub deltas: BTreeMap<u32, Vec<u8>>,
    pub certificates: BTreeMap<u32, Vec<u8>>,
    pub book: Vec<u8>,
}

impl Artifacts for Files {
    fn artifact(&self, _: &str, version: u32) -> Option<&[u8]> {
        self.artifacts.get(&version).map(Vec::as_slice)
    }

    fn delta(&self, _: &str, version: u32) -> Option<&[u8]> {
        self.deltas.get(&version).map(Vec::as_slice)
    }

    fn code_book(&self, _: &str, _: u32) -> Option<&[u8]> {
        Some(&self.book)
    }
}

/// A version: epoch, number of entries, validity.
const VERSIONS: [(u32, usize, &str, &str); 4] = [
    (1, 40, "2026-09-28T06:00:00Z", "2026-10-12T06:00:00Z"),
    (1, 44, "2026-10-08T06:00:00Z", "2026-10-22T06:00:00Z"),
    (1, 44, "2026-10-16T06:00:00Z", "2026-10-30T06:00:00Z"),
    (2, 44, "2026-10-20T06:00:00Z", "2026-11-03T06:00:00Z"),
];

/// Canaries: entry, platform, version with the commitment, day of the deadline.
const CANARIES: [(usize, &str, u32, u64); 8] = [
    (30, "platform.example", 1, 2),
    (31, "platform.example", 1, 9),
    (32, "platform.example", 4, 22),
    (33, "platform.example", 4, 27),
    (34, "videos.example", 1, 2),
    (35, "videos.example", 1, 9),
    (36, "videos.example", 4, 22),
    (37, "videos.example", 4, 27),
];

/// An entry that nobody has: it is withdrawn.
pub const UNSEEN: usize = 20;

pub struct Agency {
    pub name: AgencyName,
    pub manifest: Log,
    /// The newest query log.
    pub query: Log,
    /// Those before it.
    pub earlier: Vec<Log>,
    pub ack_key: SigningKey,
    pub keys: Vec<SecretKey>,
    pub entries: Vec<Entry>,
    pub files: Files,
    pub manifests: Vec<Manifest>,
    /// Size of the manifest log when each version is adopted.
    pub sizes: Vec<u64>,
    withdrawn: usize,
}

/// Who certifies each version.
pub fn certifier() -> Verifier {
    Verifier::new("certifier.example/veilmatch/cert", key(80).verifying_key()).unwrap()
}

/// What the certifier says about a version, which names it then.
fn certificate(agency: &AgencyName, manifest: &Manifest) -> String {
    let said = Certificate {
        agency: agency.clone(),
        epoch: Epoch(manifest.epoch),
        key: manifest.oprf_key,
        list: list(),
        number: manifest.artifact.count,
        root: manifest.artifact.root,
        scope: Scope::Attested,
        t: manifest.not_before,
        version: Version(manifest.version),
    };
    said.sign(certifier().name(), &key(80)).unwrap()
}

fn item(name: &str) -> Item {
    Item::new(Kind::Sha256, &Sha256::digest(name)).unwrap()
}

impl Agency {
    pub fn new(withdrawn: usize) -> Self {
        let name = AgencyName::parse("agency.example").unwrap();
        let keys: Vec<SecretKey> =
            [1, 2].map(|epoch| SecretKey::for_epoch(&[7; 32], &list(), Epoch(epoch)).unwrap()).into();
        let entry = |number: usize| {
            let item = item(&format!("listed {number}"));
            let category = u16::try_from(1 + number % 3).unwrap();
            let label = CodedLabel { stronger_listed: false, category, source: 1, reference: Some("c") };
            let okms = (1..).zip(&keys).map(|(epoch, key)| {
                let output = oprf::evaluate(Mode::Voprf, key, &[item.as_bytes()]).unwrap();
                EpochContext { list: list(), epoch: Epoch(epoch) }.okm(&output[0])
            });
            Entry { okms: okms.collect(), label: label.encode(LABEL_BYTES).unwrap(), item: item.clone() }
        };
        Self {
            entries: (0..44).map(entry).collect(),
            manifest: Log::new("agency.example/veilmatch/manifest", &key(1)),
            query: Log::new(
                &format!("agency.example/veilmatch/query/{}", Shard::of(at("2026-10-01T00:00:00Z"))),
                &key(2),
            ),
            earlier: Vec::new(),
            ack_key: key(3),
            name,
            keys,
            files: Files::default(),
            manifests: Vec::new(),
            sizes: Vec::new(),
            withdrawn,
        }
    }

    /// All query logs, oldest first.
    pub fn queries(&self) -> impl Iterator<Item = &Log> {
        self.earlier.iter().chain([&self.query])
    }

    /// What comes now goes to the log of this half-year.
    pub fn turn(&mut self, shard: Shard) {
        self.earlier.extend(self.query.turn(shard));
    }

    pub fn tag(&self, entry: usize, epoch: u32) -> Tag {
        self.entries[entry].okms[epoch as usize - 1].tag()
    }

    /// The newest version in force at a time.
    pub fn in_force(&self, t: u64) -> &Manifest {
        self.manifests.iter().rev().find(|manifest| manifest.not_before.unix() <= t).unwrap()
    }

    pub fn view_size(&self, version: u32) -> u64 {
        self.sizes[version as usize - 1]
    }

    /// Publishes all versions, and beside them a key change, a withdrawal and a proof of absence.
    pub fn publish(&mut self, rng: &mut StdRng) {
        self.files.book = book(&self.name);
        for version in 1..=4 {
            let leaf = self.version(version).encode().unwrap();
            self.manifest.leaves.push(leaf);
            if version == 1 {
                let change = self.key_change(rng);
                self.manifest.leaves.push(change);
            }
            if version == 2 {
                let leaves = [self.withdrawal(rng), self.absent(rng)];
                self.manifest.leaves.extend(leaves);
            }
            self.sizes.push(self.manifest.leaves.len() as u64);
        }
    }

    fn version(&mut self, version: u32) -> Manifest {
        let (epoch, count, not_before, not_after) = VERSIONS[version as usize - 1];
        let layout = Layout::new(LABEL_BYTES).unwrap();
        let records = self.records(epoch, count, layout);
        let mut writer = Writer::new(Cursor::new(Vec::new()), layout, Epoch(epoch), COUNT as u64).unwrap();
        records.iter().for_each(|record| writer.push(record).unwrap());
        let (file, summary) = writer.finish().unwrap();
        let file = file.into_inner();
        let artifact = summary.into_ref(Sha256::digest(&file).into());
        self.files.artifacts.insert(version, file);
        let delta = if version == 2 { self.delta(&records, layout) } else { DeltaRef::NONE };
        let prev = self.manifests.last().map(|last| Hash(Sha256::digest(last.encode().unwrap()).into()));
        let mut manifest = Manifest::from(Publication {
            agency: self.name.clone(),
            list: list(),
            epoch: Epoch(epoch),
            version: Version(version),
            prev,
            not_before: at(not_before),
            not_after: at(not_after),
            oprf_key: self.keys[epoch as usize - 1].public().clone(),
            artifact,
            delta,
            kinds: vec![Kind::Sha256],
            categories: Some(Hash(Sha256::digest(&self.files.book).into())),
            frame_sizes: vec![FrameSize::One, FrameSize::Four],
            quota: Quota { elements: 1_000, frames: 500 },
            canary_root: Commitments::new(&self.canaries(version)).root(),
            software: "synthetic".into(),
        });
        let certificate = certificate(&self.name, &manifest).into_bytes();
        manifest.certs = vec![Certificate::digest(&certificate)];
        self.files.certificates.insert(version, certificate);
        self.manifests.push(manifest.clone());
        manifest
    }

    /// Records of the first `count` entries, and dummies, ascending.
    fn records(&self, epoch: u32, count: usize, layout: Layout) -> Vec<Vec<u8>> {
        let okms: Vec<Okm> = self.entries[..count].iter().map(|entry| entry.okms[epoch as usize - 1].clone()).collect();
        let labels: Vec<&[u8]> = self.entries[..count].iter().map(|entry| entry.label.as_slice()).collect();
        let records = records(layout, &okms, &labels).unwrap();
        let mut records: Vec<Vec<u8>> = records.chunks_exact(layout.record_len()).map(<[u8]>::to_vec).collect();
        let seed = DummySeed::new([u8::try_from(epoch).unwrap(); 32]);
        records.extend((0..COUNT - count).map(|index| seed.record(index as u64, layout)));
        records.sort();
        records
    }

    /// From version 1 to 2: some dummies make room for new entries.
    fn delta(&mut self, records: &[Vec<u8>], layout: Layout) -> DeltaRef {
        let old = self.records(1, 40, layout);
        let added: Vec<&[u8]> = records.iter().filter(|record| !old.contains(record)).map(Vec::as_slice).collect();
        let removed = old.iter().filter(|record| !records.contains(record));
        let removed: Vec<Tag> = removed.map(|record| Tag(record[..16].try_into().unwrap())).collect();
        let span = Span { epoch: Epoch(1), from: Version(1), to: Version(2) };
        let mut file = Vec::new();
        delta::write(&mut file, layout, span, &removed, &added).unwrap();
        let reference = DeltaRef {
            from: 1,
            removed: removed.len() as u64,
            added: added.len() as u64,
            bytes: file.len() as u64,
            sha256: Some(Hash(Sha256::digest(&file).into())),
        };
        self.files.deltas.insert(2, file);
        reference
    }

    fn canaries(&self, version: u32) -> Vec<Canary> {
        let of_epoch = CANARIES.iter().filter(|canary| (canary.2 == 4) == (version == 4));
        of_epoch.map(|canary| self.canary(canary, version)).collect()
    }

    fn canary(&self, &(entry, _, _, day): &(usize, &str, u32, u64), version: u32) -> Canary {
        let deadline = at(&format!("2026-10-{day:02}T12:00:00Z")).unix() / 60;
        let salt = Hash(Sha256::digest(format!("salt {entry} {version}")).into());
        Canary { deadline, salt, tag: self.tag(entry, if version == 4 { 2 } else { 1 }) }
    }

    /// What the agency opens to the auditor.
    pub fn planted(&self) -> Vec<CanaryLine> {
        let line = |canary: &(usize, &str, u32, u64)| {
            let opening = Commitments::new(&self.canaries(canary.2)).open(&self.canary(canary, canary.2)).unwrap();
            let platform = PlatformId::parse(canary.1).unwrap();
            CanaryLine::new(platform, list(), Version(canary.2), opening)
        };
        CANARIES.iter().map(line).collect()
    }

    /// The canary that a platform's users upload on a day, if there is one.
    pub fn canary_of(platform: &str, day: u64) -> Option<usize> {
        CANARIES.iter().find(|canary| canary.1 == platform && canary.3 == day).map(|canary| canary.0)
    }

    fn key_change(&self, rng: &mut StdRng) -> Vec<u8> {
        let (old, new) = (key(40), key(41));
        let name = "agency.example/veilmatch/ack";
        let mut change = Key {
            cross: None,
            key: VerifierKey::signer(name, new.verifying_key()).unwrap(),
            lost_from: 0,
            lost_to: 0,
            nonce: nonce(rng),
            old: Some(VerifierKey::signer(name, old.verifying_key()).unwrap()),
            previous: None,
            role: Role::Ack,
            t: at("2026-09-29T00:00:00Z"),
        };
        change.cross_sign(&old);
        Leaf::from(change).encode().unwrap()
    }

    fn withdrawal(&self, rng: &mut StdRng) -> Vec<u8> {
        let leaf = Withdraw {
            agency: self.name.clone(),
            deadline: at("2026-10-09T00:00:00Z"),
            epoch: Epoch(1),
            list: list(),
            nonce: nonce(rng),
            reason: Code::parse("SOURCE_ERROR").unwrap(),
            t: at("2026-10-08T08:00:00Z"),
            tag: Some(self.tag(self.withdrawn, 1)),
            version: Version(2),
        };
        leaf.encode().unwrap()
    }

    /// A named lawful item that is not listed, with the proof of its evaluation.
    fn absent(&self, rng: &mut StdRng) -> Vec<u8> {
        let item = item("a lawful file");
        let mut one = [0; 32];
        one[0] = 1;
        let blinded = oprf::blind(Mode::Voprf, &[item.as_bytes()], &[Blind::danger_from_bytes(one).unwrap()]).unwrap();
        let context = FrameContext {
            origin: Origin::of(&self.name),
            list: list(),
            epoch: Epoch(1),
            platform: PlatformId::parse(self.name.as_str()).unwrap(),
            batch: BatchId([0; 16]),
        };
        let answer = answer(&context, &self.keys[0], &blinded, rng);
        let leaf = Absent {
            agency: self.name.clone(),
            epoch: Epoch(1),
            evaluated: Hash(answer.evaluated[0]),
            item,
            list: list(),
            nonce: nonce(rng),
            proof: Signature(answer.proof.to_bytes()),
            t: at("2026-10-08T09:00:00Z"),
            version: Version(2),
        };
        leaf.encode().unwrap()
    }
}

fn book(agency: &AgencyName) -> Vec<u8> {
    let category = |number: u16, code: &str| Category {
        number,
        scheme: "custom".into(),
        code: code.into(),
        action: "report".into(),
        text: "synthetic".into(),
    };
    let categories = vec![category(1, "first"), category(2, "second"), category(3, "third")];
    let sources = vec![Source { number: 1, name: "synthetic".into() }];
    CodeBook::new(agency, &list(), categories, sources).unwrap().to_bytes()
}
