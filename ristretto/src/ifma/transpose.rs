//! Eight rows of eight words to eight columns.

use std::arch::x86_64::*;

/// Word j of vector i becomes word i of vector j.
#[target_feature(enable = "avx512dq,avx512ifma")]
#[inline]
pub(crate) fn transposed([a, b, c, d, e, f, g, h]: [__m512i; 8]) -> [__m512i; 8] {
    // Pairs of words, then pairs of pairs, then halves.
    let (ab0, ab1) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd0, cd1) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let (ef0, ef1) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
    let (gh0, gh1) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    // 128-bit blocks 0, 2 and 1, 3 of two vectors.
    let (abcd0, abcd2) = (_mm512_shuffle_i64x2::<EVEN>(ab0, cd0), _mm512_shuffle_i64x2::<ODD>(ab0, cd0));
    let (abcd1, abcd3) = (_mm512_shuffle_i64x2::<EVEN>(ab1, cd1), _mm512_shuffle_i64x2::<ODD>(ab1, cd1));
    let (efgh0, efgh2) = (_mm512_shuffle_i64x2::<EVEN>(ef0, gh0), _mm512_shuffle_i64x2::<ODD>(ef0, gh0));
    let (efgh1, efgh3) = (_mm512_shuffle_i64x2::<EVEN>(ef1, gh1), _mm512_shuffle_i64x2::<ODD>(ef1, gh1));
    [
        _mm512_shuffle_i64x2::<EVEN>(abcd0, efgh0),
        _mm512_shuffle_i64x2::<EVEN>(abcd1, efgh1),
        _mm512_shuffle_i64x2::<EVEN>(abcd2, efgh2),
        _mm512_shuffle_i64x2::<EVEN>(abcd3, efgh3),
        _mm512_shuffle_i64x2::<ODD>(abcd0, efgh0),
        _mm512_shuffle_i64x2::<ODD>(abcd1, efgh1),
        _mm512_shuffle_i64x2::<ODD>(abcd2, efgh2),
        _mm512_shuffle_i64x2::<ODD>(abcd3, efgh3),
    ]
}
