//! Batches of ristretto255 elements (RFC 9496): decode, map, multiply and encode many at once.
//!
//! The functions take and give slices of bytes; how many elements are worked on side by side is the back end's matter.
//! This build contains the portable back end, on curve25519-dalek.
//!
//! # Security
//! Multiplications, encodings and scalar inversions are constant time in scalars and elements. [`Points::decode`] leaks
//! which index is invalid, and [`Points::weighted_sum`] is variable time: both take public values only. The identity is a
//! valid element here; protocols that refuse it do so where they decode (RFC 9497, Section 2.1).

mod portable;

pub use curve25519_dalek::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Name of the back end that this process uses, for version output and start-up logs.
#[must_use]
pub fn backend() -> &'static str {
    "portable (curve25519-dalek)"
}

/// Index of the first encoding of a batch that is not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encoding {0} of the batch is not a canonical element")]
pub struct InvalidIndex(pub usize);

/// One secret scalar that multiplies every element of a batch: the evaluation key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedScalar {
    // Encoding 2·(hP) shares one inversion over the batch, so every back end multiplies by half the scalar.
    half: Scalar,
}

impl SharedScalar {
    /// Prepares `scalar` for many batches.
    #[must_use]
    pub fn new(scalar: &Scalar) -> Self {
        Self { half: scalar.div_by_2() }
    }
}

/// A batch of decoded elements, wiped when it is dropped: it may have been mapped from secret items.
pub struct Points(portable::Points);

impl Points {
    /// Decodes canonical encodings of 32 bytes (RFC 9496, Section 4.3.1). Accepts the identity.
    ///
    /// # Errors
    /// The index of the first encoding that is not canonical.
    pub fn decode(encodings: &[[u8; 32]]) -> Result<Self, InvalidIndex> {
        portable::Points::decode(encodings).map(Self)
    }

    /// Maps 64 uniform bytes each to an element (RFC 9496, Section 4.3.4).
    #[must_use]
    pub fn from_uniform(uniform: &[[u8; 64]]) -> Self {
        Self(portable::Points::from_uniform(uniform))
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the batch has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Multiplies every element by one secret scalar and encodes the products into `out`, in order.
    ///
    /// # Panics
    /// If `out` has another length than the batch.
    pub fn multiply_shared(&self, scalar: &SharedScalar, out: &mut [[u8; 32]]) {
        assert_eq!(out.len(), self.len(), "one place per element");
        self.0.multiply_shared(&scalar.half, out);
    }

    /// Multiplies element i by secret scalar i and encodes the products into `out`, in order.
    ///
    /// # Panics
    /// If `scalars` or `out` have another length than the batch.
    pub fn multiply_each(&self, scalars: &[Scalar], out: &mut [[u8; 32]]) {
        drop(self.multiply_each_kept(scalars, out));
    }

    /// As [`Self::multiply_each`], and gives the products as a batch, for a caller that will sum what it has sent.
    ///
    /// # Panics
    /// If `scalars` or `out` have another length than the batch.
    #[must_use]
    pub fn multiply_each_kept(&self, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Self {
        assert_eq!(scalars.len(), self.len(), "one scalar per element");
        assert_eq!(out.len(), self.len(), "one place per element");
        Self(self.0.multiply_each(scalars, out))
    }

    /// The encoded sum of weight i times element i. Variable time: weights and elements are public.
    ///
    /// # Panics
    /// If `weights` has another length than the batch.
    #[must_use]
    pub fn weighted_sum(&self, weights: &[u128]) -> [u8; 32] {
        assert_eq!(weights.len(), self.len(), "one weight per element");
        self.0.weighted_sum(weights)
    }
}

/// Inverts secret scalars in place, with one inversion for all.
///
/// # Panics
/// In debug builds, if a scalar is zero; in release builds all results are then zero.
pub fn invert_scalars(scalars: &mut [Scalar]) {
    Scalar::invert_batch_alloc(scalars);
}

#[cfg(test)]
mod tests;
