//! Prints what each operation costs per item, on every back end that this processor can run.
//!
//! `cargo run --release -p veilmatch-ristretto --example cost [ITEMS [PART OF A NAME]]`

use std::time::{Duration, Instant};

use curve25519_dalek::{RistrettoPoint, ristretto::CompressedRistretto};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use veilmatch_ristretto::{Backend, Scalar, SharedScalar, invert_scalars};

const ROUNDS: usize = 401;
/// So that the slow back end does not make the whole take minutes.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() {
    let n = std::env::args().nth(1).map_or(4_096, |n| n.parse().expect("a number of items"));
    let mut rng = StdRng::seed_from_u64(1);
    let uniform: Vec<[u8; 64]> = (0..n).map(|_| rng.random()).collect();
    let scalars: Vec<_> = (0..n).map(|_| Scalar::from_bytes_mod_order_wide(&rng.random())).collect();
    let weights: Vec<u128> = (0..n).map(|_| rng.random()).collect();
    let shared = SharedScalar::new(&scalars[0]);
    let mut out = vec![[0; 32]; n];

    println!("µs per item, least of at most {ROUNDS} rounds, {n} items");
    for backend in Backend::all() {
        println!("\n{backend}");
        let mapped = backend.from_uniform(&uniform);
        let kept = mapped.multiply_each_kept(&scalars, &mut out);
        let encodings = out.clone();
        let decoded = backend.decode(&encodings).expect("just encoded");

        cost("decode", n, || drop(backend.decode(&encodings)));
        cost("from_uniform", n, || drop(backend.from_uniform(&uniform)));
        cost("multiply_shared", n, || decoded.multiply_shared(&shared, &mut out));
        cost("multiply_each", n, || decoded.multiply_each(&scalars, &mut out));
        cost("multiply_each_kept, of mapped", n, || drop(mapped.multiply_each_kept(&scalars, &mut out)));
        cost("weighted_sum, of decoded", n, || _ = decoded.weighted_sum(&weights));
        cost("weighted_sum, of mapped", n, || _ = mapped.weighted_sum(&weights));
        cost("weighted_sum, of kept", n, || _ = kept.weighted_sum(&weights));
        let table = backend.fixed_base(&encodings[0]).expect("just encoded");
        cost("add_multiples, to mapped", n, || drop(mapped.add_multiples(&table, &scalars, &mut out)));
        cost("subtract_multiples, from decoded", n, || drop(decoded.subtract_multiples(&table, &scalars, &mut out)));
        cost("fixed_base (once)", 1, || drop(backend.fixed_base(&encodings[0])));
        // The two hashes of expand_message for an item of 33 bytes, without the writing of the second's input.
        let hash = backend.sha512(&[0; 128]);
        let mut digests = vec![[0; 64]; n];
        cost("sha512 of 79 bytes behind a block", n, || {
            hash.digests(&mut digests, |i, message| {
                message.extend(&uniform[i][..33]);
                message.extend(&[1; 46]);
            });
        });
        let hash = backend.sha512(&[]);
        cost("sha512 of 200 bytes", n, || {
            hash.digests(&mut digests, |i, message| {
                message.extend(&uniform[i]);
                message.extend(&[1; 136]);
            });
        });
        cost("decode, multiply_shared", n, || {
            backend.decode(&encodings).expect("just encoded").multiply_shared(&shared, &mut out);
        });
        cost("from_uniform, multiply_shared", n, || backend.from_uniform(&uniform).multiply_shared(&shared, &mut out));
    }

    println!("\nwithout a back end");
    let mut inverses = scalars.clone();
    cost("invert_scalars", n, || invert_scalars(&mut inverses));
    let encodings: Vec<_> = uniform.iter().map(|u| RistrettoPoint::from_uniform_bytes(u).compress()).collect();
    cost("curve25519-dalek, decompress, multiply, compress", n, || {
        for (place, encoding) in out.iter_mut().zip(&encodings) {
            let point = CompressedRistretto::decompress(encoding).expect("just encoded");
            *place = (point * scalars[0]).compress().to_bytes();
        }
    });
}

fn cost(name: &str, n: usize, mut work: impl FnMut()) {
    if std::env::args().nth(2).is_some_and(|part| !name.contains(&part)) {
        return;
    }
    let begun = Instant::now();
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed());
        if begun.elapsed() > PATIENCE {
            break;
        }
    }
    println!("  {name:50} {:8.3}", least.as_secs_f64() * 1e6 / n as f64);
}
