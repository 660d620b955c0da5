//! Keys that change (SPEC §18.2): what the old one signed later is signed by nobody, and what it signed before stays signed.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    finding::{Code, Place},
    leaf::{Key, Leaf, Nonce, Role, VerifierKey},
};
use veilmatch_protocol::{manifest::Timestamp, note::Verifier};

use super::{MATCH, MONTH, PLATFORM, QUERY, find, find_last, leaf, leaves, put, text};
use crate::world::{at, key, platform::Platform, shown::Shown};

fn me() -> &'static Platform {
    &MONTH.platforms[0]
}

/// A key that nobody has used takes the place of another.
fn change(role: Role, name: &str, old: &SigningKey, t: Timestamp) -> Leaf {
    let verifier = |key: &SigningKey| VerifierKey::signer(name, key.verifying_key()).unwrap();
    let mut change = Key {
        cross: None,
        key: verifier(&key(77)),
        lost_from: 0,
        lost_to: 0,
        nonce: Nonce([5; 16]),
        old: Some(verifier(old)),
        previous: None,
        role,
        t,
    };
    change.cross_sign(old);
    Leaf::Key(change)
}

fn with(origin: &str, index: u64, change: &Leaf) -> Shown {
    MONTH.edited(|logs| put(logs, origin, index, change))
}

/// The places of the findings with a code.
fn places(shown: &Shown, code: Code) -> BTreeSet<Place> {
    let findings = shown.findings(&MONTH);
    findings.into_iter().filter(|finding| finding.code == code).map(|finding| finding.place).collect()
}

/// In the night to the 16th there are pads.
fn midnight() -> (u64, Timestamp) {
    let first = find(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    assert!(first < MONTH.audited[MATCH] as u64);
    (first, at("2026-10-16T00:00:00Z"))
}

const REQUEST: &str = "platform.example/veilmatch/request";
const RECEIPT: &str = "platform.example/veilmatch/receipt";
const ACK: &str = "agency.example/veilmatch/ack";

#[test]
fn q04_requests_under_a_key_that_was_replaced() {
    // SPEC §18.2
    let (index, t) = midnight();
    let later = |leaf: &Leaf| matches!(leaf, Leaf::Query(query) if query.platform == me().name && query.t > t);
    let queries = (0..).zip(leaves(QUERY)).filter(|(_, leaf)| later(leaf));
    let expected: BTreeSet<Place> = queries.map(|(index, _)| Place::leaf(QUERY, index)).collect();
    let shown = with(MATCH, index, &change(Role::Request, REQUEST, &me().request_key, t));
    assert!(!expected.is_empty());
    assert_eq!(places(&shown, Code::Q04), expected);
}

#[test]
fn r01_receipts_under_a_key_that_was_replaced() {
    // SPEC §18.2, §19.4
    let (index, t) = midnight();
    let verifier = Verifier::new(RECEIPT, me().receipt_key.verifying_key()).unwrap();
    let matched = me().openings.iter().map(|opening| opening.receipt(&verifier).unwrap().receipt().matched);
    let lines = (1..).zip(matched).filter(|(_, matched)| *matched > t);
    let expected: BTreeSet<Place> = lines.map(|(line, _)| Place::line(PLATFORM, "opening", line)).collect();
    let shown = with(MATCH, index, &change(Role::Receipt, RECEIPT, &me().receipt_key, t));
    assert!(!expected.is_empty() && expected.len() < me().openings.len());
    assert_eq!(places(&shown, Code::R01), expected);
}

#[test]
fn q04_acknowledgements_under_a_key_that_was_replaced() {
    // SPEC §18.2, §18.4: the change stands in the place of a frame that was refused.
    let index = find_last(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_none()));
    let Leaf::Query(refused) = leaf(QUERY, index) else { unreachable!("found as one") };
    let verifier = Verifier::new(ACK, MONTH.agency.ack_key.verifying_key()).unwrap();
    let mut expected = BTreeSet::new();
    for platform in &MONTH.platforms {
        for (line, ack) in (1..).zip(&platform.acks) {
            let t = Acknowledgement::open(ack.note.as_bytes(), &verifier).unwrap().t;
            if t.unix() > refused.t.unix() + 600 {
                expected.insert(Place::line(platform.name.as_str(), "acknowledgement", line));
            }
        }
    }
    let shown = with(QUERY, index, &change(Role::Ack, ACK, &MONTH.agency.ack_key, refused.t));
    assert!(!expected.is_empty());
    assert_eq!(places(&shown, Code::Q04), expected);
}

#[test]
fn a_change_at_the_end_that_is_back_dated_disowns_nothing() {
    // SPEC §18.2
    let (index, t) = (find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_))), at("2026-10-01T00:00:00Z"));
    for (role, name, old) in [(Role::Request, REQUEST, &me().request_key), (Role::Receipt, RECEIPT, &me().receipt_key)]
    {
        let findings = with(MATCH, index, &change(role, name, old, t)).findings(&MONTH);
        assert_eq!(text(&findings), "", "{role:?}");
    }
}
