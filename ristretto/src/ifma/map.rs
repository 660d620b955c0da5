//! From uniform bytes to elements (RFC 9496, Section 4.3.4).

use super::{
    bytes, constants,
    curve::{Affine, Extended},
    field::{Carried, Roots},
    inverse::Inverses,
};

/// Maps up to eight strings of 64 uniform bytes: the sum of two maps, which run interleaved.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn from_uniform(rows: &[[u8; 64]]) -> Extended {
    // The highest bit of either half is left out.
    let [a, b] = map([bytes::load(rows, 0).0, bytes::load(rows, 32).0]);
    a.plus(&b)
}

/// MAP: Elligator 2 on the Jacobi quartic, and from there to the Edwards curve.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn map<const N: usize>(t: [Carried; N]) -> [Extended; N] {
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
    let mut points = [Extended { x: one, y: one, z: one, t: one }; N];
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
        // w0 = 2·s·v, w1 = N·SQRT_AD_MINUS_ONE, w2 = 1 − s², w3 = 1 + s²
        let sv = s.times(&v[i]);
        let w0 = sv.plus(&sv);
        let w1 = n.times(&Carried::constant(constants::SQRT_AD_MINUS_ONE));
        let s2 = s.square();
        let (w2, w3) = (one.minus(&s2), one.plus(&s2));
        points[i] = Extended { x: w0.times(&w3), y: w2.times(&w1), z: w1.times(&w3), t: w0.times(&w2) };
    }
    points
}

/// The points of the Montgomery curve: u = (Z + Y)/(Z − Y), v = c·u·Z/X, with one inversion for all. Where X is 0, the
/// element is the identity and the result (0, 0).
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn to_affine(points: &[Extended], out: &mut Vec<Affine>) {
    let mut inverses = Inverses::with_capacity(points.len());
    for point in points {
        inverses.push(&point.z.minus(&point.y).times(&point.x));
    }
    let at = out.len();
    let scale = Carried::constant(constants::EDWARDS_SCALE);
    for point in points.iter().rev() {
        // 1/((Z − Y)·X), or 0
        let inverse = inverses.pop();
        let u = point.z.plus(&point.y).times(&point.x.times(&inverse));
        let x_inverse = point.z.minus(&point.y).times(&inverse);
        let v = u.times(&scale).times(&point.z.times(&x_inverse));
        out.push(Affine { u, v });
    }
    out[at..].reverse();
}
