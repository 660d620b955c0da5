//! Larger lists, told by what their records are made of: shards, no labels, the limits of a delta's length.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    artifact::{DummySeed, Layout, padded_count},
    delta,
    derive::Okm,
    label,
    manifest::{DeltaRef, Hash, SignedManifest},
};

use super::lists::{Built, changes, delta_with, file_with, manifest, signed, text, verifier};
use super::{Case, made};

const OKM: &str = "synthetic okm";
const LABELS: &str = "synthetic label";
const DUMMIES: [u8; 32] = [0xd1; 32];

pub fn all() -> Vec<Case> {
    // From one shard to two; no change, which is the shortest delta; one more byte would double the delta's length.
    [
        ("shards", 2, [0..2_900, 40..3_041]),
        ("no_labels", 0, [0..1_000, 0..1_000]),
        ("power_of_two", 8, [0..1_000, 92..1_092]),
    ]
    .into_iter()
    .map(|(name, label_bytes, entries)| series(name, label_bytes, entries))
    .collect()
}

fn series(name: &str, label_bytes: u8, entries: [std::ops::Range<u64>; 2]) -> Case {
    let layout = Layout::new(label_bytes).expect("at most 64");
    let needed = |at: usize| {
        let n = entries[at].end - entries[at].start;
        padded_count(n) - n
    };
    // The window shrinks at its low end; here it never grows.
    let dummies = [0, 1].map(|at| needed(0) - needed(at)..needed(0));
    let built = [0, 1].map(|at| version(layout, entries[at].clone(), dummies[at].clone()));
    let (removed, added) = changes(&built);
    let file = delta_with(layout, &removed, &added);
    let (removed, added) = (removed.len() as u64, added.len() as u64);
    let bytes = delta::file_len(layout, removed, added);
    let delta = DeltaRef { from: 1, removed, added, bytes, sha256: Some(Hash(Sha256::digest(&file).into())) };
    let first = signed(manifest(1, None, built[0].reference.clone(), DeltaRef::NONE));
    let second = signed(manifest(2, Some(first.digest()), built[1].reference.clone(), delta));
    let version = |at: usize, note: &SignedManifest| -> Value {
        json!({ "note": text(note), "entries": [entries[at].start, entries[at].end],
                "dummies": [dummies[at].start, dummies[at].end] })
    };
    let value = json!({
        "type": "series",
        "verifier_key": verifier().to_string(),
        "okm_of": OKM,
        "labels_of": LABELS,
        "dummy_seed": hex::encode(DUMMIES),
        "versions": [version(0, &first), version(1, &second)],
    });
    Case::new(format!("accept/series_{name}.json"), &value)
}

fn version(layout: Layout, entries: std::ops::Range<u64>, dummies: std::ops::Range<u64>) -> Built {
    let entry = |i: u64| {
        let okm = Okm::danger_from_bytes(made(OKM, i));
        let text = &made(LABELS, i)[..layout.label_bytes().into()];
        [&okm.tag().0[..], &label::seal(&okm.label_key(), text).expect("a legal length")].concat()
    };
    let dummy = |j: u64| DummySeed::new(DUMMIES).record(j, layout);
    let mut records: Vec<Vec<u8>> = entries.map(entry).chain(dummies.map(dummy)).collect();
    records.sort();
    file_with(layout, records)
}
