//! Leaves that no log may have.

use serde_json::{Map, Value, json};
use veilmatch_audit::leaf::Leaf;

use super::{Case, leaves, text};

pub fn all() -> Vec<Case> {
    let mut cases = spellings();
    for (name, leaf) in types() {
        cases.push(edited(&format!("{name}_more"), &leaf, "an unknown member", |members| {
            members.insert("more".to_owned(), json!(1));
        }));
        cases.push(edited(&format!("{name}_less"), &leaf, "no nonce", |members| drop(members.remove("nonce"))));
    }
    for (name, at, value, why) in members() {
        let (kind, _) = name.split_once('_').expect("type and case");
        let (_, leaf) = types().into_iter().find(|(known, _)| *known == kind).expect("a known type");
        cases.push(edited(name, &leaf, why, |members| members[at] = value));
    }
    cases
}

fn types() -> Vec<(&'static str, Leaf)> {
    vec![
        ("key", leaves::rotated().into()),
        ("withdraw", leaves::withdraw().into()),
        ("absent", leaves::absent().into()),
        ("query", leaves::query().into()),
        ("adopt", leaves::adopt().into()),
        ("frame", leaves::frame().into()),
        ("match", leaves::matched().into()),
        ("action", leaves::action().into()),
        ("day", leaves::day().into()),
        ("close", leaves::close().into()),
        ("erase", leaves::erase(3).into()),
        ("pad", leaves::pad().into()),
    ]
}

fn refused(name: &str, leaf: String, why: &str) -> Case {
    Case::refused("leaf", name, json!({ "leaf": leaf }), "BAD_LEAF", why)
}

fn canonical(value: &Value) -> String {
    text(serde_json_canonicalizer::to_vec(value).expect("JSON"))
}

fn edited(name: &str, leaf: &Leaf, why: &str, edit: impl FnOnce(&mut Map<String, Value>)) -> Case {
    let mut value: Value = serde_json::from_slice(&leaf.encode().expect("within its limits")).expect("JSON");
    edit(value.as_object_mut().expect("a leaf is an object"));
    refused(name, canonical(&value), why)
}

fn spellings() -> Vec<Case> {
    let pad = text(leaves::pad().encode().expect("within its limits"));
    let frame = text(leaves::frame().encode().expect("within its limits"));
    let long = leaves::erase(leaves::longest() + 1);
    let long = canonical(&serde_json::to_value(long).expect("JSON"));
    let nonce = |text: &str| {
        let (before, rest) = pad.split_once("\"nonce\":\"").expect("a nonce");
        let (_, after) = rest.split_once('"').expect("a text ends");
        format!("{before}\"nonce\":\"{text}\"{after}")
    };
    vec![
        refused("unknown_type", pad.replace("pad/v1", "pad/v2"), "an unknown type"),
        refused("no_type", pad.replace(",\"type\":\"veilmatch/pad/v1\"", ""), "no type"),
        refused("white_space", pad.replacen(':', ": ", 1), "not the canonical form"),
        refused("newline", pad.clone() + "\n", "something behind it"),
        refused(
            "order",
            frame.replacen("{\"ack\"", "{\"type\":\"veilmatch/frame/v1\",\"ack\"", 1).replacen(
                ",\"type\":\"veilmatch/frame/v1\"}",
                "}",
                1,
            ),
            "members are not sorted",
        ),
        refused("twice", pad.replacen('{', "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA==\",", 1), "a member twice"),
        refused(
            "escape",
            pad.replace("veilmatch", "\\u0076eilmatch"),
            "an escape that the canonical form does not have",
        ),
        refused("empty", String::new(), "nothing"),
        refused("list", "[]".to_owned(), "not an object"),
        refused("base64_short", nonce("AAAAAAAAAAAAAAAAAAAA"), "15 bytes"),
        refused("base64_long", nonce("AAAAAAAAAAAAAAAAAAAAAAA="), "17 bytes"),
        refused("base64_unpadded", nonce("AAAAAAAAAAAAAAAAAAAAAA"), "no padding"),
        refused("base64_bits", nonce("AAAAAAAAAAAAAAAAAAAAAB=="), "bits behind the last byte"),
        refused("base64_url", nonce("-_AAAAAAAAAAAAAAAAAAAA=="), "another alphabet"),
        refused("long", long, "longer than 16,384 bytes"),
    ]
}

fn members() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let two_to_53 = json!(1_u64 << 53);
    let (hash, empty) = (json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), json!(""));
    vec![
        ("key_role", "role", json!("other"), "an unknown role"),
        ("key_uncrossed", "cross", empty.clone(), "an old key without its signature"),
        ("key_id", "key", json!("a+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "a wrong key id"),
        ("key_witness", "role", json!("witness"), "a witness whose key is of type 0x01"),
        ("key_lost", "lost_to", json!(1), "leaves of no log are lost"),
        ("key_previous", "previous", json!("agency.example/veilmatch/query"), "no origin of a log"),
        ("withdraw_reason", "reason", json!("In error"), "free text"),
        ("withdraw_version", "version", json!(0), "version 0"),
        ("withdraw_tag", "tag", json!("AAAA"), "a tag of three bytes"),
        ("absent_item", "item", json!("BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "a reserved kind"),
        ("absent_proof", "proof", hash.clone(), "a proof of 32 bytes"),
        ("query_minute", "minute", two_to_53.clone(), "2^53"),
        ("query_time", "t", json!("2026-08-28T20:27:01Z"), "a time that is not rounded to its minute"),
        ("query_n", "n", json!(5), "no frame size"),
        ("query_fraction", "n", json!(4.5), "a fraction"),
        ("query_status", "status", json!("refused"), "refused, with an answer and without a code"),
        ("query_code", "code", json!("BUDGET_EXHAUSTED"), "answered, with a code"),
        ("query_resp", "resp", empty.clone(), "answered, without an answer's digest"),
        ("query_view", "view", json!({ "root": hash, "size": 0 }), "a view of nothing"),
        ("query_view_more", "view", json!({ "more": 1, "root": hash, "size": 1 }), "an unknown member below"),
        ("query_platform", "platform", json!("Platform.example"), "no name"),
        ("query_epoch", "epoch", json!(3), "an epoch above the version"),
        ("adopt_time", "t", json!("2026-08-28T20:26:59+00:00"), "a time in another form"),
        ("frame_time", "t", json!("2026-08-28T20:01:00Z"), "a time that is not rounded to its hour"),
        ("frame_ack", "ack", empty.clone(), "answered, without an acknowledgement"),
        ("frame_status", "status", json!("abandoned"), "abandoned, with an answer"),
        ("match_time", "t", json!("2026-08-28T01:00:00Z"), "a time that is not rounded to its day"),
        ("match_c", "c", empty.clone(), "no commitment"),
        ("action_index", "index", two_to_53.clone(), "2^53"),
        ("action_negative", "index", json!(-1), "below 0"),
        ("day_date", "date", json!("2026-02-29"), "a day that does not exist"),
        ("day_count", "offered", two_to_53.clone(), "2^53"),
        ("day_reason", "not_checked", json!({ "offline": 1 }), "no name of a reason"),
        ("day_reason_count", "not_checked", json!({ "OFFLINE": two_to_53 }), "2^53"),
        ("action_log", "log", json!("agency.example/veilmatch/query/2026h2"), "not of a match log"),
        ("day_action", "actions", json!({ "Told the police": 1 }), "free text"),
        ("close_digest", "digest", empty, "no digest"),
        ("erase_log", "log", json!(""), "no log"),
        ("erase_none", "indices", json!([]), "nothing is erased"),
        ("erase_order", "indices", json!([2, 1]), "indices are not ascending"),
        ("erase_twice", "indices", json!([1, 1]), "an index twice"),
        ("erase_index", "indices", json!([1, two_to_53]), "2^53"),
        ("erase_basis", "basis", json!("Because."), "free text"),
        ("pad_number", "nonce", json!(1), "a number in the place of bytes"),
        ("pad_null", "nonce", Value::Null, "null"),
    ]
}
