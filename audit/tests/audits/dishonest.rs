//! Dishonest parties, by name: each is caught, with the key of the party itself as proof.

use base64::{Engine, engine::general_purpose::STANDARD};
use veilmatch_audit::{
    finding::{Code, Finding},
    leaf::{FrameStatus, Leaf, Query, Signature},
};
use veilmatch_protocol::{frame::BatchId, note::Verifier, receipt::Receipt};

use crate::scenarios::{
    MATCH, MONTH, PLATFORM, QUERY, change_day, find, leaf, leaves, pad, papers::with_receipt, put, text,
};

fn codes(findings: &[Finding]) -> Vec<Code> {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.dedup();
    codes
}

#[test]
fn a_platform_that_hides_the_match_of_a_canary() {
    // It leaves the match out of its log from the first, mends the day's totals, and releases nothing.
    let platform = &MONTH.platforms[0];
    let key = Verifier::new("platform.example/veilmatch/receipt", platform.receipt_key.verifying_key()).unwrap();
    let tag = MONTH.canaries[2].opening.canary().tag;
    let of_canary = |receipt: &Receipt| receipt.tag == tag;
    let at = platform.openings.iter().position(|opening| of_canary(opening.receipt(&key).unwrap().receipt())).unwrap();
    let (index, t) = (platform.openings[at].index, platform.openings[at].receipt(&key).unwrap().receipt().matched);
    let mut shown = MONTH.edited(|logs| {
        put(logs, MATCH, index, &pad());
        put(logs, MATCH, index + 1, &pad());
        change_day(logs, MATCH, t, |day| {
            day.matches -= 1;
            day.actions.values_mut().for_each(|number| *number -= 1);
        });
    });
    shown.openings.get_mut(PLATFORM).unwrap().remove(at);
    let findings = shown.findings(&MONTH);
    assert_eq!(codes(&findings), [Code::C01], "{}", text(&findings));
}

#[test]
fn a_platform_that_invents_a_match() {
    // It has a tag of the published list and no evaluation of it: any secret that it names gives another tag.
    let platform = &MONTH.platforms[0];
    let key = Verifier::new("platform.example/veilmatch/receipt", platform.receipt_key.verifying_key()).unwrap();
    let real = platform.openings[0].receipt(&key).unwrap().receipt().clone();
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
