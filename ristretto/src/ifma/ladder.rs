//! The Montgomery ladder (Montgomery 1987; RFC 7748, Section 5) with the recovery of y (Okeya–Sakurai 2001).

use super::{
    constants,
    curve::{Extended, Montgomery},
    field::{Carried, Mask},
    steps::Steps,
};

/// One scalar times one point per lane. Constant time in scalars and points.
///
/// A lane is (0 : 0 : 0 : 0) where the product is the identity: for the scalar 0, and for the point (0, 0).
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply(point: &Montgomery, steps: &Steps) -> Extended {
    let products = ladder(&point.u, steps);
    recover(point, &products, steps.negated)
}

/// h·P and (h + 1)·P as X + Z, X − Z of each.
struct Products {
    low: [Carried; 2],
    high: [Carried; 2],
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn ladder(u: &Carried, steps: &Steps) -> Products {
    let one = Carried::one();
    // (X2 : Z2) = n·P starts at (1 : 0), (X3 : Z3) = (n + 1)·P at (u : 1). What the loop carries are the sums and
    // differences A = X2 + Z2, B = X2 − Z2, C = X3 + Z3, D = X3 − Z3.
    let (mut a, mut b, mut c, mut d) = (one, one, u.plus(&one), u.minus(&one));
    for swap in steps.downwards() {
        let da = d.times_biased(&a);
        let cb = c.times_wide(&b);
        // The only use of the secret. A swap leaves DA + CB and (DA − CB)² as they are.
        let (a1, b1) = (a.blend(swap, &c), b.blend(swap, &d));
        let sum = da.plus(&cb).carry();
        let difference = da.minus(&cb).carry();
        let aa = a1.square_biased();
        let bb = b1.square_wide();
        let e = aa.minus(&bb).carry();
        let (aa, bb) = (aa.carry(), bb.carry());
        // X3 = (DA + CB)², Z3 = u·(DA − CB)²
        let x3 = sum.square_biased();
        let z3 = u.times_wide(&difference.square());
        (c, d) = (x3.plus(&z3).carry(), x3.minus(&z3).carry());
        // X2 = AA·BB, Z2 = E·(AA + 121665·E)
        let x2 = aa.times_biased(&bb);
        let z2 = e.times_wide(&e.times_small_plus(121_665, &aa).carry());
        (a, b) = (x2.plus(&z2).carry(), x2.minus(&z2).carry());
    }
    let last: Mask = steps.last;
    Products { low: [a.blend(last, &c), b.blend(last, &d)], high: [c.blend(last, &a), d.blend(last, &b)] }
}

/// Finds y of h·P from P, h·P and (h + 1)·P in the form of Costello–Smith (Montgomery curves and their arithmetic,
/// Algorithm 5) and goes to the Edwards curve. Negates in the lanes of `negate`.
///
/// ```text
/// a = x·Z1    e = (X1 − a)²·X2    f = (X1 + a + 2·A·Z1)·(x·X1 + Z1) − 2·A·Z1²
/// Y = f·Z2 − e    w = 2·y·Z1·Z2    X = w·X1    Z = w·Z1
/// (cX(X + Z) : Y(X − Z) : Y(X + Z) : cX(X − Z))
/// ```
#[target_feature(enable = "avx512dq,avx512ifma")]
fn recover(point: &Montgomery, products: &Products, negate: Mask) -> Extended {
    let Montgomery { u: x, v: y } = point;
    // 2·X and 2·Z: the factor cancels.
    let [x1, z1] = unpaired(&products.low);
    let [x2, z2] = unpaired(&products.high);
    let two_a = Carried::constant([2 * 486_662, 0, 0, 0, 0]);
    let a = x.times(&z1);
    let a_z1 = z1.times(&two_a);
    let e = x1.minus(&a).square().times(&x2);
    let f = x1.plus(&a).plus(&a_z1).times(&x.times(&x1).plus(&z1)).minus(&a_z1.times(&z1));
    let big_y = f.times(&z2).minus(&e).negated_where(negate);
    let w = y.plus(y).times(&z1.times(&z2));
    let (big_x, big_z) = (w.times(&x1), w.times(&z1));
    let cx = big_x.times(&Carried::constant(constants::MINUS_TWICE_INVSQRT_A_MINUS_D));
    let (sum, difference) = (big_x.plus(&big_z), big_x.minus(&big_z));
    Extended { x: cx.times(&sum), y: big_y.times(&difference), z: big_y.times(&sum), t: cx.times(&difference) }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn unpaired([sum, difference]: &[Carried; 2]) -> [Carried; 2] {
    [sum.plus(difference), sum.minus(difference)]
}
