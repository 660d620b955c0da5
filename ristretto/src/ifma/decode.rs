//! Decoding (RFC 9496, Section 4.3.1), straight to the Jacobi quartic.

use super::{
    bytes, constants,
    curve::Affine,
    field::{Carried, Mask, Roots},
};

/// Decodes N groups, interleaved. Gives the lanes that hold a canonical encoding; what the others hold is arbitrary.
///
/// The encoding's number is the point's s. From x = 2·I·s/t and the RFC's x = |2·s·den_x|, where den_x² = 1/v, follows
///
/// ```text
/// t = I·v·den_x,  negated where |2·s·den_x| is −2·s·den_x
/// ```
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn decode<const N: usize>(groups: [&[[u8; 32]]; N]) -> ([Affine; N], [Mask; N]) {
    let one = Carried::one();
    let (mut s, mut s2, mut v, mut ratio) = ([one; N], [one; N], [one; N], [one; N]);
    let mut canonical = [0; N];
    for i in 0..N {
        let (loaded, high_bit) = bytes::load(groups[i], 0);
        let reduced = loaded.canonical();
        canonical[i] = reduced.equals(&loaded.limbs()) & !high_bit & !reduced.odd();
        s[i] = loaded;
        s2[i] = s[i].square();
        // v = −(d·u1²) − u2²; u1 = 1 − s², u2 = 1 + s²
        let (u1, u2) = (one.minus(&s2[i]), one.plus(&s2[i]));
        let u2_sqr = u2.square();
        v[i] = u1.square().times(&Carried::constant(constants::D)).plus(&u2_sqr).negated();
        ratio[i] = v[i].times(&u2_sqr);
    }
    // (was_square, invsqrt) = SQRT_RATIO_M1(1, v·u2²). The root's sign cancels or is decided below.
    let roots = Roots::of_inverse(&ratio);
    let mut points = [Affine { s: one, t: one }; N];
    let mut valid = [0; N];
    for i in 0..N {
        let (u1, u2) = (one.minus(&s2[i]), one.plus(&s2[i]));
        let invsqrt = &roots.root[i];
        // den_x = invsqrt·u2, den_y = invsqrt·den_x·v, x = |2·s·den_x|, y = u1·den_y, t = x·y
        let den_x = invsqrt.times(&u2);
        let den_x_v = den_x.times(&v[i]);
        let y = u1.times(&invsqrt.times(&den_x_v));
        let half_x = s[i].times(&den_x);
        let x = half_x.plus(&half_x);
        let negate = x.canonical().odd();
        let t = x.negated_where(negate).times(&y).canonical();
        valid[i] = canonical[i] & roots.square[i] & !t.odd() & !y.canonical().is_zero();
        let t = den_x_v.times(&Carried::constant(constants::INVSQRT_A_MINUS_D));
        points[i] = Affine { s: s[i], t: t.negated_where(negate) };
        debug_assert_eq!(points[i].on_curve() & valid[i], valid[i], "what is accepted is on the curve");
    }
    (points, valid)
}
