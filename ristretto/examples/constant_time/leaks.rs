//! Controls for `scripts/taint.py`: functions like those of the vector back end, but that leak.

use std::arch::x86_64::*;

use veilmatch_ristretto::{Backend, Scalar};

/// Calls the controls, so that they are there to be read.
pub(crate) fn call_all() {
    let (scalar, table) = (Scalar::from(77_u8).to_bytes(), [7; 16]);
    if Backend::vector().is_none() {
        return;
    }
    // SAFETY: the vector back end is there only where the processor has these features.
    unsafe {
        println!("{:?}", by_jump(&scalar));
        println!("{:?}", by_index(&scalar, &table));
        println!("{:?}", by_jump_on_a_mask(&scalar));
        println!("{:?}", by_lane_as_an_index(&scalar, &table));
        println!("{:?}", by_gathering(&scalar, &table));
        println!("{:?}", by_loop(&scalar));
    }
}

/// A jump by a bit of the scalar, as of a ladder that does not swap under a mask.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_jump(scalar: &[u8; 32]) -> u64 {
    let mut x = lanes(scalar);
    for byte in scalar {
        if byte & 1 == 1 {
            x = _mm512_mullo_epi64(x, x);
        }
    }
    _mm512_reduce_add_epi64(x).cast_unsigned()
}

/// A look-up by a digit of the scalar, as of a window table.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_index(scalar: &[u8; 32], table: &[u64; 16]) -> u64 {
    scalar.iter().map(|byte| table[usize::from(byte & 15)]).fold(0, |sum, entry| sum.rotate_left(1) ^ entry)
}

/// A jump that a comparison of lanes decides.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_jump_on_a_mask(scalar: &[u8; 32]) -> u64 {
    let x = lanes(scalar);
    if _mm512_cmpgt_epi64_mask(x, _mm512_setzero_si512()) == 0x5a {
        return std::hint::black_box(3);
    }
    _mm512_reduce_add_epi64(x).cast_unsigned()
}

/// An address from a lane.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_lane_as_an_index(scalar: &[u8; 32], table: &[u64; 16]) -> u64 {
    table[_mm512_reduce_add_epi64(lanes(scalar)) as usize & 15]
}

/// Addresses in all lanes.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_gathering(scalar: &[u8; 32], table: &[u64; 16]) -> u64 {
    let index = _mm512_and_si512(lanes(scalar), _mm512_set1_epi64(15));
    // SAFETY: the index is below 16, the length of the table.
    let entries = unsafe { _mm512_i64gather_epi64::<8>(index, table.as_ptr().cast()) };
    _mm512_reduce_add_epi64(entries).cast_unsigned()
}

/// As many rounds as the scalar's first byte says.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline(never)]
fn by_loop(scalar: &[u8; 32]) -> u64 {
    let mut x = lanes(scalar);
    for _ in 0..scalar[0] {
        x = std::hint::black_box(_mm512_mullo_epi64(x, x));
    }
    _mm512_reduce_add_epi64(x).cast_unsigned()
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn lanes(scalar: &[u8; 32]) -> __m512i {
    let word = |i: usize| i64::from_le_bytes(*scalar[8 * i..].first_chunk().expect("eight bytes"));
    _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(3), word(2), word(1), word(0))
}
