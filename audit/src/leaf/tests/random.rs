//! Legal leaves of every type, drawn at random.

use ed25519_dalek::SigningKey;
use rand::{Rng, RngExt, seq::IndexedRandom};
use veilmatch_protocol::{
    artifact::{self, Layout},
    derive::Tag,
    frame::{BatchId, FrameSize, RequestDigest, ResponseDigest, View},
    item::{Item, Kind},
    manifest::{ArtifactRef, DeltaRef, Hash, Manifest, Publication, Quota, Timestamp},
    name::{AgencyName, Epoch, ListId, PlatformId, Version},
    oprf::SecretKey,
};

use super::super::*;
use crate::{
    date::Date,
    origin::{LogOrigin, Shard},
};

/// How many types there are.
pub const TYPES: usize = 13;

/// A leaf of one type.
pub fn leaf(kind: usize, rng: &mut impl Rng) -> Leaf {
    match kind {
        0 => Leaf::Manifest(Box::new(manifest(rng))),
        1 => key(rng).into(),
        2 => withdraw(rng).into(),
        3 => absent(rng).into(),
        4 => query(rng).into(),
        5 => adopt(rng).into(),
        6 => frame(rng).into(),
        7 => Match { batch: batch(rng), c: hash(rng), nonce: nonce(rng), t: time(rng).day() }.into(),
        8 => action(rng).into(),
        9 => day(rng).into(),
        10 => close(rng).into(),
        11 => erase(rng).into(),
        _ => Pad { nonce: nonce(rng) }.into(),
    }
}

fn bytes<const N: usize>(rng: &mut impl Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn nonce(rng: &mut impl Rng) -> Nonce {
    Nonce(bytes(rng))
}

fn hash(rng: &mut impl Rng) -> Hash {
    Hash(bytes(rng))
}

fn batch(rng: &mut impl Rng) -> BatchId {
    BatchId(bytes(rng))
}

fn time(rng: &mut impl Rng) -> Timestamp {
    Timestamp::from_unix(rng.random_range(0..253_402_300_800))
}

/// Of every length.
fn integer(rng: &mut impl Rng) -> u64 {
    rng.random_range(0..1_u64 << 53) >> rng.random_range(0..53_u32)
}

fn word(rng: &mut impl Rng, alphabet: &[u8]) -> String {
    (0..rng.random_range(1..=32)).map(|_| char::from(*alphabet.choose(rng).unwrap())).collect()
}

fn name(rng: &mut impl Rng) -> String {
    format!("{}.example", word(rng, b"abcdefghijklmnopqrstuvwxyz0123456789"))
}

fn agency(rng: &mut impl Rng) -> AgencyName {
    AgencyName::parse(&name(rng)).unwrap()
}

fn platform(rng: &mut impl Rng) -> PlatformId {
    PlatformId::parse(&name(rng)).unwrap()
}

fn list(rng: &mut impl Rng) -> ListId {
    ListId::parse(&word(rng, b"abcxyz089")).unwrap()
}

fn code(rng: &mut impl Rng) -> Code {
    Code::parse(&word(rng, b"ABCXYZ_")).unwrap()
}

fn versions(rng: &mut impl Rng) -> (Epoch, Version) {
    let version = rng.random_range(1..=u32::MAX);
    (Epoch(rng.random_range(1..=version)), Version(version))
}

fn view(rng: &mut impl Rng) -> View {
    View { size: integer(rng).max(1), root: bytes(rng) }
}

fn size(rng: &mut impl Rng) -> FrameSize {
    *FrameSize::ALL.choose(rng).unwrap()
}

fn manifest(rng: &mut impl Rng) -> Manifest {
    let list = list(rng);
    let key = SecretKey::for_epoch(&bytes(rng), &list, Epoch(1)).unwrap();
    let layout = Layout::new(2).unwrap();
    let version = rng.random_range(1..100);
    let start = rng.random_range(0..2_000_000_000);
    Publication {
        agency: agency(rng),
        list,
        epoch: Epoch(1),
        version: Version(version),
        prev: (version > 1).then(|| hash(rng)),
        not_before: Timestamp::from_unix(start),
        not_after: Timestamp::from_unix(start + rng.random_range(1..1_000_000)),
        oprf_key: key.public().clone(),
        artifact: ArtifactRef {
            format: 1,
            count: 1_024,
            label_bytes: 2,
            record_bytes: 22,
            shard_bits: 0,
            bytes: artifact::file_len(layout, 1_024),
            sha256: hash(rng),
            root: hash(rng),
        },
        delta: DeltaRef::NONE,
        kinds: Kind::ALL.to_vec(),
        categories: None,
        frame_sizes: FrameSize::ALL.to_vec(),
        quota: Quota { elements: integer(rng), frames: integer(rng) },
        canary_root: hash(rng),
        software: "test 1".to_owned(),
    }
    .into()
}

fn key(rng: &mut impl Rng) -> Key {
    const ROLES: [Role; 7] =
        [Role::ManifestLog, Role::QueryLog, Role::Ack, Role::Witness, Role::Request, Role::MatchLog, Role::Receipt];
    let role = *ROLES.choose(rng).unwrap();
    let make = if role == Role::Witness { VerifierKey::witness } else { VerifierKey::signer };
    let (new, old) = (SigningKey::from_bytes(&bytes(rng)), SigningKey::from_bytes(&bytes(rng)));
    let previous = rng.random_bool(0.5);
    let (lost, more) = (integer(rng) >> 1, rng.random_range(0..1_000));
    let mut key = Key {
        cross: None,
        key: make(&format!("{}/veilmatch/x", name(rng)), new.verifying_key()).unwrap(),
        lost_from: if previous { lost } else { 0 },
        lost_to: if previous { lost + more } else { 0 },
        nonce: nonce(rng),
        old: rng.random_bool(0.5).then(|| make("a/b", old.verifying_key()).unwrap()),
        previous: previous.then(|| LogOrigin::parse("agency.example/veilmatch/query/2026h2.3").unwrap()),
        role,
        t: time(rng),
    };
    if key.old.is_some() {
        key.cross_sign(&old);
    }
    key
}

fn withdraw(rng: &mut impl Rng) -> Withdraw {
    let (epoch, version) = versions(rng);
    Withdraw {
        agency: agency(rng),
        deadline: time(rng),
        epoch,
        list: list(rng),
        nonce: nonce(rng),
        reason: code(rng),
        t: time(rng),
        tag: rng.random_bool(0.5).then(|| Tag(bytes(rng))),
        version,
    }
}

fn absent(rng: &mut impl Rng) -> Absent {
    let (epoch, version) = versions(rng);
    let kind = *Kind::ALL.choose(rng).unwrap();
    let digest: [u8; 64] = bytes(rng);
    Absent {
        agency: agency(rng),
        epoch,
        evaluated: hash(rng),
        item: Item::new(kind, &digest[..kind.digest_len()]).unwrap(),
        list: list(rng),
        nonce: nonce(rng),
        proof: Signature(bytes(rng)),
        t: time(rng),
        version,
    }
}

fn query(rng: &mut impl Rng) -> Query {
    let (epoch, version) = versions(rng);
    let answered = rng.random_bool(0.5);
    Query {
        batch: batch(rng),
        code: (!answered).then(|| code(rng)),
        epoch,
        list: list(rng),
        minute: integer(rng),
        n: size(rng),
        nonce: nonce(rng),
        platform: platform(rng),
        req: RequestDigest(bytes(rng)),
        req_sig: Signature(bytes(rng)),
        resp: answered.then(|| ResponseDigest(bytes(rng))),
        status: if answered { QueryStatus::Ok } else { QueryStatus::Refused },
        t: time(rng).minute(),
        version,
        view: view(rng),
    }
}

fn adopt(rng: &mut impl Rng) -> Adopt {
    let (epoch, version) = versions(rng);
    Adopt {
        agency: agency(rng),
        epoch,
        list: list(rng),
        manifest: hash(rng),
        nonce: nonce(rng),
        t: time(rng),
        version,
        view: view(rng),
    }
}

fn frame(rng: &mut impl Rng) -> Frame {
    let status = *[FrameStatus::Answered, FrameStatus::Refused, FrameStatus::Abandoned].choose(rng).unwrap();
    let answered = status == FrameStatus::Answered;
    Frame {
        ack: answered.then(|| hash(rng)),
        batch: batch(rng),
        code: (status == FrameStatus::Refused).then(|| code(rng)),
        epoch: versions(rng).0,
        list: list(rng),
        n: size(rng),
        nonce: nonce(rng),
        req: RequestDigest(bytes(rng)),
        resp: answered.then(|| ResponseDigest(bytes(rng))),
        status,
        t: time(rng).hour(),
    }
}

fn day(rng: &mut impl Rng) -> Day {
    Day {
        actions: (0..rng.random_range(0..5)).map(|_| (word(rng, b"abz09-"), integer(rng))).collect(),
        date: Date::of(time(rng)),
        frames: integer(rng),
        list: list(rng),
        matches: integer(rng),
        nonce: nonce(rng),
        not_checked: (0..rng.random_range(0..5)).map(|_| (code(rng), integer(rng))).collect(),
        offered: integer(rng),
        queried: integer(rng),
        receipts: integer(rng),
    }
}

fn close(rng: &mut impl Rng) -> Close {
    Close {
        agency: agency(rng),
        date: Date::of(time(rng)),
        digest: hash(rng),
        epoch: versions(rng).0,
        list: list(rng),
        nonce: nonce(rng),
        platform: platform(rng),
        t: time(rng),
    }
}

fn action(rng: &mut impl Rng) -> Action {
    Action { c: hash(rng), index: integer(rng), log: match_log(rng), nonce: nonce(rng), t: time(rng).day() }
}

fn match_log(rng: &mut impl Rng) -> LogOrigin {
    LogOrigin::Match(platform(rng), agency(rng), Shard::of(time(rng)))
}

fn erase(rng: &mut impl Rng) -> Erase {
    let mut indices: Vec<_> = (0..rng.random_range(1..20)).map(|_| integer(rng)).collect();
    indices.sort_unstable();
    indices.dedup();
    let (basis, log) = (word(rng, b"abz09-"), match_log(rng));
    Erase { basis, indices, log, nonce: nonce(rng), t: time(rng).day() }
}
