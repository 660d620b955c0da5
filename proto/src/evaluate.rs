//! Frames and answers between the wire and the protocol (SPEC §9.4).

use veilmatch_protocol::{
    frame::{BatchId, FrameSize, View},
    name::{Epoch, ListId, Version},
};

use crate::{Reason, Refused, list_id, pb};

/// Largest request of the Evaluation service: a full frame and 4 KiB for everything else.
pub const MAX_EVALUATE_MESSAGE: usize = 4_096 * 32 + 4_096;

/// Largest answer: a full frame, its leaf and its acknowledgement.
pub const MAX_ANSWER_MESSAGE: usize = MAX_EVALUATE_MESSAGE + MAX_LEAF + MAX_ACKNOWLEDGEMENT;

/// Frames that a server reads ahead of its answers on one stream, and that a client keeps in flight at most.
pub const STREAM_WINDOW: usize = 4;

/// Longest query-log leaf in an answer.
pub const MAX_LEAF: usize = 16 * 1_024;

/// Longest acknowledgement in an answer.
pub const MAX_ACKNOWLEDGEMENT: usize = 4 * 1_024;

/// Minutes and view sizes are below this: the records' JSON holds them exactly (SPEC §9.4).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A request whose fields have their lengths and grammar. Its elements are not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluateFrame {
    /// The list.
    pub list: ListId,
    /// The epoch whose key is asked.
    pub epoch: Epoch,
    /// The version that the client holds.
    pub version: Version,
    /// The checkpoint of the manifest log that the client had verified.
    pub view: View,
    /// The frame's id.
    pub batch: BatchId,
    /// The client's clock in whole minutes of Unix time.
    pub minute: u64,
    /// The blinded elements, as many as `size` says, not decoded.
    pub blinded: Vec<[u8; 32]>,
    /// The size class.
    pub size: FrameSize,
    /// The platform's request signature.
    pub signature: [u8; 64],
}

impl TryFrom<pb::EvaluateRequest> for EvaluateFrame {
    type Error = Refused;

    fn try_from(request: pb::EvaluateRequest) -> Result<Self, Refused> {
        let view = request.view.ok_or(Reason::BadRequest)?;
        let (elements, rest) = request.blinded_elements.as_chunks::<32>();
        if !rest.is_empty() || view.size == 0 || view.size > MAX_NUMBER || request.minute > MAX_NUMBER {
            return Err(Reason::BadRequest.into());
        }
        Ok(Self {
            list: list_id(&request.list_id)?,
            epoch: Epoch(nonzero(request.epoch)?),
            version: Version(nonzero(request.version)?),
            view: View { size: view.size, root: array(&view.root)? },
            batch: BatchId(array(&request.batch_id)?),
            minute: request.minute,
            signature: array(&request.request_signature)?,
            // Last: a request that is malformed as well is malformed.
            size: FrameSize::try_from(elements.len()).map_err(|_| Reason::FrameSize)?,
            blinded: elements.to_vec(),
        })
    }
}

impl From<EvaluateFrame> for pb::EvaluateRequest {
    fn from(frame: EvaluateFrame) -> Self {
        Self {
            list_id: frame.list.as_str().to_owned(),
            epoch: frame.epoch.0,
            version: frame.version.0,
            view: Some(pb::View { size: frame.view.size, root: frame.view.root.to_vec() }),
            batch_id: frame.batch.0.to_vec(),
            minute: frame.minute,
            blinded_elements: frame.blinded.into_flattened(),
            request_signature: frame.signature.to_vec(),
        }
    }
}

/// An answer whose fields have their lengths. Nothing is believed of it before its proof is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameAnswer {
    /// Which frame it claims to answer.
    pub batch: BatchId,
    /// The evaluated elements, as many as asked, not decoded.
    pub evaluated: Vec<[u8; 32]>,
    /// c ‖ s, not decoded.
    pub proof: [u8; 64],
    /// The query-log leaf.
    pub leaf: Vec<u8>,
    /// The acknowledgement of it.
    pub acknowledgement: Vec<u8>,
}

impl FrameAnswer {
    /// The batch id of an answer, to pair it with its frame; `None` if it has no legal one.
    #[must_use]
    pub fn batch_of(answer: &pb::EvaluateResponse) -> Option<BatchId> {
        Some(BatchId(answer.batch_id.as_slice().try_into().ok()?))
    }

    /// Takes the answer to a frame of `size` under `batch`.
    ///
    /// # Errors
    /// [`veilmatch_protocol::Error::BadProof`] if a length, the count or the batch id differs.
    pub fn decode(
        answer: pb::EvaluateResponse,
        batch: BatchId,
        size: FrameSize,
    ) -> Result<Self, veilmatch_protocol::Error> {
        let bad = veilmatch_protocol::Error::BadProof;
        let (evaluated, rest) = answer.evaluated_elements.as_chunks::<32>();
        let fits = rest.is_empty()
            && evaluated.len() == size.len()
            && answer.batch_id == batch.0
            && (1..=MAX_LEAF).contains(&answer.leaf.len())
            && (1..=MAX_ACKNOWLEDGEMENT).contains(&answer.acknowledgement.len());
        if !fits {
            return Err(bad);
        }
        Ok(Self {
            batch,
            evaluated: evaluated.to_vec(),
            proof: answer.proof.try_into().map_err(|_| bad)?,
            leaf: answer.leaf,
            acknowledgement: answer.acknowledgement,
        })
    }
}

impl From<FrameAnswer> for pb::EvaluateResponse {
    fn from(answer: FrameAnswer) -> Self {
        Self {
            batch_id: answer.batch.0.to_vec(),
            evaluated_elements: answer.evaluated.into_flattened(),
            proof: answer.proof.to_vec(),
            leaf: answer.leaf,
            acknowledgement: answer.acknowledgement,
        }
    }
}

pub(crate) fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Refused> {
    bytes.try_into().map_err(|_| Reason::BadRequest.into())
}

pub(crate) fn nonzero(number: u32) -> Result<u32, Refused> {
    if number == 0 { Err(Reason::BadRequest.into()) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> pb::EvaluateRequest {
        pb::EvaluateRequest {
            list_id: "baseline".into(),
            epoch: 1,
            version: 2,
            view: Some(pb::View { size: 2, root: vec![3; 32] }),
            batch_id: vec![4; 16],
            minute: 5,
            blinded_elements: vec![6; 4 * 32],
            request_signature: vec![7; 64],
        }
    }

    #[test]
    fn a_legal_request_survives_both_conversions() {
        let frame = EvaluateFrame::try_from(request()).unwrap();
        assert_eq!(frame.size, FrameSize::Four);
        assert_eq!(pb::EvaluateRequest::from(frame), request());
    }

    #[test]
    fn each_malformed_field_is_refused() {
        // SPEC §9.4
        type Spoil = fn(&mut pb::EvaluateRequest);
        let bad: [(Reason, Spoil); 22] = [
            (Reason::BadRequest, |r| r.list_id = String::new()),
            (Reason::BadRequest, |r| r.list_id = "A".into()),
            (Reason::BadRequest, |r| r.list_id = "a".repeat(65)),
            (Reason::BadRequest, |r| r.epoch = 0),
            (Reason::BadRequest, |r| r.version = 0),
            (Reason::BadRequest, |r| r.view = None),
            (Reason::BadRequest, |r| r.view.as_mut().unwrap().root.truncate(31)),
            (Reason::BadRequest, |r| r.view.as_mut().unwrap().size = 0),
            (Reason::BadRequest, |r| r.batch_id.push(0)),
            (Reason::BadRequest, |r| r.batch_id.clear()),
            (Reason::BadRequest, |r| r.request_signature.truncate(63)),
            (Reason::BadRequest, |r| r.blinded_elements.truncate(127)),
            (Reason::BadRequest, |r| r.minute = 1 << 53),
            (Reason::BadRequest, |r| r.minute = u64::MAX),
            (Reason::BadRequest, |r| r.view.as_mut().unwrap().size = 1 << 53),
            (Reason::BadRequest, |r| {
                r.blinded_elements.clear();
                r.request_signature.clear();
            }),
            (Reason::BadRequest, |r| r.view.as_mut().unwrap().size = u64::MAX),
            (Reason::FrameSize, |r| r.blinded_elements.clear()),
            (Reason::FrameSize, |r| r.blinded_elements.truncate(64)),
            (Reason::FrameSize, |r| r.blinded_elements = vec![6; 5 * 32]),
            (Reason::FrameSize, |r| r.blinded_elements = vec![6; 4_097 * 32]),
            (Reason::FrameSize, |r| r.blinded_elements = vec![6; 8_192 * 32]),
        ];
        for (reason, spoil) in bad {
            let mut request = request();
            spoil(&mut request);
            assert_eq!(EvaluateFrame::try_from(request.clone()), Err(reason.into()), "{request:?}");
        }
    }

    #[test]
    fn an_answer_of_another_count_batch_or_length_is_no_answer() {
        // SPEC §6.7, invariant "count, order and batch id equal the request's"
        let legal = pb::EvaluateResponse {
            batch_id: vec![4; 16],
            evaluated_elements: vec![6; 4 * 32],
            proof: vec![7; 64],
            leaf: vec![8; MAX_LEAF],
            acknowledgement: vec![9; MAX_ACKNOWLEDGEMENT],
        };
        let decode = |answer: pb::EvaluateResponse| FrameAnswer::decode(answer, BatchId([4; 16]), FrameSize::Four);
        assert_eq!(pb::EvaluateResponse::from(decode(legal.clone()).unwrap()), legal);
        type Spoil = fn(&mut pb::EvaluateResponse);
        let bad: [Spoil; 9] = [
            |a| a.batch_id[0] ^= 1,
            |a| a.evaluated_elements.truncate(3 * 32),
            |a| a.evaluated_elements.extend([6; 32]),
            |a| a.evaluated_elements.push(0),
            |a| a.proof.truncate(63),
            |a| a.leaf.clear(),
            |a| a.acknowledgement.clear(),
            |a| a.leaf = vec![0; MAX_LEAF + 1],
            |a| a.acknowledgement = vec![0; MAX_ACKNOWLEDGEMENT + 1],
        ];
        for spoil in bad {
            let mut answer = legal.clone();
            spoil(&mut answer);
            assert_eq!(decode(answer), Err(veilmatch_protocol::Error::BadProof));
        }
    }
}
