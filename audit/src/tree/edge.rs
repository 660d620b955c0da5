//! The right edge of a tree: what is needed to append leaves and to know the root.

use veilmatch_protocol::merkle::node_hash;

use super::{Hash, empty_root};
use crate::Error;

/// Size of a tree, and the hashes of the full subtrees that it consists of, from left to right (a "compact range").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    hashes: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of this size: one hash for each bit that is set, the largest subtree first.
    ///
    /// # Errors
    /// [`Error::NotInTree`] if there are more or fewer hashes.
    pub fn from_hashes(size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        if hashes.len() == size.count_ones() as usize { Ok(Self { size, hashes }) } else { Err(Error::NotInTree) }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf_hash: Hash) {
        let mut hash = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            let left = self.hashes.pop().expect("there is a hash for each bit of the size");
            hash = node_hash(&left, &hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, the largest subtree first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let right_to_left = self.hashes.iter().rev().copied();
        right_to_left.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}
