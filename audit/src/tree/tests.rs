//! Tests of the tree against vectors, against a plain recursion of RFC 6962, and against hostile proofs.

use proptest::prelude::*;
use serde::Deserialize;
use veilmatch_protocol::merkle::{leaf_hash, node_hash, root};

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group<T> {
    #[serde(rename = "source")]
    _source: String,
    cases: Vec<T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion {
    name: String,
    index: u64,
    size: u64,
    leaf: String,
    root: String,
    proof: Vec<String>,
    valid: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consistency {
    name: String,
    old_size: u64,
    new_size: u64,
    old_root: String,
    new_root: String,
    proof: Vec<String>,
    valid: bool,
}

/// A hash of another length is refused where hashes are read, before there is a proof.
fn hash(text: &str) -> Option<Hash> {
    hex::decode(text).unwrap().try_into().ok()
}

fn hashes(texts: &[String]) -> Option<Vec<Hash>> {
    texts.iter().map(|text| hash(text)).collect()
}

#[test]
fn inclusion_vectors_are_judged_as_they_say() {
    let group: Group<Inclusion> = serde_json::from_str(include_str!("../../vectors/inclusion.json")).unwrap();
    assert_eq!(group.cases.len(), 98);
    for case in group.cases {
        let judged = (|| {
            let (leaf, root, proof) = (hash(&case.leaf)?, hash(&case.root)?, hashes(&case.proof)?);
            verify_inclusion(&leaf, case.index, case.size, &proof, &root).ok()
        })();
        assert_eq!(judged.is_some(), case.valid, "{}", case.name);
    }
}

#[test]
fn consistency_vectors_are_judged_as_they_say() {
    let group: Group<Consistency> = serde_json::from_str(include_str!("../../vectors/consistency.json")).unwrap();
    assert_eq!(group.cases.len(), 98);
    for case in group.cases {
        // The roots of this one are words; it says that equal roots of one size are consistent.
        if case.name == "additional/sizes-are-equal-one-and-proof-is-empty" {
            let root = [7; 32];
            assert_eq!(verify_consistency(1, &root, 1, &root, &[]), Ok(()));
            continue;
        }
        let judged = (|| {
            let (old, new, proof) = (hash(&case.old_root)?, hash(&case.new_root)?, hashes(&case.proof)?);
            verify_consistency(case.old_size, &old, case.new_size, &new, &proof).ok()
        })();
        assert_eq!(judged.is_some(), case.valid, "{}", case.name);
    }
}

fn leaves(number: u64) -> Vec<Hash> {
    (0..number).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

/// PATH of RFC 6962, Section 2.1.1, as it stands there.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) = if m < k { (path(m, left), right) } else { (path(m - k, right), left) };
    proof.push(mth(other));
    proof
}

/// SUBPROOF of RFC 6962, Section 2.1.2.
fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) =
        if m <= k { (subproof(m, left, whole), right) } else { (subproof(m - k, right, false), left) };
    proof.push(mth(other));
    proof
}

/// MTH of RFC 6962, Section 2.1.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// The largest tree of which all pairs of sizes are tried.
const SMALL: u64 = 70;

#[test]
fn roots_of_small_trees_are_those_of_the_rfc() {
    let all = leaves(SMALL);
    let mut edge = Edge::default();
    for size in 0..=SMALL {
        let expected = mth(&all[..size as usize]);
        assert_eq!(edge.root(), expected, "{size}");
        assert_eq!(root_at(&all[..], size), Ok(expected), "{size}");
        assert_eq!(Edge::at(&all[..], size).as_ref(), Ok(&edge), "{size}");
        assert_eq!(Edge::from_hashes(size, edge.hashes().to_vec()).as_ref(), Ok(&edge), "{size}");
        assert_eq!(root(all[..size as usize].iter().copied()), expected, "{size}");
        if size < SMALL {
            edge.push(all[size as usize]);
        }
    }
}

#[test]
fn an_edge_takes_one_hash_for_each_bit_of_its_size() {
    assert_eq!(Edge::from_hashes(5, vec![[0; 32]]), Err(Error::NotInTree));
    assert_eq!(Edge::from_hashes(5, vec![[0; 32]; 3]), Err(Error::NotInTree));
    assert!(Edge::from_hashes(5, vec![[0; 32]; 2]).is_ok());
}

#[test]
fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
    let all = leaves(SMALL);
    for size in 1..=SMALL {
        let root = mth(&all[..size as usize]);
        for index in 0..size {
            let proof = inclusion_proof(&all[..], index, size).unwrap();
            assert_eq!(proof, path(index as usize, &all[..size as usize]), "{index} of {size}");
            for other in 0..size {
                let shown = verify_inclusion(&all[other as usize], index, size, &proof, &root);
                assert_eq!(shown.is_ok(), other == index, "{other} for {index} of {size}");
            }
        }
    }
}

#[test]
fn every_small_tree_extends_every_smaller_one_and_no_other() {
    let all = leaves(SMALL);
    let roots: Vec<Hash> = (0..=SMALL).map(|size| mth(&all[..size as usize])).collect();
    for new in 0..=SMALL {
        for old in 0..=new {
            let proof = consistency_proof(&all[..], old, new).unwrap();
            if old > 0 {
                assert_eq!(proof, subproof(old as usize, &all[..new as usize], true), "{old} to {new}");
            }
            for (size, root) in (0..).zip(&roots) {
                let shown = verify_consistency(old, root, new, &roots[new as usize], &proof);
                assert_eq!(shown.is_ok(), size == old, "{size} for {old} to {new}");
                if old > 0 {
                    let shown = verify_consistency(old, &roots[old as usize], new, root, &proof);
                    assert_eq!(shown.is_ok(), size == new, "{old} to {size} for {new}");
                }
            }
        }
    }
}

#[test]
fn proofs_are_not_made_of_what_the_tree_does_not_have() {
    let all = leaves(5);
    assert_eq!(inclusion_proof(&all[..], 5, 5), Err(Error::NotInTree));
    assert_eq!(inclusion_proof(&all[..], 0, 0), Err(Error::NotInTree));
    assert_eq!(consistency_proof(&all[..], 5, 4), Err(Error::NotInTree));
    assert_eq!(inclusion_proof(&all[..], 4, 6), Err(Error::NotInTree));
    assert_eq!(consistency_proof(&all[..], 5, 6), Err(Error::NotInTree));
    assert_eq!(all[..].node(63, 1), Err(Error::NotInTree));
    assert_eq!(all[..].node(64, 0), Err(Error::NotInTree));
    assert_eq!(all[..].node(1, u64::MAX), Err(Error::NotInTree));
}

/// The proof with one hash dropped, added, doubled, swapped with its neighbour or changed in one bit.
fn spoiled(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    let mut edit = |change: &dyn Fn(&mut Vec<Hash>)| {
        let mut copy = proof.to_vec();
        change(&mut copy);
        all.push(copy);
    };
    for at in 0..proof.len() {
        edit(&|copy| copy.truncate(at));
        edit(&|copy| *copy = [&proof[..at], &proof[at + 1..]].concat());
        edit(&|copy| copy.insert(at, copy[at]));
        edit(&|copy| copy[at][31] ^= 1);
        if at > 0 {
            edit(&|copy| copy.swap(at, at - 1));
        }
    }
    for added in [[0; 32], empty_root()] {
        edit(&|copy| copy.insert(0, added));
        edit(&|copy| copy.push(added));
    }
    edit(&|copy| copy.resize(proof.len() + 64, [0; 32]));
    all.retain(|copy| copy != proof);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_spoiled_inclusion_proof_shows_nothing(size in 1_u64..5_000, at in any::<prop::sample::Index>()) {
        let all = leaves(size);
        let index = at.index(size as usize) as u64;
        let (leaf, root) = (all[index as usize], root_at(&all[..], size).unwrap());
        let proof = inclusion_proof(&all[..], index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
        for bad in spoiled(&proof) {
            prop_assert!(verify_inclusion(&leaf, index, size, &bad, &root).is_err());
        }
        for bad in [index.wrapping_sub(1), index + 1, index ^ 1 << 63, u64::MAX] {
            prop_assert!(verify_inclusion(&leaf, bad, size, &proof, &root).is_err());
        }
        for bad in [0, 1 << 63, u64::MAX] {
            prop_assert!(verify_inclusion(&leaf, index, bad, &proof, &root).is_err());
        }
    }

    #[test]
    fn a_spoiled_consistency_proof_shows_nothing(new in 1_u64..5_000, at in any::<prop::sample::Index>()) {
        let all = leaves(new);
        let old = at.index(new as usize) as u64 + 1;
        let (old_root, new_root) = (root_at(&all[..], old).unwrap(), root_at(&all[..], new).unwrap());
        let proof = consistency_proof(&all[..], old, new).unwrap();
        prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
        for bad in spoiled(&proof) {
            prop_assert!(verify_consistency(old, &old_root, new, &new_root, &bad).is_err());
        }
        for bad in [0, old - 1, old + 1, new + 1, 1 << 63, u64::MAX] {
            if bad != old {
                prop_assert!(verify_consistency(bad, &old_root, new, &new_root, &proof).is_err());
            }
        }
        for bad in [0, old - 1, 1 << 63, u64::MAX] {
            if old != new {
                prop_assert!(verify_consistency(old, &old_root, bad, &new_root, &proof).is_err());
            }
        }
    }
}

#[test]
fn a_tree_of_one_leaf_has_an_empty_proof_and_no_other() {
    let leaf = leaf_hash(b"leaf");
    assert_eq!(verify_inclusion(&leaf, 0, 1, &[], &leaf), Ok(()));
    for (index, size) in [(0, 0), (1, 1), (0, 2), (0, 1 << 63), (u64::MAX, u64::MAX)] {
        assert_eq!(verify_inclusion(&leaf, index, size, &[], &leaf), Err(Error::BadCheckpoint));
    }
    assert_eq!(verify_inclusion(&leaf, 0, 1, &[leaf], &leaf), Err(Error::BadCheckpoint));
}

#[test]
fn an_empty_tree_is_extended_by_each_with_an_empty_proof() {
    let root = leaf_hash(b"leaf");
    assert_eq!(verify_consistency(0, &empty_root(), 1, &root, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty_root(), 0, &empty_root(), &[]), Ok(()));
    assert_eq!(verify_consistency(0, &root, 1, &root, &[]), Err(Error::BadCheckpoint));
    assert_eq!(verify_consistency(0, &empty_root(), 0, &root, &[]), Err(Error::BadCheckpoint));
    assert_eq!(verify_consistency(0, &empty_root(), 1, &root, &[root]), Err(Error::BadCheckpoint));
    assert_eq!(verify_consistency(1, &root, 0, &empty_root(), &[]), Err(Error::BadCheckpoint));
}
