//! Something is flipped, dropped, swapped, duplicated or truncated, ten times each for every kind of leaf and file: every
//! time it is found, at its place.

mod bundles;
mod bytes;
mod leaves;
mod papers;

use rand::{SeedableRng, rngs::StdRng};

/// The seed of a run: random, printed, or the one in `VEILMATCH_SEED`.
pub fn seeded() -> StdRng {
    let seed = std::env::var("VEILMATCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("VEILMATCH_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
