//! Frames: what a client asks at once, and the proof over the whole of it (SPEC §6).
//!
//! The client's steps are types: [`BlindedFrame`] → [`VerifiedFrame`] → outputs. Nothing is unblinded without a verified
//! proof, because only [`BlindedFrame::verify`] makes what [`VerifiedFrame::finalize`] consumes.

mod digest;
mod proof;
mod size;

use rand::{CryptoRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use digest::{
    MINUTE_SKEW, RequestDigest, ResponseDigest, View, element_path, element_root, request_digest,
    request_digest_of_root, response_digest, signed_message,
};
pub use size::FrameSize;

use crate::{
    Error,
    item::{Item, MAX_ITEM_LEN},
    json,
    name::{Epoch, ListId, Origin, PlatformId},
    oprf::{self, AdditiveBlind, Elements, Mode, Output, Proof, PublicKey, SecretKey},
};

/// 16 random bytes that the client chose for a frame, unique for (platform, list, epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(#[serde(with = "json::bytes")] pub [u8; 16]);

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
    inputs: Inputs,
    // Where each of the caller's items stands, in the caller's order.
    positions: Vec<u16>,
    blinds: Vec<AdditiveBlind>,
    elements: Elements,
}

/// Length of the random input of a dummy: as long as an item of the commonest kind, so that it costs the same.
const DUMMY_LEN: usize = 33;

/// What every position of a frame hashes, one behind the other; wiped.
struct Inputs {
    bytes: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
}

impl Inputs {
    /// Items at their positions, fresh dummies at all others.
    fn new(size: FrameSize, items: &[Item], positions: &[u16], rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut at: Vec<Option<&Item>> = vec![None; size.len()];
        for (item, &position) in items.iter().zip(positions) {
            at[usize::from(position)] = Some(item);
        }
        // As long as it can become: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.len() * MAX_ITEM_LEN));
        let mut dummies = vec![[0; DUMMY_LEN]; size.len() - items.len()];
        rng.fill_bytes(dummies.as_flattened_mut());
        let mut dummies = dummies.iter();
        let ends = at
            .into_iter()
            .map(|item| {
                match item {
                    Some(item) => bytes.extend_from_slice(item.as_bytes()),
                    None => bytes.extend_from_slice(dummies.next().expect("one for each place without an item")),
                }
                bytes.len()
            })
            .collect();
        Self { bytes, ends }
    }

    fn slices(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]).collect()
    }
}

impl BlindedFrame {
    /// Blinds `items` at uniformly random positions of a frame; the rest are dummies made at the same cost (SPEC §6.2).
    /// Blinds are additive (SPEC §5.3): the types here hold its conditions but the first, which is for the caller of
    /// [`Self::verify`] to meet.
    ///
    /// # Security
    /// Every element has a fresh uniform blind, so the frame is perfectly hiding: it tells nothing about the items, or
    /// about how many are real.
    ///
    /// # Panics
    /// If there are more items than the size has places.
    #[must_use]
    pub fn blind(size: FrameSize, items: &[Item], rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        assert!(items.len() <= size.len(), "the caller picks a size that holds its items");
        let mut places: Vec<u16> = (0..size.len()).map(|i| u16::try_from(i).expect("at most 4,096")).collect();
        let (positions, _) = places.partial_shuffle(rng, items.len());
        let positions = positions.to_vec();
        let inputs = Inputs::new(size, items, &positions, rng);
        let (blinds, elements) = oprf::blind_additive(Mode::Voprf, &inputs.slices(), rng);
        Self { inputs, positions, blinds, elements }
    }

    /// The blinded elements, to be sent.
    #[must_use]
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Verifies an answer to this frame. Consumes the frame: a refused answer ends it, and its items are blinded anew.
    ///
    /// # Security
    /// `key` MUST be that of a verified manifest (SPEC §5.3, condition 1): that is the caller's to see to, as no type here
    /// tells it from a key that came with the answer.
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
        Ok(VerifiedFrame { frame: self, key: key.clone(), evaluated })
    }
}

/// A frame whose answer is proven to be the key's multiples of what was sent.
pub struct VerifiedFrame {
    frame: BlindedFrame,
    // The key that the proof was verified against takes the blinds off: no other could get here.
    key: PublicKey,
    evaluated: Elements,
}

/// One item's output, and where the frame shows that it was asked.
pub struct Evaluated {
    /// The PRF output.
    pub output: Output,
    /// The element's index in the frame.
    pub position: u16,
    /// The blind at that index, for a match's level-2 receipt; dropped, and so wiped, for anything else.
    pub blind: AdditiveBlind,
}

impl VerifiedFrame {
    /// Removes the blinds and hashes, dummies included; gives the outputs of the items, in the order they were given.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an item hashes to the identity, which nobody can bring about.
    pub fn finalize(self) -> Result<Vec<Evaluated>, Error> {
        let BlindedFrame { inputs, positions, blinds, .. } = self.frame;
        let outputs = oprf::finalize_additive(&inputs.slices(), &blinds, &self.key, &self.evaluated)?;
        let at = |position: u16| {
            let index = usize::from(position);
            Evaluated { output: outputs[index].clone(), position, blind: blinds[index].clone() }
        };
        Ok(positions.into_iter().map(at).collect())
    }
}

#[cfg(test)]
mod tests;
