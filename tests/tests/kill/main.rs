//! `kill -9` of both programs.
//!
//! `VEILMATCH_KILLS` and `VEILMATCH_KILL_SEED` change number and moments; docs/benchmarks.md has the long runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lists;
mod logs;
mod scans;

use std::time::{Duration, Instant};

use veilmatch_tests::programs::Paths;

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

fn wait(pause: Duration) {
    let start = Instant::now();
    while start.elapsed() < pause {
        std::thread::yield_now();
    }
}
