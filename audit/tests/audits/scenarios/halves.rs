//! A month around the end of a half-year: its logs are two, and the totals of the last day stand in the second (SPEC §17.1).

use std::sync::LazyLock;

use ed25519_dalek::Signer;
use veilmatch_audit::{
    finding::{Code, Place},
    leaf::{Leaf, Nonce, Query, Signature},
};
use veilmatch_protocol::{frame::signed_message, name::Version};

use super::text;
use crate::world::World;

static MIDSUMMER: LazyLock<World> = LazyLock::new(World::around_midsummer);

const FIRST: &str = "2026h1";
const SECOND: &str = "2026h2";

fn query(half: &str) -> String {
    format!("agency.example/veilmatch/query/{half}")
}

#[test]
fn two_half_years_are_judged_as_one_log() {
    // SPEC §17.1, §21.5: the day and the closing statement of 30 June are leaves of July.
    let examined = MIDSUMMER.shown().examine(&MIDSUMMER);
    assert_eq!(MIDSUMMER.logs().len(), 7);
    assert!(examined.findings.is_empty(), "{}", text(&examined.findings));
    assert!(examined.reconciled.not_judged.is_empty(), "{:?}", examined.reconciled.not_judged);
}

#[test]
fn what_a_half_year_would_show_that_is_not_there_is_not_judged() {
    // SPEC §21.5: with one of the two there were D02, Q02, Q03, Q06, R03 and R04.
    let sides: [fn(&str) -> bool; 3] =
        [|_| true, |origin| origin.contains("/query/"), |origin| origin.contains("/match/")];
    for hidden in [FIRST, SECOND] {
        for side in sides {
            let mut shown = MIDSUMMER.shown();
            shown.logs.retain(|origin, _| !(origin.ends_with(hidden) && side(origin)));
            shown.seen.retain(|origin, _| !origin.ends_with(hidden));
            let examined = shown.examine(&MIDSUMMER);
            assert!(examined.findings.is_empty(), "{hidden}: {}", text(&examined.findings));
            let lines = &examined.reconciled.not_judged;
            let told = format!("for platform.example: no log of {hidden} was shown");
            assert!(lines.iter().any(|line| line.ends_with(&told)), "{lines:?}");
        }
    }
}

#[test]
fn acknowledgements_of_a_log_that_is_not_shown_are_told() {
    // SPEC §21.4
    let mut shown = MIDSUMMER.shown();
    shown.logs.remove(&query(FIRST));
    let lines = shown.examine(&MIDSUMMER).reconciled.not_judged;
    let of_it = MIDSUMMER.platforms[0].acks.iter().filter(|ack| ack.note.contains(&query(FIRST))).count();
    let line = format!("{of_it} acknowledgements of platform.example: {} was not shown", query(FIRST));
    assert!(of_it > 0 && lines.contains(&line), "{lines:?}");
}

#[test]
fn q05_a_batch_is_answered_again_in_the_next_half_year() {
    // SPEC §18.3, §21.5
    let find = |origin: &str, answered: bool| {
        let log = MIDSUMMER.logs().into_iter().find(|log| log.origin == origin).unwrap();
        let leaves = log.leaves.iter().map(|leaf| Leaf::decode(leaf).unwrap()).enumerate();
        let mut found = leaves.filter_map(|(index, leaf)| match leaf {
            Leaf::Query(query) if query.resp.is_some() == answered => Some((index, query)),
            _ => None,
        });
        found.next().unwrap()
    };
    let (_, first) = find(&query(FIRST), true);
    let (index, refused) = find(&query(SECOND), false);
    let platform = MIDSUMMER.platforms.iter().find(|platform| platform.name == first.platform).unwrap();
    // The last version of the first epoch is valid still.
    let (t, minute, version, view) = (refused.t, refused.t.unix() / 60, Version(3), refused.view);
    let message = signed_message(&first.req, &view, version, minute);
    let req_sig = Signature(platform.request_key.sign(&message).to_bytes());
    let again = Query { t, minute, version, view, req_sig, nonce: Nonce([1; 16]), ..first };
    let shown = MIDSUMMER.shown_with(|logs| {
        logs.get_mut(&query(SECOND)).unwrap().leaves[index] = again.encode().unwrap();
    });
    let mut shown = shown;
    shown.seen.clear();
    let findings = shown.findings(&MIDSUMMER);
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
    assert_eq!(found, [(Code::Q05, &Place::leaf(&query(SECOND), index as u64))], "{}", text(&findings));
}
