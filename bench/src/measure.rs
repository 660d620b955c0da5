//! Timing of two programs that take turns, so that a noisy machine disturbs both alike.

use std::time::{Duration, Instant};

/// The fastest and the slowest round of a program.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The fastest: the least disturbed.
    pub min: Duration,
    /// The slowest.
    pub max: Duration,
}

/// Runs both programs once unmeasured and then `rounds` times in turn.
pub fn in_turn(rounds: u32, mut ours: impl FnMut(), mut baseline: impl FnMut()) -> [Spread; 2] {
    ours();
    baseline();
    let mut spreads = [Spread { min: Duration::MAX, max: Duration::ZERO }; 2];
    let mut time = |at: usize, program: &mut dyn FnMut()| {
        let start = Instant::now();
        program();
        let took = start.elapsed();
        spreads[at].min = spreads[at].min.min(took);
        spreads[at].max = spreads[at].max.max(took);
    };
    for _ in 0..rounds {
        time(0, &mut ours);
        time(1, &mut baseline);
    }
    spreads
}
