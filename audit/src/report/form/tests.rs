use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use veilmatch_protocol::note::{self, Verifier};

use crate::{
    Error,
    finding::{Finding, Place},
    report::{
        CanaryRow, CategoryRow, Command, Count, DayCell, FindingRow, GapRow, LogRow, PlatformDays, PolicyOf,
        ReceiptRow, Report, VersionRow, open, page::tests::report, sign,
    },
};

use super::*;

const NAME: &str = "auditor.example/veilmatch/report";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

/// A report with a row of each kind.
fn full() -> Report {
    let root = STANDARD.encode([7; 32]);
    let places = [
        Place::checkpoint("agency.example/veilmatch/manifest"),
        Place::file("agency.example/veilmatch/manifest", "tile/0/000", Some(3)),
        Place::file("agency.example/veilmatch/manifest", "tile/0/000", None),
        Place::leaf("agency.example/veilmatch/manifest", 2),
        Place::version("agency.example/veilmatch/manifest", "baseline", 2, "artifact"),
        Place::line("platform.example", "opening", 1),
        Place::day("platform.example", "2026-10-03", "baseline", 0),
    ];
    let (since, until) = ("2026-10-17".to_owned(), "2026-10-20".to_owned());
    Report {
        logs: vec![LogRow {
            origin: "agency.example/veilmatch/query/2026h2.2".into(),
            from: 0,
            size: 9,
            root: root.clone(),
            policy: PolicyOf::Agreed,
            cosigners: vec!["witness.example/w".into()],
            age_s: Some(60),
            gaps: vec![GapRow { log: "lost".into(), from: 5, to: 6, since, until, lost: true }],
            findings: 1,
        }],
        findings: places.map(|place| FindingRow::new(&Finding::new(Code::L04, place, "differs"), Vec::new())).into(),
        days: vec![PlatformDays {
            platform: "platform.example".into(),
            days: vec![DayCell { date: "2026-10-01".into(), ..DayCell::default() }],
        }],
        categories: vec![CategoryRow { category: "synthetic:a".into(), receipts: Count(9) }],
        versions: vec![VersionRow {
            list: "baseline".into(),
            version: 2,
            epoch: 1,
            index: 1,
            not_before: "2026-10-01T00:00:00Z".into(),
            not_after: "2026-12-01T00:00:00Z".into(),
            count: 1_024,
            root,
            artifact: ARTIFACT[0].into(),
        }],
        canaries: vec![CanaryRow { platform: "platform.example".into(), planted: 3, seen: 2, bound_permille: 865 }],
        receipts: vec![ReceiptRow {
            platform: "platform.example".into(),
            status: Status::LevelTwo.words().into(),
            number: Count(3),
        }],
        repeat: vec![Command { what: "the root".into(), command: "derive it".into() }],
        ..report()
    }
}

fn opened(json: &str) -> Result<String, Error> {
    let signed = note::sign(&format!("veilmatch/report/v1\n{json}\n"), NAME, &key()).unwrap();
    open(&signed, &Verifier::new(NAME, key().verifying_key()).unwrap()).map(str::to_owned)
}

/// Whether the report opens with another value at a place.
fn edited(pointer: &str, value: Value) -> Result<String, Error> {
    let mut json = serde_json::to_value(full()).unwrap();
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    opened(&serde_json_canonicalizer::to_string(&json).unwrap())
}

/// All objects of a report, by their places.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            members.iter().for_each(|(name, member)| objects(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => (0..).zip(items).for_each(|(n, item)| objects(item, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

#[test]
fn what_is_signed_opens_again() {
    // SPEC §21.3
    let signed = sign(&full(), NAME, &key()).unwrap();
    open(&signed, &Verifier::new(NAME, key().verifying_key()).unwrap()).unwrap();
    let sample = include_str!("../../../../docs/sample-report.note");
    let auditor = SigningKey::from_bytes(&[90; 32]).verifying_key();
    open(sample, &Verifier::new(NAME, auditor).unwrap()).unwrap();
}

#[test]
fn a_member_more_or_less_anywhere_refuses_the_report() {
    // SPEC §21.3
    let json = serde_json::to_value(full()).unwrap();
    let mut places = Vec::new();
    objects(&json, "", &mut places);
    assert!(places.len() > 16, "{places:?}");
    for place in places {
        let mut more = json.clone();
        more.pointer_mut(&place).unwrap()["more"] = json!(1);
        let more = serde_json_canonicalizer::to_string(&more).unwrap();
        assert_eq!(opened(&more), Err(Error::BadReport), "{place}");
        let members = json.pointer(&place).unwrap().as_object().unwrap();
        // What is left out where there is nothing to say.
        let may_lack = |name: &str| {
            ["age_s", "gaps"].contains(&name)
                || name == "index" && members.get("part").is_some_and(|part| part == "file")
        };
        for name in members.keys().filter(|name| !may_lack(name)) {
            let mut less = json.clone();
            less.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(name);
            let less = serde_json_canonicalizer::to_string(&less).unwrap();
            assert_eq!(opened(&less), Err(Error::BadReport), "{place}/{name}");
        }
    }
}

#[test]
fn a_member_of_another_type_or_outside_its_limits_refuses_the_report() {
    // SPEC §21.3
    for (place, value) in [
        ("/id", json!("00112233445566AA")),
        ("/id", json!("0011")),
        ("/made", json!("2026-11-01")),
        ("/from", json!("")),
        ("/from", json!("2026-11-01")),
        ("/to", json!("soon")),
        ("/split_view_open", json!("false")),
        ("/not_judged", json!(null)),
        ("/scope/0", json!(1)),
        ("/logs/0/size", json!("9")),
        ("/logs/0/size", json!(-1)),
        ("/logs/0/size", json!(1.5)),
        ("/logs/0/root", json!("")),
        ("/logs/0/root", json!(STANDARD.encode([7; 31]))),
        ("/logs/0/policy", json!("any")),
        ("/logs/0/age_s", json!(null)),
        ("/logs/0/gaps", json!([])),
        ("/logs/0/gaps/0/to", json!(4)),
        ("/logs/0/gaps/0/since", json!("")),
        ("/findings/0/code", json!("L99")),
        ("/findings/0/severity", json!("low")),
        ("/findings/0/severity", json!("Critical")),
        ("/findings/0/proves", json!("nobody")),
        ("/findings/0/place/part", json!("root")),
        ("/findings/1/place/index", json!(null)),
        ("/findings/3/place/index", json!(null)),
        ("/findings/4/place/file", json!("list")),
        ("/findings/5/place/paper", json!("letter")),
        ("/days/0/days/0/date", json!("2026-10-32")),
        ("/days/0/days/0/closed", json!(1)),
        ("/categories/0/receipts", json!(3)),
        ("/categories/0/receipts", json!("<6")),
        ("/versions/0/artifact", json!("perhaps")),
        ("/versions/0/root", json!("")),
        ("/versions/0/version", json!(4_294_967_296_u64)),
        ("/versions/0/not_after", json!("never")),
        ("/canaries/0/seen", json!(4)),
        ("/canaries/0/bound_permille", json!(1_001)),
        ("/receipts/0/status", json!("level 3")),
    ] {
        assert_eq!(edited(place, value.clone()), Err(Error::BadReport), "{place} {value}");
    }
    edited("/logs/0/size", json!(10)).unwrap();
}

#[test]
fn json_that_is_not_canonical_refuses_the_report() {
    // SPEC §21.3
    let canonical = serde_json_canonicalizer::to_string(&full()).unwrap();
    opened(&canonical).unwrap();
    for other in [
        canonical.replacen(':', ": ", 1),
        canonical.replacen("\"size\":9", "\"size\":9.0", 1),
        canonical.replacen("\"size\":9", "\"size\":9,\"size\":9", 1),
        canonical.replacen("agency.example", "\\u0061gency.example", 1),
        format!("{canonical} "),
        canonical.replacen('{', "{\"agency\":\"agency.example\",", 1),
        format!("{canonical}\n{canonical}"),
        serde_json::to_string(&full()).unwrap(),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        assert_eq!(opened(&other), Err(Error::BadReport), "{other}");
    }
}
