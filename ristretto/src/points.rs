//! A batch of elements and what is done with it.

use crate::{Backend, FixedBase, InvalidIndex, Scalar, SharedScalar, fixed_base::Table, portable};
#[cfg(target_arch = "x86_64")]
use crate::{ifma, simd::Ifma};

/// A batch of decoded elements, wiped when it is dropped: it may have been mapped from secret items.
pub struct Points(pub(crate) Inner);

pub(crate) enum Inner {
    Portable(portable::Points),
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma, ifma::Points),
}

/// Whether multiples are added or taken off.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

impl Points {
    /// Decodes canonical encodings of 32 bytes (RFC 9496, Section 4.3.1). Accepts the identity.
    ///
    /// # Errors
    /// The index of the first encoding that is not canonical.
    pub fn decode(encodings: &[[u8; 32]]) -> Result<Self, InvalidIndex> {
        Backend::chosen().decode(encodings)
    }

    /// Maps 64 uniform bytes each to an element (RFC 9496, Section 4.3.4).
    #[must_use]
    pub fn from_uniform(uniform: &[[u8; 64]]) -> Self {
        Backend::chosen().from_uniform(uniform)
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Portable(points) => points.len(),
            #[cfg(target_arch = "x86_64")]
            Inner::Ifma(_, points) => points.len(),
        }
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
        match &self.0 {
            Inner::Portable(points) => points.multiply_shared(&scalar.half, out),
            #[cfg(target_arch = "x86_64")]
            Inner::Ifma(ifma, points) => ifma.multiply_shared(points, &scalar.half, out),
        }
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
        Self(match &self.0 {
            Inner::Portable(points) => Inner::Portable(points.multiply_each(scalars, out)),
            #[cfg(target_arch = "x86_64")]
            Inner::Ifma(ifma, points) => Inner::Ifma(*ifma, ifma.multiply_each(points, scalars, out)),
        })
    }

    /// Adds to element i the table's element times secret scalar i, and encodes the sums into `out`, in order. Gives them
    /// as a batch, too, for a caller that will sum what it has sent.
    ///
    /// # Panics
    /// If `scalars` or `out` have another length than the batch, or the table was made for another back end.
    pub fn add_multiples(&self, table: &FixedBase, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Self {
        self.with_multiples(Sign::Plus, table, scalars, out)
    }

    /// As [`Self::add_multiples`], with a difference for the sum: takes off what was added.
    ///
    /// # Panics
    /// As [`Self::add_multiples`].
    pub fn subtract_multiples(&self, table: &FixedBase, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Self {
        self.with_multiples(Sign::Minus, table, scalars, out)
    }

    fn with_multiples(&self, sign: Sign, table: &FixedBase, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Self {
        assert_eq!(scalars.len(), self.len(), "one scalar per element");
        assert_eq!(out.len(), self.len(), "one place per element");
        Self(match (&self.0, &table.0) {
            (Inner::Portable(points), Table::Portable(table)) => {
                Inner::Portable(points.add_multiples(sign, table, scalars, out))
            }
            #[cfg(target_arch = "x86_64")]
            (Inner::Ifma(ifma, points), Table::Ifma(table)) => {
                Inner::Ifma(*ifma, ifma.add_multiples(points, sign, table, scalars, out))
            }
            #[cfg(target_arch = "x86_64")]
            _ => panic!("a table of multiples serves batches of the back end that it was made for"),
        })
    }

    /// The encoded sum of weight i times element i. Variable time: weights and elements are public.
    ///
    /// # Panics
    /// If `weights` has another length than the batch.
    #[must_use]
    pub fn weighted_sum(&self, weights: &[u128]) -> [u8; 32] {
        assert_eq!(weights.len(), self.len(), "one weight per element");
        match &self.0 {
            Inner::Portable(points) => points.weighted_sum(weights),
            #[cfg(target_arch = "x86_64")]
            Inner::Ifma(ifma, points) => ifma.weighted_sum(points, weights),
        }
    }
}
