//! Acknowledgements, closing statements, certificates and canaries.

use serde_json::{Value, json};
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    canary::{Canary, Commitments},
    closing::{AnsweredFrame, Closing, Day},
    date::Date,
    leaf::{Certificate, Query, Scope},
    origin::LogOrigin,
};
use veilmatch_protocol::{
    derive::Tag,
    frame::{FrameSize, RequestDigest, ResponseDigest},
    name::{Epoch, Version},
    note,
};

use super::{Case, agency, hash, leaves, list, made, platform, signing_key, text, time, verifier};

const ACK_KEY: &str = "agency.example/veilmatch/ack";
const RECEIPT_KEY: &str = "platform.example/veilmatch/receipt";
const CERTIFIER: &str = "certifier.example/veilmatch/certifier";

pub fn all() -> Vec<Case> {
    let mut cases = acknowledgements();
    cases.extend(closings());
    cases.extend(certificates());
    cases.extend(canaries());
    cases
}

/// A text, signed anew where it was changed.
fn signed(text: &str, name: &str, role: &str) -> String {
    note::sign(text, name, &signing_key(role)).expect("a text that ends with a newline")
}

/// The text of a note that was just made.
fn text_of(note: &str) -> String {
    note.rsplit_once("\n\n").expect("signature lines").0.to_owned() + "\n"
}

fn acknowledgements() -> Vec<Case> {
    let leaf = leaves::query();
    let origin = LogOrigin::parse("agency.example/veilmatch/query/2026h2").expect("an origin");
    let said = Acknowledgement::of(origin, 1_234_567, &leaf).expect("within its limits");
    let note = said.sign(&signing_key("ack")).expect("within its limits");
    let said = text_of(&note);
    let lines: Vec<&str> = said.trim_end().split('\n').collect();
    let other = text(Query { nonce: leaves::pad().nonce, ..leaf.clone() }.encode().expect("within its limits"));
    let leaf = text(leaf.encode().expect("within its limits"));
    let members = |note: &str, leaf: &str| json!({ "verifier_key": verifier(ACK_KEY, "ack").to_string(), "note": note, "leaf": leaf });
    let mut cases = vec![Case::accepted("acknowledgement", "query", members(&note, &leaf))];
    let refused = |name: &str, note: &str, leaf: &str, why: &str| {
        Case::refused("acknowledgement", name, members(note, leaf), "BAD_ACKNOWLEDGEMENT", why)
    };
    let changed = |name, from: &str, to: &str, why| {
        refused(name, &signed(&said.replacen(from, to, 1), ACK_KEY, "ack"), &leaf, why)
    };
    cases.extend([
        refused("signature", &note.replacen("1234567", "1234568", 1), &leaf, "the text is not what was signed"),
        refused("key", &signed(&said, ACK_KEY, "old ack"), &leaf, "signed by another key"),
        refused("name", &signed(&said, "other.example/veilmatch/ack", "ack"), &leaf, "no line of the pinned name"),
        refused("leaf", &note, &other, "another leaf than the one promised"),
        changed("type", lines[0], "veilmatch/ack/v2", "another first line"),
        changed("agency", "agency.example", "other.example", "a log of another agency"),
        changed("log", lines[1], "agency.example/veilmatch/manifest", "not a query log"),
        changed("half_year", "2026h2", "2026h1", "a log of another half-year than the leaf"),
        changed("index_zeros", "1234567", "01234567", "an index with a zero in front"),
        changed("index_large", "1234567", "9007199254740992", "2^53"),
        changed("leaf_hash", lines[3], "AAAA", "a hash of three bytes"),
        changed("leaf_hash_other", lines[3], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "another hash"),
        changed("batch", lines[4], "AAAAAAAAAAAAAAAAAAAAAA==", "another batch"),
        changed("time", "20:27:00Z", "20:28:00Z", "another time than the leaf's"),
        changed("time_second", "20:27:00Z", "20:27:01Z", "a time that is not rounded"),
        changed("line_more", lines[5], &format!("{}\nmore", lines[5]), "a line more"),
        changed("line_less", &format!("{}\n", lines[4]), "", "a line less"),
    ]);
    cases
}

fn closings() -> Vec<Case> {
    let frames: Vec<_> = [FrameSize::One, FrameSize::Full, FrameSize::Four]
        .into_iter()
        .zip(0..)
        .map(|(n, i)| AnsweredFrame { req: RequestDigest(made("req", i)), resp: ResponseDigest(made("resp", i)), n })
        .collect();
    let day = || Day {
        agency: agency(),
        platform: platform(),
        list: list(),
        epoch: Epoch(1),
        date: Date::of(time("2026-08-28T00:00:00Z")),
    };
    let both = |statement: &Closing| {
        let note = statement.sign(&signing_key("receipt")).expect("within its limits");
        statement.countersign(&note, &signing_key("ack")).expect("the same statement")
    };
    let members = |note: &str| {
        json!({ "receipt_key": verifier(RECEIPT_KEY, "receipt").to_string(),
                "ack_key": verifier(ACK_KEY, "ack").to_string(), "note": note })
    };
    let accepted = |name, frames: &[AnsweredFrame]| {
        let statement = Closing::of(day(), frames.to_vec());
        let mut members = members(&both(&statement));
        let row = |frame: &AnsweredFrame| json!({ "req": hex::encode(frame.req.0), "resp": hex::encode(frame.resp.0), "n": frame.n });
        members["frames"] = frames.iter().map(row).collect();
        members["digest"] = hex::encode(statement.digest().expect("within its limits").0).into();
        Case::accepted("closing", name, members)
    };
    let mut cases = vec![accepted("three_frames", &frames), accepted("one_frame", &frames[..1])];
    let note = both(&Closing::of(day(), frames));
    let (said, refused) = (text_of(&note), |name: &str, note: String, why: &str| {
        Case::refused("closing", name, members(&note), "BAD_CLOSING", why)
    });
    let last_line = |note: &str| note.trim_end().rsplit_once('\n').expect("lines").1.to_owned() + "\n";
    let resigned = |text: &str| {
        let agencys = last_line(&signed(text, ACK_KEY, "ack"));
        signed(text, RECEIPT_KEY, "receipt") + &agencys
    };
    let changed = |name, from: &str, to: &str, why| refused(name, resigned(&said.replacen(from, to, 1)), why);
    cases.extend([
        refused("altered", note.replacen("4101", "4102", 1), "the text is not what was signed"),
        refused("platform_alone", signed(&said, RECEIPT_KEY, "receipt"), "the agency has not signed"),
        refused("agency_alone", signed(&said, ACK_KEY, "ack"), "the platform has not signed"),
        changed("type", "close/v1", "close/v2", "another first line"),
        changed("platform", "\"platform.example\"", "\"other.example\"", "of a platform that is not the key's"),
        changed("agency", "\"agency.example\"", "\"other.example\"", "of an agency that is not the key's"),
        changed("date", "2026-08-28", "2026-08-32", "a day that does not exist"),
        changed("epoch", "\"epoch\":1", "\"epoch\":0", "epoch 0"),
        changed("number", "\"frames\":3", "\"frames\":9007199254740992", "2^53"),
        changed("white_space", "\"frames\":3", "\"frames\": 3", "not the canonical form"),
        changed("member_less", "\"frames\":3,", "", "a member is left out"),
        changed("member_more", "{\"agency\"", "{\"a\":1,\"agency\"", "an unknown member"),
        changed("line_more", "}\n", "}\nmore\n", "a line more"),
    ]);
    cases
}

fn certificates() -> Vec<Case> {
    let manifest = leaves::manifest();
    let certificate = Certificate {
        agency: agency(),
        epoch: Epoch(1),
        key: manifest.oprf_key,
        list: list(),
        number: 1_000_000,
        root: manifest.artifact.root,
        scope: Scope::Recomputed,
        t: time("2026-08-28T20:26:00Z"),
        version: Version(2),
    };
    let note = certificate.sign(CERTIFIER, &signing_key("certifier")).expect("within its limits");
    let members = |note: &str| json!({ "verifier_key": verifier(CERTIFIER, "certifier").to_string(), "note": note });
    let mut good = members(&note);
    good["digest"] = hex::encode(Certificate::digest(note.as_bytes()).0).into();
    let said = text_of(&note);
    let changed = |name: &str, from: &str, to: &str, why: &str| {
        let note = signed(&said.replacen(from, to, 1), CERTIFIER, "certifier");
        Case::refused("certificate", name, members(&note), "BAD_LEAF", why)
    };
    let altered = members(&note.replacen("1000000", "2000000", 1));
    vec![
        Case::accepted("certificate", "recomputed", good),
        Case::refused("certificate", "altered", altered, "BAD_LEAF", "the text is not what was signed"),
        changed("type", "cert/v1", "cert/v2", "another first line"),
        changed("scope", "recomputed", "believed", "an unknown scope"),
        changed("version", "\"version\":2", "\"version\":0", "version 0"),
        changed("number", "1000000", "9007199254740992", "2^53"),
        changed("member_less", "\"scope\":\"recomputed\",", "", "a member is left out"),
        changed("white_space", "\"version\":2", "\"version\": 2", "not the canonical form"),
    ]
}

fn canaries() -> Vec<Case> {
    let all: Vec<_> = (0..5)
        .map(|i| Canary { deadline: 29_799_626 + i, salt: super::Hash(made("salt", i)), tag: Tag(made("tag", i)) })
        .collect();
    let commitments = Commitments::new(&all);
    let root = commitments.root();
    let line =
        |canary: &Canary| text(commitments.open(canary).expect("one of them").encode().expect("within its limits"));
    let members = |opening: &str| json!({ "canary_root": hex::encode(root.0), "opening": opening });
    let rows: Vec<Value> = all
        .iter()
        .map(|canary| {
            json!({ "deadline": canary.deadline, "salt": hex::encode(canary.salt.0), "tag": hex::encode(canary.tag.0) })
        })
        .collect();
    let accepted = |(i, canary): (usize, &Canary)| {
        let mut members = members(&line(canary));
        members["canaries"] = rows.clone().into();
        Case::accepted("canary", &i.to_string(), members)
    };
    let good = line(&all[2]);
    let edited = |name: &str, at: &str, value: Value, why: &str| {
        let mut opening: Value = serde_json::from_str(&good).expect("JSON");
        opening[at] = value;
        let opening = text(serde_json_canonicalizer::to_vec(&opening).expect("JSON"));
        Case::refused("canary", name, members(&opening), "BAD_OPENING", why)
    };
    let other = hash("another").0;
    let other = base64_of(&other);
    let path: Vec<Value> =
        serde_json::from_str::<Value>(&good).expect("JSON")["path"].as_array().expect("a path").clone();
    let mut cases: Vec<_> = all.iter().enumerate().map(accepted).collect();
    cases.extend([
        edited("deadline", "deadline", json!(29_799_627), "another deadline than the one fixed"),
        edited("salt", "salt", other.clone().into(), "another salt"),
        edited("tag", "tag", json!("AAAAAAAAAAAAAAAAAAAAAA=="), "an entry that was not fixed"),
        edited("index", "index", json!(5), "no such place"),
        edited("size", "size", json!(0), "a tree of nothing"),
        edited("path_short", "path", path[1..].into(), "a hash too few"),
        edited("path_long", "path", [&path[..], &[other.into()]].concat().into(), "a hash too many"),
        edited("type", "type", json!("veilmatch/canary/v2"), "another type"),
        edited("more", "more", json!(1), "an unknown member"),
        edited("number", "deadline", json!(1_u64 << 53), "2^53"),
        Case::refused(
            "canary",
            "white_space",
            members(&good.replacen(':', ": ", 1)),
            "BAD_OPENING",
            "not the canonical form",
        ),
    ]);
    cases
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}
