//! L01 to L09 and T01: what a log shows by itself.

use std::collections::BTreeMap;

use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use veilmatch_audit::{
    checkpoint,
    finding::{Code, Place},
    leaf::{Frame, FrameStatus, Leaf, Nonce, Query, Signature, Withdraw},
    verify::{Seen, Source},
};
use veilmatch_protocol::{
    frame::{BatchId, signed_message},
    manifest::{DeltaRef, Hash, Timestamp},
};

use super::{MANIFEST, MATCH, MONTH, QUERY, find, find_last, leaf, only, pad, put, text};
use crate::world::{
    BEFORE, COSIGNED, NOW, World, at,
    shown::{Shown, cosigners},
};

/// A checkpoint of a log after an edit, as somebody else saw it at a time.
fn other(origin: &str, time: &str, edit: impl Fn(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut log = MONTH.logs().into_iter().find(|log| log.origin == origin).unwrap().clone();
    edit(&mut log.leaves);
    log.checkpoint(log.leaves.len(), &cosigners(&log), at(time).unix())
}

fn seen(by: Source, note: Vec<u8>, origin: &str) -> Shown {
    let mut shown = MONTH.shown();
    shown.seen.insert(origin.to_owned(), vec![Seen { by, note }]);
    shown
}

#[test]
fn l01_a_checkpoint_that_the_key_did_not_sign() {
    let mut shown = MONTH.shown();
    let note = shown.logs.get_mut(QUERY).unwrap().0.get_mut("checkpoint").unwrap();
    note[QUERY.len() + 1] ^= 1;
    only(&shown, Code::L01, &Place::checkpoint(QUERY));
}

#[test]
fn l01_a_key_change_that_the_old_key_did_not_sign() {
    let Leaf::Key(mut change) = leaf(MANIFEST, 1) else { panic!("the second leaf is a key change") };
    change.cross = Some(Signature([1; 64]));
    change.role = veilmatch_audit::leaf::Role::Receipt;
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Key(change.clone())));
    only(&shown, Code::L01, &Place::leaf(MATCH, index));
}

#[test]
fn l02_the_log_is_not_the_one_of_the_last_audit() {
    let forked = other(QUERY, BEFORE, |leaves| {
        leaves.truncate(MONTH.audited[QUERY]);
        leaves.swap(3, 4);
    });
    only(&seen(Source::LastAudit, forked, QUERY), Code::L02, &Place::checkpoint(QUERY));
}

#[test]
fn l03_the_tree_is_smaller_than_at_the_last_audit() {
    let larger = other(MATCH, COSIGNED, |leaves| leaves.push(pad().encode().unwrap()));
    only(&seen(Source::LastAudit, larger, MATCH), Code::L03, &Place::checkpoint(MATCH));
}

#[test]
fn l04_a_tile_has_another_hash() {
    let mut shown = MONTH.shown();
    let files = &mut shown.logs.get_mut(MATCH).unwrap().0;
    files.get_mut("tile/0/000").unwrap()[32 * 7 + 3] ^= 1;
    only(&shown, Code::L04, &Place::file(MATCH, "tile/0/000", Some(7)));
}

#[test]
fn l05_nobody_cosigned() {
    let mut shown = MONTH.shown();
    let log = &MONTH.agency.query;
    let note = log.checkpoint(log.leaves.len(), &[], 0);
    shown.logs.get_mut(QUERY).unwrap().0.insert("checkpoint".into(), note);
    only(&shown, Code::L05, &Place::checkpoint(QUERY));
}

#[test]
fn l06_the_newest_cosignature_is_a_day_old() {
    let mut shown = MONTH.shown();
    let log = &MONTH.agency.manifest;
    let note = log.checkpoint(log.leaves.len(), &cosigners(log), at(NOW).unix() - 24 * 3_600);
    shown.logs.get_mut(MANIFEST).unwrap().0.insert("checkpoint".into(), note);
    only(&shown, Code::L06, &Place::checkpoint(MANIFEST));
}

#[test]
fn l07_a_witness_shows_another_root() {
    let forked = other(QUERY, COSIGNED, |leaves| leaves.swap(3, 4));
    only(&seen(Source::Witness("witness.example".into()), forked, QUERY), Code::L07, &Place::checkpoint(QUERY));
}

#[test]
fn l08_a_leaf_of_a_type_that_nobody_knows() {
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let shown = MONTH.edited(|logs| {
        let unknown = br#"{"nonce":"AAECAwQFBgcICQoLDA0ODw==","type":"veilmatch/other/v1"}"#.to_vec();
        logs.get_mut(MATCH).unwrap().leaves[usize::try_from(index).unwrap()] = unknown;
    });
    only(&shown, Code::L08, &Place::leaf(MATCH, index));
}

#[test]
fn l08_a_leaf_that_belongs_into_another_log() {
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let foreign = leaf(QUERY, 0);
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &foreign));
    only(&shown, Code::L08, &Place::leaf(MATCH, index));
}

#[test]
fn l09_entries_are_not_handed_over() {
    let mut shown = MONTH.shown();
    let files = &mut shown.logs.get_mut(QUERY).unwrap().0;
    let path = files.keys().find(|path| path.starts_with("tile/entries")).unwrap().clone();
    files.remove(&path).unwrap();
    only(&shown, Code::L09, &Place::file(QUERY, &path, None));
}

#[test]
fn t01_the_two_minutes_of_an_answered_frame_are_too_far_apart() {
    let index = find_last(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if answered(query)));
    let Leaf::Query(mut query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let platform = MONTH.platforms.iter().find(|platform| platform.name == query.platform).unwrap();
    query.minute -= 11;
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(platform.request_key.sign(&message).to_bytes());
    let mut shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Query(query.clone())));
    // Its acknowledgement is of the leaf as it was.
    shown.acks.get_mut(platform.name.as_str()).unwrap().pop();
    only(&shown, Code::T01, &Place::leaf(QUERY, index));
}

#[test]
fn t01_a_leaf_that_is_older_than_the_tree_before_it() {
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let adopt = find(MATCH, |leaf| matches!(leaf, Leaf::Adopt(_)));
    let Leaf::Adopt(mut back_dated) = leaf(MATCH, adopt) else { unreachable!("found as one") };
    back_dated.version = veilmatch_protocol::name::Version(4);
    back_dated.epoch = veilmatch_protocol::name::Epoch(2);
    back_dated.manifest = match leaf(MATCH, find_last(MATCH, |leaf| matches!(leaf, Leaf::Adopt(_)))) {
        Leaf::Adopt(last) => last.manifest,
        _ => unreachable!("found as one"),
    };
    back_dated.t = Timestamp::from_unix(at("2026-10-10T00:00:00Z").unix());
    back_dated.list = veilmatch_protocol::name::ListId::parse("baseline").unwrap();
    // In the place of the last adoption, behind the checkpoint of the 16th.
    let last = find_last(MATCH, |leaf| matches!(leaf, Leaf::Adopt(_)));
    let shown = MONTH.shown_with(|logs| put(logs, MATCH, last, &Leaf::Adopt(back_dated.clone())));
    assert!(last > MONTH.audited[MATCH] as u64 && index > last);
    only(&shown, Code::T01, &Place::leaf(MATCH, last));
}

#[test]
fn t01_a_cosignature_of_the_future() {
    // SPEC §17.5: it does not count, and two others do.
    let log = &MONTH.agency.query;
    let third = World::witnesses().pop().unwrap();
    assert!(cosigners(log).iter().all(|witness| witness.witness().name() != third.witness().name()));
    let ahead = |seconds| {
        let mut shown = MONTH.shown();
        let note = shown.logs.get_mut(QUERY).unwrap().0.get_mut("checkpoint").unwrap();
        let signed = checkpoint::open(note, QUERY, &log.verifier()).unwrap();
        note.extend_from_slice(third.cosign(&signed, at(NOW).unix() + seconds).as_bytes());
        shown
    };
    assert_eq!(text(&ahead(30).findings(&MONTH)), "");
    only(&ahead(31), Code::T01, &Place::checkpoint(QUERY));
}

/// A frame that was refused, at a time, as the query log has it, and the leaf of the match log.
fn refused_at(t: Timestamp) -> (Leaf, Leaf) {
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if !answered(query)));
    let Leaf::Query(mut query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let platform = MONTH.platforms.iter().find(|platform| platform.name == query.platform).unwrap();
    (query.batch, query.t, query.minute) = (BatchId([4; 16]), t, t.unix() / 60);
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(platform.request_key.sign(&message).to_bytes());
    let frame = find(MATCH, |leaf| matches!(leaf, Leaf::Frame(frame) if frame.status == FrameStatus::Refused));
    let Leaf::Frame(frame) = leaf(MATCH, frame) else { unreachable!("found as one") };
    (Leaf::Query(query), Leaf::Frame(Frame { batch: BatchId([4; 16]), t: t.hour(), ..frame }))
}

#[test]
fn t01_a_leaf_of_the_future() {
    // SPEC §21.1: ten minutes are clocks.
    let later = |seconds| Timestamp::from_unix(at(NOW).unix() + seconds);
    let behind = MONTH.logs().into_iter().map(|log| (log.origin.clone(), log.leaves.len() as u64));
    let behind: BTreeMap<String, u64> = behind.collect();
    let with = |origin: &str, leaf: &Leaf| {
        let leaf = leaf.encode().unwrap();
        MONTH.edited(|logs| logs.get_mut(origin).unwrap().leaves.push(leaf))
    };
    let withdraw = find(MANIFEST, |leaf| matches!(leaf, Leaf::Withdraw(_)));
    let Leaf::Withdraw(withdrawn) = leaf(MANIFEST, withdraw) else { unreachable!("found as one") };
    let withdrawn = |t| Leaf::Withdraw(Withdraw { nonce: Nonce([4; 16]), t, ..withdrawn.clone() });
    let leaves = |t| [(QUERY, refused_at(t).0), (MATCH, refused_at(t).1), (MANIFEST, withdrawn(t))];
    for (origin, leaf) in leaves(later(600)) {
        // The match log has hours: this is the one that has begun.
        assert_eq!(text(&with(origin, &leaf).findings(&MONTH)), "", "{origin}");
    }
    for (origin, leaf) in leaves(later(3_600)) {
        only(&with(origin, &leaf), Code::T01, &Place::leaf(origin, behind[origin]));
    }
}

#[test]
fn t01_a_version_that_is_valid_from_more_than_a_day_on() {
    // SPEC §21.1
    let index = MONTH.agency.manifest.leaves.len() as u64;
    let version = |not_before: u64| {
        let mut next = MONTH.agency.manifests[3].clone();
        (next.version, next.delta, next.certs) = (5, DeltaRef::NONE, Vec::new());
        next.prev = Some(Hash(Sha256::digest(MONTH.agency.manifest.leaves.last().unwrap()).into()));
        next.not_before = Timestamp::from_unix(at(NOW).unix() + not_before);
        next.not_after = Timestamp::from_unix(next.not_before.unix() + 86_400);
        MONTH.edited(|logs| logs.get_mut(MANIFEST).unwrap().leaves.push(next.encode().unwrap()))
    };
    assert_eq!(text(&version(86_400).findings(&MONTH)), "");
    only(&version(86_401), Code::T01, &Place::leaf(MANIFEST, index));
}

fn answered(query: &Query) -> bool {
    query.resp.is_some()
}
