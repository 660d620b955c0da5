//! Every back end against curve25519-dalek's single operations, and against RFC 9496's vectors.

mod batches;
mod edges;
mod fixed;
mod hashes;
mod vectors;

use std::io::Write;

use curve25519_dalek::RistrettoPoint;
use rand::{RngExt, rngs::StdRng};

use super::*;

fn scalar(rng: &mut StdRng) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&rng.random())
}

fn encoded(points: &[RistrettoPoint]) -> Vec<[u8; 32]> {
    points.iter().map(|point| point.compress().to_bytes()).collect()
}

/// Says on stderr, past the harness, which back ends the tests of this run go through.
#[test]
fn every_back_end_of_this_processor_is_tested() {
    let names: Vec<_> = Backend::all().map(Backend::name).collect();
    let _ = writeln!(std::io::stderr(), "tested back ends: {names:?}; chosen: {}", Backend::chosen());
    // Asked from the kernel, not from what the choice itself relies on.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags: Vec<_> = flags.lines().find(|line| line.starts_with("flags")).unwrap_or_default().split(' ').collect();
    if ["avx512f", "avx512dq", "avx512vl", "avx512bw", "avx512ifma"].iter().all(|flag| flags.contains(flag)) {
        assert_eq!(names.len(), 2, "this processor has IFMA and the vector back end was not exercised");
    }
}

#[test]
fn a_scalar_without_an_inverse_stays_zero_and_spoils_no_others() {
    let mut scalars = [Scalar::from(3_u8), Scalar::ZERO, Scalar::from(5_u8), Scalar::ZERO];
    invert_scalars(&mut scalars);
    assert_eq!(scalars, [Scalar::from(3_u8).invert(), Scalar::ZERO, Scalar::from(5_u8).invert(), Scalar::ZERO]);
}

#[test]
fn scalars_are_inverted_in_place() {
    let mut scalars: Vec<_> = (1_u64..20).map(Scalar::from).collect();
    let want: Vec<_> = scalars.iter().map(Scalar::invert).collect();
    invert_scalars(&mut scalars);
    assert_eq!(scalars, want);
    invert_scalars(&mut []);
}
