use curve25519_dalek::{RistrettoPoint, constants::RISTRETTO_BASEPOINT_POINT, ristretto::CompressedRistretto};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

fn uniform(rng: &mut StdRng, n: usize) -> Vec<[u8; 64]> {
    (0..n).map(|_| std::array::from_fn(|_| rng.random())).collect()
}

#[test]
fn every_batch_length_equals_the_single_operations() {
    let mut rng = StdRng::seed_from_u64(1);
    for n in (0..=17).chain([256, 1_000]) {
        let uniform = uniform(&mut rng, n);
        let singles: Vec<_> = uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
        let encodings: Vec<_> = singles.iter().map(|p| p.compress().to_bytes()).collect();
        let key = Scalar::from_bytes_mod_order_wide(&std::array::from_fn(|_| rng.random()));
        let each: Vec<_> =
            (0..n).map(|_| Scalar::from_bytes_mod_order_wide(&std::array::from_fn(|_| rng.random()))).collect();
        let weights: Vec<u128> = (0..n).map(|_| rng.random()).collect();

        for points in [Points::from_uniform(&uniform), Points::decode(&encodings).unwrap()] {
            let mut out = vec![[0; 32]; n];
            points.multiply_shared(&SharedScalar::new(&key), &mut out);
            let want: Vec<_> = singles.iter().map(|p| (p * key).compress().to_bytes()).collect();
            assert_eq!(out, want);

            let kept = points.multiply_each_kept(&each, &mut out);
            let want: Vec<_> = singles.iter().zip(&each).map(|(p, s)| (p * s).compress().to_bytes()).collect();
            assert_eq!(out, want);
            assert_eq!(kept.weighted_sum(&weights), Points::decode(&out).unwrap().weighted_sum(&weights));

            let sum: RistrettoPoint = singles.iter().zip(&weights).map(|(p, w)| p * Scalar::from(*w)).sum();
            assert_eq!(points.weighted_sum(&weights), sum.compress().to_bytes());
        }
    }
}

#[test]
fn the_first_invalid_encoding_is_named_and_the_identity_is_an_element() {
    let base = RISTRETTO_BASEPOINT_POINT.compress().to_bytes();
    let mut batch = vec![base; 9];
    batch[3] = [0; 32];
    assert_eq!(Points::decode(&batch).unwrap().len(), 9);
    batch[5] = [0xff; 32];
    batch[7] = [0xff; 32];
    assert_eq!(Points::decode(&batch).err(), Some(InvalidIndex(5)));
}

#[test]
fn extreme_scalars_and_the_identity_are_multiplied_like_any_other() {
    let base = RISTRETTO_BASEPOINT_POINT.compress().to_bytes();
    let scalars = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(2_u8), -Scalar::from(2_u8)];
    for element in [base, [0; 32]] {
        let points = Points::decode(&[element; 5]).unwrap();
        let single = CompressedRistretto(element).decompress().unwrap();
        let want: Vec<_> = scalars.iter().map(|s| (single * s).compress().to_bytes()).collect();
        let mut out = vec![[0; 32]; 5];
        points.multiply_each(&scalars, &mut out);
        assert_eq!(out, want);
        for (scalar, want) in scalars.iter().zip(&want) {
            points.multiply_shared(&SharedScalar::new(scalar), &mut out);
            assert!(out.iter().all(|got| got == want));
        }
    }
}

#[test]
fn scalars_are_inverted_in_place() {
    let mut scalars: Vec<_> = (1_u64..20).map(Scalar::from).collect();
    let want: Vec<_> = scalars.iter().map(Scalar::invert).collect();
    invert_scalars(&mut scalars);
    assert_eq!(scalars, want);
}
