//! Leaves and tiles: in the files as they are, and signed anew by a keeper who has the key.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, rngs::StdRng};
use veilmatch_audit::{
    finding::{Code, Finding, Part, Place},
    leaf::Leaf,
    tile::{Tile, TilePath, encode_entries},
    verify::{Applied, Known, Seen, Source, verify},
};

use super::{
    bytes::{ALL, Change, change},
    seeded,
};
use crate::{
    scenarios::{MANIFEST, MONTH},
    world::{BEFORE, COSIGNED, NOW, World, at, log::Log, log::Memory, shown::cosigners},
};

pub(super) const TIMES: usize = 10;

pub(super) fn audit(log: &Log, files: &Memory, seen: Vec<Seen>) -> Vec<Finding> {
    let policy = World::policy();
    let known = Known {
        key: log.verifier(),
        policy: Some(Applied { policy: &policy, agreed: true }),
        now: at(NOW).unix(),
        seen,
        every_root: false,
    };
    let mut audited = verify(files, &known).unwrap();
    let unfollowed: Vec<Finding> = audited.take_unfollowed().collect();
    audited.findings.extend(unfollowed);
    audited.findings
}

fn kind(leaf: &[u8]) -> &'static str {
    match Leaf::decode(leaf).unwrap() {
        Leaf::Manifest(_) => "manifest",
        Leaf::Key(_) => "key",
        Leaf::Withdraw(_) => "withdraw",
        Leaf::Absent(_) => "absent",
        Leaf::Query(_) => "query",
        Leaf::Adopt(_) => "adopt",
        Leaf::Frame(_) => "frame",
        Leaf::Match(_) => "match",
        Leaf::Action(_) => "action",
        Leaf::Day(_) => "day",
        Leaf::Close(_) => "close",
        Leaf::Erase(_) => "erase",
        Leaf::Pad(_) => "pad",
    }
}

/// Indices of the leaves of each kind, by log.
fn kinds(log: &Log) -> BTreeMap<&'static str, Vec<usize>> {
    let mut kinds: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
    for (index, leaf) in log.leaves.iter().enumerate() {
        kinds.entry(kind(leaf)).or_default().push(index);
    }
    kinds
}

/// Changes one leaf of a run of leaves, and says which is the first that is another then.
fn change_leaf(leaves: &mut Vec<Vec<u8>>, at: usize, how: Change, rng: &mut StdRng) -> usize {
    match how {
        Change::Flip | Change::Truncate => {
            leaves[at] = change(&leaves[at], 1, how, rng);
            at
        }
        Change::Drop => {
            leaves.remove(at);
            // The last one: its bundle ends before it.
            at.min(leaves.len())
        }
        Change::Duplicate => {
            leaves.insert(at + 1, leaves[at].clone());
            at + 1
        }
        Change::Swap => {
            let other = (0..leaves.len()).filter(|&other| other != at).nth(rng.random_range(0..leaves.len() - 1));
            let other = other.unwrap();
            leaves.swap(at, other);
            at.min(other)
        }
    }
}

#[test]
fn a_changed_leaf_is_found_in_its_bundle() {
    // SPEC §17.3
    let mut rng = seeded();
    let mut seen = BTreeSet::new();
    for log in MONTH.logs() {
        let files = log.files(log.leaves.len(), &cosigners(log), at(COSIGNED).unix());
        assert!(audit(log, &files, Vec::new()).is_empty());
        for (kind, indices) in kinds(log) {
            seen.insert(kind);
            for how in ALL {
                for _ in 0..TIMES {
                    let index = indices[rng.random_range(0..indices.len())];
                    changed_in_its_bundle(log, &files, kind, index, how, &mut rng);
                }
            }
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
}

fn changed_in_its_bundle(log: &Log, files: &Memory, kind: &str, index: usize, how: Change, rng: &mut StdRng) {
    let size = log.leaves.len();
    let tile = Tile::of(0, index as u64 / 256, size as u64).unwrap();
    let start = usize::try_from(tile.start()).unwrap();
    let mut bundle = log.leaves[start..start + usize::from(tile.width)].to_vec();
    let first = start + change_leaf(&mut bundle, index - start, how, rng);
    // An entry of no bytes cannot be written: it is one byte then.
    bundle.iter_mut().filter(|leaf| leaf.is_empty()).for_each(|leaf| leaf.push(b'{'));
    let path = TilePath::Entries(tile).to_string();
    let mut changed = files.clone();
    changed.0.insert(path.clone(), encode_entries(&bundle).unwrap());
    let findings = audit(log, &changed, Vec::new());
    let last = start + usize::from(tile.width) - 1;
    let place = Place::file(&log.origin, &path, Some(first.min(last) as u64));
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
    assert_eq!(found, [(Code::L04, &place)], "{how:?} {kind} leaf {index}");
}

#[test]
fn a_changed_leaf_under_a_new_signature_is_a_fork_of_what_was_audited() {
    // SPEC §17.4
    let mut rng = seeded();
    for log in MONTH.logs() {
        let audited = MONTH.audited[&log.origin];
        let before = log.checkpoint(audited, &cosigners(log), at(BEFORE).unix());
        for (kind, indices) in kinds(log) {
            let old: Vec<usize> = indices.into_iter().filter(|&index| index + 1 < audited).collect();
            if old.is_empty() {
                continue;
            }
            for how in ALL {
                for _ in 0..TIMES {
                    let (index, mut edited) = loop {
                        let index = old[rng.random_range(0..old.len())];
                        let mut edited = log.clone();
                        // A copy behind what was audited changes nothing of that.
                        if change_leaf(&mut edited.leaves, index, how, &mut rng) < audited {
                            break (index, edited);
                        }
                    };
                    edited.leaves.iter_mut().filter(|leaf| leaf.is_empty()).for_each(|leaf| leaf.push(b'{'));
                    let files = edited.files(edited.leaves.len(), &cosigners(log), at(COSIGNED).unix());
                    let seen = vec![Seen { by: Source::LastAudit, note: before.clone() }];
                    let findings = audit(&edited, &files, seen);
                    // Dropping one of the last leaves can leave less than was audited.
                    let code = if edited.leaves.len() < audited { Code::L03 } else { Code::L02 };
                    let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
                    assert_eq!(found, [(code, &Place::checkpoint(&log.origin))], "{how:?} {kind} leaf {index}");
                }
            }
        }
    }
}

#[test]
fn a_manifest_that_was_another_for_the_platforms_is_shown_by_every_view_behind_it() {
    // SPEC §8.6, §21.1
    let mut rng = seeded();
    let index_of = |leaf: &Vec<u8>| matches!(Leaf::decode(leaf), Ok(Leaf::Manifest(_)));
    let manifests: Vec<usize> =
        (0..).zip(&MONTH.agency.manifest.leaves).filter(|leaf| index_of(leaf.1)).map(|leaf| leaf.0).collect();
    for how in ALL {
        for _ in 0..TIMES {
            let index = manifests[rng.random_range(0..manifests.len())];
            let shown = MONTH.edited(|logs| {
                let leaf = &mut logs.get_mut(MANIFEST).unwrap().leaves[index];
                *leaf = change(leaf, 1, how, &mut rng);
                // An entry of no bytes cannot be written.
                leaf.extend(leaf.is_empty().then_some(b'{'));
            });
            let findings = shown.findings(&MONTH);
            let told: BTreeSet<&Place> =
                findings.iter().filter(|finding| finding.code == Code::M03).map(|finding| &finding.place).collect();
            let behind = views_behind(index as u64);
            assert_eq!(told, behind.iter().collect(), "{how:?} leaf {index}");
        }
    }
}

/// The first leaf of each log that cites a tree of the manifest log with this leaf in it, for each such tree.
fn views_behind(index: u64) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for log in MONTH.logs() {
        let mut cited = BTreeSet::new();
        for (at, leaf) in (0..).zip(&log.leaves) {
            let view = match Leaf::decode(leaf).unwrap() {
                Leaf::Adopt(adopt) => adopt.view,
                Leaf::Query(query) => query.view,
                _ => continue,
            };
            if view.size > index && cited.insert(view.size) {
                places.insert(Place::leaf(&log.origin, at));
            }
        }
    }
    places
}

#[test]
fn a_log_that_is_cut_below_what_was_audited_was_rolled_back() {
    // SPEC §17.4
    let mut rng = seeded();
    for log in MONTH.logs() {
        let audited = MONTH.audited[&log.origin];
        let note = log.checkpoint(audited, &cosigners(log), at(BEFORE).unix());
        for _ in 0..50 {
            let size = rng.random_range(0..audited);
            let files = log.files(size, &cosigners(log), at(COSIGNED).unix());
            let seen = vec![Seen { by: Source::LastAudit, note: note.clone() }];
            let findings = audit(log, &files, seen);
            assert_eq!(findings.len(), 1, "size {size}");
            assert_eq!((findings[0].code, &findings[0].place), (Code::L03, &Place::checkpoint(&log.origin)));
        }
    }
}

#[test]
fn a_changed_tile_is_found() {
    // SPEC §17.3
    let mut rng = seeded();
    for log in MONTH.logs() {
        let files = log.files(log.leaves.len(), &cosigners(log), at(COSIGNED).unix());
        let tiles: Vec<&String> = files.0.keys().filter(|path| path.parse::<TilePath>().is_ok()).collect();
        let tiles: Vec<&String> = tiles.into_iter().filter(|path| !path.starts_with("tile/entries")).collect();
        for how in ALL {
            for _ in 0..TIMES {
                // A tile of one hash has nothing to swap.
                let path = loop {
                    let path = tiles[rng.random_range(0..tiles.len())];
                    if how != Change::Swap || files.0[path].len() > 32 {
                        break path;
                    }
                };
                let mut changed = files.clone();
                changed.0.insert(path.clone(), change(&files.0[path], 32, how, &mut rng));
                let findings = audit(log, &changed, Vec::new());
                assert_eq!(findings.len(), 1, "{how:?} {path}: {findings:?}");
                let of = |part: &Part| matches!(part, Part::File { path: found, .. } if found == path);
                assert!(findings[0].code == Code::L04 && of(&findings[0].place.part), "{how:?} {path}: {findings:?}");
            }
        }
    }
}

#[test]
fn a_changed_checkpoint_is_not_the_keepers() {
    // SPEC §17.4, §17.5
    let mut rng = seeded();
    for log in MONTH.logs() {
        let files = log.files(log.leaves.len(), &cosigners(log), at(COSIGNED).unix());
        for how in ALL {
            for _ in 0..TIMES {
                let note = change(&files.0["checkpoint"], 1, how, &mut rng);
                let mut changed = files.clone();
                changed.0.insert("checkpoint".into(), note.clone());
                let findings = audit(log, &changed, Vec::new());
                // A cosigner's name that was changed is an unknown one, and does not count.
                let expected = |finding: &Finding| matches!(finding.code, Code::L01 | Code::L05);
                assert!(findings.iter().all(expected) && !findings.is_empty(), "{how:?} {note:?}: {findings:?}");
                assert!(findings.iter().all(|finding| finding.place == Place::checkpoint(&log.origin)));
            }
        }
    }
}
