//! Batches of ristretto255 elements (RFC 9496): decode, map, multiply and encode many at once.
//!
//! The functions take and give slices of bytes; how many elements are worked on side by side is the back end's matter.
//! There are two: eight lanes with AVX-512 IFMA where the processor has it, and curve25519-dalek everywhere. The choice
//! is made once per process, see [`Backend`]; both give the same bytes.
//!
//! ```
//! use veilmatch_ristretto::{FixedBase, InvalidIndex, Points, Scalar, SharedScalar};
//!
//! // A client blinds 100 elements, the server multiplies them by its key, and the client takes the blinds off.
//! let (key, blinds) = (Scalar::from(77_u8), vec![Scalar::from(1_234_567_u32); 100]);
//! let mut public = [[0; 32]];
//! Points::decode(&[[0; 32]])?.add_multiples(FixedBase::generator(), &[key], &mut public);
//! let (mut blinded, mut evaluated, mut unblinded) = ([[0; 32]; 100], [[0; 32]; 100], [[0; 32]; 100]);
//! let elements = Points::from_uniform(&[[7; 64]; 100]);
//!
//! elements.add_multiples(FixedBase::generator(), &blinds, &mut blinded);
//! Points::decode(&blinded)?.multiply_shared(&SharedScalar::new(&key), &mut evaluated);
//! let public = FixedBase::new(&public[0]).expect("an element");
//! Points::decode(&evaluated)?.subtract_multiples(&public, &blinds, &mut unblinded);
//!
//! let mut direct = [[0; 32]; 100];
//! elements.multiply_shared(&SharedScalar::new(&key), &mut direct);
//! assert_eq!(unblinded, direct);
//! # Ok::<(), InvalidIndex>(())
//! ```
//!
//! # Security
//! Multiplications, sums with multiples, encodings and scalar inversions are constant time in scalars and elements. [`Points::decode`] leaks
//! which index is invalid, and [`Points::weighted_sum`] is variable time: both take public values only. The identity is a
//! valid element here; protocols that refuse it do so where they decode (RFC 9497, Section 2.1).

mod backend;
mod fixed_base;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod points;
mod portable;
mod sha512;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the one module that has any")]
mod simd;

pub use backend::Backend;
pub use curve25519_dalek::Scalar;
pub use fixed_base::FixedBase;
pub use points::Points;
pub use sha512::{Message, Sha512Many};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Name of the back end that this process uses, for version output and start-up logs.
#[must_use]
pub fn backend() -> &'static str {
    Backend::chosen().name()
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
    /// Prepares `scalar` for many batches. It is below the group's order ℓ, as is every [`Scalar`] that can be made without
    /// curve25519-dalek's legacy features: the vector back end's ladder takes h or ℓ − h, whichever is smaller.
    #[must_use]
    pub fn new(scalar: &Scalar) -> Self {
        debug_assert!(is_reduced(scalar), "a scalar is below the group's order");
        Self { half: scalar.div_by_2() }
    }
}

/// Whether a scalar is below the group's order.
fn is_reduced(scalar: &Scalar) -> bool {
    Scalar::from_canonical_bytes(scalar.to_bytes()).is_some().into()
}

/// Inverts secret scalars in place, with one inversion for all. Zero has no inverse and stays zero, without a trace of which
/// one that was or whether there is one.
pub fn invert_scalars(scalars: &mut [Scalar]) {
    // One is its own inverse, where zero would leave none for the others.
    let zeros: Vec<Choice> = scalars.iter().map(|scalar| scalar.ct_eq(&Scalar::ZERO)).collect();
    for (scalar, zero) in scalars.iter_mut().zip(&zeros) {
        scalar.conditional_assign(&Scalar::ONE, *zero);
    }
    // What it gives back is the product of all inverses, as secret as they are.
    Scalar::invert_batch_alloc(scalars).zeroize();
    for (scalar, zero) in scalars.iter_mut().zip(&zeros) {
        scalar.conditional_assign(&Scalar::ZERO, *zero);
    }
}

#[cfg(test)]
mod tests;
