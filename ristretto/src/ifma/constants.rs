//! The field constants of RFC 9496, Section 4.1, as limbs of radix 2^51.

/// d = −121665/121666.
pub(crate) const D: [u64; 5] = [0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff];
/// 2·d.
pub(crate) const TWICE_D: [u64; 5] =
    [0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff];
/// A square root of −1.
pub(crate) const SQRT_M1: [u64; 5] =
    [0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d];
/// The other.
pub(crate) const MINUS_SQRT_M1: [u64; 5] =
    [0x1e4d8b5f15f3d, 0x72a5a0370e762, 0x010a16342f39f, 0x07a6a597fb361, 0x547cdb7fb03e2];
/// I = 1/√(a − d), a = −1.
pub(crate) const INVSQRT_A_MINUS_D: [u64; 5] =
    [0x0fdaa805d40ea, 0x2eb482e57d339, 0x007610274bc58, 0x6510b613dc8ff, 0x786c8905cfaff];
/// 2/√(a − d).
pub(crate) const TWICE_INVSQRT_A_MINUS_D: [u64; 5] =
    [0x1fb5500ba81e7, 0x5d6905cafa672, 0x00ec204e978b0, 0x4a216c27b91fe, 0x70d9120b9f5ff];
/// −2/√(a − d), whose square is −486664: x = this·u/v takes a point of the Montgomery curve to the Edwards curve.
pub(crate) const MINUS_TWICE_INVSQRT_A_MINUS_D: [u64; 5] =
    [0x604aaff457e06, 0x2296fa350598d, 0x7f13dfb16874f, 0x35de93d846e01, 0x0f26edf460a00];
/// 2·√−1/√(a − d).
pub(crate) const TWICE_SQRT_M1_INVSQRT_A_MINUS_D: [u64; 5] =
    [0x248ef9c884415, 0x0e509526c7d34, 0x7d29bbd8d6847, 0x157e10fd3bd6b, 0x6be4f497f9a9c];
/// 1 − d².
pub(crate) const ONE_MINUS_D_SQ: [u64; 5] =
    [0x409c1945fc176, 0x719abc6a1fc4f, 0x1c37f90b20684, 0x06bccca55eedf, 0x029072a8b2b3e];
/// (d − 1)².
pub(crate) const D_MINUS_ONE_SQ: [u64; 5] =
    [0x55aaa44ed4d20, 0x59603c3332635, 0x26d3baf4a7928, 0x120a66e6997a9, 0x5968b37af66c2];
