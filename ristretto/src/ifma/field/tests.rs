//! Lane primitives against 128-bit arithmetic, with limbs at their bounds. Debug builds assert every bound on the way.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::simd::{self, Ifma, Lanes};

/// Limbs that are likely to overflow something, with random ones between them.
const EXTREME: [u64; 8] = [0, 1, (1 << 51) - 19, (1 << 51) - 1, 1 << 51, Carried::BOUND - 1, (1 << 51) - 20, 18];

type Limbs = [u64; 5];

fn limbs(rng: &mut StdRng) -> Limbs {
    let random = |rng: &mut StdRng| rng.random_range(0..Carried::BOUND);
    let mut limbs: Limbs = std::array::from_fn(|_| random(rng));
    // From all random to all extreme.
    let extreme = rng.random_range(0..=4_u32);
    for limb in &mut limbs {
        if rng.random_ratio(extreme, 4) {
            *limb = EXTREME[rng.random_range(0..EXTREME.len())];
        }
    }
    limbs
}

fn lanes(elements: &[Limbs; 8]) -> Carried {
    let vector = |i: usize| simd::load(&Lanes(elements.map(|limbs| limbs[i])));
    Carried([vector(0), vector(1), vector(2), vector(3), vector(4)])
}

fn elements(limbs: [__m512i; 5]) -> [Limbs; 8] {
    let limbs = limbs.map(|limb| simd::store(limb).0);
    std::array::from_fn(|lane| limbs.map(|limb| limb[lane]))
}

/// Host arithmetic: columns of up to 127 bits, reduced to the canonical representation.
fn reduced(mut columns: [u128; 5]) -> Limbs {
    for _ in 0..4 {
        for i in 0..5 {
            let carry = columns[i] >> 51;
            columns[i] &= (1 << 51) - 1;
            match i {
                4 => columns[0] += 19 * carry,
                _ => columns[i + 1] += carry,
            }
        }
    }
    let mut limbs = columns.map(|column| column as u64);
    if limbs[0] >= MASK - 18 && limbs[1..].iter().all(|&limb| limb == MASK) {
        limbs = [limbs[0] - (MASK - 18), 0, 0, 0, 0];
    }
    limbs
}

fn product_of(a: &Limbs, b: &Limbs) -> [u128; 5] {
    let mut columns = [0; 5];
    for i in 0..5 {
        for j in 0..5 {
            let fold = if i + j < 5 { 1 } else { 19 };
            columns[(i + j) % 5] += fold * u128::from(a[i]) * u128::from(b[j]);
        }
    }
    columns
}

/// `a` + 2^12·p − `b`, for carried limbs and products of them that were reduced.
fn difference_of(a: Limbs, b: Limbs) -> [u128; 5] {
    std::array::from_fn(|i| {
        let p = if i == 0 { MASK - 18 } else { MASK };
        u128::from(a[i]) + (u128::from(p) << 12) - u128::from(b[i])
    })
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn check(rng: &mut StdRng) {
    let (a, b): ([Limbs; 8], [Limbs; 8]) = (std::array::from_fn(|_| limbs(rng)), std::array::from_fn(|_| limbs(rng)));
    let (c, d): ([Limbs; 8], [Limbs; 8]) = (std::array::from_fn(|_| limbs(rng)), std::array::from_fn(|_| limbs(rng)));
    let [va, vb, vc, vd] = [lanes(&a), lanes(&b), lanes(&c), lanes(&d)];
    let mask: u8 = rng.random();

    // Any value that comes out of a carry may be a factor: its bound is asserted, its value compared.
    let (ab, cd) = (va.times_wide(&vb), vc.times_wide(&vd));
    let (ab_biased, aa_biased) = (va.times_biased(&vb), va.square_biased());
    let sum = va.plus(&vb);
    let results = [
        ab.carry(),
        va.square(),
        ab_biased.carry(),
        aa_biased.carry(),
        ab.plus(&cd).carry(),
        ab_biased.plus(&cd).carry(),
        ab_biased.minus(&cd).carry(),
        aa_biased.minus(&cd).carry(),
        va.twice_biased().carry(),
        va.twice_biased().minus(&cd).carry(),
        va.times_small_plus(121_665, &vb).carry(),
        va.times_small_plus((1 << 20) - 1, &vb).carry(),
        sum,
        va.minus(&vb),
        va.negated(),
        va.blend(mask, &vb),
        va.negated_where(mask),
        sum.times(&va.minus(&vb)),
    ];
    let canonical = results.map(|result| elements(result.canonical().limbs()));
    let small = |small: u64, lane: usize| product_of(&a[lane], &[small, 0, 0, 0, 0]);
    for lane in 0..8 {
        let (a, b) = (&a[lane], &b[lane]);
        let [ab, aa, cd] = [product_of(a, b), product_of(a, a), product_of(&c[lane], &d[lane])].map(reduced);
        let plus = |x: Limbs, y: Limbs| reduced(std::array::from_fn(|i| u128::from(x[i]) + u128::from(y[i])));
        let minus = |x: Limbs, y: Limbs| reduced(difference_of(x, y));
        let chosen = mask >> lane & 1 == 1;
        let want = [
            ab,
            aa,
            ab,
            aa,
            plus(ab, cd),
            plus(ab, cd),
            minus(ab, cd),
            minus(aa, cd),
            plus(*a, *a),
            minus(plus(*a, *a), cd),
            plus(reduced(small(121_665, lane)), *b),
            plus(reduced(small((1 << 20) - 1, lane)), *b),
            plus(*a, *b),
            minus(*a, *b),
            minus([0; 5], *a),
            reduced((if chosen { b } else { a }).map(u128::from)),
            if chosen { minus([0; 5], *a) } else { reduced(a.map(u128::from)) },
            reduced(product_of(&plus(*a, *b), &minus(*a, *b))),
        ];
        for (operation, (canonical, want)) in canonical.iter().zip(want).enumerate() {
            assert_eq!(canonical[lane], want, "operation {operation} on {a:x?} and {b:x?}");
        }
        assert_eq!(va.canonical().odd() >> lane & 1, (reduced(a.map(u128::from))[0] & 1) as u8);
        assert_eq!(va.canonical().is_zero() >> lane & 1 == 1, reduced(a.map(u128::from)) == [0; 5]);
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn check_a_million() {
    let mut rng = StdRng::seed_from_u64(12);
    for _ in 0..if cfg!(miri) { 20 } else { 1_000_000 / 8 } {
        check(&mut rng);
    }
}

#[test]
fn a_million_extreme_elements_agree_with_128_bit_arithmetic() {
    if let Some(ifma) = Ifma::detect() {
        ifma.run(check_a_million);
    }
}

/// All lanes at the largest carried limb: the largest columns that there can be.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn check_largest() {
    let largest = Carried::constant([Carried::BOUND - 1; 5]);
    let wide = largest.times_wide(&largest);
    let biased = largest.times_biased(&largest);
    let results = [wide.carry(), biased.carry(), biased.plus(&wide).carry(), biased.minus(&wide).carry()];
    let square = reduced(product_of(&[Carried::BOUND - 1; 5], &[Carried::BOUND - 1; 5]));
    let twice = reduced(square.map(|limb| 2 * u128::from(limb)));
    for (result, want) in results.iter().zip([square, square, twice, [0; 5]]) {
        assert_eq!(elements(result.canonical().limbs()), [want; 8]);
    }
    // What the bounds claim of the columns, without the assertions that a release build leaves out.
    assert!(below(&wide.0, 1 << 59) && below(&biased.plus(&wide).0, 1 << 61));
}

#[test]
fn the_largest_limbs_stay_within_the_bounds() {
    if let Some(ifma) = Ifma::detect() {
        ifma.run(check_largest);
    }
}

/// The control: a doubled operand passes the 52 bits that the instruction reads.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn double_an_operand() {
    let a = Carried::constant([Carried::BOUND - 1; 5]);
    let doubled = Carried(add(a.0, a.0));
    let wrong = Wide(product(&doubled.0, &a.0, [_mm512_setzero_si512(); 5])).carry();
    let right = a.plus(&a).times(&a);
    assert_eq!(wrong.minus(&right).canonical().is_zero(), 0, "the product of an operand out of bounds is wrong");
    let _ = Carried::from_limbs(doubled.0);
}

#[test]
fn a_doubled_operand_is_caught_in_debug_builds() {
    if let Some(ifma) = Ifma::detect() {
        let caught = std::panic::catch_unwind(|| ifma.run(double_an_operand));
        let text = caught.as_ref().err().and_then(|panic| panic.downcast_ref::<&str>().copied());
        let want = cfg!(debug_assertions).then_some("a factor's limb must fit the multiplier");
        assert_eq!(text, want);
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn check_powers() {
    let mut rng = StdRng::seed_from_u64(13);
    let sqrt_m1 = Carried::constant(crate::ifma::constants::SQRT_M1);
    for round in 0..200 {
        let mut x: [Limbs; 8] = std::array::from_fn(|_| limbs(&mut rng));
        x[round % 8] = [[0; 5], [1, 0, 0, 0, 0], [MASK - 18, MASK, MASK, MASK, MASK]][round % 3];
        let zero = lanes(&x).canonical().is_zero();
        let (x, y) = (lanes(&x), lanes(&std::array::from_fn(|_| limbs(&mut rng))));
        let one = Carried::one();
        assert_eq!(x.times(&x.inverted()).minus(&one).canonical().is_zero(), !zero, "x·(1/x) = 1, and 1/0 = 0");
        assert_eq!(x.inverted().canonical().is_zero(), zero);

        // v·r² is u where u/v is a square, SQRT_M1·u where it is not.
        let Roots { root: [a, b], square: [sa, sb] } = Roots::of_ratio(&[x, y.square()], &[y, x.square()]);
        let check = y.times(&a.square());
        let want = x.times(&sqrt_m1).blend(sa, &x);
        assert_eq!(check.minus(&want).canonical().is_zero(), 0xff);
        assert_eq!(sa & zero, zero, "0/v is a square");
        assert_eq!(sb, !zero, "y²/x² is a square, y²/0 is not");
        assert_eq!(b.canonical().is_zero(), zero);
        let Roots { root: [c], square: [sc] } = Roots::of_inverse(&[x.square()]);
        assert_eq!(sc, !zero);
        assert_eq!(c.times(&x).square().minus(&one).canonical().is_zero(), !zero);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes, and is made of what the other tests run")]
fn inverses_and_roots_are_what_they_are_called() {
    if let Some(ifma) = Ifma::detect() {
        ifma.run(check_powers);
    }
}
