//! A changed file is found at its place, whatever was done to it.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    finding::{Code, Finding, Part},
    tile::{Files, Tile, TilePath},
    verify::{Audited, Known, read_leaves, verify},
};

use crate::world::log::{Log, Memory};

const SIZE: usize = 70_000;

fn log() -> (Log, Memory) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let mut log = Log::new("agency.example/veilmatch/query/2026h2", &key);
    log.leaves = (0..SIZE).map(|index| format!("leaf {index}").into_bytes()).collect();
    let files = log.files(SIZE, &witness(), 1_000);
    (log, files)
}

fn witness() -> [Cosigner; 1] {
    [Cosigner::new("platform.example/veilmatch/witness", ed25519_dalek::SigningKey::from_bytes(&[2; 32])).unwrap()]
}

fn audit(log: &Log, files: &Memory) -> Audited {
    let known = Known { key: log.verifier(), policy: None, now: 1_000, seen: Vec::new(), every_root: false };
    verify(files, &known).unwrap()
}

fn places(findings: &[Finding]) -> Vec<(Code, String, Option<u64>)> {
    let place = |finding: &Finding| match &finding.place.part {
        Part::File { path, index } => (finding.code, path.clone(), *index),
        part => panic!("{part:?}"),
    };
    findings.iter().map(place).collect()
}

#[test]
fn an_unaltered_tree_has_no_finding() {
    // SPEC §17.3
    let (log, files) = log();
    let audited = audit(&log, &files);
    assert!(audited.findings.is_empty(), "{:?}", audited.findings);
    assert!(audited.complete() && audited.size() == SIZE as u64);
}

#[test]
fn a_flipped_byte_is_found_in_its_tile_or_entry() {
    // SPEC §17.3
    let (log, files) = log();
    let mut rng = StdRng::seed_from_u64(1);
    let paths: Vec<&String> = files.0.keys().filter(|path| *path != "checkpoint").collect();
    for round in 0..150 {
        let path = paths[rng.random_range(0..paths.len())];
        let mut changed = files.clone();
        let bytes = changed.0.get_mut(path).unwrap();
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        let audited = audit(&log, &changed);
        let tile: TilePath = path.parse().unwrap();
        let found = places(&audited.findings);
        assert_eq!(found.len(), 1, "round {round}, {path}, byte {at}: {found:?}");
        assert_eq!((found[0].0, &found[0].1), (Code::L04, path), "round {round}");
        if let TilePath::Hashes(tile) = tile {
            assert_eq!(found[0].2, Some(tile.start() + at as u64 / 32), "round {round}");
        }
        assert!(audited.sound);
    }
}

#[test]
fn a_missing_bundle_is_withheld_and_a_missing_tile_is_not_the_tree() {
    // SPEC §17.3
    let (log, files) = log();
    for (path, code) in [("tile/entries/007", Code::L09), ("tile/0/007", Code::L04), ("tile/1/000", Code::L04)] {
        let mut changed = files.clone();
        changed.0.remove(path).unwrap();
        let audited = audit(&log, &changed);
        assert_eq!(places(&audited.findings), [(code, path.to_owned(), None)]);
        assert_eq!(audited.holes.len(), if code == Code::L09 { 256 } else { 0 });
    }
}

#[test]
fn a_truncated_file_is_found() {
    // SPEC §17.3
    let (log, files) = log();
    let last = Tile::of(0, SIZE as u64 / 256, SIZE as u64).unwrap();
    for path in [TilePath::Hashes(last).to_string(), TilePath::Entries(last).to_string(), "tile/entries/003".into()] {
        let mut changed = files.clone();
        let bytes = changed.0.get_mut(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        let found = places(&audit(&log, &changed).findings);
        assert_eq!((found.len(), found[0].0, &found[0].1), (1, Code::L04, &path));
    }
}

#[test]
fn a_tree_of_other_leaves_under_the_same_signature_is_not_sound() {
    // SPEC §17.4
    let (mut log, files) = log();
    let note = files.0["checkpoint"].clone();
    log.leaves.swap(10, 5_000);
    let mut other = log.files(SIZE, &witness(), 1_000);
    other.0.insert("checkpoint".into(), note);
    let audited = audit(&log, &other);
    assert!(!audited.sound);
    assert_eq!(audited.findings.len(), 1);
    assert_eq!((audited.findings[0].code, &audited.findings[0].place.part), (Code::L04, &Part::Checkpoint));
}

/// Serves another bundle, or none, after the first time.
struct Fickle {
    first: Memory,
    path: &'static str,
    then: Option<Vec<u8>>,
    asked: AtomicUsize,
}

impl Files for Fickle {
    type Error = io::Error;

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        if path == self.path && self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return Ok(self.then.clone());
        }
        self.first.read(path, limit)
    }
}

#[test]
fn a_bundle_that_is_another_at_the_second_reading_is_found_and_the_tree_is_not_sound() {
    // SPEC §17.3
    let (log, files) = log();
    let path = "tile/entries/007";
    let bundle = &files.0[path];
    let mut changed = bundle.clone();
    *changed.last_mut().unwrap() ^= 1;
    let short = bundle[..bundle.len() - 2 - "leaf 2047".len()].to_vec();
    for then in [Some(changed), Some(short), None] {
        let fickle = Fickle { first: files.clone(), path, then, asked: AtomicUsize::new(0) };
        let known = Known { key: log.verifier(), policy: None, now: 1_000, seen: Vec::new(), every_root: false };
        let mut audited = verify(&fickle, &known).unwrap();
        assert!(audited.complete() && audited.findings.is_empty());
        let mut leaves = 0;
        read_leaves(&fickle, &mut audited, 1, &|_| true, |_| leaves += 1).unwrap();
        assert_eq!(places(&audited.findings), [(Code::L04, path.to_owned(), None)]);
        assert!(!audited.complete());
        assert_eq!(leaves, 7 * 256);
    }
}

#[test]
fn a_size_that_is_signed_and_not_there_takes_no_memory() {
    // SPEC §17.3
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let mut log = Log::new("agency.example/veilmatch/manifest", &key);
    log.leaves = vec![b"leaf".to_vec()];
    let mut files = log.files(1, &witness(), 1_000);
    let signed = Checkpoint { origin: log.origin.clone(), size: 1 << 50, root: [1; 32] };
    files.0.insert("checkpoint".into(), checkpoint::sign(&signed, &key).unwrap().into_bytes());
    let known = Known { key: log.verifier(), policy: None, now: 1_000, seen: Vec::new(), every_root: true };
    let audited = verify(&files, &known).unwrap();
    assert!(!audited.sound && audited.roots.len() <= 257, "{}", audited.roots.len());
}

#[test]
fn findings_about_files_are_bounded_and_so_is_their_evidence() {
    // SPEC §21
    let (log, mut files) = log();
    files.0.retain(|path, _| !path.starts_with("tile/entries/"));
    let audited = audit(&log, &files);
    assert_eq!(audited.findings.len(), 100);
    assert!(audited.findings[99].evidence.text.ends_with("; and 174 files more"), "{:?}", audited.findings[99]);
    let (log, mut files) = self::log();
    let tiles = files.0.iter_mut().filter(|(path, _)| path.starts_with("tile/0/"));
    tiles.for_each(|(_, bytes)| bytes[0] ^= 1);
    let audited = audit(&log, &files);
    assert_eq!(audited.findings.iter().filter(|finding| !finding.evidence.files.is_empty()).count(), 20);
}
