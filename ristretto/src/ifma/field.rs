//! The field of p = 2^255 − 19 elements, eight at a time.
//!
//! An element is five limbs of radix 2^51; vector i holds limb i of eight independent elements. The multiply-add
//! instructions read the low 52 bits of an operand and *silently* drop the rest, so that a limb above 2^52 gives a wrong
//! product without a sign of it, in so few cases that random tests do not find it. Hence four types:
//!
//! | type | every limb is below | comes from | may become |
//! |---|---|---|---|
//! | [`Carried`] | 2^51 + 2^15 | a carry | a factor; sums and differences, which are [`Loose`] |
//! | [`Wide`] | 2^59 | a product | carried; [`Loose`] |
//! | [`Biased`] | 2^59 + 2^60 | a product on top of 2^9·p | [`Loose`], with another product added or subtracted |
//! | [`Loose`] | 2^61 | a sum or difference | carried |
//!
//! Why these bounds hold:
//!
//! - *Product.* Factors are below 2^51 + 2^15, so a product of two limbs is below 2^102 + 2^67 + 2^30, its low half below
//!   2^52 and its high half at most 2^50 + 2^15. The high half weighs 2^52, twice the next column, so column k is the
//!   sum of n low halves and twice the sum of m high ones: columns 0..4 have n = k + 1, m = k; columns 5..9 have n =
//!   9 − k, m = 10 − k. Column k + 5 folds onto column k with factor 2^255 mod p = 19, at worst for k = 0: below
//!   2^52 + 19·(4·2^52 + 2·5·(2^50 + 2^15)) < 124.6·2^52 < 2^59. Squares are the same sums.
//! - *Bias.* The limbs of 2^9·p are below 2^60 and at least 2^9·(2^51 − 19) > 2^59, so that a wide limb can be subtracted
//!   from a biased one without a borrow.
//! - *Loose.* 2^59 + 2^60 + 2^59 = 2^61. Carried values differ over 2·p, whose limbs, 2^52 − 38 at least, exceed a
//!   carried limb; sum and difference are below 2^53.
//! - *Carry.* Of a limb below 2^61 remain 51 bits, and to the next goes less than 2^10, from the highest 19 times as much
//!   to the lowest: below 2^51 + 19·2^10 < 2^51 + 2^15.
//!
//! Debug builds assert the bound of every value that is made.

use std::arch::x86_64::*;

use zeroize::Zeroize;

#[cfg(miri)]
mod emulated;
mod power;

#[cfg(miri)]
use emulated::{_mm512_madd52hi_epu64, _mm512_madd52lo_epu64};

pub(crate) use power::Roots;

pub(crate) const RADIX: u32 = 51;
const MASK: u64 = (1 << RADIX) - 1;

/// Limbs below 2^51 + 2^15: the only factors.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Carried([__m512i; 5]);

/// A product: limbs below 2^59.
#[derive(Clone, Copy)]
pub(crate) struct Wide([__m512i; 5]);

/// A product on top of 2^9·p: limbs below 2^59 + 2^60.
#[derive(Clone, Copy)]
pub(crate) struct Biased([__m512i; 5]);

/// A sum or difference: limbs below 2^61.
#[derive(Clone, Copy)]
pub(crate) struct Loose([__m512i; 5]);

/// One bit per lane.
pub(crate) type Mask = __mmask8;

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
pub(crate) fn splat(value: u64) -> __m512i {
    _mm512_set1_epi64(value.cast_signed())
}

/// Whether every limb is below `bound`.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn below(limbs: &[__m512i; 5], bound: u64) -> bool {
    limbs.iter().all(|&limb| _mm512_cmplt_epu64_mask(limb, splat(bound)) == 0xff)
}

impl Carried {
    pub(crate) const BOUND: u64 = (1 << 51) + (1 << 15);

    /// Takes limbs that are below the bound.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn from_limbs(limbs: [__m512i; 5]) -> Self {
        debug_assert!(below(&limbs, Self::BOUND), "a factor's limb must fit the multiplier");
        Self(limbs)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn limbs(&self) -> [__m512i; 5] {
        self.0
    }

    /// The same constant in every lane.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn constant(limbs: [u64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        Self::from_limbs([splat(a), splat(b), splat(c), splat(d), splat(e)])
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn zero() -> Self {
        Self([_mm512_setzero_si512(); 5])
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn one() -> Self {
        Self::constant([1, 0, 0, 0, 0])
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn times_wide(&self, rhs: &Self) -> Wide {
        Wide::new(product(&self.0, &rhs.0, [_mm512_setzero_si512(); 5]))
    }

    /// The product and 2^9·p, from which another product can be subtracted.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn times_biased(&self, rhs: &Self) -> Biased {
        Biased::new(product(&self.0, &rhs.0, half_bias()))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn times(&self, rhs: &Self) -> Self {
        self.times_wide(rhs).carry()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn square_wide(&self) -> Wide {
        Wide::new(square(&self.0, [_mm512_setzero_si512(); 5]))
    }

    /// The square and 2^9·p.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn square_biased(&self) -> Biased {
        Biased::new(square(&self.0, half_bias()))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn square(&self) -> Self {
        self.square_wide().carry()
    }

    /// Twice the element, and 2^9·p.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn twice_biased(&self) -> Biased {
        let bias = half_bias();
        let sum = add(self.0, [_mm512_srli_epi64::<1>(bias[0]), bias[1], bias[2], bias[3], bias[4]]);
        Biased::new(add(sum, sum))
    }

    /// `self`·`small` + `rhs`, for a constant below 2^20.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn times_small_plus(&self, small: u64, rhs: &Self) -> Wide {
        debug_assert!(small < 1 << 20, "a high half must fit the bound of a wide limb");
        let (zero, small) = (_mm512_setzero_si512(), splat(small));
        let mut sum = rhs.0;
        for i in 0..5 {
            let high = _mm512_madd52hi_epu64(zero, self.0[i], small);
            // The highest weighs 2·2^255.
            sum[(i + 1) % 5] = match i {
                4 => _mm512_madd52lo_epu64(sum[0], high, splat(38)),
                _ => _mm512_add_epi64(sum[i + 1], _mm512_add_epi64(high, high)),
            };
        }
        for i in 0..5 {
            sum[i] = _mm512_madd52lo_epu64(sum[i], self.0[i], small);
        }
        Wide::new(sum)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn plus_loose(&self, rhs: &Self) -> Loose {
        Loose::new(add(self.0, rhs.0))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn minus_loose(&self, rhs: &Self) -> Loose {
        let (low, high) = (splat(2 * (MASK - 18)), splat(2 * MASK));
        Loose::new(sub(add(self.0, [low, high, high, high, high]), rhs.0))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn plus(&self, rhs: &Self) -> Self {
        self.plus_loose(rhs).carry()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn minus(&self, rhs: &Self) -> Self {
        self.minus_loose(rhs).carry()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn negated(&self) -> Self {
        Self::zero().minus(self)
    }

    /// `other` in the lanes of the mask, `self` in the rest.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn blend(&self, mask: Mask, other: &Self) -> Self {
        let mut limbs = self.0;
        for i in 0..5 {
            limbs[i] = _mm512_mask_blend_epi64(mask, self.0[i], other.0[i]);
        }
        Self(limbs)
    }

    /// Negated in the lanes of the mask.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn negated_where(&self, mask: Mask) -> Self {
        self.blend(mask, &self.negated())
    }

    /// The one representation with every limb below 2^51 and a value below p.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn canonical(&self) -> Canonical {
        // Carried limbs mean a value below 2·p. It is p or more exactly if adding 19 carries out of bit 255.
        let mut limbs = self.0;
        let mut carry = splat(19);
        for limb in limbs {
            carry = _mm512_srli_epi64::<RADIX>(_mm512_add_epi64(limb, carry));
        }
        limbs[0] = _mm512_madd52lo_epu64(limbs[0], carry, splat(19));
        let mask = splat(MASK);
        for i in 0..4 {
            limbs[i + 1] = _mm512_add_epi64(limbs[i + 1], _mm512_srli_epi64::<RADIX>(limbs[i]));
            limbs[i] = _mm512_and_si512(limbs[i], mask);
        }
        limbs[4] = _mm512_and_si512(limbs[4], mask);
        Canonical(limbs)
    }

    /// The even one of the element and its negative, canonical (RFC 9496, CT_ABS).
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn absolute(&self) -> Canonical {
        self.negated_where(self.canonical().odd()).canonical()
    }
}

impl Wide {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn new(limbs: [__m512i; 5]) -> Self {
        debug_assert!(below(&limbs, 1 << 59), "a product's limb is out of bounds");
        Self(limbs)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn carry(&self) -> Carried {
        carry(&self.0)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn plus(&self, rhs: &Self) -> Loose {
        Loose::new(add(self.0, rhs.0))
    }
}

impl Biased {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn new(limbs: [__m512i; 5]) -> Self {
        debug_assert!(below(&limbs, (1 << 59) + (1 << 60)), "a biased product's limb is out of bounds");
        Self(limbs)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn carry(&self) -> Carried {
        carry(&self.0)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn plus(&self, rhs: &Wide) -> Loose {
        Loose::new(add(self.0, rhs.0))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn minus(&self, rhs: &Wide) -> Loose {
        Loose::new(sub(self.0, rhs.0))
    }
}

impl Loose {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn new(limbs: [__m512i; 5]) -> Self {
        debug_assert!(below(&limbs, 1 << 61), "a sum's limb is out of bounds");
        Self(limbs)
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn carry(&self) -> Carried {
        carry(&self.0)
    }
}

/// The one representation of an element that bytes and comparisons are made of.
#[derive(Clone, Copy)]
pub(crate) struct Canonical([__m512i; 5]);

impl Canonical {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn limbs(&self) -> [__m512i; 5] {
        self.0
    }

    /// Lanes whose element is negative: odd, in RFC 9496's sense.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn odd(&self) -> Mask {
        _mm512_test_epi64_mask(self.0[0], splat(1))
    }

    /// Lanes whose element has exactly these limbs.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn equals(&self, limbs: &[__m512i; 5]) -> Mask {
        let mut differ = _mm512_setzero_si512();
        for i in 0..5 {
            differ = _mm512_or_si512(differ, _mm512_xor_si512(self.0[i], limbs[i]));
        }
        _mm512_testn_epi64_mask(differ, differ)
    }

    /// Lanes whose element is zero.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn is_zero(&self) -> Mask {
        self.equals(&[_mm512_setzero_si512(); 5])
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn add(mut a: [__m512i; 5], b: [__m512i; 5]) -> [__m512i; 5] {
    for i in 0..5 {
        a[i] = _mm512_add_epi64(a[i], b[i]);
    }
    a
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn sub(mut a: [__m512i; 5], b: [__m512i; 5]) -> [__m512i; 5] {
    for i in 0..5 {
        a[i] = _mm512_sub_epi64(a[i], b[i]);
    }
    a
}

/// What [`product`] and [`square`] start from to end 2^9·p higher: all columns but the lowest are doubled on the way.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn half_bias() -> [__m512i; 5] {
    let high = splat(MASK << 8);
    [splat((MASK - 18) << 9), high, high, high, high]
}

/// `a`·`b`, folded to five columns. Starts from `start`, which counts twice in all columns but the lowest.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn product(a: &[__m512i; 5], b: &[__m512i; 5], start: [__m512i; 5]) -> [__m512i; 5] {
    let mut columns = started(start);
    for i in 0..5 {
        for j in 0..5 {
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
        }
    }
    for column in &mut columns[1..] {
        *column = _mm512_add_epi64(*column, *column);
    }
    for i in 0..5 {
        for j in 0..5 {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
        }
    }
    folded(&columns)
}

/// `a`², as [`product`]. Cross terms are doubled in the columns, never in an operand, where there is no room.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn square(a: &[__m512i; 5], start: [__m512i; 5]) -> [__m512i; 5] {
    let mut columns = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
        }
    }
    for column in &mut columns[2..9] {
        *column = _mm512_add_epi64(*column, *column);
    }
    for i in 0..5 {
        columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
        for j in i + 1..5 {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
        }
    }
    let start = started(start);
    columns[0] = start[0];
    for k in 1..10 {
        let column = if k < 5 { _mm512_add_epi64(columns[k], start[k]) } else { columns[k] };
        columns[k] = _mm512_add_epi64(column, column);
    }
    for i in 0..5 {
        columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
    }
    folded(&columns)
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn started(start: [__m512i; 5]) -> [__m512i; 10] {
    let zero = _mm512_setzero_si512();
    let [a, b, c, d, e] = start;
    [a, b, c, d, e, zero, zero, zero, zero, zero]
}

/// Column k + 5 weighs 2^255 = 19 as much as column k.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn folded(columns: &[__m512i; 10]) -> [__m512i; 5] {
    let mut limbs = [_mm512_setzero_si512(); 5];
    for k in 0..5 {
        limbs[k] = _mm512_add_epi64(columns[k], _mm512_mullo_epi64(columns[k + 5], splat(19)));
    }
    limbs
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn carry(limbs: &[__m512i; 5]) -> Carried {
    let mask = splat(MASK);
    let mut carried = [_mm512_setzero_si512(); 5];
    for i in 0..5 {
        carried[i] = _mm512_and_si512(limbs[i], mask);
    }
    carried[0] = _mm512_madd52lo_epu64(carried[0], _mm512_srli_epi64::<RADIX>(limbs[4]), splat(19));
    for i in 0..4 {
        carried[i + 1] = _mm512_add_epi64(carried[i + 1], _mm512_srli_epi64::<RADIX>(limbs[i]));
    }
    Carried::from_limbs(carried)
}

#[cfg(test)]
mod tests;
