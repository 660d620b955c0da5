//! The back end for every processor: curve25519-dalek, with half scalars and one inversion per batch of encodings.

use curve25519_dalek::{
    RistrettoPoint, Scalar,
    ristretto::{CompressedRistretto, RistrettoBasepointTable},
    traits::{IsIdentity, VartimeMultiscalarMul},
};
use zeroize::{Zeroize, Zeroizing};

use crate::{InvalidIndex, points::Sign};

pub(crate) struct Points(Zeroizing<Vec<RistrettoPoint>>);

impl Points {
    pub(crate) fn decode(encodings: &[[u8; 32]]) -> Result<Self, InvalidIndex> {
        let mut points = Zeroizing::new(Vec::with_capacity(encodings.len()));
        for (index, encoding) in encodings.iter().enumerate() {
            points.push(CompressedRistretto(*encoding).decompress().ok_or(InvalidIndex(index))?);
        }
        Ok(Self(points))
    }

    pub(crate) fn from_uniform(uniform: &[[u8; 64]]) -> Self {
        Self(Zeroizing::new(uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn multiply_shared(&self, half: &Scalar, out: &mut [[u8; 32]]) {
        let halves = Self(Zeroizing::new(self.0.iter().map(|point| point * half).collect()));
        halves.encode_doubled(out);
    }

    pub(crate) fn multiply_each(&self, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Self {
        let mut products = Self(Zeroizing::new(Vec::with_capacity(self.len())));
        for (point, scalar) in self.0.iter().zip(scalars) {
            let mut half = scalar.div_by_2();
            products.0.push(point * half);
            half.zeroize();
        }
        products.encode_doubled(out);
        for point in products.0.iter_mut() {
            *point += *point;
        }
        products
    }

    pub(crate) fn add_multiples(
        &self,
        sign: Sign,
        table: &RistrettoBasepointTable,
        scalars: &[Scalar],
        out: &mut [[u8; 32]],
    ) -> Self {
        let mut sums = Self(Zeroizing::new(Vec::with_capacity(self.len())));
        for ((point, scalar), place) in self.0.iter().zip(scalars).zip(out) {
            let mut multiple = table * scalar;
            let sum = match sign {
                Sign::Plus => point + multiple,
                Sign::Minus => point - multiple,
            };
            multiple.zeroize();
            *place = sum.compress().to_bytes();
            sums.0.push(sum);
        }
        sums
    }

    pub(crate) fn weighted_sum(&self, weights: &[u128]) -> [u8; 32] {
        let weights = weights.iter().map(|&weight| Scalar::from(weight));
        RistrettoPoint::vartime_multiscalar_mul(weights, self.0.iter()).compress().to_bytes()
    }

    fn encode_doubled(&self, out: &mut [[u8; 32]]) {
        // Zero lanes (the identity) are skipped by dalek under a mask and come out as the identity's encoding.
        let encoded = RistrettoPoint::double_and_compress_batch(self.0.iter());
        debug_assert!(self.0.iter().zip(&encoded).all(|(p, e)| (p + p).is_identity() == e.is_identity()));
        for (place, encoding) in out.iter_mut().zip(encoded) {
            *place = encoding.to_bytes();
        }
    }
}

/// The table of an element, compared with ordinary multiplication by a scalar with every digit between −8 and 8.
pub(crate) fn fixed_base(encoding: &[u8; 32]) -> Option<Box<RistrettoBasepointTable>> {
    let point = CompressedRistretto(*encoding).decompress()?;
    let table = Box::new(RistrettoBasepointTable::create(&point));
    // Σ d·16^i with all digits d: of this, every window sees each digit once.
    let unit = (0..62).fold(Scalar::ZERO, |unit, _| unit * Scalar::from(16_u8) + Scalar::ONE);
    for digit in (0..8_u8).map(Scalar::from) {
        for scalar in [unit * digit, -(unit * digit)] {
            assert!(&*table * &scalar == point * scalar, "a table must agree with multiplication");
        }
    }
    Some(table)
}
