//! Receipts of both levels, and what is wrong with others.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use veilmatch_audit::{
    leaf::{Frame, Match, Query},
    opening::Opening,
    origin::LogOrigin,
};
use veilmatch_protocol::{
    derive::{EpochContext, MatchSecret, Okm},
    frame::{BatchId, FrameContext, RequestDigest, ResponseDigest, element_path, request_digest},
    item::{Item, Kind},
    manifest::{Hash, Manifest, Timestamp},
    merkle,
    name::{Epoch, Origin, Version},
    note,
    oprf::{self, AdditiveBlind, Blind, Elements, Mode},
    receipt::{ElementOpening, OpenedBlind, Receipt, Salt, commit},
};

use super::{Case, agency, leaves, list, made, platform, signing_key, text, time, verifier};

const RECEIPT_KEY: &str = "platform.example/veilmatch/receipt";
const POSITION: usize = 2;

pub fn all() -> Vec<Case> {
    let (mul, add) = (Shown::new("mul"), Shown::new("add"));
    let mut level_1 = Shown::new("add");
    level_1.opening.element = None;
    let mut unshown = Shown::new("add");
    unshown.opening.element = None;
    unshown.opening.secret = None;
    let (mut without_secret, mut without_item) = (unshown.members(), level_1.members());
    // The agency takes the secret from its own entry; who has neither entry nor item stops at level 1.
    without_secret["secret"] = hex::encode(okm(&item()).match_secret().danger_as_bytes()).into();
    without_secret.as_object_mut().expect("members").remove("item");
    without_item.as_object_mut().expect("members").remove("item");
    let mut cases = vec![
        Case::accepted("receipt", "mul", mul.members()),
        Case::accepted("receipt", "add", add.members()),
        Case::accepted("receipt", "level_1", without_item),
        Case::accepted("receipt", "secret_of_agency", without_secret),
    ];
    cases.extend(refused_at_level_1());
    cases.extend(refused_at_level_2());
    cases.extend(refused_lines(&mul.line()));
    cases
}

fn items() -> Vec<Item> {
    (0..4).map(|i| Item::new(Kind::Sha256, &made::<32>("synthetic file", i)).expect("32 bytes")).collect()
}

fn item() -> Item {
    items().swap_remove(POSITION)
}

fn okm(item: &Item) -> Okm {
    let outputs = oprf::evaluate(Mode::Voprf, &leaves::epoch_key(), &[item.as_bytes()]);
    let outputs = outputs.expect("no item maps to the identity");
    EpochContext { list: list(), epoch: Epoch(1) }.okm(&outputs[0])
}

/// A scalar of either form: small enough to be canonical.
fn scalar(i: u64) -> [u8; 32] {
    let mut scalar: [u8; 32] = made("blind", i);
    scalar[31] &= 0x0f;
    scalar
}

fn asked(form: &str) -> (Vec<OpenedBlind>, Elements) {
    let (items, scalars) = (items(), (0..4).map(scalar));
    let inputs: Vec<_> = items.iter().map(Item::as_bytes).collect();
    let elements = if form == "mul" {
        let blinds: Vec<_> = scalars.clone().map(|r| Blind::danger_from_bytes(r).expect("canonical")).collect();
        oprf::blind(Mode::Voprf, &inputs, &blinds)
    } else {
        let blinds: Vec<_> = scalars.clone().map(|r| AdditiveBlind::danger_from_bytes(r).expect("canonical")).collect();
        oprf::blind_additive_with(Mode::Voprf, &inputs, &blinds)
    };
    let opened = scalars.map(|r| OpenedBlind::danger_from_bytes(form, r).expect("canonical")).collect();
    (opened, elements.expect("no item maps to the identity"))
}

/// All that is shown of a match.
struct Shown {
    opening: Opening,
    receipt: Receipt,
    leaf: Match,
    frame: Frame,
    query: Query,
    manifest: Manifest,
    label: Vec<u8>,
    item: Item,
}

impl Shown {
    fn new(form: &str) -> Self {
        let (blinds, elements) = asked(form);
        let blinded = elements.encodings();
        let mut query = leaves::query();
        let context = FrameContext {
            origin: Origin::of(&agency()),
            list: list(),
            epoch: Epoch(1),
            platform: platform(),
            batch: query.batch,
        };
        query.req = request_digest(&context, blinded);
        leaves::sign(&mut query);
        let manifest = leaves::manifest();
        let receipt = Receipt {
            agency: agency(),
            batch: query.batch,
            epoch: Epoch(1),
            label: b"A1".to_vec(),
            list: list(),
            manifest: Hash(merkle::leaf_hash(&manifest.encode().expect("within its limits"))),
            matched: time("2026-08-28T20:26:00Z"),
            object: "object-17".to_owned(),
            platform: platform(),
            position: u16::try_from(POSITION).expect("small"),
            tag: okm(&item()).tag(),
            version: Version(2),
        };
        let element = ElementOpening {
            blind: blinds[POSITION].clone(),
            element: blinded[POSITION],
            path: element_path(blinded, receipt.position),
        };
        let opening = Opening {
            log: LogOrigin::parse("platform.example/veilmatch/match/agency.example/2026h2").expect("an origin"),
            index: 1_234_567,
            salt: Salt::danger_from_bytes(made("salt", 0)),
            receipt: String::new(),
            secret: Some(okm(&item()).match_secret()),
            element: Some(element),
        };
        let frame = Frame { req: query.req, ..leaves::frame() };
        let mut shown = Self {
            opening,
            receipt,
            leaf: leaves::matched(),
            frame,
            query,
            manifest,
            label: b"A1".to_vec(),
            item: item(),
        };
        shown.sign(&signing_key("receipt"));
        shown
    }

    /// Signs the receipt, and commits to it.
    fn sign(&mut self, key: &SigningKey) {
        let signed = self.receipt.clone().sign(&okm(&item()).match_secret(), key).expect("within its limits");
        self.set_note(text(signed.note().to_vec()));
    }

    fn set_note(&mut self, note: String) {
        self.leaf.c = commit(&self.opening.salt, note.as_bytes());
        self.opening.receipt = note;
    }

    fn line(&self) -> String {
        text(self.opening.encode().expect("within its limits").to_vec())
    }

    fn members(&self) -> Value {
        json!({
            "verifier_key": verifier(RECEIPT_KEY, "receipt").to_string(),
            "opening": self.line(),
            "match": text(self.leaf.encode().expect("within its limits")),
            "frame": text(self.frame.encode().expect("within its limits")),
            "query": text(self.query.encode().expect("within its limits")),
            "manifest": text(self.manifest.encode().expect("within its limits")),
            "label": hex::encode(&self.label),
            "item": hex::encode(self.item.as_bytes()),
        })
    }
}

fn refused(name: &str, expect: &str, why: &str, edit: impl FnOnce(&mut Shown)) -> Case {
    let mut shown = Shown::new("mul");
    edit(&mut shown);
    Case::refused("receipt", name, shown.members(), expect, why)
}

/// The receipt is changed, signed and committed to again.
fn resaid(name: &str, expect: &str, why: &str, edit: impl FnOnce(&mut Receipt)) -> Case {
    refused(name, expect, why, |shown| {
        edit(&mut shown.receipt);
        shown.sign(&signing_key("receipt"));
    })
}

/// The note's text is changed, signed and committed to again: `bind` stays as it was.
fn rewritten(name: &str, expect: &str, why: &str, from: &str, to: &str) -> Case {
    refused(name, expect, why, |shown| {
        let said = shown.opening.receipt.rsplit_once("\n\n").expect("signature lines").0.to_owned() + "\n";
        let said = said.replacen(from, to, 1);
        shown.set_note(note::sign(&said, RECEIPT_KEY, &signing_key("receipt")).expect("a text"));
    })
}

fn refused_at_level_1() -> Vec<Case> {
    let other_secret = || MatchSecret::danger_from_bytes(made("another secret", 0));
    vec![
        refused("signature", "R01", "signed by another key", |shown| shown.sign(&signing_key("old ack"))),
        refused("altered", "R01", "the text is not what was signed", |shown| {
            shown.set_note(shown.opening.receipt.replacen("object-17", "object-18", 1));
        }),
        rewritten("type", "R01", "another first line", "receipt/v1", "receipt/v2"),
        rewritten("object_blank", "R01", "free text", "object-17", "object 17"),
        rewritten("position_large", "R01", "no position of any frame", "\"position\":2", "\"position\":4096"),
        rewritten("epoch_zero", "R01", "epoch 0", "\"epoch\":1", "\"epoch\":0"),
        rewritten("matched_second", "R01", "a time that is not rounded", "20:26:00Z", "20:26:01Z"),
        rewritten("member_less", "R01", "a member is left out", "\"object\":\"object-17\",", ""),
        rewritten("white_space", "R01", "not the canonical form", "\"epoch\":1", "\"epoch\": 1"),
        rewritten(
            "platform",
            "R01",
            "of a platform that is not the key's",
            "\"platform.example\"",
            "\"other.example\"",
        ),
        refused("no_secret", "R02", "no secret is shown", |shown| shown.opening.secret = None),
        refused("other_secret", "R02", "another secret", |shown| shown.opening.secret = Some(other_secret())),
        rewritten("object", "R02", "not what was bound", "object-17", "object-18"),
        rewritten("position_bound", "R02", "not what was bound", "\"position\":2", "\"position\":1"),
        rewritten("label_bound", "R02", "not what was bound", "\"label\":\"QTE=\"", "\"label\":\"QTI=\""),
        refused("manifest", "M06", "another manifest than the one named", |shown| shown.manifest.software.push('!')),
        resaid("early", "M06", "before the version's validity", |said| said.matched = before(said.matched)),
        resaid("late", "M06", "after the version's validity", |said| said.matched = time("2026-09-04T20:27:00Z")),
        resaid("version", "M06", "a version that the manifest does not have", |said| said.version = Version(3)),
        refused("salt", "R03", "another salt", |shown| shown.opening.salt = Salt::danger_from_bytes([0; 32])),
        refused("commitment", "R03", "another commitment", |shown| shown.leaf.c = Hash([0; 32])),
        refused("match_batch", "R03", "the match leaf names another frame", |shown| {
            shown.leaf.batch = BatchId([0; 16])
        }),
        refused("log", "R03", "a match log about another agency", |shown| {
            let log = LogOrigin::parse("platform.example/veilmatch/match/other.example/2026h2");
            shown.opening.log = log.expect("an origin");
        }),
        refused("frame_batch", "R04", "another frame in the match log", |shown| shown.frame.batch = BatchId([0; 16])),
        refused("query_batch", "R04", "another frame in the query log", |shown| shown.query.batch = BatchId([0; 16])),
        refused("query_platform", "R04", "the frame of another platform", |shown| {
            shown.query.platform = "other.example".parse().expect("fits the grammar");
        }),
        refused("req", "R04", "the logs name two requests", |shown| shown.frame.req = RequestDigest([0; 32])),
        refused("resp", "R04", "the logs name two answers", |shown| shown.frame.resp = Some(ResponseDigest([0; 32]))),
        resaid("position", "R04", "the frame has no such place", |said| said.position = 4),
        refused("label", "R06", "the agency's record has another label", |shown| shown.label = b"A2".to_vec()),
    ]
}

fn before(time: Timestamp) -> Timestamp {
    Timestamp::from_unix(time.unix() - 60)
}

fn refused_at_level_2() -> Vec<Case> {
    let edited = |name: &str, why: &str, edit: fn(&mut ElementOpening)| {
        refused(name, "R07", why, |shown| edit(shown.opening.element.as_mut().expect("level 2")))
    };
    let other_form = |element: &mut ElementOpening| {
        let scalar = *element.blind.danger_to_bytes();
        element.blind = OpenedBlind::danger_from_bytes("add", scalar).expect("canonical");
    };
    let other_blind = |element: &mut ElementOpening| {
        element.blind = OpenedBlind::danger_from_bytes("mul", scalar(0)).expect("canonical");
    };
    vec![
        edited("form", "opened in the other form", other_form),
        edited("blind", "another blind", other_blind),
        edited("element", "another element than at that place", |element| element.element = [0; 32]),
        edited("path", "two hashes of the path swapped", |element| element.path.swap(0, 1)),
        edited("path_short", "a hash too few", |element| element.path.truncate(element.path.len() - 1)),
        edited("path_long", "a hash too many", |element| element.path.push([0; 32])),
        refused("item", "R07", "another item", |shown| shown.item = items().swap_remove(0)),
        resaid("place", "R07", "another place of the frame", |said| said.position = 1),
    ]
}

fn refused_lines(line: &str) -> Vec<Case> {
    let refused = |name: &str, line: String, why: &str| {
        Case::refused("opening", name, json!({ "opening": line }), "BAD_OPENING", why)
    };
    let edited = |name: &str, at: &str, value: Value, why: &str| {
        let mut opening: Value = serde_json::from_str(line).expect("JSON");
        opening[at] = value;
        refused(name, text(serde_json_canonicalizer::to_vec(&opening).expect("JSON")), why)
    };
    let zero = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let all_ones = json!("//////////////////////////////////////////8=");
    vec![
        edited("type", "type", json!("veilmatch/opening/v2"), "another type"),
        edited("log", "log", json!("agency.example/veilmatch/query/2026h2"), "not a match log"),
        edited("index", "index", json!(1_u64 << 53), "2^53"),
        edited("salt", "salt", json!(""), "no salt"),
        edited("form", "form", json!("sub"), "an unknown form"),
        edited("form_less", "form", json!(""), "a blind without its form"),
        edited("blind_zero", "blind", zero.clone(), "0 as mul"),
        edited("blind_not_reduced", "blind", all_ones, "not canonical"),
        edited("element", "element", json!("AAAA"), "an element of three bytes"),
        edited("path", "path", vec![zero; 13].into(), "longer than in the largest frame"),
        edited("more", "more", json!(1), "an unknown member"),
        refused("white_space", line.replacen(':', ": ", 1), "not the canonical form"),
        refused("newline", line.to_owned() + "\n", "something behind it"),
    ]
}
