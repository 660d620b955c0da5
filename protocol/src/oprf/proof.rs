//! The DLEQ proof of RFC 9497, Section 2.2: for a frame of one, and for the RFC's own vectors.
//!
//! Its batch weights are derived from each pair alone, so whoever holds the key can search for errors that cancel in a
//! large batch (SPEC §13). Frames of more than one element use [`crate::frame`]'s proof instead.

use curve25519_dalek::{
    RistrettoPoint, Scalar, constants::RISTRETTO_BASEPOINT_COMPRESSED, ristretto::CompressedRistretto,
    traits::VartimeMultiscalarMul,
};
use sha2::{Digest, Sha512};
use veilmatch_ristretto::Points;
use zeroize::Zeroize;

use super::{Elements, Mode, PublicKey, SecretKey};
use crate::{Error, encode::push_lp2};

/// A proof that all elements of a frame were multiplied by the public key's scalar: c ‖ s, 32 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    pub(crate) c: Scalar,
    pub(crate) s: Scalar,
}

impl Proof {
    /// Decodes two canonical little-endian scalars.
    ///
    /// # Errors
    /// [`Error::BadProof`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let scalar = |bytes: &[u8]| -> Option<Scalar> { Scalar::from_canonical_bytes(bytes.try_into().ok()?).into() };
        let (c, s) = bytes.split_at_checked(32).ok_or(Error::BadProof)?;
        Ok(Self { c: scalar(c).ok_or(Error::BadProof)?, s: scalar(s).ok_or(Error::BadProof)? })
    }

    /// c ‖ s.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(self.c.as_bytes());
        bytes[32..].copy_from_slice(self.s.as_bytes());
        bytes
    }

    /// s = r − c·k over the challenge that `challenge` makes of t2 = r·G and t3 = r·M.
    pub(crate) fn respond(
        key: &SecretKey,
        m: &RistrettoPoint,
        nonce: &Scalar,
        challenge: impl FnOnce([&[u8; 32]; 2]) -> Scalar,
    ) -> Self {
        let t2 = RistrettoPoint::mul_base(nonce).compress().to_bytes();
        let t3 = (m * nonce).compress().to_bytes();
        let c = challenge([&t2, &t3]);
        Self { c, s: nonce - c * key.scalar() }
    }

    /// Whether c is the challenge over t2 = s·G + c·pk and t3 = s·M + c·Z. Variable time: everything here is public.
    pub(crate) fn holds(
        &self,
        key: &PublicKey,
        m: &RistrettoPoint,
        z: &RistrettoPoint,
        challenge: impl FnOnce([&[u8; 32]; 2]) -> Scalar,
    ) -> bool {
        let t2 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&self.c, key.point(), &self.s);
        let t3 = RistrettoPoint::vartime_multiscalar_mul([self.s, self.c], [m, z]);
        challenge([&t2.compress().to_bytes(), &t3.compress().to_bytes()]) == self.c
    }
}

/// GenerateProof of RFC 9497, Section 2.2.1, for elements that this key evaluated.
///
/// # Security
/// `nonce` is fresh and secret: two proofs of different statements with one nonce give the key away. Constant time in key and
/// nonce.
#[must_use]
pub fn generate_proof(key: &SecretKey, blinded: &Elements, evaluated: &[[u8; 32]], nonce: &Scalar) -> Proof {
    let weights = composite_weights(key.public(), blinded.encodings(), evaluated);
    if let ([weight], [blinded]) = (&weights[..], blinded.encodings()) {
        // M, Z and t3 are multiples of one element: side by side they cost hardly more than one.
        let mut scalars = [*weight, weight * key.scalar(), weight * nonce];
        let [m, z, t3] = multiples(&[*blinded; 3], &scalars);
        scalars.zeroize();
        let t2 = RistrettoPoint::mul_base(nonce).compress().to_bytes();
        let c = challenge(key.public(), [&m, &z, &t2, &t3]);
        return Proof { c, s: nonce - c * key.scalar() };
    }
    let m = sum(&weights, blinded.encodings());
    let z = m * key.scalar();
    Proof::respond(key, &m, nonce, |[t2, t3]| challenge(key.public(), [&encode(&m), &encode(&z), t2, t3]))
}

/// VerifyProof of RFC 9497, Section 2.2.2.
///
/// # Errors
/// [`Error::BadProof`] if it does not hold or the batches differ in length.
pub fn verify_proof(key: &PublicKey, blinded: &Elements, evaluated: &Elements, proof: &Proof) -> Result<(), Error> {
    if blinded.is_empty() || blinded.len() != evaluated.len() {
        return Err(Error::BadProof);
    }
    let weights = composite_weights(key, blinded.encodings(), evaluated.encodings());
    let holds = if let ([d], [c], [z]) = (&weights[..], blinded.encodings(), evaluated.encodings()) {
        // M, Z, and the two terms of t3 and of t2, side by side.
        let elements = [*c, *z, *c, *z, RISTRETTO_BASEPOINT_COMPRESSED.to_bytes(), *key.as_bytes()];
        let scalars = [*d, *d, proof.s * d, proof.c * d, proof.s, proof.c];
        let [m, z, of_m, of_z, of_base, of_key] = multiples(&elements, &scalars);
        let (t2, t3) = (encode(&(decode(&of_base) + decode(&of_key))), encode(&(decode(&of_m) + decode(&of_z))));
        challenge(key, [&m, &z, &t2, &t3]) == proof.c
    } else {
        let m = sum(&weights, blinded.encodings());
        let z = sum(&weights, evaluated.encodings());
        proof.holds(key, &m, &z, |[t2, t3]| challenge(key, [&encode(&m), &encode(&z), t2, t3]))
    };
    if holds { Ok(()) } else { Err(Error::BadProof) }
}

/// Scalar i times element i, of elements that were decoded before.
fn multiples<const N: usize>(elements: &[[u8; 32]; N], scalars: &[Scalar; N]) -> [[u8; 32]; N] {
    let mut out = [[0; 32]; N];
    Points::decode(elements).expect("decoded before").multiply_each(scalars, &mut out);
    out
}

fn composite_weights(key: &PublicKey, blinded: &[[u8; 32]], evaluated: &[[u8; 32]]) -> Vec<Scalar> {
    // seed = Hash(lp(pk) ‖ lp("Seed-" ‖ contextString))
    let mut seed = Vec::new();
    push_lp2(&mut seed, key.as_bytes());
    push_lp2(&mut seed, Mode::Voprf.seed_tag());
    let seed = Sha512::digest(&seed);

    // d_i = HashToScalar(lp(seed) ‖ I2OSP(i, 2) ‖ lp(C_i) ‖ lp(D_i) ‖ "Composite")
    let weight = |(i, (c, d)): (usize, (&[u8; 32], &[u8; 32]))| {
        let mut transcript = Vec::new();
        push_lp2(&mut transcript, &seed);
        transcript.extend_from_slice(&u16::try_from(i).expect("the RFC's batches have at most 65,535").to_be_bytes());
        push_lp2(&mut transcript, c);
        push_lp2(&mut transcript, d);
        transcript.extend_from_slice(b"Composite");
        Mode::Voprf.hash_to_scalar(&transcript)
    };
    blinded.iter().zip(evaluated).enumerate().map(weight).collect()
}

fn challenge(key: &PublicKey, [m, z, t2, t3]: [&[u8; 32]; 4]) -> Scalar {
    let mut transcript = Vec::new();
    for element in [key.as_bytes(), m, z, t2, t3] {
        push_lp2(&mut transcript, element);
    }
    transcript.extend_from_slice(b"Challenge");
    Mode::Voprf.hash_to_scalar(&transcript)
}

fn sum(weights: &[Scalar], encodings: &[[u8; 32]]) -> RistrettoPoint {
    RistrettoPoint::vartime_multiscalar_mul(weights, encodings.iter().map(decode))
}

fn decode(encoding: &[u8; 32]) -> RistrettoPoint {
    CompressedRistretto(*encoding).decompress().expect("decoded before, or encoded here")
}

fn encode(point: &RistrettoPoint) -> [u8; 32] {
    point.compress().to_bytes()
}
