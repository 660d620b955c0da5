//! Multiples of one public element T by a secret scalar per lane, from a table.
//!
//! What is computed is k·T/2, of which the doubled encoding makes k·T. Scalars are rewritten with digits that are odd, so
//! that no digit is 0: with k' = k + (2^n − 1)/2 mod ℓ and its bits b_i, 2·k = Σ (2·b_i − 1)·2^i, and a window of w bits of
//! k' is an odd digit between −(2^w − 1) and 2^w − 1. Its highest bit is the sign, the others name one of 2^(w−1)
//! entries. For every window j the table holds these multiples of 2^(w·j)·T/4, and a product is one addition per window.
//!
//! Every lane has a digit of its own. Entries are looked up by permutations within registers: all vectors of a window are
//! read, always, and the digit is an operand of `vpermi2q`, never an address.

use std::arch::x86_64::*;

use curve25519_dalek::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{
    LANES, constants,
    curve::{Accumulator, Affine, Extended, Projective},
    encode,
    field::{Carried, Mask, splat},
    inverse::Inverses,
    ladder,
    steps::Steps,
};
use crate::simd::{self, Lanes};

/// Bits of a window. Measured: with 5 there are more additions, with 7 more permutations and a table beyond the cache.
const BITS: usize = 6;
const ENTRIES: usize = 1 << (BITS - 1);
/// k' has 253 bits.
const WINDOWS: usize = 253_usize.div_ceil(BITS);
/// Pairs of vectors that one permutation looks into.
const PAIRS: usize = ENTRIES / (2 * LANES);

/// Table of a public point.
pub(crate) struct FixedBase {
    windows: Vec<Window>,
    /// (2^n − 1)/2 mod ℓ, n = BITS·WINDOWS.
    shift: Scalar,
}

/// Odd multiples 1, 3, 5 … of 2^(BITS·j)·T/4: of each limb of y + x, y − x and 2·d·x·y all entries in order.
struct Window([[[__m512i; 2]; PAIRS]; 15]);

/// An entry per lane.
struct Entry {
    sum: Carried,
    difference: Carried,
    twice_dt: Carried,
}

/// Secret scalars k' of eight lanes.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits([__m512i; 4]);

impl FixedBase {
    /// The table of a point that all lanes hold. Checked against the ladder, so that no wrong table is ever used.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn new(point: &Affine) -> Self {
        // T/4 as four times a sixteenth: that is free of torsion, so that its multiples depend on k mod ℓ alone.
        let part = (0..5).fold(Scalar::ONE, |part, _| part.div_by_2());
        let mut steps = Steps::zero();
        steps.set_all(&part);
        let mut base =
            ladder::multiply(&point.to_montgomery(), &steps).doubled_quartic().to_extended().doubled().doubled();

        let mut blocks = Vec::with_capacity(WINDOWS * 2 * PAIRS);
        for _ in 0..WINDOWS {
            base = push_odd_multiples(base, &mut blocks);
        }
        let mut twice_shift = Scalar::ONE;
        (0..BITS * WINDOWS).for_each(|_| twice_shift += twice_shift);
        let table = Self { windows: windows(&blocks), shift: (twice_shift - Scalar::ONE).div_by_2() };
        table.check(point);
        table
    }

    /// k·T in every lane. Constant time in the scalars. Lanes without a scalar multiply by 0.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn multiply(&self, scalars: &[Scalar]) -> Projective {
        let digits = Digits::new(scalars, &self.shift);
        let mut product = Accumulator::identity();
        for (j, window) in self.windows.iter().enumerate() {
            let (index, negate) = digits.digit(j);
            product = product.plus_entry(&window.entry(index), negate);
        }
        product.to_extended().doubled_quartic()
    }

    /// Compares with the ladder scalars that use every entry, with either sign.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn check(&self, point: &Affine) {
        // k' = d·Σ 2^(BITS·j) has the same digit in all windows but the highest, which is 0 for all scalars but the last.
        let unit = (1..WINDOWS).fold(Scalar::ZERO, |unit, _| unit * Scalar::from(1_u64 << BITS) + Scalar::ONE);
        let mut recoded: Vec<_> = (0..1_u64 << BITS).map(|digit| unit * Scalar::from(digit)).collect();
        recoded.resize(recoded.len() + LANES, -Scalar::ONE);
        let (montgomery, mut steps) = (point.to_montgomery(), Steps::zero());
        for group in recoded.chunks_exact(LANES) {
            let (mut scalars, mut halves) = ([Scalar::ZERO; LANES], [Scalar::ZERO; LANES]);
            for lane in 0..LANES {
                scalars[lane] = group[lane] - self.shift;
                halves[lane] = scalars[lane].div_by_2();
            }
            let product = self.multiply(&scalars);
            steps.set(halves.iter());
            let by_ladder = ladder::multiply(&montgomery, &steps).doubled_quartic();
            let mut encodings = [[0; 32]; 2 * LANES];
            encode::encode_batch(&[product, by_ladder], &mut encodings);
            assert_eq!(encodings[..LANES], encodings[LANES..], "a table must agree with the ladder");
        }
    }
}

/// Pushes the odd multiples of a base, eight per block, and gives 2^BITS times the base.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn push_odd_multiples(base: Extended, blocks: &mut Vec<Extended>) -> Extended {
    let twice = base.doubled();
    let step = twice.to_addend();
    // Lane i is 2·i + 1 times the base: lanes from i on take the i-th step.
    let mut block = base.to_accumulator();
    for i in 1..LANES {
        block = block.blend(0xff << i, &block.plus(&step));
    }
    // Eight steps at once, to the next block.
    let leap = twice.doubled().doubled().doubled();
    let leap_addend = leap.to_addend();
    for i in 0..2 * PAIRS {
        if i > 0 {
            block = block.plus(&leap_addend);
        }
        blocks.push(block.to_extended());
    }
    // 2·8·2·PAIRS times the base is the next window's.
    let mut next = leap;
    let mut multiple = 2 * LANES;
    while multiple < 1 << BITS {
        next = next.doubled();
        multiple *= 2;
    }
    next
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn windows(blocks: &[Extended]) -> Vec<Window> {
    let mut inverses = Inverses::with_capacity(blocks.len());
    for block in blocks {
        inverses.push(&block.z);
    }
    let mut windows = Vec::with_capacity(WINDOWS);
    for blocks in blocks.chunks_exact(2 * PAIRS).rev() {
        let mut window = Window([[[_mm512_setzero_si512(); 2]; PAIRS]; 15]);
        for (i, block) in blocks.iter().enumerate().rev() {
            let inverse = inverses.pop();
            let (x, y) = (block.x.times(&inverse), block.y.times(&inverse));
            let twice_dt = x.times(&y).times(&Carried::constant(constants::TWICE_D));
            let limbs = [y.plus(&x).limbs(), y.minus(&x).limbs(), twice_dt.limbs()];
            for (place, limb) in window.0.iter_mut().zip(limbs.as_flattened()) {
                place[i / 2][i % 2] = *limb;
            }
        }
        windows.push(window);
    }
    windows.reverse();
    windows
}

impl Window {
    /// The entry that the low bits of `index` name, in every lane.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn entry(&self, index: __m512i) -> Entry {
        // Four bits are the permutation's, those above choose the pair.
        let pair = _mm512_and_si512(_mm512_srli_epi64::<4>(index), splat(PAIRS as u64 - 1));
        let mut chosen: [Mask; PAIRS] = [0; PAIRS];
        for i in 1..PAIRS {
            chosen[i] = _mm512_cmpeq_epi64_mask(pair, splat(i as u64));
        }
        let mut limbs = [_mm512_setzero_si512(); 15];
        for (limb, pairs) in limbs.iter_mut().zip(&self.0) {
            *limb = _mm512_permutex2var_epi64(pairs[0][0], index, pairs[0][1]);
            for i in 1..PAIRS {
                let other = _mm512_permutex2var_epi64(pairs[i][0], index, pairs[i][1]);
                *limb = _mm512_mask_blend_epi64(chosen[i], *limb, other);
            }
        }
        let [a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4] = limbs;
        Entry {
            sum: Carried::from_limbs([a0, a1, a2, a3, a4]),
            difference: Carried::from_limbs([b0, b1, b2, b3, b4]),
            twice_dt: Carried::from_limbs([c0, c1, c2, c3, c4]),
        }
    }
}

impl Digits {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn new(scalars: &[Scalar], shift: &Scalar) -> Self {
        let mut words = [Lanes([0; LANES]); 4];
        for lane in 0..LANES {
            let mut scalar = scalars.get(lane).unwrap_or(&Scalar::ZERO) + shift;
            for (word, bytes) in words.iter_mut().zip(scalar.as_bytes().as_chunks::<8>().0) {
                word.0[lane] = u64::from_le_bytes(*bytes);
            }
            scalar.zeroize();
        }
        let digits = Self([simd::load(&words[0]), simd::load(&words[1]), simd::load(&words[2]), simd::load(&words[3])]);
        words.iter_mut().for_each(|word| word.0.zeroize());
        digits
    }

    /// Which entry of window `j` a lane takes (in the low bits), and where the entry is subtracted.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn digit(&self, j: usize) -> (__m512i, Mask) {
        let (word, shift) = (BITS * j / 64, (BITS * j % 64) as u64);
        let low = _mm512_srlv_epi64(self.0[word], splat(shift));
        let high = match self.0.get(word + 1) {
            // A shift by 64 gives 0.
            Some(above) => _mm512_sllv_epi64(*above, splat(64 - shift)),
            None => _mm512_setzero_si512(),
        };
        let bits = _mm512_or_si512(low, high);
        let negative = _mm512_testn_epi64_mask(bits, splat(ENTRIES as u64));
        (_mm512_mask_xor_epi64(bits, negative, bits, splat(ENTRIES as u64 - 1)), negative)
    }
}

impl Accumulator {
    /// Adds an entry, or subtracts it in the lanes of `negate`: as [`Accumulator::plus`], with Z = 1.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn plus_entry(&self, entry: &Entry, negate: Mask) -> Self {
        let b = self.sum.times_biased(&entry.sum.blend(negate, &entry.difference));
        let a = self.difference.times_wide(&entry.difference.blend(negate, &entry.sum));
        let (e, h) = (b.minus(&a).carry(), b.plus(&a).carry());
        let d = self.z.twice_biased();
        let c = self.t.times_wide(&entry.twice_dt);
        let (minus, plus) = (d.minus(&c).carry(), d.plus(&c).carry());
        let (f, g) = (minus.blend(negate, &plus), plus.blend(negate, &minus));
        let y = g.times_biased(&h);
        let x = e.times_wide(&f);
        Self { sum: y.plus(&x).carry(), difference: y.minus(&x).carry(), z: f.times(&g), t: e.times(&h) }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn blend(&self, mask: Mask, other: &Self) -> Self {
        Self {
            sum: self.sum.blend(mask, &other.sum),
            difference: self.difference.blend(mask, &other.difference),
            z: self.z.blend(mask, &other.z),
            t: self.t.blend(mask, &other.t),
        }
    }
}
