//! The back end for processors with AVX-512 IFMA: eight elements side by side, one per 64-bit lane.
//!
//! Batches are cut into groups of eight. A group that is not full is filled up: with the identity where it is decoded,
//! with what zero bytes are mapped to where it is mapped. Every formula here takes either like any other element, and no
//! result of a lane that was filled up gets out. See [`curve`] for the shapes of a point, [`field`] for the bounds of limbs, and the
//! functions for formulas and their sources.
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
mod fixed;
mod inverse;
mod ladder;
mod map;
mod sha512;
mod steps;
mod sum;
mod transpose;

use curve25519_dalek::Scalar;
use zeroize::Zeroize;

use self::{
    curve::{Affine, Extended, Montgomery, Projective},
    inverse::Inverses,
    steps::Steps,
};
pub(crate) use self::{
    fixed::FixedBase,
    sha512::{Block, INITIAL as SHA512_INITIAL, digests as sha512},
};
use crate::{InvalidIndex, points::Sign};

const LANES: usize = 8;

/// Groups that share an inversion and stay in the second-level cache from one step to the next.
const CHUNK: usize = 128;

/// A batch, wiped when it is dropped.
pub(crate) struct Points {
    len: usize,
    form: Form,
}

enum Form {
    /// As decoding gives them.
    Affine(Vec<Affine>),
    /// As the map and all products and sums give them.
    Projective(Vec<Projective>),
}

impl Form {
    /// Group `i` on the Edwards curve.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn extended(&self, i: usize) -> Extended {
        self.projective(i).to_extended()
    }

    /// Group `i` on the Jacobi quartic.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    fn projective(&self, i: usize) -> Projective {
        match self {
            Self::Affine(points) => points[i].to_projective(),
            Self::Projective(points) => points[i],
        }
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        match &mut self.form {
            Form::Affine(points) => points.zeroize(),
            Form::Projective(points) => points.zeroize(),
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
    Points { len: uniform.len(), form: Form::Projective(points) }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply_shared(points: &Points, half: &Scalar, out: &mut [[u8; 32]]) {
    let mut steps = Steps::zero();
    steps.set_all(half);
    let mut products = Vec::with_capacity(CHUNK.min(points.groups()));
    for (chunk, out) in out.chunks_mut(LANES * CHUNK).enumerate() {
        let mut inputs = montgomery_chunk(points, chunk);
        for point in &inputs {
            products.push(ladder::multiply(point, &steps).doubled_quartic());
        }
        encode::encode_batch(&products, out);
        inputs.zeroize();
        products.zeroize();
    }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn multiply_each(points: &Points, scalars: &[Scalar], out: &mut [[u8; 32]]) -> Points {
    let mut steps = Steps::zero();
    let mut halves = [Scalar::ZERO; LANES];
    let mut products = Vec::with_capacity(points.groups());
    let mut groups = scalars.chunks(LANES);
    for (chunk, out) in out.chunks_mut(LANES * CHUNK).enumerate() {
        let mut inputs = montgomery_chunk(points, chunk);
        let at = products.len();
        for (point, scalars) in inputs.iter().zip(&mut groups) {
            for (half, scalar) in halves.iter_mut().zip(scalars) {
                *half = scalar.div_by_2();
            }
            steps.set(halves[..scalars.len()].iter());
            products.push(ladder::multiply(point, &steps).doubled_quartic());
        }
        encode::encode_batch(&products[at..], out);
        inputs.zeroize();
    }
    halves.zeroize();
    Points { len: points.len, form: Form::Projective(products) }
}

/// The table of an element, if the encoding is one.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn fixed_base(encoding: &[u8; 32]) -> Option<FixedBase> {
    let ([point], [valid]) = decode::decode([&[*encoding; LANES]]);
    (valid == 0xff).then(|| FixedBase::new(&point))
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn add_multiples(
    points: &Points,
    sign: Sign,
    table: &FixedBase,
    scalars: &[Scalar],
    out: &mut [[u8; 32]],
) -> Points {
    let mut sums: Vec<Projective> = Vec::with_capacity(points.groups());
    let mut groups = scalars.chunks(LANES);
    for (chunk, out) in out.chunks_mut(LANES * CHUNK).enumerate() {
        let at = CHUNK * chunk;
        for i in at..at + out.len().div_ceil(LANES) {
            let multiple = table.multiply(groups.next().unwrap_or_default());
            let multiple = match sign {
                Sign::Plus => multiple,
                Sign::Minus => multiple.negated(),
            };
            sums.push(points.form.projective(i).plus(&multiple));
        }
        encode::encode_batch(&sums[at..], out);
    }
    Points { len: points.len, form: Form::Projective(sums) }
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn weighted_sum(points: &Points, weights: &[u128]) -> [u8; 32] {
    let sum = sum::weighted(&points.form, weights);
    let mut out = [[0; 32]];
    encode::encode(&sum, &mut out);
    let [out] = out;
    out
}

/// A chunk of the points on the Montgomery curve, for the ladder.
#[target_feature(enable = "avx512dq,avx512ifma")]
fn montgomery_chunk(points: &Points, chunk: usize) -> Vec<Montgomery> {
    let range = CHUNK * chunk..(CHUNK * (chunk + 1)).min(points.groups());
    let mut converted = Vec::with_capacity(range.len());
    match &points.form {
        Form::Affine(points) => {
            for point in &points[range] {
                converted.push(point.to_montgomery());
            }
        }
        Form::Projective(points) => {
            let points = &points[range];
            let mut inverses = Inverses::with_capacity(points.len());
            for point in points {
                inverses.push(&point.z);
            }
            for point in points.iter().rev() {
                // u = (S/Z)², v = S/Z·T/Z². Where Z is 0 the element is the identity, and the result (0, 0).
                let inverse = inverses.pop();
                let s = point.s.times(&inverse);
                converted.push(Montgomery { u: s.square(), v: s.times(&inverse.square().times(&point.t)) });
            }
            converted.reverse();
        }
    }
    converted
}
