//! The verifiable oblivious PRF of RFC 9497, suite ristretto255-SHA512, over batches (SPEC §4, §5).
//!
//! Functions carry the RFC's names and take slices; a batch of one is the RFC's single call. Frames of the wire protocol
//! are in [`crate::frame`], with their own proof.

mod blind;
mod proof;
mod suite;

use std::sync::{Arc, LazyLock, OnceLock};

use curve25519_dalek::{RistrettoPoint, ristretto::CompressedRistretto, traits::IsIdentity};
use subtle::ConstantTimeEq;
use veilmatch_ristretto::{FixedBase, Points, Sha512Many, SharedScalar, invert_scalars};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use blind::{AdditiveBlind, Blind};

pub use curve25519_dalek::Scalar;
pub use proof::{Proof, generate_proof, verify_proof};
pub use suite::Mode;
pub(crate) use suite::hash_to_scalar_with;

use crate::{
    Error,
    encode::push_lp2,
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
        Self { shared: SharedScalar::new(&scalar), public: PublicKey::new(point.compress().to_bytes(), point), scalar }
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

/// The key that proofs are verified against, and that additive blinds are taken off with. Comes from a verified manifest
/// and from nowhere else. Clones share one table.
#[derive(Clone)]
pub struct PublicKey(Arc<Key>);

struct Key {
    bytes: [u8; 32],
    point: RistrettoPoint,
    // Made when the first frame is unblinded: servers and tools that only read manifests do without.
    table: OnceLock<FixedBase>,
}

impl PublicKey {
    fn new(bytes: [u8; 32], point: RistrettoPoint) -> Self {
        Self(Arc::new(Key { bytes, point, table: OnceLock::new() }))
    }

    /// Decodes a canonical element.
    ///
    /// # Errors
    /// [`Error::PublicKey`] if it is not canonical or is the identity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| Error::PublicKey)?;
        match CompressedRistretto(bytes).decompress() {
            Some(point) if !point.is_identity() => Ok(Self::new(bytes, point)),
            _ => Err(Error::PublicKey),
        }
    }

    /// The 32 bytes of the element.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.bytes
    }

    pub(crate) fn point(&self) -> &RistrettoPoint {
        &self.0.point
    }

    fn table(&self) -> &FixedBase {
        self.0.table.get_or_init(|| FixedBase::new(&self.0.bytes).expect("decoded when the key was made"))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicKey").field(&self.0.bytes).finish()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for PublicKey {}

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
    let scalars = Blind::scalars(blinds);
    let mut bytes = vec![[0; 32]; inputs.len()];
    let points = points.multiply_each_kept(&scalars, &mut bytes);
    // A blind is not zero, so a product is the identity only if the input's element is.
    if bytes.contains(&[0; 32]) { Err(Error::InvalidInput) } else { Ok(Elements { bytes, points }) }
}

/// Blinds additively: element i is HashToGroup(input i) plus blind i times the generator (SPEC §5.1). Draws the blinds.
///
/// # Security
/// As hiding as [`blind`]: every element is uniform, whatever its input. To be taken off only by [`finalize_additive`],
/// under the conditions of SPEC §5.3.
pub fn blind_additive<I: AsRef<[u8]>>(
    mode: Mode,
    inputs: &[I],
    rng: &mut (impl rand::CryptoRng + ?Sized),
) -> (Vec<AdditiveBlind>, Elements) {
    loop {
        let blinds = AdditiveBlind::draw(inputs.len(), rng);
        // The identity is no element of a frame: drawn again, which nobody will see.
        if let Ok(elements) = blind_additive_with(mode, inputs, &blinds) {
            return (blinds, elements);
        }
    }
}

/// As [`blind_additive`], with given blinds, for vectors and for opening a level-2 receipt.
///
/// # Errors
/// [`Error::InvalidInput`] if a sum is the identity.
///
/// # Panics
/// If there is not one blind per input.
pub fn blind_additive_with<I: AsRef<[u8]>>(
    mode: Mode,
    inputs: &[I],
    blinds: &[AdditiveBlind],
) -> Result<Elements, Error> {
    let scalars = AdditiveBlind::scalars(blinds);
    let mut bytes = vec![[0; 32]; inputs.len()];
    let points = mode.hash_to_group(inputs).add_multiples(FixedBase::generator(), &scalars, &mut bytes);
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
    let mut inverses = Blind::scalars(blinds);
    invert_scalars(&mut inverses);
    let mut unblinded = Zeroizing::new(vec![[0; 32]; inputs.len()]);
    evaluated.points.multiply_each(&inverses, &mut unblinded);
    outputs(inputs, &unblinded)
}

/// Finalize for additive blinds (SPEC §5.3): takes blind i times the public key off element i, and hashes to the outputs.
///
/// # Security
/// What is taken off must be exactly what the key holder's multiplication made of the blind. So `key` is the one of the
/// verified manifest that the elements' proof was verified against; frames go through [`crate::frame`], where all of this
/// is one type.
///
/// # Errors
/// [`Error::InvalidInput`] if an input hashes to the identity.
///
/// # Panics
/// If there is not one blind and one element per input.
pub fn finalize_additive<I: AsRef<[u8]>>(
    inputs: &[I],
    blinds: &[AdditiveBlind],
    key: &PublicKey,
    evaluated: &Elements,
) -> Result<Vec<Output>, Error> {
    assert_eq!(inputs.len(), evaluated.len(), "one element per input");
    let scalars = AdditiveBlind::scalars(blinds);
    let mut unblinded = Zeroizing::new(vec![[0; 32]; inputs.len()]);
    drop(evaluated.points.subtract_multiples(key.table(), &scalars, &mut unblinded));
    // The key is not zero, so a multiple is the identity only if the input's element is.
    if unblinded.contains(&[0; 32]) { Err(Error::InvalidInput) } else { Ok(outputs(inputs, &unblinded)) }
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

// Hash(I2OSP(len(input), 2) ‖ input ‖ I2OSP(len(element), 2) ‖ element ‖ "Finalize")
fn outputs<I: AsRef<[u8]>>(inputs: &[I], elements: &[[u8; 32]]) -> Vec<Output> {
    static HASH: LazyLock<Sha512Many> = LazyLock::new(|| Sha512Many::new(b""));
    let mut digests = Zeroizing::new(vec![[0; 64]; inputs.len()]);
    HASH.digests(&mut digests, |i, message| {
        let input = inputs[i].as_ref();
        message.extend(&u16::try_from(input.len()).expect("an item is short").to_be_bytes());
        message.extend(input);
        message.extend(&[0, 32]);
        message.extend(&elements[i]);
        message.extend(b"Finalize");
    });
    digests.iter().copied().map(Output).collect()
}

#[cfg(test)]
mod tests;
