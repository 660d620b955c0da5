//! From uniform bytes to elements (RFC 9496, Section 4.3.4).

use super::{
    bytes, constants,
    curve::Projective,
    field::{Carried, Roots},
};

/// Maps up to eight strings of 64 uniform bytes: the sum of two maps, which run interleaved.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn from_uniform(rows: &[[u8; 64]]) -> Projective {
    // The highest bit of either half is left out.
    let [a, b] = map([bytes::load(rows, 0).0, bytes::load(rows, 32).0]);
    a.plus(&b).finite()
}

/// MAP: Elligator 2. The RFC goes on to the Edwards curve by w0 … w3; this stays on the quartic, whose point is
/// (s, −N/v): SQRT_AD_MINUS_ONE of the RFC is −1/INVSQRT_A_MINUS_D.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn map<const N: usize>(t: [Carried; N]) -> [Projective; N] {
    let one = Carried::one();
    let d = Carried::constant(constants::D);
    let (mut r, mut u, mut v) = (t, t, t);
    for i in 0..N {
        // r = SQRT_M1·t², u = (r + 1)·ONE_MINUS_D_SQ, v = (−1 − r·d)·(r + d)
        r[i] = t[i].square().times(&Carried::constant(constants::SQRT_M1));
        u[i] = r[i].plus(&one).times(&Carried::constant(constants::ONE_MINUS_D_SQ));
        v[i] = r[i].times(&d).plus(&one).negated().times(&r[i].plus(&d));
    }
    let roots = Roots::of_ratio(&u, &v);
    let mut points = [Projective { s: one, t: one, z: one }; N];
    for i in 0..N {
        // (was_square, s) = SQRT_RATIO_M1(u, v), whose s is not negative; s' = −|s·t|
        // s = s if was_square else s', c = −1 if was_square else r
        let not_square = !roots.square[i];
        let root = &roots.root[i];
        let s = root.negated_where(root.canonical().odd());
        let other = s.times(&t[i]);
        let other = other.negated_where(!other.canonical().odd());
        let s = s.blend(not_square, &other);
        let c = one.negated().blend(not_square, &r[i]);
        // N = c·(r − 1)·D_MINUS_ONE_SQ − v
        let n = c.times(&r[i].minus(&one)).times(&Carried::constant(constants::D_MINUS_ONE_SQ)).minus(&v[i]);
        // Where v is 0 the RFC's point is the neutral element.
        let neutral = v[i].canonical().is_zero();
        points[i] = Projective {
            s: s.times(&v[i]),
            t: n.negated().times(&v[i]).blend(neutral, &one),
            z: v[i].blend(neutral, &one),
        };
    }
    points
}
