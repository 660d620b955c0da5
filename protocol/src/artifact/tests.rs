use std::io::Cursor;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::manifest::Hash;

fn layout() -> Layout {
    Layout::new(2).unwrap()
}

/// A record whose tag is pseudo-random and whose label says its number.
fn record(n: u64) -> Vec<u8> {
    let mut record = Sha256::digest(n.to_be_bytes())[..TAG_LEN].to_vec();
    record.extend_from_slice(&[0, 0, 0, 0]);
    record.extend_from_slice(&(n as u16).to_be_bytes());
    record
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = numbers.map(record).collect();
    records.sort();
    records
}

pub(crate) fn written(records: &[Vec<u8>], layout: Layout) -> (Vec<u8>, ArtifactRef) {
    let mut writer = Writer::new(Cursor::new(Vec::new()), layout, Epoch(1), records.len() as u64).unwrap();
    records.iter().for_each(|record| writer.push(record).unwrap());
    let (out, summary) = writer.finish().unwrap();
    let bytes = out.into_inner();
    let sha256 = Sha256::digest(&bytes).into();
    (bytes, summary.into_ref(sha256))
}

fn open(bytes: &[u8], expected: &ArtifactRef) -> Result<Artifact<Vec<u8>>, Error> {
    Artifact::open(bytes.to_vec(), expected, Epoch(1))
}

fn tag(record: &[u8]) -> Tag {
    tag_of(record)
}

#[test]
fn every_entry_is_found_and_nothing_else() {
    // SPEC §7.1, §7.4
    let records = sorted(0..7_000);
    let (bytes, expected) = written(&records, layout());
    assert_eq!(expected.shard_bits, 2);
    let artifact = open(&bytes, &expected).unwrap();
    artifact.verify_records().unwrap();
    for record in &records {
        let found = artifact.lookup(&tag(record)).unwrap().expect("it is listed");
        assert_eq!(found.sealed_label(), &record[TAG_LEN..]);
    }
    for other in 7_000..9_000 {
        assert_eq!(artifact.lookup(&tag(&record(other))).unwrap(), None);
    }
    assert_eq!(artifact.records().map(<[u8]>::to_vec).collect::<Vec<_>>(), records);
}

#[test]
fn tags_that_stand_elsewhere_than_uniform_ones_would_are_found_all_the_same() {
    // Where a look-up begins is a guess: here all but one are at one end, or at the other.
    for first in [0, 0xff] {
        let record = |n: u32, first: u8| {
            let mut record = vec![first; TAG_LEN];
            record[TAG_LEN - 4..].copy_from_slice(&n.to_be_bytes());
            record.extend_from_slice(&[0; 6]);
            record
        };
        let mut records: Vec<Vec<u8>> = (0..900).map(|n| record(2 * n, first)).chain([record(1, 0x55)]).collect();
        records.sort();
        let (bytes, expected) = written(&records, layout());
        let artifact = open(&bytes, &expected).unwrap();
        for n in 0..1_800 {
            assert_eq!(artifact.lookup(&tag(&record(n, first))).unwrap().is_some(), n % 2 == 0, "{first} {n}");
        }
        assert!(artifact.lookup(&tag(&record(1, 0x55))).unwrap().is_some());
        assert!([0x54, 0x56].iter().all(|other| artifact.lookup(&tag(&record(1, *other))).unwrap().is_none()));
    }
}

#[test]
fn any_changed_byte_is_refused_at_opening_or_by_the_first_look_into_its_shard() {
    // SPEC §7.1, §7.4
    let records = sorted(0..40);
    let (bytes, expected) = written(&records, layout());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        match open(&changed, &expected) {
            Err(error) => assert_eq!(error, Error::BadArtifact),
            Ok(artifact) => {
                assert_eq!(artifact.verify_records(), Err(Error::BadArtifact), "byte {at}");
                let artifact = open(&changed, &expected).unwrap();
                assert_eq!(artifact.lookup(&tag(&record(99))), Err(Error::BadArtifact), "a miss, byte {at}");
                assert_eq!(artifact.lookup(&tag(&records[0])), Err(Error::BadArtifact), "a hit, byte {at}");
            }
        }
    }
}

/// A file whose bytes change while it is mapped.
struct Rotting {
    whole: Vec<u8>,
    rotten: Vec<u8>,
    now: AtomicBool,
}

impl AsRef<[u8]> for &Rotting {
    fn as_ref(&self) -> &[u8] {
        if self.now.load(Ordering::Relaxed) { &self.rotten } else { &self.whole }
    }
}

#[test]
fn a_shard_is_hashed_once_for_look_ups_that_belong_together() {
    // SPEC §7.4, §12.4. Every hit hashed its shard anew, so that a frame full of matches took the client as much time as
    // hashing hundreds of megabytes, before the next frame could leave.
    let records = sorted(0..7_000);
    let (whole, expected) = written(&records, layout());
    let mut rotten = whole.clone();
    *rotten.last_mut().unwrap() ^= 1;
    let file = Rotting { whole, rotten, now: AtomicBool::new(false) };
    let artifact = Artifact::open(&file, &expected, Epoch(1)).unwrap();
    let (last, first) = (tag(records.last().unwrap()), tag(&records[0]));
    let together = artifact.look_ups();
    assert!(together.find(&last).unwrap().is_some());
    file.now.store(true, Ordering::Relaxed);
    assert!(together.find(&last).unwrap().is_some(), "hashed for these look-ups already");
    assert!(together.find(&first).unwrap().is_some(), "another shard");
    assert_eq!(artifact.look_ups().find(&last), Err(Error::BadArtifact), "later ones hash it again");
    // What was found rotten is all that a later verification has to read, and it is read.
    assert_eq!(artifact.verify_rest(), Err(Error::BadArtifact));
    file.now.store(false, Ordering::Relaxed);
    artifact.verify_rest().unwrap();
    file.now.store(true, Ordering::Relaxed);
    artifact.verify_rest().unwrap();
    assert_eq!(artifact.verify_records(), Err(Error::BadArtifact));
}

#[test]
fn a_file_of_another_length_epoch_or_layout_is_refused() {
    // SPEC §7.1
    let (bytes, expected) = written(&sorted(0..40), layout());
    for len in 0..bytes.len() {
        assert_eq!(open(&bytes[..len], &expected).err(), Some(Error::BadArtifact), "length {len}");
    }
    assert!(open(&[&bytes[..], &[0]].concat(), &expected).is_err());
    assert!(Artifact::open(bytes.clone(), &expected, Epoch(2)).is_err());
    for wrong in [
        ArtifactRef { count: 39, ..expected.clone() },
        ArtifactRef { label_bytes: 3, ..expected.clone() },
        ArtifactRef { label_bytes: 65, ..expected.clone() },
        ArtifactRef { label_bytes: 300, ..expected.clone() },
        ArtifactRef { count: u64::MAX, ..expected.clone() },
        ArtifactRef { root: Hash([0; 32]), ..expected.clone() },
    ] {
        assert_eq!(open(&bytes, &wrong).err(), Some(Error::BadArtifact), "{wrong:?}");
    }
}

/// A file whose shard hash and root are right for records that are not.
fn forged(records: &[Vec<u8>]) -> (Vec<u8>, ArtifactRef) {
    let body = records.concat();
    let hash = merkle::leaf_hash(&body);
    let mut bytes = header(layout(), Epoch(1), records.len() as u64).to_vec();
    bytes.extend_from_slice(&(records.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&hash);
    bytes.extend_from_slice(&body);
    let (_, mut expected) = written(&sorted(0..records.len() as u64), layout());
    expected.root = Hash(merkle::root([hash]));
    (bytes, expected)
}

#[test]
fn records_out_of_order_or_twice_are_refused_though_their_hash_is_signed() {
    // SPEC §7.2, §7.4
    let good = sorted(0..10);
    let (bytes, expected) = forged(&good);
    open(&bytes, &expected).unwrap().verify_records().unwrap();
    let mut swapped = good.clone();
    swapped.swap(3, 4);
    let mut twice = good.clone();
    twice[4] = twice[3].clone();
    for records in [swapped, twice] {
        let (bytes, expected) = forged(&records);
        let artifact = open(&bytes, &expected).unwrap();
        assert_eq!(artifact.verify_records(), Err(Error::BadArtifact));
        assert_eq!(artifact.lookup(&tag(&good[0])), Err(Error::BadArtifact));
    }
}

#[test]
fn a_record_in_a_shard_that_its_tag_does_not_name_is_refused() {
    // SPEC §7.4
    let records = sorted(0..4_000);
    let (bytes, expected) = written(&records, layout());
    assert_eq!(expected.shard_bits, 1);
    let artifact = open(&bytes, &expected).unwrap();
    let first = artifact.shard_records(0).len() / layout().record_len();
    // The border moves by one record, and everything is hashed and signed that way.
    let moved = [&records[..first - 1], &records[first - 1..]].map(<[Vec<u8>]>::concat);
    let hashes = [0, 1].map(|shard| merkle::leaf_hash(&moved[shard]));
    let mut forged = header(layout(), Epoch(1), 4_000).to_vec();
    for (end, hash) in [(first as u64 - 1, hashes[0]), (4_000, hashes[1])] {
        forged.extend_from_slice(&end.to_be_bytes());
        forged.extend_from_slice(&hash);
    }
    forged.extend_from_slice(&moved.concat());
    let expected = ArtifactRef { root: Hash(merkle::root(hashes)), ..expected };
    let artifact = open(&forged, &expected).unwrap();
    assert_eq!(artifact.verify_records(), Err(Error::BadArtifact));
    assert_eq!(artifact.lookup(&tag(&records[first])), Err(Error::BadArtifact));
}

#[test]
fn a_directory_that_goes_back_or_ends_elsewhere_is_refused() {
    // SPEC §7.4
    let records = sorted(0..7_000);
    let (bytes, expected) = written(&records, layout());
    for (shard, end) in [(0, u64::MAX), (1, 0), (3, 6_999), (3, 7_001)] {
        let mut forged = bytes.clone();
        forged[HEADER_LEN + shard * ROW_LEN..][..8].copy_from_slice(&end.to_be_bytes());
        let opened = open(&forged, &expected);
        let refused = opened.map_or(Some(Error::BadArtifact), |artifact| artifact.verify_records().err());
        assert_eq!(refused, Some(Error::BadArtifact), "row {shard} ends at {end}");
    }
}

#[test]
fn a_writer_takes_exactly_its_records_in_order() {
    // SPEC §7.2
    let records = sorted(0..3);
    let begin = || Writer::new(Cursor::new(Vec::new()), layout(), Epoch(1), 2).unwrap();
    let refused = |result: std::io::Result<()>| {
        let inner = result.unwrap_err().into_inner().expect("ours");
        assert_eq!(inner.downcast_ref(), Some(&Error::BadArtifact));
    };
    let mut writer = begin();
    refused(writer.push(&records[0][1..]));
    writer.push(&records[1]).unwrap();
    refused(writer.push(&records[0]));
    refused(writer.push(&records[1]));
    refused(begin().finish().map(drop));
    writer.push(&records[2]).unwrap();
    refused(writer.push(&[0xff; 22]));
}

#[test]
fn the_count_is_padded_to_its_class() {
    // SPEC §7.3
    let table = [(0, 1_024), (1_024, 1_024), (1_025, 1_056), (2_000, 2_016), (5_000, 5_120), (1_000_000, 1_015_808)];
    for (entries, count) in table {
        assert_eq!(padded_count(entries), count, "{entries}");
    }
}

#[test]
fn dummies_are_the_reference_ones_and_fit_every_layout() {
    // SPEC §7.3
    let seed = DummySeed::new([7; 32]);
    for label_bytes in [0, 1, 64] {
        let layout = Layout::new(label_bytes).unwrap();
        let blocks = [0_u32, 1].map(|block| {
            let parts = [&b"veilmatch/v1/dummy"[..], &[7; 32], &5_u64.to_be_bytes(), &block.to_be_bytes()].concat();
            sha2::Sha512::digest(parts)
        });
        assert_eq!(seed.record(5, layout), blocks.concat()[..layout.record_len()]);
        assert_ne!(seed.record(5, layout), seed.record(6, layout));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn looking_up_is_membership(listed in proptest::collection::btree_set(0_u64..500, 0..200), asked in 0_u64..500) {
        let records = sorted(listed.iter().copied());
        let (bytes, expected) = written(&records, layout());
        let artifact = open(&bytes, &expected).unwrap();
        prop_assert_eq!(artifact.lookup(&tag(&record(asked))).unwrap().is_some(), listed.contains(&asked));
    }

    #[test]
    fn no_bytes_make_an_artifact_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), asked in any::<[u8; 16]>()) {
        let (whole, mut expected) = written(&sorted(0..8), layout());
        for (at, byte) in bytes.iter_mut().zip(&whole).take(HEADER_LEN) {
            *at = *byte;
        }
        expected.root = Hash([0; 32]);
        prop_assert!(open(&bytes, &expected).is_err());
        // As a file that changed while it is mapped: every read stays within it.
        bytes.resize(whole.len(), 0);
        let artifact = Artifact { layout: layout(), shard_bits: 0, count: 8, hashed: Box::new([AtomicBool::new(true)]), bytes };
        let _ = artifact.lookup(&Tag(asked));
        prop_assert!(artifact.verify_records().is_err());
    }
}
