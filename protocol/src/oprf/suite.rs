//! The suite ristretto255-SHA512: hashing to the group and to scalars (RFC 9497, Section 4.1; RFC 9380, Section 5.3.1).

use std::sync::LazyLock;

use curve25519_dalek::Scalar;
use sha2::{Digest, Sha512};
use veilmatch_ristretto::Points;
use zeroize::{Zeroize, Zeroizing};

/// Mode byte of RFC 9497, Section 3.1. Veilmatch runs [`Mode::Voprf`]; the other is there for its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Without proofs.
    Oprf,
    /// With proofs.
    Voprf,
}

/// "OPRFV1-" ‖ I2OSP(mode, 1) ‖ "-ristretto255-SHA512"
macro_rules! tag {
    ($prefix:literal, $mode:literal) => {
        concat!($prefix, "OPRFV1-", $mode, "-ristretto255-SHA512").as_bytes()
    };
}

impl Mode {
    fn pick(self, oprf: &'static [u8], voprf: &'static [u8]) -> &'static [u8] {
        match self {
            Self::Oprf => oprf,
            Self::Voprf => voprf,
        }
    }

    /// HashToGroup of every input.
    pub(crate) fn hash_to_group<I: AsRef<[u8]>>(self, inputs: &[I]) -> Points {
        let dst = self.pick(tag!("HashToGroup-", "\x00"), tag!("HashToGroup-", "\x01"));
        let uniform: Vec<[u8; 64]> = inputs.iter().map(|input| expand_message(input.as_ref(), dst)).collect();
        Points::from_uniform(&Zeroizing::new(uniform))
    }

    /// HashToScalar.
    pub(crate) fn hash_to_scalar(self, message: &[u8]) -> Scalar {
        let dst = self.pick(tag!("HashToScalar-", "\x00"), tag!("HashToScalar-", "\x01"));
        hash_to_scalar_with(message, dst)
    }

    /// HashToScalar under DeriveKeyPair's domain.
    pub(crate) fn derive_key_scalar(self, input: &[u8]) -> Scalar {
        hash_to_scalar_with(input, self.pick(tag!("DeriveKeyPair", "\x00"), tag!("DeriveKeyPair", "\x01")))
    }

    /// Domain of the seed in ComputeComposites.
    pub(crate) fn seed_tag(self) -> &'static [u8] {
        self.pick(tag!("Seed-", "\x00"), tag!("Seed-", "\x01"))
    }
}

/// 64 bytes of expand_message, reduced as a little-endian integer, under any domain.
pub(crate) fn hash_to_scalar_with(message: &[u8], dst: &[u8]) -> Scalar {
    let mut uniform = expand_message(message, dst);
    let scalar = Scalar::from_bytes_mod_order_wide(&uniform);
    uniform.zeroize();
    scalar
}

/// expand_message_xmd with SHA-512 for 64 bytes, which is one output block.
fn expand_message(message: &[u8], dst: &[u8]) -> [u8; 64] {
    // Z_pad is one zero block: its compression is the same for every message.
    static PADDED: LazyLock<Sha512> = LazyLock::new(|| Sha512::new().chain_update([0; 128]));
    let dst_len = [u8::try_from(dst.len()).expect("our domain strings are short")];

    // b_0 = H(Z_pad ‖ msg ‖ I2OSP(64, 2) ‖ I2OSP(0, 1) ‖ DST_prime)
    let b0 = PADDED
        .clone()
        .chain_update(message)
        .chain_update([0, 64, 0])
        .chain_update(dst)
        .chain_update(dst_len)
        .finalize();
    // b_1 = H(b_0 ‖ I2OSP(1, 1) ‖ DST_prime)
    Sha512::new().chain_update(b0).chain_update([1]).chain_update(dst).chain_update(dst_len).finalize().into()
}
