//! The proof of a frame (SPEC §6.6, §6.7). For more than one element every weight depends on the whole transcript, so
//! that changing any element, or the order of two, draws all weights anew and errors cannot be made to cancel.

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use rand::CryptoRng;
use sha2::{Digest, Sha512};
use veilmatch_ristretto::Sha512Many;
use zeroize::Zeroize;

use super::FrameContext;
use crate::{
    Error,
    encode::{lp8, push_lp2},
    oprf::{self, Elements, Proof, PublicKey, SecretKey, hash_to_scalar_with},
};

pub(super) fn prove(
    context: &FrameContext,
    key: &SecretKey,
    blinded: &Elements,
    evaluated: &[[u8; 32]],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Proof {
    let transcript = transcript(context, key.public(), blinded.encodings(), evaluated);
    let mut nonce = hedged_nonce(key, &transcript, rng);
    let proof = if blinded.len() == 1 {
        oprf::generate_proof(key, blinded, evaluated, &nonce)
    } else {
        let m = decode_sum(blinded.points().weighted_sum(&weights(&transcript, blinded.len())));
        let z = m * key.scalar();
        Proof::respond(key, &m, &nonce, |t| challenge(&transcript, key.public(), &m, &z, t))
    };
    nonce.zeroize();
    proof
}

pub(super) fn verify(
    context: &FrameContext,
    key: &PublicKey,
    blinded: &Elements,
    evaluated: &Elements,
    proof: &Proof,
) -> Result<(), Error> {
    if blinded.is_empty() || blinded.len() != evaluated.len() {
        return Err(Error::BadProof);
    }
    if blinded.len() == 1 {
        return oprf::verify_proof(key, blinded, evaluated, proof);
    }
    let transcript = transcript(context, key, blinded.encodings(), evaluated.encodings());
    let weights = weights(&transcript, blinded.len());
    let m = decode_sum(blinded.points().weighted_sum(&weights));
    let z = decode_sum(evaluated.points().weighted_sum(&weights));
    let holds = proof.holds(key, &m, &z, |t| challenge(&transcript, key, &m, &z, t));
    if holds { Ok(()) } else { Err(Error::BadProof) }
}

/// T: domain, suite, origin, list, epoch, pk, platform, batch id, m, all C, all D, each behind its 8-byte length.
pub(super) fn transcript(
    context: &FrameContext,
    key: &PublicKey,
    blinded: &[[u8; 32]],
    evaluated: &[[u8; 32]],
) -> [u8; 64] {
    let m = u32::try_from(blinded.len()).expect("at most 4,096");
    let mut hash = Sha512::new();
    lp8(&mut hash, b"veilmatch/v1/transcript");
    lp8(&mut hash, b"ristretto255-SHA512");
    lp8(&mut hash, context.origin.as_str().as_bytes());
    lp8(&mut hash, context.list.as_str().as_bytes());
    lp8(&mut hash, &context.epoch.0.to_be_bytes());
    lp8(&mut hash, key.as_bytes());
    lp8(&mut hash, context.platform.as_str().as_bytes());
    lp8(&mut hash, &context.batch.0);
    lp8(&mut hash, &m.to_be_bytes());
    lp8(&mut hash, blinded.as_flattened());
    lp8(&mut hash, evaluated.as_flattened());
    hash.finalize().into()
}

/// Block j = SHA-512("veilmatch/v1/weights" ‖ T ‖ I2OSP(j, 4)) holds four weights of 128 bits, little-endian.
pub(super) fn weights(transcript: &[u8; 64], m: usize) -> Vec<u128> {
    let mut blocks = vec![[0; 64]; m.div_ceil(4)];
    Sha512Many::new(&[b"veilmatch/v1/weights", &transcript[..]].concat()).digests(&mut blocks, |j, message| {
        message.extend(&u32::try_from(j).expect("at most 1,024 blocks").to_be_bytes());
    });
    let weights = blocks.as_flattened().as_chunks::<16>().0;
    weights[..m].iter().copied().map(u128::from_le_bytes).collect()
}

fn challenge(
    transcript: &[u8; 64],
    key: &PublicKey,
    m: &RistrettoPoint,
    z: &RistrettoPoint,
    [t2, t3]: [&[u8; 32]; 2],
) -> Scalar {
    let mut message = Vec::new();
    push_lp2(&mut message, b"veilmatch/v1/challenge");
    push_lp2(&mut message, transcript);
    for element in [key.as_bytes(), &m.compress().to_bytes(), &z.compress().to_bytes(), t2, t3] {
        push_lp2(&mut message, element);
    }
    hash_to_scalar_with(&message, b"HashToScalar-veilmatch/v1")
}

/// SHA-512("veilmatch/v1/nonce" ‖ 32 random bytes ‖ k ‖ T): a weak generator alone cannot repeat it for two statements.
fn hedged_nonce(key: &SecretKey, transcript: &[u8; 64], rng: &mut (impl CryptoRng + ?Sized)) -> Scalar {
    let mut fresh = [0; 32];
    rng.fill_bytes(&mut fresh);
    let hash = Sha512::new()
        .chain_update(b"veilmatch/v1/nonce")
        .chain_update(fresh)
        .chain_update(key.scalar().as_bytes())
        .chain_update(transcript);
    let mut wide: [u8; 64] = hash.finalize().into();
    let nonce = Scalar::from_bytes_mod_order_wide(&wide);
    wide.zeroize();
    fresh.zeroize();
    nonce
}

fn decode_sum(encoding: [u8; 32]) -> RistrettoPoint {
    CompressedRistretto(encoding).decompress().expect("the batch API encodes canonically")
}
