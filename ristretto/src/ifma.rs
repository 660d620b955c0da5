//! The back end for processors with AVX-512 IFMA: eight elements side by side, one per 64-bit lane.
//!
//! Batches are cut into groups of eight. A group that is not full is filled up with the identity, which every formula
//! here takes like any other element. Points are decoded to the Montgomery curve and multiplied there by a ladder, whose
//! secret is in nothing but masks; they are added and encoded on the Edwards curve. See [`field`] for the bounds of
//! limbs, and the functions for formulas and their sources.
//!
//! # Security
//! No secret is an index, an address, a branch or a loop's bound. What is kept in memory is wiped; vector registers and
//! what the compiler spills from them to the stack are beyond reach.

#![allow(clippy::needless_range_loop, reason = "an index of a limb or group runs over several arrays at once")]

mod bytes;
mod constants;
mod curve;
mod decode;
mod encode;
mod field;
mod inverse;
mod ladder;
mod map;
mod steps;
mod sum;

use curve25519_dalek::Scalar;
use zeroize::Zeroize;

use self::{
    curve::{Affine, Extended},
    steps::Steps,
};
use crate::InvalidIndex;

const LANES: usize = 8;

/// Groups that share an inversion and stay in the second-level cache from one step to the next.
const CHUNK: usize = 128;

/// A batch, wiped when it is dropped.
pub(crate) struct Points {
    len: usize,
    form: Form,
}

enum Form {
    /// As decoding gives them, for the ladder.
    Affine(Vec<Affine>),
    /// As the map gives them.
    Extended(Vec<Extended>),
    /// Halves of the elements, as a multiplication leaves them.
    Halves(Vec<Extended>),
}

impl Drop for Points {
    fn drop(&mut self) {
        match &mut self.form {
            Form::Affine(points) => points.zeroize(),
            Form::Extended(points) | Form::Halves(points) => points.zeroize(),
        }
    }
}

impl Points {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn groups(&self) -> usize {
        self.len.div_ceil(LANES)
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn decode(encodings: &[[u8; 32]]) -> Result<Points, InvalidIndex> {
    let mut points = Vec::with_capacity(encodings.len().div_ceil(LANES));
    for (i, pair) in encodings.chunks(2 * LANES).enumerate() {
        let invalid = match pair.split_at_checked(LANES) {
            Some((first, second)) if !second.is_empty() => {
                let (groups, [a, b]) = decode::decode([first, second]);
                points.extend_from_slice(&groups);
                !u16::from_le_bytes([a, b])
            }
            _ => {
                let (groups, [valid]) = decode::decode([pair]);
                points.extend_from_slice(&groups);
                u16::from(!valid)
            }
        };
        // Lanes that were filled up hold the identity, which is valid.
        if invalid != 0 {
            points.zeroize();
            return Err(InvalidIndex(2 * LANES * i + invalid.trailing_zeros() as usize));
        }
    }
    Ok(Points { len: encodings.len(), form: Form::Affine(points) })
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn from_uniform(uniform: &[[u8; 64]]) -> Points {
    let mut points = Vec::with_capacity(uniform.len().div_ceil(LANES));
    for rows in uniform.chunks(LANES) {
        points.push(map::from_uniform(rows));
    }
    Points { len: uniform.len(), form: Form::Extended(points) }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply_shared(points: &Points, half: &Scalar, out: &mut [[u8; 32]]) {
    let steps = Steps::new(&[*half; LANES]);
    let mut products = Vec::with_capacity(CHUNK.min(points.groups()));
    let mut out = out.chunks_mut(LANES * CHUNK);
    for chunk in 0..points.groups().div_ceil(CHUNK) {
        let mut affine = affine_chunk(points, chunk);
        for point in &affine {
            products.push(ladder::multiply(point, &steps));
        }
        encode::encode_doubled(&products, out.next().unwrap_or_default());
        affine.zeroize();
        products.zeroize();
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply_each(points: &Points, scalars: &[Scalar], out: &mut [[u8; 32]]) {
    drop(multiply_each_kept(points, scalars, out));
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply_each_kept(points: &Points, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Points {
    let mut products = Vec::with_capacity(points.groups());
    let mut groups = scalars.chunks(LANES);
    let mut out = out.chunks_mut(LANES * CHUNK);
    for chunk in 0..points.groups().div_ceil(CHUNK) {
        let mut affine = affine_chunk(points, chunk);
        let at = products.len();
        for (point, scalars) in affine.iter().zip(&mut groups) {
            let mut halves = [Scalar::ZERO; LANES];
            for (half, scalar) in halves.iter_mut().zip(scalars) {
                *half = scalar.div_by_2();
            }
            products.push(ladder::multiply(point, &Steps::new(&halves)));
            halves.zeroize();
        }
        encode::encode_doubled(&products[at..], out.next().unwrap_or_default());
        affine.zeroize();
    }
    Points { len: points.len, form: Form::Halves(products) }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn weighted_sum(points: &Points, weights: &[u128]) -> [u8; 32] {
    let sum = match &points.form {
        Form::Affine(points) => sum::weighted(points.iter().map(|point| point.to_extended()), weights),
        Form::Extended(points) => sum::weighted(points.iter().copied(), weights),
        Form::Halves(points) => sum::weighted(points.iter().copied(), weights).doubled(),
    };
    let mut out = [[0; 32]];
    encode::encode(&[sum], [&mut out]);
    let [out] = out;
    out
}

/// A chunk of the points on the Montgomery curve.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn affine_chunk(points: &Points, chunk: usize) -> Vec<Affine> {
    let range = CHUNK * chunk..(CHUNK * (chunk + 1)).min(points.groups());
    let mut affine = Vec::with_capacity(range.len());
    match &points.form {
        Form::Affine(points) => affine.extend_from_slice(&points[range]),
        Form::Extended(points) => map::to_affine(&points[range], &mut affine),
        Form::Halves(points) => {
            let mut doubled = Vec::with_capacity(range.len());
            for point in &points[range] {
                doubled.push(point.doubled());
            }
            map::to_affine(&doubled, &mut affine);
            doubled.zeroize();
        }
    }
    affine
}
