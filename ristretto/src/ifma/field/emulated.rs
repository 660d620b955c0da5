//! The multiply-add instructions lane by lane, for Miri, which does not know them.

use std::arch::x86_64::__m512i;

use crate::simd::{self, Lanes};

const LOW: u64 = (1 << 52) - 1;

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(super) fn _mm512_madd52lo_epu64(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    each(sum, a, b, |product| product as u64 & LOW)
}

#[target_feature(enable = "avx512dq,avx512ifma")]
pub(super) fn _mm512_madd52hi_epu64(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    each(sum, a, b, |product| (product >> 52) as u64)
}

fn each(sum: __m512i, a: __m512i, b: __m512i, part: fn(u128) -> u64) -> __m512i {
    let [Lanes(sum), Lanes(a), Lanes(b)] = [sum, a, b].map(simd::store);
    let lane = |i: usize| sum[i].wrapping_add(part(u128::from(a[i] & LOW) * u128::from(b[i] & LOW)));
    simd::load(&Lanes(std::array::from_fn(lane)))
}
