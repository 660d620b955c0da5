//! Between strings of bytes and lanes of limbs.

use std::arch::x86_64::*;

use super::field::{Canonical, Carried, Mask, splat};
use crate::simd::{self, Lanes};

/// Loads up to eight 255-bit little-endian integers, which begin at byte `first` of their rows. Lanes without a row are
/// 0. Gives also the lanes whose highest bit, which is left out, is set.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn load<const B: usize>(rows: &[[u8; B]], first: usize) -> (Carried, Mask) {
    let mut words = [Lanes([0; 8]); 4];
    for (lane, row) in rows.iter().enumerate().take(8) {
        let (row, _) = row[first..first + 32].as_chunks::<8>();
        for (word, bytes) in words.iter_mut().zip(row) {
            word.0[lane] = u64::from_le_bytes(*bytes);
        }
    }
    let [a, b, c, d] = words.map(|word| simd::load(&word));
    let mask = splat((1 << 51) - 1);
    let limbs = [
        _mm512_and_si512(a, mask),
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<51>(a), _mm512_slli_epi64::<13>(b)), mask),
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<38>(b), _mm512_slli_epi64::<26>(c)), mask),
        _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64::<25>(c), _mm512_slli_epi64::<39>(d)), mask),
        _mm512_and_si512(_mm512_srli_epi64::<12>(d), mask),
    ];
    (Carried::from_limbs(limbs), _mm512_movepi64_mask(d))
}

/// Stores the lanes as little-endian strings, as many as there are rows.
#[target_feature(enable = "avx512dq,avx512ifma")]
pub(crate) fn store(element: &Canonical, rows: &mut [[u8; 32]]) {
    let [a, b, c, d, e] = element.limbs();
    let words = [
        simd::store(_mm512_or_si512(a, _mm512_slli_epi64::<51>(b))),
        simd::store(_mm512_or_si512(_mm512_srli_epi64::<13>(b), _mm512_slli_epi64::<38>(c))),
        simd::store(_mm512_or_si512(_mm512_srli_epi64::<26>(c), _mm512_slli_epi64::<25>(d))),
        simd::store(_mm512_or_si512(_mm512_srli_epi64::<39>(d), _mm512_slli_epi64::<12>(e))),
    ];
    for (lane, row) in rows.iter_mut().enumerate().take(8) {
        let (row, _) = row.as_chunks_mut::<8>();
        for (bytes, word) in row.iter_mut().zip(&words) {
            *bytes = word.0[lane].to_le_bytes();
        }
    }
}
