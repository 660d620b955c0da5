//! A leaf of every type, as its log has it.

use std::{collections::BTreeMap, convert::Infallible};

use ed25519_dalek::Signer;
use rand::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use veilmatch_audit::{
    date::Date,
    leaf::{
        self, Absent, Action, Adopt, Close, Code, Day, Erase, Frame, FrameStatus, Key, Leaf, Match, Nonce, Pad, Query,
        QueryStatus, Role, Signature, VerifierKey, Withdraw,
    },
    origin::LogOrigin,
};
use veilmatch_protocol::{
    artifact::{self, Layout},
    derive::Tag,
    frame::{self, BatchId, FrameContext, FrameSize, RequestDigest, ResponseDigest, View, signed_message},
    item::{Item, Kind},
    manifest::{ArtifactRef, DeltaRef, Manifest, Publication, Quota, no_canaries},
    name::{Epoch, Origin, PlatformId, Version},
    oprf::{self, Blind, Mode, SecretKey},
};

use super::{Case, agency, hash, list, made, platform, signing_key, text, time};

pub fn all() -> Vec<Case> {
    let key = |name: &str, leaf: Leaf| accepted(name, leaf, json!({}));
    let (query, asked) = (query(), signing_key("request").verifying_key());
    let refused =
        Query { resp: None, code: Some(code("BUDGET_EXHAUSTED")), status: QueryStatus::Refused, ..query.clone() };
    let shown = json!({ "request_public_key": hex::encode(asked.as_bytes()) });
    vec![
        key("manifest", Leaf::Manifest(Box::new(manifest()))),
        key("key", rotated().into()),
        key("key_first", Key { old: None, cross: None, role: Role::Receipt, ..rotated() }.into()),
        key("key_goes_on", goes_on().into()),
        key("key_witness", witness().into()),
        key("withdraw", withdraw().into()),
        key("withdraw_version", Withdraw { tag: None, ..withdraw() }.into()),
        absent_case(),
        accepted("query", query.into(), shown.clone()),
        accepted("query_refused", refused.into(), shown),
        key("adopt", adopt().into()),
        key("frame", frame().into()),
        key("frame_refused", ended(FrameStatus::Refused).into()),
        key("frame_abandoned", ended(FrameStatus::Abandoned).into()),
        key("match", matched().into()),
        key("action", action().into()),
        key("day", day().into()),
        key("day_of_nothing", nothing().into()),
        key("close", close().into()),
        key("erase", erase(3).into()),
        key("erase_longest", erase(longest()).into()),
        key("pad", pad().into()),
    ]
}

fn accepted(name: &str, leaf: Leaf, mut members: Value) -> Case {
    let bytes = leaf.encode().expect("within its limits");
    members["leaf_hash"] = hex::encode(leaf::hash(&bytes)).into();
    members["leaf"] = text(bytes).into();
    Case::accepted("leaf", name, members)
}

pub fn code(name: &str) -> Code {
    Code::parse(name).expect("fits the grammar")
}

fn nonce(of: &str) -> Nonce {
    Nonce(made(of, 1))
}

pub fn epoch_key() -> SecretKey {
    SecretKey::for_epoch(&made("epoch", 0), &list(), Epoch(1)).expect("any seed makes a key")
}

pub fn manifest() -> Manifest {
    let layout = Layout::new(2).expect("at most 64");
    let publication = Publication {
        agency: agency(),
        list: list(),
        epoch: Epoch(1),
        version: Version(2),
        prev: Some(hash("version 1")),
        not_before: time("2026-08-28T20:26:40Z"),
        not_after: time("2026-09-04T20:26:40Z"),
        oprf_key: epoch_key().public().clone(),
        artifact: ArtifactRef {
            format: 1,
            count: 1_024,
            label_bytes: 2,
            record_bytes: 22,
            shard_bits: 0,
            bytes: artifact::file_len(layout, 1_024),
            sha256: hash("artifact"),
            root: hash("artifact root"),
        },
        delta: DeltaRef::NONE,
        kinds: Kind::ALL.to_vec(),
        categories: None,
        frame_sizes: FrameSize::ALL.to_vec(),
        quota: Quota { elements: 10_000_000, frames: 500_000 },
        canary_root: no_canaries(),
        software: "vectors 1".to_owned(),
    };
    publication.into()
}

pub fn rotated() -> Key {
    let named = |role: &str| {
        VerifierKey::signer("agency.example/veilmatch/ack", signing_key(role).verifying_key()).expect("a legal name")
    };
    let mut key = Key {
        cross: None,
        key: named("ack"),
        lost_from: 0,
        lost_to: 0,
        nonce: nonce("key"),
        old: Some(named("old ack")),
        previous: None,
        role: Role::Ack,
        t: time("2026-08-01T00:00:07Z"),
    };
    key.cross_sign(&signing_key("old ack"));
    key
}

fn goes_on() -> Key {
    let named = VerifierKey::signer("agency.example/veilmatch/query", signing_key("query log").verifying_key());
    Key {
        cross: None,
        key: named.expect("a legal name"),
        lost_from: 1_000_000,
        lost_to: 1_000_017,
        old: None,
        previous: Some(LogOrigin::parse("agency.example/veilmatch/query/2026h2").expect("an origin")),
        role: Role::QueryLog,
        ..rotated()
    }
}

fn witness() -> Key {
    let named = VerifierKey::witness("agency.example/veilmatch/witness", signing_key("witness").verifying_key());
    Key { cross: None, key: named.expect("a legal name"), old: None, role: Role::Witness, ..rotated() }
}

pub fn withdraw() -> Withdraw {
    Withdraw {
        agency: agency(),
        deadline: time("2026-08-28T21:00:00Z"),
        epoch: Epoch(1),
        list: list(),
        nonce: nonce("withdraw"),
        reason: code("LISTED_IN_ERROR"),
        t: time("2026-08-28T20:30:00Z"),
        tag: Some(Tag(made("tag", 0))),
        version: Version(2),
    }
}

/// Always the same bytes: the proof's nonce is made of key and transcript, too.
struct Fixed;

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x0707_0707)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x0707_0707_0707_0707)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

pub fn absent() -> Absent {
    let item = Item::new(Kind::Sha256, &made::<32>("lawful file", 0)).expect("32 bytes");
    let mut one = [0; 32];
    one[0] = 1;
    let blind = [Blind::danger_from_bytes(one).expect("canonical and not zero")];
    let blinded = oprf::blind(Mode::Voprf, &[item.as_bytes()], &blind).expect("no item maps to the identity");
    let context = FrameContext {
        origin: Origin::of(&agency()),
        list: list(),
        epoch: Epoch(1),
        platform: PlatformId::parse("agency.example").expect("fits the grammar"),
        batch: BatchId([0; 16]),
    };
    let answer = frame::answer(&context, &epoch_key(), &blinded, &mut Fixed);
    Absent {
        agency: agency(),
        epoch: Epoch(1),
        evaluated: veilmatch_protocol::manifest::Hash(answer.evaluated[0]),
        item,
        list: list(),
        nonce: nonce("absent"),
        proof: Signature(answer.proof.to_bytes()),
        t: time("2026-08-28T20:30:00Z"),
        version: Version(2),
    }
}

fn absent_case() -> Case {
    let (absent, key) = (absent(), epoch_key());
    let tag = absent.tag(key.public()).expect("proven");
    let members = json!({ "public_key": hex::encode(key.public().as_bytes()), "tag": hex::encode(tag.0) });
    accepted("absent", absent.into(), members)
}

pub fn view() -> View {
    View { size: 3, root: made("view", 0) }
}

pub fn query() -> Query {
    let mut query = Query {
        batch: BatchId(made("batch", 0)),
        code: None,
        epoch: Epoch(1),
        list: list(),
        minute: 29_799_626,
        n: FrameSize::Four,
        nonce: nonce("query"),
        platform: platform(),
        req: RequestDigest(made("req", 0)),
        req_sig: Signature([0; 64]),
        resp: Some(ResponseDigest(made("resp", 0))),
        status: QueryStatus::Ok,
        t: time("2026-08-28T20:27:00Z"),
        version: Version(2),
        view: view(),
    };
    sign(&mut query);
    query
}

/// Signs as the platform.
pub fn sign(query: &mut Query) {
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(signing_key("request").sign(&message).to_bytes());
}

pub fn adopt() -> Adopt {
    Adopt {
        agency: agency(),
        epoch: Epoch(1),
        list: list(),
        manifest: hash("manifest"),
        nonce: nonce("adopt"),
        t: time("2026-08-28T20:26:59Z"),
        version: Version(2),
        view: view(),
    }
}

pub fn frame() -> Frame {
    let query = query();
    Frame {
        ack: Some(hash("acknowledgement")),
        batch: query.batch,
        code: None,
        epoch: Epoch(1),
        list: list(),
        n: query.n,
        nonce: nonce("frame"),
        req: query.req,
        resp: query.resp,
        status: FrameStatus::Answered,
        t: time("2026-08-28T20:00:00Z"),
    }
}

fn ended(status: FrameStatus) -> Frame {
    let code = (status == FrameStatus::Refused).then(|| code("BUDGET_EXHAUSTED"));
    Frame { ack: None, resp: None, code, status, ..frame() }
}

pub fn matched() -> Match {
    Match { batch: query().batch, c: hash("commitment"), nonce: nonce("match"), t: time("2026-08-28T00:00:00Z") }
}

pub fn action() -> Action {
    let t = time("2026-08-29T00:00:00Z");
    Action { c: hash("action"), index: 1_234_567, log: match_log("2026h2"), nonce: nonce("action"), t }
}

fn match_log(shard: &str) -> LogOrigin {
    LogOrigin::Match(platform(), agency(), shard.parse().expect("a half-year"))
}

pub fn day() -> Day {
    Day {
        actions: [("blocked".to_owned(), 2), ("reported-24h".to_owned(), 1)].into(),
        date: Date::of(time("2026-08-28T00:00:00Z")),
        frames: 24_400,
        list: list(),
        matches: 3,
        nonce: nonce("day"),
        not_checked: [(code("OFFLINE"), 17), (code("KIND_MISSING"), 4)].into(),
        offered: 100_000_000,
        queried: 99_999_979,
        receipts: 3,
    }
}

fn nothing() -> Day {
    let (actions, not_checked) = (BTreeMap::new(), BTreeMap::new());
    Day { actions, not_checked, frames: 0, matches: 0, offered: 0, queried: 0, receipts: 0, ..day() }
}

pub fn close() -> Close {
    Close {
        agency: agency(),
        date: Date::of(time("2026-08-28T00:00:00Z")),
        digest: hash("closing statement"),
        epoch: Epoch(1),
        list: list(),
        nonce: nonce("close"),
        platform: platform(),
        t: time("2026-08-29T00:10:03Z"),
    }
}

pub fn erase(n: u64) -> Erase {
    Erase {
        basis: "retention-over".to_owned(),
        indices: (0..n).map(|i| 1_234_567 + i).collect(),
        log: match_log("2026h1.2"),
        nonce: nonce("erase"),
        t: time("2026-11-28T00:00:00Z"),
    }
}

/// How many indices make the longest leaf.
pub fn longest() -> u64 {
    (1..).find(|&n| erase(n + 1).encode().is_err()).expect("a leaf is bounded")
}

pub fn pad() -> Pad {
    Pad { nonce: nonce("pad") }
}
