use std::{collections::BTreeMap, io::Cursor};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::manifest::{DeltaRef, Hash};

const SPAN: Span = Span { epoch: Epoch(1), from: Version(1), to: Version(2) };

fn layout() -> Layout {
    Layout::new(1).unwrap()
}

/// Records by number, each with a label.
type List = BTreeMap<u64, u8>;

fn record(n: u64, label: u8) -> Vec<u8> {
    [&Sha256::digest(n.to_be_bytes())[..TAG_LEN], &[1, 2, 3, 4, label]].concat()
}

fn records(list: &List) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = list.iter().map(|(&n, &label)| record(n, label)).collect();
    records.sort();
    records
}

fn artifact(list: &List) -> (Vec<u8>, ArtifactRef) {
    let mut writer = Writer::new(Cursor::new(Vec::new()), layout(), SPAN.epoch, list.len() as u64).unwrap();
    records(list).iter().for_each(|record| writer.push(record).unwrap());
    let (out, summary) = writer.finish().unwrap();
    let bytes = out.into_inner();
    let sha256 = Sha256::digest(&bytes).into();
    (bytes, summary.into_ref(sha256))
}

/// What leads from one list to the other.
fn changes(from: &List, to: &List) -> (Vec<Tag>, Vec<Vec<u8>>) {
    let gone = |(n, label): &(&u64, &u8)| to.get(n) != Some(label);
    let come = |(n, label): &(&u64, &u8)| from.get(n) != Some(label);
    let mut removed: Vec<Tag> = from.iter().filter(gone).map(|(&n, _)| tag_of(&record(n, 0))).collect();
    let mut added: Vec<Vec<u8>> = to.iter().filter(come).map(|(&n, &label)| record(n, label)).collect();
    removed.sort();
    added.sort();
    (removed, added)
}

fn delta_file(removed: &[Tag], added: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, layout(), SPAN, removed, &added.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    out
}

/// A manifest as far as a delta looks at it.
fn manifest(artifact: ArtifactRef, removed: usize, added: usize) -> Manifest {
    let (removed, added) = (removed as u64, added as u64);
    let bytes = file_len(layout(), removed, added);
    let mut manifest = crate::manifest::tests::manifest(2);
    manifest.delta = DeltaRef { from: 1, removed, added, bytes, sha256: Some(Hash([0; 32])) };
    manifest.artifact = artifact;
    manifest
}

fn applied(from: &List, removed: &[Tag], added: &[Vec<u8>], expected: &ArtifactRef) -> Result<Vec<u8>, Error> {
    let (old, old_ref) = artifact(from);
    let old = Artifact::open(old, &old_ref, SPAN.epoch)?;
    let manifest = manifest(expected.clone(), removed.len(), added.len());
    let delta = Delta::open(delta_file(removed, added), &manifest)?;
    match apply(&old, &delta, SPAN.epoch, expected, Cursor::new(Vec::new())) {
        Ok(out) => Ok(out.into_inner()),
        Err(error) => Err(*error.get_ref().expect("ours").downcast_ref().expect("ours")),
    }
}

fn list(numbers: std::ops::Range<u64>) -> List {
    numbers.map(|n| (n, 7)).collect()
}

#[test]
fn a_delta_makes_byte_for_byte_the_new_artifact() {
    // SPEC §7.6
    // 7,000 records are in four shards; the second list needs three bits and so touches every shard.
    for to in [list(100..7_000), list(0..6_990), list(0..7_100), list(0..13_000)] {
        let mut to = to;
        to.insert(500, 9);
        let from = list(0..7_000);
        let (removed, added) = changes(&from, &to);
        let (bytes, expected) = artifact(&to);
        assert!(applied(&from, &removed, &added, &expected).unwrap() == bytes);
    }
}

#[test]
fn a_delta_that_removes_what_is_absent_or_adds_what_is_there_is_refused() {
    // SPEC §7.6
    let (from, to) = (list(0..50), list(0..51));
    let (_, expected) = artifact(&to);
    let tag = |n| tag_of(&record(n, 0));
    let fifty = record(50, 7);
    assert!(applied(&from, &[], std::slice::from_ref(&fifty), &expected).is_ok());
    for (removed, added) in [
        (vec![tag(99)], vec![fifty.clone()]),
        (vec![], vec![record(3, 7)]),
        (vec![], vec![record(3, 9)]),
        (vec![tag(3)], vec![fifty.clone()]),
        (vec![], vec![]),
        (vec![], vec![record(51, 7)]),
        (vec![], vec![record(50, 8)]),
    ] {
        let refused = applied(&from, &removed, &added, &expected).unwrap_err();
        assert!(matches!(refused, Error::BadDelta | Error::BadArtifact), "{refused:?}");
    }
}

#[test]
fn every_changed_byte_and_every_other_length_of_a_delta_is_refused_or_leads_elsewhere() {
    // SPEC §7.6
    let (from, to) = (list(0..50), list(2..53));
    let (removed, added) = changes(&from, &to);
    let (bytes, expected) = artifact(&to);
    let manifest = manifest(expected.clone(), removed.len(), added.len());
    let file = delta_file(&removed, &added);
    assert!(Delta::open(file.clone(), &manifest).is_ok());
    let (old, old_ref) = artifact(&from);
    let old = Artifact::open(old, &old_ref, SPAN.epoch).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        if let Ok(delta) = Delta::open(changed, &manifest) {
            let out = apply(&old, &delta, SPAN.epoch, &expected, Cursor::new(Vec::new()));
            assert!(out.is_err(), "byte {at}");
        }
    }
    for len in (0..file.len()).step_by(7).chain([file.len() + 1]) {
        let mut cut = file.clone();
        cut.resize(len, 0);
        assert_eq!(Delta::open(cut, &manifest).err(), Some(Error::BadDelta), "length {len}");
    }
    assert!(bytes.len() > 1);
}

#[test]
fn a_shard_that_rotted_is_not_carried_into_the_next_version() {
    // SPEC §7.6. Shards without a change were copied with the hash that they once had, so what had rotted on a disk
    // outlived every delta, under a root that was right.
    let (from, mut to) = (list(0..7_000), list(0..7_000));
    to.insert(500, 9);
    let (removed, added) = changes(&from, &to);
    let (_, expected) = artifact(&to);
    let (whole, old_ref) = artifact(&from);
    let manifest = manifest(expected.clone(), removed.len(), added.len());
    let delta = Delta::open(delta_file(&removed, &added), &manifest).unwrap();
    let changed = shard_of(&removed[0], 2);
    for shard in 0..4 {
        let mut rotten = whole.clone();
        let opened = Artifact::open(whole.clone(), &old_ref, SPAN.epoch).unwrap();
        let label = opened.shard_records(shard).as_ptr() as usize - opened.shard_records(0).as_ptr() as usize;
        let records_at = whole.len() - from.len() * layout().record_len();
        rotten[records_at + label + layout().record_len() - 1] ^= 1;
        let old = Artifact::open(rotten, &old_ref, SPAN.epoch).unwrap();
        let refused = apply(&old, &delta, SPAN.epoch, &expected, Cursor::new(Vec::new())).map(drop).unwrap_err();
        let why = refused.get_ref().unwrap().downcast_ref();
        assert_eq!(why, Some(if shard == changed { &Error::BadDelta } else { &Error::BadArtifact }), "shard {shard}");
    }
}

#[test]
fn a_delta_out_of_order_is_neither_written_nor_read() {
    // SPEC §7.6
    let (removed, added) = changes(&list(0..5), &list(5..10));
    let slices = |added: &[Vec<u8>]| added.iter().map(Vec::as_slice).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let refused = |removed: &[Tag], added: &[Vec<u8>]| {
        let added: Vec<&[u8]> = added.iter().map(Vec::as_slice).collect();
        let error = write(Vec::new(), layout(), SPAN, removed, &added).unwrap_err();
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Error::BadDelta));
    };
    let mut tags = removed.clone();
    tags.swap(0, 1);
    refused(&tags, &added);
    let mut twice = slices(&added);
    twice[1] = twice[0].clone();
    refused(&removed, &twice);
    refused(&removed, &[added[0][1..].to_vec()]);

    let (_, expected) = artifact(&list(5..10));
    let manifest = manifest(expected, removed.len(), added.len());
    let mut file = delta_file(&removed, &added);
    let (first, rest) = file[HEADER_LEN..].split_at_mut(TAG_LEN);
    first.swap_with_slice(&mut rest[..TAG_LEN]);
    assert_eq!(Delta::open(file, &manifest).err(), Some(Error::BadDelta));
}

#[test]
fn a_delta_is_as_long_as_its_class() {
    // SPEC §7.6
    assert_eq!(file_len(layout(), 0, 0), 4_096);
    assert_eq!(file_len(layout(), 253, 0), 4_096);
    assert_eq!(file_len(layout(), 254, 0), 8_192);
    assert_eq!(file_len(layout(), u64::MAX, u64::MAX), u64::MAX);
    assert_eq!(delta_file(&[], &[]).len(), 4_096);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn applying_is_the_difference(
        from in proptest::collection::btree_map(0_u64..300, 0_u8..3, 0..150),
        to in proptest::collection::btree_map(0_u64..300, 0_u8..3, 0..150),
    ) {
        let (removed, added) = changes(&from, &to);
        let (bytes, expected) = artifact(&to);
        prop_assert!(applied(&from, &removed, &added, &expected).unwrap() == bytes);
    }
}
