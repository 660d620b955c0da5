//! Random batches of many lengths.

use curve25519_dalek::traits::VartimeMultiscalarMul;
use rand::SeedableRng;

use super::*;

/// Whether every operation is done to both decoded and mapped elements, or to one of them.
#[derive(PartialEq, Eq)]
enum Shapes {
    All,
    Some,
}

/// One batch through every operation of every back end.
fn check(rng: &mut StdRng, n: usize, shapes: Shapes) {
    let uniform: Vec<[u8; 64]> = (0..n).map(|_| rng.random()).collect();
    let each: Vec<_> = (0..n).map(|_| scalar(rng)).collect();
    let weights: Vec<u128> = (0..n).map(|_| rng.random()).collect();
    let key = scalar(rng);

    let points: Vec<_> = uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
    let products: Vec<_> = points.iter().zip(&each).map(|(point, scalar)| point * scalar).collect();
    let by_key = encoded(&points.iter().map(|point| point * key).collect::<Vec<_>>());
    let by_each = encoded(&products);
    let sum = |points: &[RistrettoPoint]| {
        let weights = weights.iter().map(|&weight| Scalar::from(weight));
        RistrettoPoint::vartime_multiscalar_mul(weights, points).compress().to_bytes()
    };
    let (sum_of_points, sum_of_products) = (sum(&points), sum(&products));
    let encodings = encoded(&points);

    for backend in Backend::all() {
        let mapped = backend.from_uniform(&uniform);
        let decoded = backend.decode(&encodings).unwrap();
        let mut out = vec![[0xaa; 32]; n];
        decoded.multiply_shared(&SharedScalar::new(&key), &mut out);
        assert_eq!(out, by_key, "{backend}: {n} decoded times one scalar");
        let kept = mapped.multiply_each_kept(&each, &mut out);
        assert_eq!(out, by_each, "{backend}: {n} mapped times scalars of their own");
        for (points, sum) in [(&mapped, sum_of_points), (&decoded, sum_of_points), (&kept, sum_of_products)] {
            assert_eq!(points.len(), n);
            assert_eq!(points.weighted_sum(&weights), sum, "{backend}: sum of {n}");
        }
        if shapes == Shapes::All {
            mapped.multiply_shared(&SharedScalar::new(&key), &mut out);
            assert_eq!(out, by_key, "{backend}: {n} mapped times one scalar");
            decoded.multiply_each(&each, &mut out);
            assert_eq!(out, by_each, "{backend}: {n} decoded times scalars of their own");
        }
    }
}

#[test]
fn every_short_length_equals_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(1);
    for n in 0..=if cfg!(miri) { 2 } else { 41 } {
        check(&mut rng, n, Shapes::All);
    }
}

/// Both sides of every length at which chunks are cut or the sum's windows change.
#[test]
fn lengths_around_a_boundary_equal_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(2);
    for n in [199, 200, 599, 600, 1_023, 1_024, 1_025, 2_055] {
        check(&mut rng, n, Shapes::All);
    }
}

/// With its twin 100,000 items for every operation, in batches of odd lengths.
#[test]
fn fifty_thousand_items_equal_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(3);
    (0..52).for_each(|_| check(&mut rng, 971, Shapes::Some));
}

#[test]
fn another_fifty_thousand_items_equal_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(4);
    (0..25).for_each(|_| check(&mut rng, 2_003, Shapes::Some));
}

#[test]
fn a_product_can_be_multiplied_again() {
    let mut rng = StdRng::seed_from_u64(5);
    let uniform: [[u8; 64]; 21] = std::array::from_fn(|_| rng.random());
    let mut scalars: Vec<_> = (0..21).map(|_| scalar(&mut rng)).collect();
    scalars[3] = Scalar::ZERO;
    let again = scalar(&mut rng);
    let want: Vec<_> =
        uniform.iter().zip(&scalars).map(|(u, s)| RistrettoPoint::from_uniform_bytes(u) * s * again).collect();
    for backend in Backend::all() {
        let mut out = [[0; 32]; 21];
        let kept = backend.from_uniform(&uniform).multiply_each_kept(&scalars, &mut out);
        kept.multiply_shared(&SharedScalar::new(&again), &mut out);
        assert_eq!(out[..], encoded(&want), "{backend}");
    }
}

/// Strings of which about a sixth are elements: even, below p or just above, square or not.
#[test]
fn strings_are_accepted_exactly_if_dalek_accepts_them() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut strings: Vec<[u8; 32]> = Vec::new();
    for _ in 0..16_384 {
        let mut string: [u8; 32] = rng.random();
        if rng.random_ratio(15, 16) {
            string[31] &= 0x7f;
        }
        if rng.random_ratio(7, 8) {
            string[0] &= 0xfe;
        }
        strings.push(string);
    }
    let accepted = |string: &[u8; 32]| {
        curve25519_dalek::ristretto::CompressedRistretto(*string).decompress().map(|point| point.compress().to_bytes())
    };
    let accept: Vec<_> = strings.iter().map(accepted).collect();
    assert!(accept.iter().flatten().count() > 2_000);
    for backend in Backend::all() {
        let mut rest = &strings[..];
        // The whole at once names the first; what follows it is a batch of its own.
        while let Err(InvalidIndex(index)) = backend.decode(rest) {
            let at = strings.len() - rest.len();
            assert!(accept[at..at + index].iter().all(Option::is_some), "{backend}");
            assert_eq!(accept[at + index], None, "{backend}: {:02x?}", rest[index]);
            rest = &rest[index + 1..];
        }
        let at = strings.len() - rest.len();
        assert!(accept[at..].iter().all(Option::is_some), "{backend}");
    }
}
