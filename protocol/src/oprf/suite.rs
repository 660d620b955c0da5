//! The suite ristretto255-SHA512: hashing to the group and to scalars (RFC 9497, Section 4.1; RFC 9380, Section 5.3.1).

use std::sync::LazyLock;

use curve25519_dalek::Scalar;
use veilmatch_ristretto::{Points, Sha512Many};
use zeroize::Zeroizing;

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
        Points::from_uniform(&expand_messages(inputs, dst))
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
    Scalar::from_bytes_mod_order_wide(&expand_messages(&[message], dst)[0])
}

/// expand_message_xmd with SHA-512 for 64 bytes, which is one output block, of every message.
fn expand_messages<I: AsRef<[u8]>>(messages: &[I], dst: &[u8]) -> Zeroizing<Vec<[u8; 64]>> {
    // Z_pad is one zero block: its compression is the same for every message.
    static PADDED: LazyLock<Sha512Many> = LazyLock::new(|| Sha512Many::new(&[0; 128]));
    static PLAIN: LazyLock<Sha512Many> = LazyLock::new(|| Sha512Many::new(b""));
    let dst_len = u8::try_from(dst.len()).expect("our domain strings are short");

    // b_0 = H(Z_pad ‖ msg ‖ I2OSP(64, 2) ‖ I2OSP(0, 1) ‖ DST_prime)
    let tail = [&[0, 64, 0], dst, &[dst_len]].concat();
    let mut b0 = Zeroizing::new(vec![[0; 64]; messages.len()]);
    PADDED.digests(&mut b0, |i, message| {
        message.extend(messages[i].as_ref());
        message.extend(&tail);
    });
    // b_1 = H(b_0 ‖ I2OSP(1, 1) ‖ DST_prime)
    let tail = [&[1], dst, &[dst_len]].concat();
    let mut b1 = Zeroizing::new(vec![[0; 64]; messages.len()]);
    PLAIN.digests(&mut b1, |i, message| {
        message.extend(&b0[i]);
        message.extend(&tail);
    });
    b1
}
