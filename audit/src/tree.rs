//! RFC 6962 trees: inclusion and consistency proofs, made and verified (RFC 9162, Sections 2.1.3 and 2.1.4).

mod edge;
mod proof;

pub use edge::Edge;
pub use proof::{Nodes, consistency_proof, inclusion_proof, root_at};

use sha2::{Digest, Sha256};
use veilmatch_protocol::merkle::{node_hash, root_of_path};

use crate::Error;

/// A SHA-256 hash: of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

/// Most hashes of a proof in a tree of less than 2^63 leaves.
pub const MAX_PROOF: usize = 63;

/// The root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Checks that the leaf with this hash is number `index` of the tree with this size and root.
///
/// # Errors
/// [`Error::BadCheckpoint`] for every cause: index outside the tree, a hash too many or too few, another root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Error> {
    if root_of_path(leaf, index, size, proof) == Some(*root) { Ok(()) } else { Err(Error::BadCheckpoint) }
}

/// Checks that the tree of `new_size` leaves begins with the tree of `old_size`. Every tree extends the empty one, with
/// an empty proof.
///
/// # Errors
/// [`Error::BadCheckpoint`] for every cause: a size that shrinks, a hash too many or too few, another root.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if old_size == 0 || old_size == new_size {
        let known = old_size != 0 || *old_root == empty_root();
        let same = old_size != new_size || old_root == new_root;
        return if proof.is_empty() && known && same { Ok(()) } else { Err(Error::BadCheckpoint) };
    }
    if old_size > new_size {
        return Err(Error::BadCheckpoint);
    }
    // An old tree that is one full subtree is a node of the new one, and the proof leaves it out.
    let (first, rest) =
        if old_size.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(Error::BadCheckpoint)? };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let full = node.trailing_ones();
    (node, last) = (node >> full, last >> full);
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(Error::BadCheckpoint);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            climb_to_right_child(&mut node, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 && old == *old_root && new == *new_root { Ok(()) } else { Err(Error::BadCheckpoint) }
}

/// The last node of a level that is a left child has no sibling and goes up unchanged, until it is a right child.
fn climb_to_right_child(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        (*node, *last) = (*node >> 1, *last >> 1);
    }
}

#[cfg(test)]
mod tests;
