//! Proofs and roots from stored nodes (RFC 6962, Section 2.1).

use veilmatch_protocol::merkle::node_hash;

use super::{Edge, Hash, empty_root};
use crate::Error;

/// Who can give the hash of each full subtree.
pub trait Nodes {
    /// Why a node could not be given.
    type Error;

    /// Hash of the full subtree of leaves `index · 2^level` up to, not including, `(index + 1) · 2^level`.
    ///
    /// # Errors
    /// If the node is not stored, or cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).node(level, index)
    }
}

/// Leaf hashes in memory; each node is computed when it is asked for.
impl Nodes for [Hash] {
    type Error = Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let width = 1_u64.checked_shl(level.into()).ok_or(Error::NotInTree)?;
        let start = index.checked_mul(width).ok_or(Error::NotInTree)?;
        let end = start.checked_add(width).ok_or(Error::NotInTree)?;
        let place = |at: u64| usize::try_from(at).map_err(|_| Error::NotInTree);
        let leaves = self.get(place(start)?..place(end)?).ok_or(Error::NotInTree)?;
        Ok(veilmatch_protocol::merkle::root(leaves.iter().copied()))
    }
}

/// The inclusion proof of leaf `index` in the tree of the first `size` leaves.
///
/// # Errors
/// [`Error::NotInTree`] if there is no such leaf, and what `nodes` fails with.
pub fn inclusion_proof<N>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error>
where
    N: Nodes + ?Sized,
    N::Error: From<Error>,
{
    if index >= size {
        return Err(Error::NotInTree.into());
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree(nodes, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `new` leaves extends that of the first `old`.
///
/// # Errors
/// [`Error::NotInTree`] if `old` is larger than `new`, and what `nodes` fails with.
pub fn consistency_proof<N>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error>
where
    N: Nodes + ?Sized,
    N::Error: From<Error>,
{
    if old > new {
        return Err(Error::NotInTree.into());
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut proof) = (0, new, Vec::new());
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree(nodes, start, middle)?);
            start = middle;
        }
    }
    // The verifier knows the old root; it is left out where it is the node that the walk ended at.
    if start != 0 {
        proof.push(subtree(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What `nodes` fails with.
pub fn root_at<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

impl Edge {
    /// The right edge of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// What `nodes` fails with.
    pub fn at<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Self, N::Error> {
        let hashes = full_subtrees(0, size).map(|(level, index)| nodes.node(level, index)).collect::<Result<_, _>>()?;
        Ok(Self::from_hashes(size, hashes).expect("one full subtree for each bit of the size"))
    }
}

// Hash over the leaves from `start` up to, not including, `end`: `start` is a multiple of a power of two that is not smaller
// than their number, which is at least one.
fn subtree<N: Nodes + ?Sized>(nodes: &N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let mut hashes = Vec::new();
    for (level, index) in full_subtrees(start, end) {
        hashes.push(nodes.node(level, index)?);
    }
    let right_to_left = hashes.into_iter().rev();
    Ok(right_to_left.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root))
}

/// Level and index of the full subtrees of a range that starts at a multiple of its largest one, from left to right.
fn full_subtrees(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let level = (end - at).checked_ilog2()?;
        let index = at >> level;
        at += 1 << level;
        Some((u8::try_from(level).expect("a u64 has 64 bits"), index))
    })
}

/// The largest power of two that is smaller than `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}
