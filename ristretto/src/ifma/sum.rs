//! Sums of public multiples: the bucket method (Bos–Coster's successor by Pippenger; Bernstein–Doumen–Lange–Oosterwijk
//! 2012, Section 4), with a window of the weight in every lane.
//!
//! Weight i is cut into windows of c bits, and each lane has one window: it adds point i to the bucket that its digit
//! names. So all lanes work on one point, whose coordinates are broadcast, and never on one bucket. Eight windows make a
//! pass; there are as many passes as 128 bits need. In the end Σ d·(bucket d) of every lane is found by running sums, and
//! the lanes are joined by doubling.
//!
//! Everything here is variable time: digits are addresses. And nothing is wiped, neither buckets nor what is broadcast:
//! weights and elements are a frame's as it crosses the wire, and what is summed of them can be recomputed by either side.

use std::arch::x86_64::*;

use super::{
    Form, LANES,
    curve::{Accumulator, Addend, Extended},
    field::Carried,
    transpose::transposed,
};
use crate::simd::{self, Lanes};

/// The sum of weight i times point i, in lane 0. Lanes beyond the weights are left out.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn weighted(points: &Form, weights: &[u128]) -> Extended {
    // Measured: wider windows mean fewer additions per point and more buckets to join.
    let bits = match weights.len() {
        0..12 => 2,
        12..200 => 4,
        200..600 => 6,
        _ => 8,
    };
    let per_pass = 8 * bits;
    let mut buckets = Buckets::new(bits);
    let last = 127 / per_pass;
    let mut sum = buckets.pass(points, weights, last * per_pass);
    for pass in (0..last).rev() {
        sum = doubled_times(sum, per_pass).plus(&buckets.pass(points, weights, pass * per_pass));
    }
    // Lane i weighs 2^(c·i): lanes 4..8 go onto 0..4, then 2..4 onto 0..2, then 1 onto 0.
    for distance in [4, 2, 1] {
        let above = lanes_moved_down(&sum, distance);
        sum = sum.plus(&doubled_times(above, bits * distance));
    }
    sum
}

#[target_feature(enable = "avx512dq,avx512ifma")]
fn doubled_times(mut point: Extended, times: u32) -> Extended {
    for _ in 0..times {
        point = point.doubled();
    }
    point
}

/// 20 limbs of an [`Accumulator`] and four words of padding: what a lane holds.
type Row = [__m512i; 3];

/// Per lane 2^c buckets, of which number 0 takes what is not wanted.
struct Buckets {
    rows: Vec<Row>,
    bits: u32,
}

impl Buckets {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn new(bits: u32) -> Self {
        Self { rows: vec![[_mm512_setzero_si512(); 3]; LANES << bits], bits }
    }

    /// Lane i of the result is Σ (window i of the weight)·point, whose windows begin at bit `shift` + c·i.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn pass(&mut self, points: &Form, weights: &[u128], shift: u32) -> Extended {
        self.clear();
        for (i, weights) in weights.chunks(LANES).enumerate() {
            let addends = Broadcast::new(&points.extended(i).to_addend());
            for (lane, &weight) in weights.iter().enumerate() {
                self.add(&addends.lane(lane), weight >> shift);
            }
        }
        self.joined()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn clear(&mut self) {
        let mut row = [[_mm512_setzero_si512(); 3]];
        store(&Accumulator::identity(), &mut row, &[0; LANES]);
        self.rows.fill(row[0]);
    }

    /// Where the buckets are that the windows of `weight` name.
    fn places(&self, weight: u128) -> [usize; 8] {
        let mask = (1 << self.bits) - 1;
        let mut places = [0; 8];
        for (lane, place) in places.iter_mut().enumerate() {
            let digit = (weight >> (lane as u32 * self.bits)) as usize & mask;
            *place = lane << self.bits | digit;
        }
        places
    }

    /// Adds a point to the bucket of lane i that the i-th window of `weight` names.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn add(&mut self, point: &Addend, weight: u128) {
        let places = self.places(weight);
        let sums = load(&self.rows, &places).plus(point);
        store(&sums, &mut self.rows, &places);
    }

    /// Σ d·(bucket d) in every lane: the sum of all sums of the buckets from d up.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn joined(&self) -> Extended {
        let (mut running, mut sum) = (Accumulator::identity(), Accumulator::identity());
        for digit in (1..1_usize << self.bits).rev() {
            let places = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane: usize| lane << self.bits | digit);
            running = running.plus(&load(&self.rows, &places).to_addend());
            sum = sum.plus(&running.to_addend());
        }
        sum.to_extended()
    }
}

/// A group of points, any of which can be had in all lanes.
struct Broadcast([[Lanes; 5]; 4]);

impl Broadcast {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    fn new(points: &Addend) -> Self {
        let lanes = |element: &Carried| element.limbs().map(simd::store);
        Self([lanes(&points.sum), lanes(&points.difference), lanes(&points.twice_z), lanes(&points.twice_dt)])
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn lane(&self, lane: usize) -> Addend {
        let limb = |coordinate: usize, i: usize| self.0[coordinate][i].0[lane];
        let element = |k: usize| Carried::constant([limb(k, 0), limb(k, 1), limb(k, 2), limb(k, 3), limb(k, 4)]);
        Addend { sum: element(0), difference: element(1), twice_z: element(2), twice_dt: element(3) }
    }
}

/// The accumulators in eight rows, one per lane.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn load(rows: &[Row], places: &[usize; 8]) -> Accumulator {
    let zero = [_mm512_setzero_si512(); 8];
    let (mut x, mut y, mut z) = (zero, zero, zero);
    for lane in 0..8 {
        [x[lane], y[lane], z[lane]] = rows[places[lane]];
    }
    let [a0, a1, a2, a3, a4, b0, b1, b2] = transposed(x);
    let [b3, b4, c0, c1, c2, c3, c4, d0] = transposed(y);
    let [d1, d2, d3, d4, ..] = transposed(z);
    Accumulator {
        sum: Carried::from_limbs([a0, a1, a2, a3, a4]),
        difference: Carried::from_limbs([b0, b1, b2, b3, b4]),
        z: Carried::from_limbs([c0, c1, c2, c3, c4]),
        t: Carried::from_limbs([d0, d1, d2, d3, d4]),
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
fn store(accumulator: &Accumulator, rows: &mut [Row], places: &[usize; 8]) {
    let [a0, a1, a2, a3, a4] = accumulator.sum.limbs();
    let [b0, b1, b2, b3, b4] = accumulator.difference.limbs();
    let [c0, c1, c2, c3, c4] = accumulator.z.limbs();
    let [d0, d1, d2, d3, d4] = accumulator.t.limbs();
    let zero = _mm512_setzero_si512();
    let x = transposed([a0, a1, a2, a3, a4, b0, b1, b2]);
    let y = transposed([b3, b4, c0, c1, c2, c3, c4, d0]);
    let z = transposed([d1, d2, d3, d4, zero, zero, zero, zero]);
    for lane in 0..8 {
        rows[places[lane]] = [x[lane], y[lane], z[lane]];
    }
}

/// Lane i takes what lane i + `distance` held; the highest lanes keep something of no meaning.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn lanes_moved_down(point: &Extended, distance: u32) -> Extended {
    let moved = |element: &Carried| {
        Carried::from_limbs(element.limbs().map(|limb| {
            let lanes = simd::store(limb).0;
            simd::load(&Lanes(std::array::from_fn(|lane| lanes[(lane + distance as usize) % 8])))
        }))
    };
    Extended { x: moved(&point.x), y: moved(&point.y), z: moved(&point.z), t: moved(&point.t) }
}
