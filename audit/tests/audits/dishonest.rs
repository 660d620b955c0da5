//! Dishonest parties, by name: each is caught, with the key of the party itself as proof.

use base64::{Engine, engine::general_purpose::STANDARD};
use veilmatch_audit::{
    finding::{Code, Finding},
    leaf::{FrameStatus, Leaf, Query, Signature},
    opening::Opening,
    reconcile::Status,
};
use veilmatch_protocol::{frame::BatchId, note::Verifier, receipt::Receipt};

use crate::{
    scenarios::{MATCH, MONTH, PLATFORM, QUERY, change_day, find, leaf, leaves, pad, papers::with_receipt, put, text},
    world::{at, shown::Shown},
};

fn codes(findings: &[Finding]) -> Vec<Code> {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.dedup();
    codes
}

fn receipt(opening: &Opening) -> Receipt {
    let key = MONTH.platforms[0].receipt_key.verifying_key();
    let key = Verifier::new("platform.example/veilmatch/receipt", key).unwrap();
    opening.receipt(&key).unwrap().receipt().clone()
}

/// The opening of a canary's match, with its number.
fn of_canary() -> (usize, &'static Opening) {
    let tag = MONTH.canaries[2].opening.canary().tag;
    let mut openings = MONTH.platforms[0].openings.iter().enumerate();
    openings.find(|(_, opening)| receipt(opening).tag == tag).unwrap()
}

/// The platform leaves the match of a canary out of its log from the first, mends the day's totals, and releases nothing.
fn with_hidden_canary() -> Shown {
    let (at, opening) = of_canary();
    let (index, t) = (opening.index, receipt(opening).matched);
    let mut shown = MONTH.edited(|logs| {
        put(logs, MATCH, index, &pad());
        put(logs, MATCH, index + 1, &pad());
        change_day(logs, MATCH, t, |day| {
            day.matches -= 1;
            day.actions.values_mut().for_each(|number| *number -= 1);
        });
    });
    shown.openings.get_mut(PLATFORM).unwrap().remove(at);
    shown
}

/// A receipt for the entry of another one, which names a leaf that no checkpoint can have yet.
fn not_judged_yet(of: &Opening) -> Vec<u8> {
    let receipt = Receipt { matched: at("2026-11-01T00:30:00Z"), ..receipt(of) };
    let signed = receipt.sign(of.secret.as_ref().unwrap(), &MONTH.platforms[0].receipt_key).unwrap();
    let note = String::from_utf8(signed.note().to_vec()).unwrap();
    Opening { index: 1 << 40, receipt: note, ..of.clone() }.encode().unwrap().to_vec()
}

#[test]
fn a_platform_that_hides_the_match_of_a_canary() {
    let findings = with_hidden_canary().findings(&MONTH);
    assert_eq!(codes(&findings), [Code::C01], "{}", text(&findings));
}

#[test]
fn a_platform_that_hides_a_canary_behind_a_receipt_that_cannot_be_judged() {
    // SPEC §21.4: one such receipt, of whatever entry, left no canary of the platform missed.
    let mut shown = with_hidden_canary();
    let tag = receipt(of_canary().1).tag;
    let mut openings = MONTH.platforms[0].openings.iter().map(|opening| (opening, receipt(opening)));
    let (other, _) = openings.find(|(_, other)| other.version.0 == 4 && other.tag != tag).unwrap();
    shown.openings.get_mut(PLATFORM).unwrap().push(not_judged_yet(other));
    let examined = shown.examine(&MONTH);
    assert_eq!(codes(&examined.findings), [Code::C01], "{}", text(&examined.findings));
    let of_platform = &examined.reconciled.receipts[&MONTH.platforms[0].name];
    assert_eq!(of_platform.statuses[&Status::NotJudged], 1);
}

#[test]
fn a_platform_that_signs_the_tag_of_a_canary_without_its_secret() {
    // SPEC §19.4: every tag is published, and it has frames of its own to name a place of.
    let (at, opening) = of_canary();
    let mut shown = MONTH.shown();
    let signed = Opening { secret: None, element: None, ..opening.clone() };
    shown.openings.get_mut(PLATFORM).unwrap()[at] = signed.encode().unwrap().to_vec();
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::C01], "{}", text(&findings));
    // Not even one that cannot be judged excuses it.
    let mut shown = with_hidden_canary();
    let line = Opening::decode(&not_judged_yet(opening)).unwrap();
    let signed = Opening { secret: None, element: None, ..line };
    shown.openings.get_mut(PLATFORM).unwrap().push(signed.encode().unwrap().to_vec());
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::C01], "{}", text(&findings));
}

#[test]
fn a_canary_whose_own_receipt_cannot_be_judged_is_told() {
    // SPEC §21.4: the log of the half-year in which it was found is not shown.
    let mut shown = MONTH.shown();
    shown.logs.remove(MATCH);
    shown.seen.remove(MATCH);
    let examined = shown.examine(&MONTH);
    assert_eq!(text(&examined.findings), "");
    let lines = &examined.reconciled.not_judged;
    let told =
        |number| format!("agency.example: canary {number}: the receipt of {PLATFORM} for it could not be judged");
    assert!((1..=3).all(|number| lines.contains(&told(number))), "{lines:?}");
}

#[test]
fn a_platform_that_invents_a_match() {
    // It has a tag of the published list and no evaluation of it: any secret that it names gives another tag.
    let platform = &MONTH.platforms[0];
    let real = receipt(&platform.openings[0]);
    let secret = platform.openings[0].secret.as_ref().unwrap();
    let (mut shown, _) = with_receipt(real, secret);
    let openings = shown.openings.get_mut(PLATFORM).unwrap();
    let line = String::from_utf8(openings.pop().unwrap()).unwrap();
    let other = STANDARD.encode([77; 32]);
    let (before, after) = line.split_once("\"secret\":\"").unwrap();
    openings.push(format!("{before}\"secret\":\"{other}{}", &after[44..]).into_bytes());
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::R02], "{}", text(&findings));
}

#[test]
fn a_platform_that_borrows_a_receipt() {
    let (lender, borrower) = (&MONTH.platforms[1], &MONTH.platforms[0]);
    let key = Verifier::new("videos.example/veilmatch/receipt", lender.receipt_key.verifying_key()).unwrap();
    let lent = lender.openings[0].receipt(&key).unwrap().receipt().clone();
    let borrowed = Receipt { platform: borrower.name.clone(), ..lent };
    let (shown, place) = with_receipt(borrowed, lender.openings[0].secret.as_ref().unwrap());
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::R04], "{}", text(&findings));
    assert_eq!(findings[0].place, place);
}

#[test]
fn an_agency_that_invents_a_query() {
    // It cannot sign for the platform: whatever it writes in the place of the signature does not verify.
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_none()));
    let Leaf::Query(query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let borrowed = match leaf(QUERY, 0) {
        Leaf::Query(other) => other.req_sig,
        _ => Signature([1; 64]),
    };
    let invented = Query { batch: BatchId([3; 16]), req_sig: borrowed, ..query };
    let shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Query(invented)));
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::Q04], "{}", text(&findings));
}

#[test]
fn an_agency_that_hides_a_query() {
    // The platform has the acknowledgement: the leaf at that index is another. The day's statement, which both signed, no
    // longer fits the log either.
    let all = leaves(MATCH);
    let matched = |batch| all.iter().any(|leaf| matches!(leaf, Leaf::Match(found) if found.batch == batch));
    let frame = all.iter().find_map(|leaf| match leaf {
        Leaf::Frame(frame) if frame.status == FrameStatus::Answered && !matched(frame.batch) => Some(frame.clone()),
        _ => None,
    });
    let frame = frame.unwrap();
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.batch == frame.batch));
    let shown = MONTH.edited(|logs| put(logs, QUERY, index, &pad()));
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::Q01, Code::Q06], "{}", text(&findings));
}
