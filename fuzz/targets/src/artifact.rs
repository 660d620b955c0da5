//! Artifacts: a file that is taken can be looked up in, and one whose records are taken is the one that a writer writes.

use std::io::Cursor;

use veilmatch_protocol::{
    artifact::{Artifact, Layout, Writer, file_len, shard_bits},
    derive::Tag,
    manifest::{ArtifactRef, Hash},
    merkle,
    name::Epoch,
};

const EPOCH: Epoch = Epoch(1);
const HEADER_LEN: usize = 32;
const ROW_LEN: usize = 40;

/// Opens a file as the manifest names it that fits it best, so that everything behind the root is reached as well.
pub fn open(bytes: &[u8]) {
    let Some(expected) = expected(bytes) else { return };
    let Ok(artifact) = Artifact::open(bytes, &expected, EPOCH) else { return };
    let verified = artifact.verify_records();
    assert_eq!(verified.is_ok(), artifact.verify_rest().is_ok());
    let look_ups = artifact.look_ups();
    for record in artifact.records() {
        let tag = Tag(record[..16].try_into().expect("a record begins with its tag"));
        match look_ups.find(&tag) {
            Ok(found) => assert!(verified.is_err() || found.is_some_and(|found| found.sealed_label() == &record[16..])),
            Err(_) => assert!(verified.is_err(), "a record of a good file is not found"),
        }
    }
    let last = look_ups.find(&Tag([0xff; 16]));
    assert!(last.is_ok() || verified.is_err());
    if verified.is_ok() {
        let (file, again) = write(artifact.layout(), artifact.records());
        assert!(file == bytes && again.root == expected.root, "a writer writes another file");
    }
}

/// What a manifest would say of this file. The root is taken from the directory.
fn expected(bytes: &[u8]) -> Option<ArtifactRef> {
    let label_bytes = *bytes.get(10)?;
    let layout = Layout::new(label_bytes).ok()?;
    let count = u64::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
    if file_len(layout, count) != bytes.len() as u64 {
        return None;
    }
    let directory = &bytes[HEADER_LEN..][..ROW_LEN << shard_bits(count)];
    let hashes = directory.chunks_exact(ROW_LEN).map(|row| *row.last_chunk().expect("a row ends with a hash"));
    Some(ArtifactRef {
        format: 1,
        count,
        label_bytes: u32::from(label_bytes),
        record_bytes: layout.record_len() as u32,
        shard_bits: u32::from(shard_bits(count)),
        bytes: bytes.len() as u64,
        sha256: Hash([0; 32]),
        root: Hash(merkle::root(hashes)),
    })
}

/// Writes records as an artifact.
pub fn write<'a>(layout: Layout, records: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, ArtifactRef) {
    let records: Vec<_> = records.collect();
    let out = Cursor::new(Vec::new());
    let mut writer = Writer::new(out, layout, EPOCH, records.len() as u64).expect("memory can be written to");
    for record in records {
        writer.push(record).expect("the records ascend");
    }
    let (out, summary) = writer.finish().expect("there are as many as was said");
    (out.into_inner(), summary.into_ref([0; 32]))
}

/// Artifacts of several sizes, with and without labels.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (label_bytes, count) in [(0, 0), (0, 1), (0, 40), (2, 3), (64, 20)] {
        let layout = Layout::new(label_bytes).expect("a label may have 64 bytes");
        let record = |n: u8| [vec![n; 16], vec![n ^ 0x55; layout.record_len() - 16]].concat();
        let records: Vec<_> = (0..count).map(record).collect();
        seeds.push(write(layout, records.iter().map(Vec::as_slice)).0);
    }
    seeds
}
