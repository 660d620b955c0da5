//! Deltas: one that is applied makes exactly the list that its removals and additions make, and any other is refused.

use std::collections::BTreeMap;
use std::io::Cursor;

use veilmatch_protocol::{
    artifact::{Artifact, Layout},
    delta::{self, Delta, Span},
    derive::Tag,
    item::Kind,
    manifest::{DeltaRef, Manifest, Publication, Quota, Timestamp, no_canaries},
    name::{AgencyName, Epoch, ListId, Version},
    oprf::SecretKey,
};

use crate::artifact::write;

const SPAN: Span = Span { epoch: Epoch(1), from: Version(1), to: Version(2) };

/// Records by their tags.
type List = BTreeMap<[u8; 16], Vec<u8>>;

fn layout() -> Layout {
    Layout::new(1).expect("a label may have one byte")
}

/// A record: tag, nonce, label.
fn record(n: u8, label: u8) -> Vec<u8> {
    [vec![n; 16], vec![0; 4], vec![label]].concat()
}

/// The list that deltas are applied to.
fn old() -> List {
    (0..40).map(|n| ([6 * n; 16], record(6 * n, n))).collect()
}

/// Applies a delta to a list, as the manifest has it that fits it best.
pub fn apply(bytes: &[u8]) {
    let number = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let (Some(removed), Some(added)) = (number(24), number(32)) else { return };
    let old = old();
    let (old_file, old_ref) = write(layout(), old.values().map(Vec::as_slice));
    let mut manifest = manifest(&old_ref, removed, added);
    let Ok(delta) = Delta::open(bytes, &manifest) else { return };
    assert_eq!(delta.removed_tags().count() as u64, removed);
    assert_eq!(delta.added_records().count() as u64, added);
    let new = changed(old, &delta);
    if let Some(new) = &new {
        manifest.artifact = write(layout(), new.values().map(Vec::as_slice)).1;
    }
    let artifact = Artifact::open(&old_file, &old_ref, SPAN.epoch).expect("it was written so");
    let out = delta::apply(&artifact, &delta, SPAN.epoch, &manifest.artifact, Cursor::new(Vec::new()));
    match new {
        Some(new) => {
            let expected = write(layout(), new.values().map(Vec::as_slice)).0;
            assert!(out.expect("the delta is legal").into_inner() == expected, "another list came out");
        }
        None => assert!(out.is_err(), "a delta that does not fit was applied"),
    }
}

/// The list after a delta, or `None` if that does not fit it.
fn changed(mut list: List, delta: &Delta<&[u8]>) -> Option<List> {
    for tag in delta.removed_tags() {
        list.remove(&tag.0)?;
    }
    for record in delta.added_records() {
        let tag = record[..16].try_into().expect("a record begins with its tag");
        if list.insert(tag, record.to_vec()).is_some() {
            return None;
        }
    }
    Some(list)
}

/// A manifest as far as a delta looks at it.
fn manifest(artifact: &veilmatch_protocol::manifest::ArtifactRef, removed: u64, added: u64) -> Manifest {
    let list = ListId::parse("fuzz").expect("a list may be named so");
    let secret = SecretKey::for_epoch(&[6; 32], &list, SPAN.epoch).expect("any seed makes a key");
    Manifest::from(Publication {
        agency: AgencyName::parse("agency.example").expect("an agency may be named so"),
        list,
        epoch: SPAN.epoch,
        version: SPAN.to,
        prev: None,
        not_before: Timestamp::from_unix(0),
        not_after: Timestamp::from_unix(1),
        oprf_key: secret.public().clone(),
        artifact: artifact.clone(),
        delta: DeltaRef {
            from: SPAN.from.0,
            removed,
            added,
            bytes: delta::file_len(layout(), removed, added),
            sha256: None,
        },
        categories: None,
        kinds: vec![Kind::Sha256],
        frame_sizes: Vec::new(),
        quota: Quota { elements: 0, frames: 0 },
        canary_root: no_canaries(),
        software: String::new(),
    })
}

/// Deltas that fit the list and some that do not.
pub fn seeds() -> Vec<Vec<u8>> {
    /// Numbers of the removed records, numbers and labels of the added ones.
    type Case = (&'static [u8], &'static [(u8, u8)]);
    let cases: [Case; 6] = [
        (&[], &[]),
        (&[0, 6, 234], &[]),
        (&[], &[(1, 1), (7, 2), (255, 3)]),
        (&[12, 18], &[(12, 9), (13, 9)]),
        (&[1], &[]),
        (&[], &[(12, 9)]),
    ];
    let seed = |(removed, added): Case| {
        let removed: Vec<_> = removed.iter().map(|n| Tag([*n; 16])).collect();
        let added: Vec<_> = added.iter().map(|(n, label)| record(*n, *label)).collect();
        let added: Vec<_> = added.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        delta::write(&mut out, layout(), SPAN, &removed, &added).expect("tags and records ascend");
        out
    };
    cases.map(seed).to_vec()
}
