//! Encoding: of doubled points with one inversion for all, and of a point as it is.

use zeroize::Zeroize;

use super::{
    bytes, constants,
    curve::Extended,
    field::{Canonical, Carried, Roots},
    inverse::Inverses,
};

/// Encodes twice each point, eight per group. No inverse square root is needed (Hamburg 2015, Decaf; the batched form of
/// curve25519-dalek):
///
/// ```text
/// e = 2XY    f = Z² + dT²    g = Y² + X²    h = Z² − dT²    inv = 1/(e·g·f·h)
/// zi = e·g·inv    ti = f·h·inv
/// if negative(e·g·zi): (e, g, h, m) ← (g, −e, f·SQRT_M1, SQRT_M1)   else m = INVSQRT_A_MINUS_D
/// if negative(h·e·zi): g ← −g
/// s = |(h − g)·m·g·ti|
/// ```
///
/// Where the double is the identity e·g is 0. Then so is inv, for [`Inverses`] gives 0, and with it s.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn encode_doubled(points: &[Extended], out: &mut [[u8; 32]]) {
    let mut inverses = Inverses::with_capacity(points.len());
    let mut doubles: Vec<Double> = Vec::with_capacity(points.len());
    for point in points {
        let double = Double::of(point);
        inverses.push(&double.eg.times(&double.fh));
        doubles.push(double);
    }
    for (double, rows) in doubles.iter().zip(out.chunks_mut(8)).rev() {
        bytes::store(&double.encoded(&inverses.pop()), rows);
    }
    doubles.zeroize();
}

/// A doubled point before its inversion.
#[derive(Zeroize)]
struct Double {
    e: Carried,
    f: Carried,
    g: Carried,
    h: Carried,
    eg: Carried,
    fh: Carried,
}

impl Double {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn of(point: &Extended) -> Self {
        let e = point.x.plus(&point.x).times(&point.y);
        let g = point.x.square_wide().plus(&point.y.square_wide()).carry();
        let zz = point.z.square_biased();
        let dtt = point.t.square().times_wide(&Carried::constant(constants::D));
        let (f, h) = (zz.plus(&dtt).carry(), zz.minus(&dtt).carry());
        Self { eg: e.times(&g), fh: f.times(&h), e, f, g, h }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn encoded(&self, inverse: &Carried) -> Canonical {
        let Self { e, f, g, h, eg, fh } = self;
        let zi = eg.times(inverse);
        let ti = fh.times(inverse);
        let sqrt_m1 = Carried::constant(constants::SQRT_M1);
        let rotate = eg.times(&zi).canonical().odd();
        let (e, g) = (e.blend(rotate, g), g.blend(rotate, &e.negated()));
        let h = h.blend(rotate, &f.times(&sqrt_m1));
        let magic = Carried::constant(constants::INVSQRT_A_MINUS_D).blend(rotate, &sqrt_m1);
        let g = g.negated_where(h.times(&e).times(&zi).canonical().odd());
        h.minus(&g).times(&magic).times(&g.times(&ti)).absolute()
    }
}

/// Encodes N groups of points as they are (RFC 9496, Section 4.3.2), interleaved.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn encode<const N: usize>(points: &[Extended; N], out: [&mut [[u8; 32]]; N]) {
    let one = Carried::one();
    let (mut u1, mut u2, mut ratio) = ([one; N], [one; N], [one; N]);
    for i in 0..N {
        // u1 = (Z + Y)·(Z − Y), u2 = X·Y
        let Extended { x, y, z, .. } = &points[i];
        u1[i] = z.plus(y).times(&z.minus(y));
        u2[i] = x.times(y);
        ratio[i] = u1[i].times(&u2[i].square());
    }
    // (_, invsqrt) = SQRT_RATIO_M1(1, u1·u2²). The root's sign does not matter: z_inv and |s| are even in it.
    let roots = Roots::of_inverse(&ratio);
    let sqrt_m1 = Carried::constant(constants::SQRT_M1);
    let magic = Carried::constant(constants::INVSQRT_A_MINUS_D);
    for (i, rows) in out.into_iter().enumerate() {
        let Extended { x, y, z, t } = &points[i];
        // den1 = invsqrt·u1, den2 = invsqrt·u2, z_inv = den1·den2·T
        let (den1, den2) = (roots.root[i].times(&u1[i]), roots.root[i].times(&u2[i]));
        let z_inv = den1.times(&den2).times(t);
        let rotate = t.times(&z_inv).canonical().odd();
        let (x, y) = (x.blend(rotate, &y.times(&sqrt_m1)), y.blend(rotate, &x.times(&sqrt_m1)));
        let den_inv = den2.blend(rotate, &den1.times(&magic));
        let y = y.negated_where(x.times(&z_inv).canonical().odd());
        bytes::store(&den_inv.times(&z.minus(&y)).absolute(), rows);
    }
}
