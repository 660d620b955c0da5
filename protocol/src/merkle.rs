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
