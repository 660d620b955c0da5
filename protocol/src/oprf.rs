//! The verifiable oblivious PRF of RFC 9497, suite ristretto255-SHA512, over batches (SPEC §4, §5).
//!
//! Functions carry the RFC's names and take slices; a batch of one is the RFC's single call. Frames of the wire protocol
//! are in [`crate::frame`], with their own proof.

mod proof;
mod suite;

use curve25519_dalek::{RistrettoPoint, ristretto::CompressedRistretto, traits::IsIdentity};
use rand::CryptoRng;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use veilmatch_ristretto::{Points, SharedScalar, invert_scalars};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use curve25519_dalek::Scalar;
pub use proof::{Proof, generate_proof, verify_proof};
pub use suite::Mode;
pub(crate) use suite::hash_to_scalar_with;

use crate::{
    Error,
    encode::{lp2, push_lp2},
    name::{Epoch, ListId},
};

/// The evaluation key of one (list, epoch).
///
/// # Security
/// Never used for another list, epoch or protocol. Multiplication is constant time in it; it is wiped when dropped.
pub struct SecretKey {
    scalar: Scalar,
    shared: SharedScalar,
    public: PublicKey,
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl SecretKey {
    /// DeriveKeyPair of RFC 9497, Section 3.2.1.
    ///
    /// # Errors
    /// [`Error::DeriveKeyPair`] if 256 tries give zero, which nobody will see.
    pub fn derive(mode: Mode, seed: &[u8; 32], info: &[u8]) -> Result<Self, Error> {
        let mut input = Zeroizing::new(seed.to_vec());
        push_lp2(&mut input, info);
        let counter_at = input.len();
        input.push(0);
        for counter in 0..=255 {
            input[counter_at] = counter;
            let scalar = mode.derive_key_scalar(&input);
            if scalar != Scalar::ZERO {
                return Ok(Self::from_scalar(scalar));
            }
        }
        Err(Error::DeriveKeyPair)
    }

    /// The key of an epoch: `info` is I2OSP(len, 2) ‖ list ‖ I2OSP(epoch, 4) (SPEC §4.4).
    ///
    /// # Security
    /// `seed` is 32 fresh random bytes kept for this epoch only, so that destroying it destroys the key.
    ///
    /// # Errors
    /// As [`Self::derive`].
    pub fn for_epoch(seed: &[u8; 32], list: &ListId, epoch: Epoch) -> Result<Self, Error> {
        let mut info = Vec::new();
        push_lp2(&mut info, list.as_str().as_bytes());
        info.extend_from_slice(&epoch.0.to_be_bytes());
        Self::derive(Mode::Voprf, seed, &info)
    }

    fn from_scalar(scalar: Scalar) -> Self {
        let point = RistrettoPoint::mul_base(&scalar);
        Self {
            shared: SharedScalar::new(&scalar),
            public: PublicKey { bytes: point.compress().to_bytes(), point },
            scalar,
        }
    }

    /// The public key, as it stands in the manifest.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.scalar
    }
}

/// The key that proofs are verified against. Comes from a verified manifest and from nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; 32],
    point: RistrettoPoint,
}

impl PublicKey {
    /// Decodes a canonical element.
    ///
    /// # Errors
    /// [`Error::PublicKey`] if it is not canonical or is the identity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| Error::PublicKey)?;
        match CompressedRistretto(bytes).decompress() {
            Some(point) if !point.is_identity() => Ok(Self { bytes, point }),
            _ => Err(Error::PublicKey),
        }
    }

    /// The 32 bytes of the element.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(crate) fn point(&self) -> &RistrettoPoint {
        &self.point
    }
}

/// Elements from outside that are canonical and not the identity, with their decoded form.
pub struct Elements {
    bytes: Vec<[u8; 32]>,
    points: Points,
}

impl Elements {
    /// Decodes concatenated encodings of 32 bytes.
    ///
    /// # Errors
    /// [`Error::BadFrame`] for a length that is no multiple of 32, a non-canonical encoding or the identity: one error
    /// for every cause.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || chunks.contains(&[0; 32]) {
            return Err(Error::BadFrame);
        }
        let points = Points::decode(chunks).map_err(|_| Error::BadFrame)?;
        Ok(Self { bytes: chunks.to_vec(), points })
    }

    /// The encodings, in order.
    #[must_use]
    pub fn encodings(&self) -> &[[u8; 32]] {
        &self.bytes
    }

    /// The concatenated encodings, as on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_flattened()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn points(&self) -> &Points {
        &self.points
    }
}

/// A fresh scalar per item that hides it. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Blind(Scalar);

impl Blind {
    /// Draws a uniform scalar other than zero (RFC 9497, Section 2.1, RandomScalar).
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            let scalar = Scalar::random(rng);
            if scalar != Scalar::ZERO {
                return Self(scalar);
            }
        }
    }

    /// Takes a canonical scalar other than zero, for vectors and for opening a level-2 receipt.
    ///
    /// # Security
    /// A blind serves one item once.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes))?;
        (scalar != Scalar::ZERO).then_some(Self(scalar))
    }

    /// The scalar, little-endian: kept sealed for matches only (SPEC §5).
    #[must_use]
    pub fn danger_to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

/// The PRF output y of one item, 64 bytes. Everything the list publishes about the item follows from it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Output([u8; 64]);

impl Output {
    /// The output's bytes.
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Blind of RFC 9497, Section 3.3.1: element i is blind i times HashToGroup(input i).
///
/// # Errors
/// [`Error::InvalidInput`] if an input hashes to the identity.
///
/// # Panics
/// If there is not one blind per input.
pub fn blind<I: AsRef<[u8]>>(mode: Mode, inputs: &[I], blinds: &[Blind]) -> Result<Elements, Error> {
    let points = mode.hash_to_group(inputs);
    let scalars = scalars(blinds);
    let mut bytes = vec![[0; 32]; inputs.len()];
    let points = points.multiply_each_kept(&scalars, &mut bytes);
    // A blind is not zero, so a product is the identity only if the input's element is.
    if bytes.contains(&[0; 32]) { Err(Error::InvalidInput) } else { Ok(Elements { bytes, points }) }
}

/// BlindEvaluate of RFC 9497, Section 3.3.1, without the proof: the key times each element, in order.
///
/// # Security
/// Constant time in the key. One PRF value leaves per element: the caller has charged a budget for it (SPEC §6).
#[must_use]
pub fn blind_evaluate(key: &SecretKey, blinded: &Elements) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; blinded.len()];
    blinded.points.multiply_shared(&key.shared, &mut out);
    out
}

/// Finalize of RFC 9497, Section 3.3.1: removes the blinds and hashes to the outputs.
///
/// # Security
/// Only for elements whose proof was verified (Section 3.3.2); frames go through [`crate::frame`], where this is a type.
///
/// # Panics
/// If there is not one blind and one element per input.
#[must_use]
pub fn finalize<I: AsRef<[u8]>>(inputs: &[I], blinds: &[Blind], evaluated: &Elements) -> Vec<Output> {
    assert_eq!(inputs.len(), evaluated.len(), "one element per input");
    let mut inverses = scalars(blinds);
    invert_scalars(&mut inverses);
    let mut unblinded = Zeroizing::new(vec![[0; 32]; inputs.len()]);
    evaluated.points.multiply_each(&inverses, &mut unblinded);
    outputs(inputs, &unblinded)
}

/// Evaluate of RFC 9497, Section 3.3.1: the outputs for inputs that the key's holder knows; builds a list.
///
/// # Errors
/// [`Error::InvalidInput`] if an input hashes to the identity.
pub fn evaluate<I: AsRef<[u8]>>(mode: Mode, key: &SecretKey, inputs: &[I]) -> Result<Vec<Output>, Error> {
    let mut evaluated = Zeroizing::new(vec![[0; 32]; inputs.len()]);
    mode.hash_to_group(inputs).multiply_shared(&key.shared, &mut evaluated);
    // The key is not zero, so a product is the identity only if the input's element is.
    if evaluated.contains(&[0; 32]) { Err(Error::InvalidInput) } else { Ok(outputs(inputs, &evaluated)) }
}

fn scalars(blinds: &[Blind]) -> Zeroizing<Vec<Scalar>> {
    Zeroizing::new(blinds.iter().map(|blind| blind.0).collect())
}

// Hash(I2OSP(len(input), 2) ‖ input ‖ I2OSP(len(element), 2) ‖ element ‖ "Finalize")
fn outputs<I: AsRef<[u8]>>(inputs: &[I], elements: &[[u8; 32]]) -> Vec<Output> {
    let output = |(input, element): (&I, &[u8; 32])| {
        let mut hash = Sha512::new();
        lp2(&mut hash, input.as_ref());
        lp2(&mut hash, element);
        Digest::update(&mut hash, b"Finalize");
        Output(hash.finalize().into())
    };
    inputs.iter().zip(elements).map(output).collect()
}

#[cfg(test)]
mod tests;
