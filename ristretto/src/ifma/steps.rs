//! Scalars as the ladder reads them: one mask of eight lanes per step.

use curve25519_dalek::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bits of the ladder: min(h, ℓ − h) is below 2^252.
pub(crate) const BITS: usize = 252;

/// Eight secret scalars h below ℓ, each replaced by min(h, ℓ − h), as the swaps of a ladder. Constant time in the scalars.
///
/// The smaller one has 252 bits and is never ℓ − 1, for which the recovery of y would fail.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Steps {
    // Mask i holds bit i xor bit i + 1 of every lane.
    swaps: [u8; 256],
    /// Lanes whose lowest bit is set.
    pub(crate) last: u8,
    /// Lanes where ℓ − h stands for h, so that the product is to be negated.
    pub(crate) negated: u8,
}

impl Steps {
    /// Steps that multiply every lane by 0.
    pub(crate) fn zero() -> Self {
        Self { swaps: [0; 256], last: 0, negated: 0 }
    }

    /// The same scalar in every lane.
    pub(crate) fn set_all(&mut self, scalar: &Scalar) {
        self.set([scalar; 8].into_iter());
    }

    /// One scalar per lane; lanes without a scalar multiply by 0. In place, so that no copy is left where it was made.
    pub(crate) fn set<'a>(&mut self, scalars: impl Iterator<Item = &'a Scalar>) {
        self.zeroize();
        let mut lanes = [[0; 4]; 8];
        for (i, (lane, scalar)) in lanes.iter_mut().zip(scalars).enumerate() {
            debug_assert!(crate::is_reduced(scalar), "ℓ − h is of no use otherwise");
            let mut h = words(scalar);
            self.negated |= replace_by_smaller(&mut h) << i;
            self.last |= ((h[0] & 1) as u8) << i;
            for k in 0..4 {
                lane[k] = h[k] ^ (h[k] >> 1) ^ (h.get(k + 1).unwrap_or(&0) << 63);
            }
            h.zeroize();
        }
        for (byte, swaps) in self.swaps.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut matrix = 0;
            for lane in lanes.iter().rev() {
                matrix = matrix << 8 | (lane[byte / 8] >> (8 * (byte % 8))) & 0xff;
            }
            *swaps = transposed(matrix).to_le_bytes();
        }
        lanes.zeroize();
    }

    /// The swaps from the highest bit to the lowest.
    pub(crate) fn downwards(&self) -> impl Iterator<Item = u8> {
        self.swaps[..BITS].iter().rev().copied()
    }
}

fn words(scalar: &Scalar) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(scalar.as_bytes().as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// h ← min(h, ℓ − h). Gives 1 if that is ℓ − h, else 0.
fn replace_by_smaller(h: &mut [u64; 4]) -> u8 {
    const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];
    let mut other = ORDER;
    subtract(&mut other, h);
    let mut difference = other;
    let other_is_smaller = subtract(&mut difference, h);
    // Opaque, so that the mask is not turned back into a branch.
    let mask = u64::from(std::hint::black_box(other_is_smaller)).wrapping_neg();
    for k in 0..4 {
        h[k] ^= mask & (h[k] ^ other[k]);
    }
    other.zeroize();
    difference.zeroize();
    other_is_smaller
}

/// a ← a − b modulo 2^256. Gives 1 if that borrowed, else 0.
fn subtract(a: &mut [u64; 4], b: &[u64; 4]) -> u8 {
    let mut borrow = false;
    for k in 0..4 {
        (a[k], borrow) = a[k].borrowing_sub(b[k], borrow);
    }
    u8::from(borrow)
}

/// Bit 8·i + j moves to bit 8·j + i (Hacker's Delight, Section 7-3).
fn transposed(mut x: u64) -> u64 {
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let moved = (x ^ (x >> shift)) & mask;
        x ^= moved ^ (moved << shift);
    }
    x
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    /// The scalar that a lane's swaps spell, with its sign.
    fn spelled(steps: &Steps, lane: usize) -> Scalar {
        let (mut scalar, mut bit) = (Scalar::ZERO, 0);
        for swaps in steps.downwards() {
            bit ^= swaps >> lane & 1;
            scalar = scalar + scalar + Scalar::from(bit);
        }
        assert_eq!(bit, steps.last >> lane & 1);
        if steps.negated >> lane & 1 == 1 { -scalar } else { scalar }
    }

    #[test]
    fn the_smaller_of_a_scalar_and_its_negative_has_252_bits_and_is_its_half_at_most() {
        let half = Scalar::ONE.div_by_2();
        for scalar in [Scalar::ZERO, Scalar::ONE, half - Scalar::ONE, half, half + Scalar::ONE, -Scalar::ONE] {
            let mut smaller = words(&scalar);
            let negated = replace_by_smaller(&mut smaller);
            assert!(smaller[3] >> (BITS - 192) == 0, "{smaller:x?}");
            assert_eq!(smaller, words(&if negated == 1 { -scalar } else { scalar }));
        }
        // (ℓ − 1)/2 is the largest that stays, and one more is the first that does not.
        assert_eq!([half - Scalar::ONE, half].map(|scalar| replace_by_smaller(&mut words(&scalar))), [0, 1]);
    }

    #[test]
    fn steps_spell_the_scalars_of_all_lanes() {
        let mut rng = StdRng::seed_from_u64(40);
        let half = Scalar::ONE.div_by_2();
        let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, half, -half, half - Scalar::ONE, Scalar::from(2_u8)];
        let mut steps = Steps::zero();
        for round in 0..if cfg!(miri) { 3 } else { 1_000 } {
            let mut scalars: [Scalar; 8] =
                std::array::from_fn(|_| Scalar::from_bytes_mod_order_wide(&rng.random::<[u8; 64]>()));
            for _ in 0..round % 8 {
                scalars[rng.random_range(0..8)] = edges[rng.random_range(0..edges.len())];
            }
            let n = 8 - round % 3;
            steps.set(scalars[..n].iter());
            for lane in 0..8 {
                assert_eq!(spelled(&steps, lane), if lane < n { scalars[lane] } else { Scalar::ZERO });
            }
            steps.set_all(&scalars[0]);
            assert!((0..8).all(|lane| spelled(&steps, lane) == scalars[0]));
        }
    }
}
