//! Elements, scalars and strings at the edge of what is allowed.

use curve25519_dalek::{constants::RISTRETTO_BASEPOINT_POINT, ristretto::CompressedRistretto, traits::Identity};
use rand::SeedableRng;

use super::{vectors::bytes, *};

/// 0, ±1, ±2 (whose halves are ±1: −1 is the ladder's exceptional scalar), halves, and neighbours of ℓ/2 and 2^252.
fn scalars() -> Vec<Scalar> {
    let half = Scalar::ONE.div_by_2();
    let mut power = Scalar::ONE;
    (0..252).for_each(|_| power += power);
    let mut scalars = Vec::new();
    for scalar in (0_u64..20).map(Scalar::from).chain([half, half.div_by_2(), power, power.div_by_2()]) {
        scalars.extend([scalar, scalar + Scalar::ONE, scalar - Scalar::ONE]);
        scalars.extend([-scalar, half + scalar, half - scalar]);
    }
    scalars
}

fn elements() -> Vec<RistrettoPoint> {
    let base = RISTRETTO_BASEPOINT_POINT;
    let mut rng = StdRng::seed_from_u64(7);
    vec![RistrettoPoint::identity(), base, -base, base + base, RistrettoPoint::from_uniform_bytes(&rng.random())]
}

#[test]
fn every_edge_scalar_multiplies_every_edge_element() {
    let scalars = scalars();
    for element in elements() {
        let want = encoded(&scalars.iter().map(|scalar| element * scalar).collect::<Vec<_>>());
        for backend in Backend::all() {
            let points = backend.decode(&vec![element.compress().to_bytes(); scalars.len()]).unwrap();
            let mut out = vec![[0; 32]; scalars.len()];
            // Lanes of one group have scalars of different edges.
            points.multiply_each(&scalars, &mut out);
            assert_eq!(out, want, "{backend}");
            let kept = points.multiply_each_kept(&scalars, &mut out);
            let weights: Vec<u128> = (0..scalars.len()).map(|i| u128::MAX - i as u128).collect();
            let sum: Scalar = scalars.iter().zip(&weights).map(|(scalar, &weight)| scalar * Scalar::from(weight)).sum();
            assert_eq!(kept.weighted_sum(&weights), (element * sum).compress().to_bytes(), "{backend}");

            let points = backend.decode(&[element.compress().to_bytes(); 3]).unwrap();
            for (scalar, want) in scalars.iter().zip(&want) {
                let mut out = [[0; 32]; 3];
                points.multiply_shared(&SharedScalar::new(scalar), &mut out);
                assert_eq!(out, [*want; 3], "{backend}");
            }
        }
    }
}

#[test]
fn edge_elements_stand_side_by_side() {
    let mut rng = StdRng::seed_from_u64(8);
    let elements = elements();
    let batch: Vec<_> = (0..83).map(|_| elements[rng.random_range(0..elements.len())]).collect();
    let scalars = scalars();
    let each: Vec<_> = (0..83).map(|_| scalars[rng.random_range(0..scalars.len())]).collect();
    let want = encoded(&batch.iter().zip(&each).map(|(element, scalar)| element * scalar).collect::<Vec<_>>());
    for backend in Backend::all() {
        let mut out = vec![[0; 32]; 83];
        backend.decode(&encoded(&batch)).unwrap().multiply_each(&each, &mut out);
        assert_eq!(out, want, "{backend}");
    }
}

#[test]
fn a_lane_does_not_depend_on_its_neighbours() {
    let mut rng = StdRng::seed_from_u64(9);
    let edges = [Scalar::ONE, Scalar::from(2_u8), -Scalar::ONE, -Scalar::from(2_u8), Scalar::ZERO];
    for backend in Backend::all() {
        for lane in 0..8 {
            let mut uniform: [[u8; 64]; 8] = rng.random();
            let mut scalars: [Scalar; 8] = std::array::from_fn(|_| scalar(&mut rng));
            let want = RistrettoPoint::from_uniform_bytes(&uniform[lane]) * scalars[lane];
            for _ in 0..4 {
                for other in (0..8).filter(|&other| other != lane) {
                    uniform[other] = rng.random();
                    scalars[other] = edges[rng.random_range(0..edges.len())];
                }
                let mut out = [[0; 32]; 8];
                backend.from_uniform(&uniform).multiply_each(&scalars, &mut out);
                assert_eq!(out[lane], want.compress().to_bytes(), "{backend}");
            }
        }
    }
}

#[test]
fn strings_around_the_modulus_are_accepted_exactly_if_dalek_accepts_them() {
    let mut strings = vec![[0xff; 32], [0; 32]];
    for low in 0xd0..=0xff {
        for high in [0x7f, 0xff] {
            let mut string = [0xff; 32];
            (string[0], string[31]) = (low, high);
            strings.push(string);
            // The same number without its middle bits, and its low bits alone.
            string[8..24].fill(0);
            strings.push(string);
            let mut string = [0; 32];
            (string[0], string[31]) = (low, high & 0x80);
            strings.push(string);
        }
    }
    for backend in Backend::all() {
        for string in &strings {
            let want = CompressedRistretto(*string).decompress().is_some();
            assert_eq!(backend.decode(&[*string]).is_ok(), want, "{backend}: {string:02x?}");
        }
    }
}

#[test]
fn the_first_invalid_encoding_is_named_and_the_identity_is_an_element() {
    let base = RISTRETTO_BASEPOINT_POINT.compress().to_bytes();
    for backend in Backend::all() {
        for n in 1..40 {
            for at in 0..n {
                let mut batch = vec![base; n];
                batch[n - 1] = [0; 32];
                assert_eq!(backend.decode(&batch).unwrap().len(), n);
                batch[n - 1] = [0xff; 32];
                batch[at] = [0xff; 32];
                assert_eq!(backend.decode(&batch).err(), Some(InvalidIndex(at)), "{backend}");
            }
        }
    }
}

/// Field elements for which the map's v is 0 (r = −d and r = −1/d), so that the map gives the identity.
const MAPPED_TO_IDENTITY: [[u8; 32]; 2] = [
    [
        0x45, 0xe4, 0xa3, 0xb5, 0x34, 0xd5, 0xcf, 0x8a, 0x55, 0x92, 0x15, 0xf1, 0xd2, 0x56, 0x43, 0x32, 0xea, 0x91,
        0x14, 0x8c, 0x66, 0xab, 0xcb, 0x8a, 0x68, 0x14, 0x84, 0x0b, 0xa7, 0xaa, 0x4c, 0x7a,
    ],
    [
        0x40, 0x25, 0x6a, 0xc5, 0xe4, 0xc7, 0x3a, 0xf6, 0x05, 0x7c, 0x6d, 0x51, 0x20, 0xf9, 0x0c, 0x43, 0x62, 0xab,
        0x4a, 0xd9, 0x01, 0x5b, 0xc3, 0x65, 0x59, 0x8d, 0xac, 0xa0, 0x48, 0xba, 0xc4, 0x00,
    ],
];

/// Field elements that the map takes to points with s = ±1, for which the quartic's addition has a case of its own. Two of
/// them gave a sum of three zeros, which then made zeros of everything that it was added to.
const MAPPED_TO_ONE: [&str; 4] = [
    "3112f2f754ec66b46fe06c62c290e9b282e0e4879f2a332435d83b48fa0dc27d",
    "2a6382d98d9b4fe0526bf32f2e36b1c6fb594edaadaa30f35a29566c59adfe4c",
    "a2ce3011a78ef573098dfffa7c6319a2973184a23f8c7e4fb28a95abee32615f",
    "068c5b499d860a72cba9a67991e93e203e07f2cecac35ff78ba286490a9d647f",
];

/// p minus a field element.
fn negated(element: [u8; 32]) -> [u8; 32] {
    let mut borrow = 0;
    std::array::from_fn(|at| {
        let of_p = [0xed, 0xff, 0x7f][usize::from(at > 0) + usize::from(at == 31)];
        let difference = of_p - i32::from(element[at]) - borrow;
        borrow = i32::from(difference < 0);
        difference.rem_euclid(256) as u8
    })
}

#[test]
fn exceptional_field_elements_are_mapped_like_any_other() {
    let mut halves = vec![[0; 32], [0xff; 32]];
    halves.extend(MAPPED_TO_IDENTITY);
    for half in MAPPED_TO_ONE.map(bytes) {
        halves.extend([half, negated(half)]);
    }
    for low in [0, 1, 2, 18, 0xec, 0xed, 0xee, 0xfe] {
        for (middle, high) in [(0, 0), (0, 0x80), (0xff, 0x7f)] {
            let mut half = [middle; 32];
            (half[0], half[31]) = (low, high);
            halves.push(half);
        }
    }
    let mut uniform: Vec<[u8; 64]> = Vec::new();
    for a in &halves {
        for b in &halves {
            uniform.push([*a, *b].concat().try_into().unwrap());
        }
    }
    let points: Vec<_> = uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
    assert!(points.contains(&RistrettoPoint::identity()));
    let key = scalar(&mut StdRng::seed_from_u64(10));
    let want = encoded(&points.iter().map(|point| point * key).collect::<Vec<_>>());
    let weights: Vec<u128> = (1..=points.len() as u128).collect();
    let sum: RistrettoPoint = points.iter().zip(&weights).map(|(point, &weight)| point * Scalar::from(weight)).sum();
    let multiple = RISTRETTO_BASEPOINT_POINT * key;
    let added = encoded(&points.iter().map(|point| point + multiple).collect::<Vec<_>>());
    for backend in Backend::all() {
        let mapped = backend.from_uniform(&uniform);
        let mut out = vec![[0; 32]; points.len()];
        mapped.multiply_shared(&SharedScalar::new(&key), &mut out);
        assert_eq!(out, want, "{backend}");
        assert_eq!(mapped.weighted_sum(&weights), sum.compress().to_bytes(), "{backend}");
        let table = backend.fixed_base(&RISTRETTO_BASEPOINT_POINT.compress().to_bytes()).unwrap();
        drop(mapped.add_multiples(&table, &vec![key; points.len()], &mut out));
        assert_eq!(out, added, "{backend}");
    }
}

#[test]
fn edge_weights_sum_edge_elements() {
    let elements = elements();
    let weights = [0, 1, 2, 255, 256, u128::MAX, u128::MAX - 1, 1 << 127, 1 << 64, u128::from(u64::MAX)];
    let mut rng = StdRng::seed_from_u64(11);
    for n in [1, 2, 7, 160, 640] {
        let batch: Vec<_> = (0..n).map(|_| elements[rng.random_range(0..elements.len())]).collect();
        let weights: Vec<_> = (0..n).map(|_| weights[rng.random_range(0..weights.len())]).collect();
        let sum: RistrettoPoint = batch.iter().zip(&weights).map(|(point, &weight)| point * Scalar::from(weight)).sum();
        for backend in Backend::all() {
            let got = backend.decode(&encoded(&batch)).unwrap().weighted_sum(&weights);
            assert_eq!(got, sum.compress().to_bytes(), "{backend}");
        }
    }
}
