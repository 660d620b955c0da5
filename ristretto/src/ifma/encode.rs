//! Encoding: from the Jacobi quartic with one inversion for all, and from the Edwards curve.

use zeroize::Zeroize;

use super::{
    bytes, constants,
    curve::{Extended, Projective},
    field::{Canonical, Carried, Roots},
    inverse::Inverses,
};

/// Encodes points of the quartic, eight per group. An element has eight points there, whose s are ±s and ±1/s of one of
/// them and of another, which a rotation by the torsion of order four gives; RFC 9496's choice among them is decided by
/// the signs of x·y and x on the Edwards curve. With an inverse for all denominators nothing else is needed:
///
/// ```text
/// D = S² − Z²    m = T·(Z² + S²)    n = SZ·D    inv = 1/(m·n)
/// x·y = −2·I·n²·inv
/// if negative(x·y): x = −√−1·D·T·n·inv          s = (T ∓ 2·√−1·I·SZ)·SZ·m·inv, with + if negative(x)
/// else:             x = 2·I·SZ·(Z² + S²)·n·inv   s = S²·D·m·inv, with Z² for S² if negative(x)
/// ```
///
/// and |s| is the encoding. Where the element is the identity n is 0. Then so is inv, for [`Inverses`] gives 0, and s.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn encode_batch(points: &[Projective], out: &mut [[u8; 32]]) {
    let mut inverses = Inverses::with_capacity(points.len());
    let mut halfway: Vec<Halfway> = Vec::with_capacity(points.len());
    for point in points {
        let terms = Halfway::of(point);
        inverses.push(&terms.m.times(&terms.n));
        halfway.push(terms);
    }
    for (terms, rows) in halfway.iter().zip(out.chunks_mut(8)).rev() {
        bytes::store(&terms.encoded(&inverses.pop()), rows);
    }
    halfway.zeroize();
}

/// What encoding needs beside the inverse.
#[derive(Zeroize)]
struct Halfway {
    ss: Carried,
    zz: Carried,
    sz: Carried,
    t: Carried,
    m: Carried,
    n: Carried,
}

impl Halfway {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn of(point: &Projective) -> Self {
        let Projective { s, t, z } = point;
        let (ss, zz, sz) = (s.square(), z.square(), s.times(z));
        Self { m: zz.plus(&ss).times(t), n: ss.minus(&zz).times(&sz), ss, zz, sz, t: *t }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn encoded(&self, inverse: &Carried) -> Canonical {
        let Self { ss, zz, sz, t, m, n } = self;
        let (d, plus) = (ss.minus(zz), zz.plus(ss));
        // 1/m and 1/n
        let (by_m, by_n) = (n.times(inverse), m.times(inverse));
        let minus_twice_i = Carried::constant(constants::MINUS_TWICE_INVSQRT_A_MINUS_D);
        let rotate = n.times(&by_m).times(&minus_twice_i).canonical().odd();

        let scale = Carried::constant(constants::TWICE_INVSQRT_A_MINUS_D)
            .blend(rotate, &Carried::constant(constants::MINUS_SQRT_M1));
        let x = sz.blend(rotate, &d).times(&plus.blend(rotate, t)).times(&scale).times(&by_m);
        let negative = x.canonical().odd();

        let turned = sz.times(&Carried::constant(constants::TWICE_SQRT_M1_INVSQRT_A_MINUS_D));
        let rotated = t.minus(&turned).blend(negative, &t.plus(&turned));
        let factor = ss.blend(negative, zz).blend(rotate, &rotated);
        factor.times(&d.blend(rotate, sz)).times(&by_n).absolute()
    }
}

/// Encodes points of the Edwards curve (RFC 9496, Section 4.3.2), at the cost of an inverse square root.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn encode(point: &Extended, out: &mut [[u8; 32]]) {
    let Extended { x, y, z, t } = point;
    // u1 = (Z + Y)·(Z − Y), u2 = X·Y
    let (u1, u2) = (z.plus(y).times(&z.minus(y)), x.times(y));
    // (_, invsqrt) = SQRT_RATIO_M1(1, u1·u2²). The root's sign does not matter: z_inv and |s| are even in it.
    let [invsqrt] = Roots::of_inverse(&[u1.times(&u2.square())]).root;
    // den1 = invsqrt·u1, den2 = invsqrt·u2, z_inv = den1·den2·T
    let (den1, den2) = (invsqrt.times(&u1), invsqrt.times(&u2));
    let z_inv = den1.times(&den2).times(t);
    let sqrt_m1 = Carried::constant(constants::SQRT_M1);
    let rotate = t.times(&z_inv).canonical().odd();
    let (x, y) = (x.blend(rotate, &y.times(&sqrt_m1)), y.blend(rotate, &x.times(&sqrt_m1)));
    let den_inv = den2.blend(rotate, &den1.times(&Carried::constant(constants::INVSQRT_A_MINUS_D)));
    let y = y.negated_where(x.times(&z_inv).canonical().odd());
    bytes::store(&den_inv.times(&z.minus(&y)).absolute(), out);
}
