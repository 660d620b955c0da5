//! Every `unsafe` of the programs: the way into code that needs AVX-512 IFMA, and the way from arrays to vectors.
//!
//! Arithmetic is written in safe functions marked `#[target_feature]`. The compiler lets them call each other and the
//! intrinsics freely, but lets no other code call them, for a processor without these instructions would fault there.
//! [`Ifma`] is the proof that this processor has them.

use std::arch::x86_64::__m512i;

use curve25519_dalek::Scalar;

use crate::{InvalidIndex, ifma, points::Sign};

/// Proof that this processor has AVX-512 F, DQ, VL, BW and IFMA, and the way into the code that needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ifma(());

impl Ifma {
    /// Asks the processor, and the operating system that must save its registers.
    pub(crate) fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma");
        here.then_some(Self(()))
    }
}

#[cfg(test)]
impl Ifma {
    /// Runs a test that is marked `#[target_feature]`: its name is then an unsafe function.
    pub(crate) fn run(self, test: unsafe fn()) {
        // SAFETY: tests give functions without other conditions than the features, and the processor has these.
        unsafe { test() }
    }
}

/// Methods of [`Ifma`] that call safe `#[target_feature]` functions of the same meaning.
macro_rules! entries {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? = $path:path;)*) => {
        impl Ifma {
            $(pub(crate) fn $name(self, $($arg: $type),*) $(-> $result)? {
                // The compiler checks here that the function named below is safe, and needs no other features.
                #[target_feature(enable = "avx512bw,avx512dq,avx512ifma")]
                fn entered($($arg: $type),*) $(-> $result)? {
                    $path($($arg),*)
                }
                // SAFETY: these features, and avx512f that they bring along, are what `detect` found the processor to have
                // before it made this value of `Ifma`; nothing else makes one.
                unsafe { entered($($arg),*) }
            })*
        }
    };
}

entries! {
    decode(encodings: &[[u8; 32]]) -> Result<ifma::Points, InvalidIndex> = ifma::decode;
    map(uniform: &[[u8; 64]]) -> ifma::Points = ifma::from_uniform;
    multiply_shared(points: &ifma::Points, half: &Scalar, out: &mut [[u8; 32]]) = ifma::multiply_shared;
    multiply_each(points: &ifma::Points, scalars: &[Scalar], out: &mut [[u8; 32]]) -> ifma::Points = ifma::multiply_each;
    fixed_base(encoding: &[u8; 32]) -> Option<ifma::FixedBase> = ifma::fixed_base;
    add_multiples(
        points: &ifma::Points,
        sign: Sign,
        table: &ifma::FixedBase,
        scalars: &[Scalar],
        out: &mut [[u8; 32]]
    ) -> ifma::Points = ifma::add_multiples;
    sha512(state: &[u64; 8], blocks: [&[ifma::Block]; 8], out: &mut [[u8; 64]]) = ifma::sha512;
    weighted_sum(points: &ifma::Points, weights: &[u128]) -> [u8; 32] = ifma::weighted_sum;
}

/// Eight 64-bit lanes, aligned like the vector that they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [u64; 8]);

/// The vector whose lane i is `lanes.0[i]`.
#[inline]
pub(crate) fn load(lanes: &Lanes) -> __m512i {
    // SAFETY: both are 64 bytes of plain data without padding, and every bit pattern is a value of either.
    unsafe { std::mem::transmute::<Lanes, __m512i>(*lanes) }
}

/// The lanes of a vector.
#[inline]
pub(crate) fn store(vector: __m512i) -> Lanes {
    // SAFETY: as in `load`.
    unsafe { std::mem::transmute::<__m512i, Lanes>(vector) }
}

/// 64 bytes as they stand in memory.
#[inline]
pub(crate) fn load_bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: as in `load`; the bytes are copied, so that their alignment does not matter.
    unsafe { std::mem::transmute::<[u8; 64], __m512i>(*bytes) }
}

/// The 64 bytes of a vector as they would stand in memory.
#[inline]
pub(crate) fn store_bytes(vector: __m512i) -> [u8; 64] {
    // SAFETY: as in `load`.
    unsafe { std::mem::transmute::<__m512i, [u8; 64]>(vector) }
}
