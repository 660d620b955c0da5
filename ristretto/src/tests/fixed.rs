//! Fixed-base multiples, added and taken off.

use curve25519_dalek::{constants::RISTRETTO_BASEPOINT_POINT, traits::Identity};
use rand::SeedableRng;

use super::*;

/// Adds to and takes off, compares with single operations.
fn check(base: &RistrettoPoint, points: &[RistrettoPoint], scalars: &[Scalar]) {
    let weights: Vec<u128> = (1..=points.len() as u128).map(|i| i.wrapping_mul(u128::MAX / 1_000)).collect();
    let multiples: Vec<_> = scalars.iter().map(|scalar| base * scalar).collect();
    let sums: Vec<_> = points.iter().zip(&multiples).map(|(point, multiple)| point + multiple).collect();
    let differences: Vec<_> = points.iter().zip(&multiples).map(|(point, multiple)| point - multiple).collect();
    let sum: RistrettoPoint = sums.iter().zip(&weights).map(|(point, &weight)| point * Scalar::from(weight)).sum();
    for backend in Backend::all() {
        let table = backend.fixed_base(base.compress().as_bytes()).unwrap();
        let points = backend.decode(&encoded(points)).unwrap();
        let mut out = vec![[0xaa; 32]; scalars.len()];
        let kept = points.add_multiples(&table, scalars, &mut out);
        assert_eq!(out, encoded(&sums), "{backend}");
        assert_eq!(kept.weighted_sum(&weights), sum.compress().to_bytes(), "{backend}");
        // From a sum, which has another shape than a decoded point.
        let back = kept.subtract_multiples(&table, scalars, &mut out);
        assert_eq!(back.len(), points.len());
        assert_eq!(back.weighted_sum(&weights), points.weighted_sum(&weights), "{backend}");
        points.subtract_multiples(&table, scalars, &mut out);
        assert_eq!(out, encoded(&differences), "{backend}");
    }
}

fn random_points(rng: &mut StdRng, n: usize) -> Vec<RistrettoPoint> {
    (0..n).map(|_| RistrettoPoint::from_uniform_bytes(&rng.random())).collect()
}

#[test]
fn multiples_are_added_and_taken_off_in_batches_of_every_short_length() {
    let mut rng = StdRng::seed_from_u64(20);
    for n in (0..=17).chain([129, 1_030]) {
        let base = RistrettoPoint::from_uniform_bytes(&rng.random());
        let points = random_points(&mut rng, n);
        let scalars: Vec<_> = (0..n).map(|_| scalar(&mut rng)).collect();
        check(&base, &points, &scalars);
    }
}

/// Among them sums of an element with itself and with its negative, for which the quartic's addition has to change shape.
#[test]
fn edge_scalars_of_an_element_are_added_to_its_own_edge_multiples() {
    let mut rng = StdRng::seed_from_u64(21);
    let half = Scalar::ONE.div_by_2();
    let mut edges: Vec<_> = (0_u64..9).map(Scalar::from).chain([half, half.div_by_2(), scalar(&mut rng)]).collect();
    edges.extend(edges.clone().iter().map(|edge| -edge));
    for base in [RISTRETTO_BASEPOINT_POINT, RistrettoPoint::identity(), random_points(&mut rng, 1)[0]] {
        for edge in &edges {
            let points: Vec<_> = edges.iter().map(|edge| base * edge).collect();
            check(&base, &points, &vec![*edge; points.len()]);
        }
    }
}

#[test]
fn a_hundred_thousand_sums_equal_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(22);
    let base = RistrettoPoint::from_uniform_bytes(&rng.random());
    for _ in 0..50 {
        let uniform: Vec<[u8; 64]> = (0..2_003).map(|_| rng.random()).collect();
        let scalars: Vec<_> = (0..2_003).map(|_| scalar(&mut rng)).collect();
        let sums = uniform.iter().zip(&scalars).map(|(u, s)| RistrettoPoint::from_uniform_bytes(u) + base * s);
        let want = encoded(&sums.collect::<Vec<_>>());
        for backend in Backend::all() {
            let table = backend.fixed_base(base.compress().as_bytes()).unwrap();
            let mut out = vec![[0; 32]; 2_003];
            let _ = backend.from_uniform(&uniform).add_multiples(&table, &scalars, &mut out);
            assert_eq!(out, want, "{backend}");
        }
    }
}

#[test]
fn an_additive_blind_comes_off_with_the_public_key() {
    let mut rng = StdRng::seed_from_u64(23);
    let (key, public) = (scalar(&mut rng), |key: &Scalar| RistrettoPoint::mul_base(key).compress().to_bytes());
    let uniform: [[u8; 64]; 11] = rng.random();
    let blinds: Vec<_> = (0..11).map(|_| scalar(&mut rng)).collect();
    let want = uniform.map(|u| (RistrettoPoint::from_uniform_bytes(&u) * key).compress().to_bytes());

    let (mut blinded, mut evaluated, mut unblinded) = ([[0; 32]; 11], [[0; 32]; 11], [[0; 32]; 11]);
    let _ = Points::from_uniform(&uniform).add_multiples(FixedBase::generator(), &blinds, &mut blinded);
    Points::decode(&blinded).unwrap().multiply_shared(&SharedScalar::new(&key), &mut evaluated);
    let public_key = FixedBase::new(&public(&key)).unwrap();
    let _ = Points::decode(&evaluated).unwrap().subtract_multiples(&public_key, &blinds, &mut unblinded);
    assert_eq!(unblinded, want);
}

#[test]
fn a_table_of_another_back_end_is_refused_before_anything_is_computed() {
    let Some(vector) = Backend::vector() else { return };
    for (batch, table) in [(Backend::PORTABLE, vector), (vector, Backend::PORTABLE)] {
        let points = batch.from_uniform(&[[7; 64]; 3]);
        let table = table.fixed_base(RISTRETTO_BASEPOINT_POINT.compress().as_bytes()).unwrap();
        let mut out = [[0xaa; 32]; 3];
        let add = std::panic::AssertUnwindSafe(|| drop(points.add_multiples(&table, &[Scalar::ONE; 3], &mut out)));
        let message = std::panic::catch_unwind(add).unwrap_err();
        let expected = "a table of multiples serves batches of the back end that it was made for";
        assert_eq!(message.downcast_ref::<&str>(), Some(&expected));
        assert_eq!(out, [[0xaa; 32]; 3]);
    }
}

#[test]
fn there_is_no_table_of_what_is_not_canonical() {
    for backend in Backend::all() {
        assert!(backend.fixed_base(&[0xff; 32]).is_none());
    }
}
