//! Inverses and square roots: two addition chains of 254 squarings and 11 products each.

use super::{Carried, Mask};
use crate::ifma::constants;

/// Elements of N groups raised together: a single chain of squarings waits for its own results, two interleaved fill
/// the multiplier.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn squared<const N: usize>(mut x: [Carried; N], times: u32) -> [Carried; N] {
    for _ in 0..times {
        for x in &mut x {
            *x = x.square();
        }
    }
    x
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn times<const N: usize>(mut a: [Carried; N], b: &[Carried; N]) -> [Carried; N] {
    for i in 0..N {
        a[i] = a[i].times(&b[i]);
    }
    a
}

/// (x^(2^250 − 1), x^11), of which both chains are made.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn common<const N: usize>(x: &[Carried; N]) -> ([Carried; N], [Carried; N]) {
    let x2 = squared(*x, 1);
    let x9 = times(squared(x2, 2), x);
    let x11 = times(x9, &x2);
    // ones[k] = x^(2^k − 1)
    let ones5 = times(squared(x11, 1), &x9);
    let ones10 = times(squared(ones5, 5), &ones5);
    let ones20 = times(squared(ones10, 10), &ones10);
    let ones40 = times(squared(ones20, 20), &ones20);
    let ones50 = times(squared(ones40, 10), &ones10);
    let ones100 = times(squared(ones50, 50), &ones50);
    let ones200 = times(squared(ones100, 100), &ones100);
    let ones250 = times(squared(ones200, 50), &ones50);
    (ones250, x11)
}

impl Carried {
    /// x^(p − 2), which is 1/x, and 0 for 0.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn inverted(&self) -> Self {
        // p − 2 = 2^5·(2^250 − 1) + 11
        let (ones250, x11) = common(&[*self]);
        let [inverse] = times(squared(ones250, 5), &x11);
        inverse
    }
}

/// SQRT_RATIO_M1 of RFC 9496, Section 4.2, but for the sign of the root.
pub(crate) struct Roots<const N: usize> {
    /// A square root of u/v, or of SQRT_M1·u/v where that is none; 0 where u or v is.
    pub(crate) root: [Carried; N],
    /// Lanes where u/v is a square: not those where v is 0 and u is not.
    pub(crate) square: [Mask; N],
}

impl<const N: usize> Roots<N> {
    /// Roots of `u`/`v`.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn of_ratio(u: &[Carried; N], v: &[Carried; N]) -> Self {
        let mut base = *u;
        let mut stem = *u;
        for i in 0..N {
            // u·v³ and u·v⁷
            let v3 = v[i].square().times(&v[i]);
            stem[i] = u[i].times(&v3);
            base[i] = stem[i].times(&v3.times(&v[i]));
        }
        Self::checked(u, v, &stem, &power_p58(&base))
    }

    /// Roots of 1/`v`.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn of_inverse(v: &[Carried; N]) -> Self {
        let mut base = *v;
        let mut stem = *v;
        for i in 0..N {
            stem[i] = v[i].square().times(&v[i]);
            base[i] = stem[i].square().times(&v[i]);
        }
        Self::checked(&[Carried::one(); N], v, &stem, &power_p58(&base))
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn checked(u: &[Carried; N], v: &[Carried; N], stem: &[Carried; N], power: &[Carried; N]) -> Self {
        let mut roots = Self { root: times(*stem, power), square: [0; N] };
        let sqrt_m1 = Carried::constant(constants::SQRT_M1);
        for i in 0..N {
            // v·r² is one of u, −u, SQRT_M1·u, −SQRT_M1·u.
            let root = &mut roots.root[i];
            let check = v[i].times(&root.square());
            let minus = u[i].negated();
            let correct = check.minus(&u[i]).canonical().is_zero();
            let flipped = check.plus(&u[i]).canonical().is_zero();
            let flipped_i = check.minus(&minus.times(&sqrt_m1)).canonical().is_zero();
            *root = root.blend(flipped | flipped_i, &root.times(&sqrt_m1));
            roots.square[i] = correct | flipped;
        }
        roots
    }
}

/// x^((p − 5)/8).
#[target_feature(enable = "avx512dq,avx512ifma")]
fn power_p58<const N: usize>(x: &[Carried; N]) -> [Carried; N] {
    // (p − 5)/8 = 2^252 − 3 = 2^2·(2^250 − 1) + 1
    let (ones250, _) = common(x);
    times(squared(ones250, 2), x)
}
