//! Sealed labels: nonce(4) ‖ label xor pad (SPEC §7.5).
//!
//! The nonce is made of the label itself, so the same label always gives the same bytes, two labels of one entry meet one
//! pad with probability 2^-32, and no version, counter or restored backup decides a pad.

mod coded;

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use coded::{CodedLabel, FIELDS_LEN, may_be_planted};

use crate::{Error, derive::LabelKey};

/// Longest label: one SHA-512 output of pad.
pub const MAX_LABEL_LEN: usize = 64;

/// Length of the nonce before a sealed label.
pub const NONCE_LEN: usize = 4;

/// Before what a nonce is made of.
pub(crate) const NONCE_DOMAIN: &[u8] = b"veilmatch/v1/label-nonce";

/// Before what a pad is made of.
pub(crate) const PAD_DOMAIN: &[u8] = b"veilmatch/v1/label-pad";

/// Seals a label of 1 to 64 bytes: 4 + L bytes. A list without labels has nothing to seal, so an empty one gives nothing.
/// Many entries are sealed by [`records`](crate::artifact::records).
///
/// # Errors
/// [`Error::LabelLength`] above 64 bytes.
pub fn seal(key: &LabelKey, label: &[u8]) -> Result<Vec<u8>, Error> {
    if label.len() > MAX_LABEL_LEN {
        return Err(Error::LabelLength);
    }
    if label.is_empty() {
        return Ok(Vec::new());
    }
    let nonce = nonce(key, label);
    let mut sealed = nonce.to_vec();
    sealed.extend(label.iter().zip(pad(key, &nonce).iter()).map(|(label, pad)| label ^ pad));
    Ok(sealed)
}

/// Opens what [`seal`] made. The label must give back its nonce: a mismatch means that the record was altered.
///
/// # Errors
/// [`Error::LabelMismatch`], [`Error::LabelLength`].
pub fn open(key: &LabelKey, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    if sealed.is_empty() {
        return Ok(Vec::new());
    }
    let (given, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Error::LabelLength)?;
    if body.is_empty() || body.len() > MAX_LABEL_LEN {
        return Err(Error::LabelLength);
    }
    let label: Vec<u8> = body.iter().zip(pad(key, given).iter()).map(|(body, pad)| body ^ pad).collect();
    if nonce(key, &label).ct_eq(given).into() { Ok(label) } else { Err(Error::LabelMismatch) }
}

fn nonce(key: &LabelKey, label: &[u8]) -> [u8; NONCE_LEN] {
    let digest = Sha512::new().chain_update(NONCE_DOMAIN).chain_update(key.0).chain_update(label);
    digest.finalize()[..NONCE_LEN].try_into().expect("SHA-512 gives 64 bytes")
}

fn pad(key: &LabelKey, nonce: &[u8; NONCE_LEN]) -> Zeroizing<[u8; 64]> {
    let digest = Sha512::new().chain_update(PAD_DOMAIN).chain_update(key.0).chain_update(nonce);
    Zeroizing::new(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_opens_under_its_key_only_and_any_altered_bit_is_an_alarm() {
        // SPEC §7.5
        let key = LabelKey([1; 32]);
        for len in 1..=MAX_LABEL_LEN {
            let label = vec![0x5a; len];
            let sealed = seal(&key, &label).unwrap();
            assert_eq!(sealed.len(), 4 + len);
            assert_eq!(open(&key, &sealed).unwrap(), label);
            assert_eq!(open(&LabelKey([2; 32]), &sealed), Err(Error::LabelMismatch));
            for bit in 0..sealed.len() * 8 {
                let mut altered = sealed.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, &altered), Err(Error::LabelMismatch), "length {len}, bit {bit}");
            }
        }
    }

    #[test]
    fn the_same_label_gives_the_same_bytes_and_another_label_another_pad() {
        // SPEC §7.5
        let key = LabelKey([1; 32]);
        let (a, b) = (seal(&key, b"aaaa").unwrap(), seal(&key, b"aaab").unwrap());
        assert_eq!(a, seal(&key, b"aaaa").unwrap());
        assert_ne!(a[..4], b[..4]);
        assert_ne!(a[4] ^ b[4], 0, "one pad for two labels would show their difference");
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        let key = LabelKey([1; 32]);
        assert_eq!(seal(&key, &[0; 65]), Err(Error::LabelLength));
        assert_eq!(open(&key, &[0; 4]), Err(Error::LabelLength));
        assert_eq!(open(&key, &[0; 69]), Err(Error::LabelLength));
        assert_eq!(seal(&key, b"").unwrap(), open(&key, b"").unwrap());
    }
}
