//! Scalars as the ladder reads them: one mask of eight lanes per step.

use curve25519_dalek::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bits of the ladder: min(h, ℓ − h) is below 2^252.
pub(crate) const BITS: usize = 252;

/// Eight secret scalars h, each replaced by min(h, ℓ − h), as the swaps of a ladder. Constant time in the scalars.
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
    /// For one scalar per lane; lanes without a scalar multiply by 0.
    pub(crate) fn new(scalars: &[Scalar]) -> Self {
        let mut steps = Self { swaps: [0; 256], last: 0, negated: 0 };
        let mut lanes = [[0; 4]; 8];
        for (i, scalar) in scalars.iter().enumerate().take(8) {
            let (h, negated) = smaller(scalar);
            steps.last |= ((h[0] & 1) as u8) << i;
            steps.negated |= negated << i;
            lanes[i] = [0, 1, 2, 3].map(|k| h[k] ^ (h[k] >> 1) ^ (h.get(k + 1).unwrap_or(&0) << 63));
        }
        for (byte, swaps) in steps.swaps.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let lane_byte = |lane: &[u64; 4]| (lane[byte / 8] >> (8 * (byte % 8))) as u8;
            let mut bytes = [0; 8];
            for (place, lane) in bytes.iter_mut().zip(&lanes) {
                *place = lane_byte(lane);
            }
            *swaps = transposed(u64::from_le_bytes(bytes)).to_le_bytes();
        }
        lanes.zeroize();
        steps
    }

    /// The swaps from the highest bit to the lowest.
    pub(crate) fn downwards(&self) -> impl Iterator<Item = u8> {
        self.swaps[..BITS].iter().rev().copied()
    }
}

/// min(h, ℓ − h) and whether that is ℓ − h.
fn smaller(scalar: &Scalar) -> ([u64; 4], u8) {
    const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];
    let mut bytes = scalar.to_bytes();
    let mut h = [0; 4];
    for (word, bytes) in h.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    bytes.zeroize();
    let (mut other, _) = minus(&ORDER, &h);
    let (_, other_is_smaller) = minus(&other, &h);
    let mask = u64::from(std::hint::black_box(other_is_smaller)).wrapping_neg();
    let result = [0, 1, 2, 3].map(|k| h[k] ^ (mask & (h[k] ^ other[k])));
    h.zeroize();
    other.zeroize();
    (result, other_is_smaller)
}

/// a − b modulo 2^256, and 1 if that borrowed.
fn minus(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u8) {
    let mut borrow = false;
    let difference = [0, 1, 2, 3].map(|k| {
        let (difference, borrowed) = a[k].borrowing_sub(b[k], borrow);
        borrow = borrowed;
        difference
    });
    (difference, u8::from(borrow))
}

/// Bit 8·i + j moves to bit 8·j + i (Hacker's Delight, Section 7-3).
fn transposed(mut x: u64) -> u64 {
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let moved = (x ^ (x >> shift)) & mask;
        x ^= moved ^ (moved << shift);
    }
    x
}
