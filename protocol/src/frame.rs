//! Frames: what a client asks at once, and the proof over the whole of it (SPEC §6).
//!
//! The client's steps are types: [`BlindedFrame`] → [`VerifiedFrame`] → outputs. Nothing is unblinded without a verified
//! proof, because only [`BlindedFrame::verify`] makes what [`VerifiedFrame::finalize`] consumes.

mod digest;
mod proof;
mod size;

use rand::{CryptoRng, seq::SliceRandom};
use zeroize::Zeroizing;

pub use digest::{
    MINUTE_SKEW, RequestDigest, ResponseDigest, View, element_root, request_digest, response_digest, signed_message,
};
pub use size::FrameSize;

use crate::{
    Error,
    item::Item,
    name::{Epoch, ListId, Origin, PlatformId},
    oprf::{self, Blind, Elements, Mode, Output, Proof, PublicKey, SecretKey},
};

/// 16 random bytes that the client chose for a frame, unique for (platform, list, epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// Draws a batch id.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// Whose frame it is: everything that binds a frame to its place, and stands in its transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameContext {
    /// Origin of the agency's manifest log.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// The epoch whose key is asked.
    pub epoch: Epoch,
    /// The platform that asks.
    pub platform: PlatformId,
    /// The frame's id.
    pub batch: BatchId,
}

/// What the server answers to a frame.
pub struct Answer {
    /// The evaluated elements, in the order of the request.
    pub evaluated: Vec<[u8; 32]>,
    /// The proof over the whole frame.
    pub proof: Proof,
}

/// Evaluates a frame and proves it (SPEC §6.6): RFC 9497's proof for one element, the transcript-bound one for more.
///
/// # Security
/// Constant time in the key. The proof's nonce is hedged: random bytes, key and transcript. The caller has checked the
/// size, authorised the platform and charged its budget.
pub fn answer(
    context: &FrameContext,
    key: &SecretKey,
    blinded: &Elements,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Answer {
    let evaluated = oprf::blind_evaluate(key, blinded);
    let proof = proof::prove(context, key, blinded, &evaluated, rng);
    Answer { evaluated, proof }
}

/// Verifies an answer to known elements (SPEC §6.7), for a client through [`BlindedFrame::verify`] and for whoever else
/// holds a frame and its answer. Variable time: everything here is public.
///
/// # Errors
/// [`Error::BadProof`] for every cause: count, encoding, identity, scalars, equation.
pub fn verify_answer(
    context: &FrameContext,
    key: &PublicKey,
    blinded: &Elements,
    evaluated: &[u8],
    proof: &[u8],
) -> Result<Elements, Error> {
    let evaluated = Elements::decode(evaluated).map_err(|_| Error::BadProof)?;
    let proof = Proof::from_bytes(proof)?;
    proof::verify(context, key, blinded, &evaluated, &proof)?;
    Ok(evaluated)
}

/// A frame that is ready to be sent: the elements, and in memory only what removes their blinds.
pub struct BlindedFrame {
    inputs: Zeroizing<Vec<Vec<u8>>>,
    // Where each of the caller's items stands, in the caller's order.
    positions: Vec<u16>,
    blinds: Vec<Blind>,
    elements: Elements,
}

/// Length of the random input of a dummy: as long as an item of the commonest kind, so that it costs the same.
const DUMMY_LEN: usize = 33;

impl BlindedFrame {
    /// Blinds `items` at uniformly random positions of a frame; the rest are dummies made at the same cost (SPEC §6.2).
    ///
    /// # Security
    /// Every element has a fresh uniform blind, so the frame is perfectly hiding: it tells nothing about the items, or
    /// about how many are real.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an item hashes to the identity.
    ///
    /// # Panics
    /// If there are more items than the size has places.
    pub fn blind(size: FrameSize, items: &[Item], rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, Error> {
        assert!(items.len() <= size.len(), "the caller picks a size that holds its items");
        let mut places: Vec<u16> = (0..size.len()).map(|i| u16::try_from(i).expect("at most 4,096")).collect();
        places.shuffle(rng);
        places.truncate(items.len());

        let mut inputs = Zeroizing::new(vec![Vec::new(); size.len()]);
        for (item, &place) in items.iter().zip(&places) {
            inputs[usize::from(place)] = item.as_bytes().to_vec();
        }
        for dummy in inputs.iter_mut().filter(|input| input.is_empty()) {
            dummy.resize(DUMMY_LEN, 0);
            rng.fill_bytes(dummy);
        }
        let blinds: Vec<Blind> = (0..size.len()).map(|_| Blind::random(rng)).collect();
        let elements = oprf::blind(Mode::Voprf, &inputs, &blinds)?;
        Ok(Self { inputs, positions: places, blinds, elements })
    }

    /// The blinded elements, to be sent.
    #[must_use]
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Verifies an answer to this frame. Consumes the frame: a refused answer ends it, and its items are blinded anew.
    ///
    /// # Errors
    /// [`Error::BadProof`], for every cause.
    pub fn verify(
        self,
        context: &FrameContext,
        key: &PublicKey,
        evaluated: &[u8],
        proof: &[u8],
    ) -> Result<VerifiedFrame, Error> {
        let evaluated = verify_answer(context, key, &self.elements, evaluated, proof)?;
        Ok(VerifiedFrame { frame: self, evaluated })
    }
}

/// A frame whose answer is proven to be the key's multiples of what was sent.
pub struct VerifiedFrame {
    frame: BlindedFrame,
    evaluated: Elements,
}

/// One item's output, and where the frame shows that it was asked.
pub struct Evaluated {
    /// The PRF output.
    pub output: Output,
    /// The element's index in the frame.
    pub position: u16,
    /// The blind at that index, for a match's level-2 receipt; dropped, and so wiped, for anything else.
    pub blind: Blind,
}

impl VerifiedFrame {
    /// Removes the blinds and hashes, dummies included; gives the outputs of the items, in the order they were given.
    #[must_use]
    pub fn finalize(self) -> Vec<Evaluated> {
        let BlindedFrame { inputs, positions, blinds, .. } = self.frame;
        let outputs = oprf::finalize(&inputs, &blinds, &self.evaluated);
        let at = |position: u16| {
            let index = usize::from(position);
            Evaluated { output: outputs[index].clone(), position, blind: blinds[index].clone() }
        };
        positions.into_iter().map(at).collect()
    }
}

#[cfg(test)]
mod tests;
