//! The Merkle tree of RFC 6962, Section 2.1, with SHA-256.

use sha2::{Digest, Sha256};

/// SHA-256(0x00 ‖ leaf).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root over leaf hashes in order, in memory logarithmic in their number.
#[must_use]
pub fn root(leaf_hashes: impl IntoIterator<Item = [u8; 32]>) -> [u8; 32] {
    let mut complete: Vec<(u32, [u8; 32])> = Vec::new();
    for leaf in leaf_hashes {
        let (mut level, mut hash) = (0, leaf);
        while let Some((_, left)) = complete.pop_if(|(top, _)| *top == level) {
            hash = node_hash(&left, &hash);
            level += 1;
        }
        complete.push((level, hash));
    }
    let right_to_left = complete.into_iter().rev().map(|(_, hash)| hash);
    right_to_left.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Sha256::digest([]).into())
}

/// The root that a leaf hash at `index` of a tree of `size` leaves has with this inclusion path, from the leaf upwards
/// (RFC 9162, Section 2.1.3.2). `None` if there is no such leaf, or the path has a hash too many or too few.
#[must_use]
pub fn root_of_path(leaf: &[u8; 32], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    let (mut node, mut last, mut hash) = (index, size.checked_sub(1)?, *leaf);
    if node > last {
        return None;
    }
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // The last node of a level that is a left child has no sibling, and goes up unchanged.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// The inclusion path of leaf `index`, from the leaf upwards, of few leaves that are all at hand (RFC 9162, Section 2.1.3.1).
/// Logs make theirs from stored nodes.
///
/// # Panics
/// If there is no such leaf.
#[must_use]
pub fn path(leaf_hashes: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    assert!(index < leaf_hashes.len(), "the caller asks for a leaf of its own");
    if leaf_hashes.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaf_hashes.split_at(leaf_hashes.len().next_power_of_two() / 2);
    let (mut below, beside) =
        if index < left.len() { (path(left, index), right) } else { (path(right, index - left.len()), left) };
    below.push(root(beside.iter().copied()));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_every_small_tree_leads_to_its_root_and_from_no_other_place() {
        // SPEC §6.4
        let leaves: Vec<_> = (0..40_u8).map(|i| leaf_hash(&[i])).collect();
        for size in 1..=leaves.len() {
            let (tree, size) = (&leaves[..size], size as u64);
            let whole = root(tree.iter().copied());
            for (index, leaf) in tree.iter().enumerate() {
                let path = path(tree, index);
                for at in 0..size + 2 {
                    let led = root_of_path(leaf, at, size, &path) == Some(whole);
                    assert_eq!(led, at == index as u64, "{index} of {size} shown at {at}");
                }
                let longer = [&path[..], &[whole]].concat();
                assert_ne!(root_of_path(leaf, index as u64, size, &longer), Some(whole));
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(root_of_path(leaf, index as u64, size, shorter), None);
                }
            }
        }
        assert_eq!(root_of_path(&leaves[0], 0, 0, &[]), None);
    }

    #[test]
    fn a_path_in_the_largest_frame_has_twelve_hashes() {
        // SPEC §6.4
        let leaves: Vec<_> = (0..4_096_u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        assert_eq!(path(&leaves, 4_095).len(), 12);
        assert_eq!(path(&leaves[..1], 0).len(), 0);
    }
}
