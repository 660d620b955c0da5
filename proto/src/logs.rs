//! Logs between the wire and the rest (SPEC §20). Notes, leaves and proofs have their lengths here; what they say is
//! checked by `veilmatch_audit`.

use crate::{Reason, Refused, evaluate::array, pb};

/// Longest checkpoint or closing statement, with all its signature lines.
pub const MAX_NOTE: usize = 16 * 1_024;

/// Longest origin of a log.
pub const MAX_ORIGIN: usize = 200;

/// Longest signature line, its newline included.
pub const MAX_SIGNATURE_LINE: usize = 512;

/// Most hashes of an inclusion or consistency proof.
pub const MAX_PROOF: usize = 63;

/// Most leaves of one answer.
pub const MAX_LISTED_LEAVES: usize = 256;

/// Most bytes of the leaves of one answer.
pub const MAX_LISTED_BYTES: usize = 1 << 20;

/// Largest request of the Logs service, framing included: a checkpoint with a proof.
pub const MAX_LOGS_REQUEST: usize = 20 * 1_024;

/// Largest answer with leaves, framing included.
pub const MAX_LEAVES_MESSAGE: usize = MAX_LISTED_BYTES + MAX_LISTED_LEAVES * 32 + 32;

/// Longest leaf of a log.
const MAX_LOG_LEAF: usize = crate::MAX_LEAF;

/// Sizes and indices are below this: the leaves' JSON holds them exactly.
const MAX_SIZE: u64 = (1 << 53) - 1;

/// An origin from a request: printable ASCII without blanks and plus signs, as names of keys have it.
///
/// # Errors
/// [`Reason::BadRequest`] if it is empty, too long or outside its alphabet.
pub fn log_origin(origin: &str) -> Result<String, Refused> {
    let legal = |b: u8| b.is_ascii_graphic() && b != b'+';
    let fits = (1..=MAX_ORIGIN).contains(&origin.len()) && origin.bytes().all(legal);
    if fits { Ok(origin.to_owned()) } else { Err(Reason::BadRequest.into()) }
}

/// Which log's checkpoint is asked for, and since what size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointAsked {
    /// The log.
    pub origin: String,
    /// Size of the tree that the client has verified before, or 0.
    pub old_size: u64,
}

impl TryFrom<pb::GetCheckpointRequest> for CheckpointAsked {
    type Error = Refused;

    fn try_from(request: pb::GetCheckpointRequest) -> Result<Self, Refused> {
        Ok(Self { origin: log_origin(&request.origin)?, old_size: size(request.old_size)? })
    }
}

/// A checkpoint and the proof that it extends the tree that the client named. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenCheckpoint {
    /// The checkpoint with its cosignatures.
    pub note: Vec<u8>,
    /// The consistency proof.
    pub consistency: Vec<[u8; 32]>,
}

impl TryFrom<pb::GetCheckpointResponse> for ProvenCheckpoint {
    type Error = Refused;

    fn try_from(response: pb::GetCheckpointResponse) -> Result<Self, Refused> {
        Ok(Self { note: note(response.note)?, consistency: hashes(&response.consistency)? })
    }
}

impl From<ProvenCheckpoint> for pb::GetCheckpointResponse {
    fn from(proven: ProvenCheckpoint) -> Self {
        Self { note: proven.note, consistency: byte_strings(&proven.consistency) }
    }
}

/// Which leaf's place is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionAsked {
    /// The log.
    pub origin: String,
    /// The leaf's hash.
    pub leaf_hash: [u8; 32],
    /// Size of the tree, not 0.
    pub size: u64,
}

impl TryFrom<pb::GetInclusionRequest> for InclusionAsked {
    type Error = Refused;

    fn try_from(request: pb::GetInclusionRequest) -> Result<Self, Refused> {
        let size = size(request.size)?;
        if size == 0 {
            return Err(Reason::BadRequest.into());
        }
        Ok(Self { origin: log_origin(&request.origin)?, leaf_hash: array(&request.leaf_hash)?, size })
    }
}

/// Where a leaf stands, and the proof, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Its index.
    pub index: u64,
    /// The inclusion proof.
    pub proof: Vec<[u8; 32]>,
}

impl TryFrom<pb::GetInclusionResponse> for Inclusion {
    type Error = Refused;

    fn try_from(response: pb::GetInclusionResponse) -> Result<Self, Refused> {
        Ok(Self { index: size(response.index)?, proof: hashes(&response.inclusion)? })
    }
}

impl From<Inclusion> for pb::GetInclusionResponse {
    fn from(inclusion: Inclusion) -> Self {
        Self { index: inclusion.index, inclusion: byte_strings(&inclusion.proof) }
    }
}

/// From where on leaves are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavesAsked {
    /// The log.
    pub origin: String,
    /// First index wanted.
    pub from: u64,
}

impl TryFrom<pb::ListLeavesRequest> for LeavesAsked {
    type Error = Refused;

    fn try_from(request: pb::ListLeavesRequest) -> Result<Self, Refused> {
        Ok(Self { origin: log_origin(&request.origin)?, from: size(request.from)? })
    }
}

/// Leaves in the order of their indices, and where to go on. Nothing of them is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLeaves {
    /// Index and exact bytes of each.
    pub leaves: Vec<(u64, Vec<u8>)>,
    /// Where to go on.
    pub next: u64,
}

impl ListedLeaves {
    /// Takes the answer to a request for the leaves from `from` on.
    ///
    /// # Errors
    /// [`Reason::BadRequest`] for too many or too long leaves, indices that do not ascend, or no progress.
    pub fn decode(response: pb::ListLeavesResponse, from: u64) -> Result<Self, Refused> {
        let bad = || Err(Reason::BadRequest.into());
        if response.leaves.len() > MAX_LISTED_LEAVES || response.next > MAX_SIZE || response.next < from {
            return bad();
        }
        let (mut next, mut bytes) = (from, 0);
        for leaf in &response.leaves {
            bytes += leaf.leaf.len();
            let fits = (1..=MAX_LOG_LEAF).contains(&leaf.leaf.len());
            if !fits || leaf.index < next || leaf.index >= response.next || bytes > MAX_LISTED_BYTES {
                return bad();
            }
            next = leaf.index + 1;
        }
        let leaves = response.leaves.into_iter().map(|leaf| (leaf.index, leaf.leaf)).collect();
        Ok(Self { leaves, next: response.next })
    }
}

impl From<ListedLeaves> for pb::ListLeavesResponse {
    fn from(listed: ListedLeaves) -> Self {
        let leaves = listed.leaves.into_iter().map(|(index, leaf)| pb::LogLeaf { index, leaf }).collect();
        Self { leaves, next: listed.next }
    }
}

/// A platform's cosignature of a checkpoint of the agency's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The checkpoint, as the platform verified it.
    pub note: Vec<u8>,
    /// The platform's signature line.
    pub line: String,
}

impl TryFrom<pb::AddCosignatureRequest> for Cosigned {
    type Error = Refused;

    fn try_from(request: pb::AddCosignatureRequest) -> Result<Self, Refused> {
        Ok(Self { note: note(request.note)?, line: signature_line(request.cosignature)? })
    }
}

/// A checkpoint of a platform's match log that is to be cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The checkpoint.
    pub note: Vec<u8>,
    /// Size of the one that the agency cosigned last, or 0.
    pub old_size: u64,
    /// The consistency proof from there.
    pub consistency: Vec<[u8; 32]>,
}

impl TryFrom<pb::AddCheckpointRequest> for Submitted {
    type Error = Refused;

    fn try_from(request: pb::AddCheckpointRequest) -> Result<Self, Refused> {
        Ok(Self {
            note: note(request.note)?,
            old_size: size(request.old_size)?,
            consistency: hashes(&request.consistency)?,
        })
    }
}

impl From<Submitted> for pb::AddCheckpointRequest {
    fn from(submitted: Submitted) -> Self {
        let consistency = byte_strings(&submitted.consistency);
        Self { note: submitted.note, old_size: submitted.old_size, consistency }
    }
}

/// Takes the checkpoint that the agency cosigned last; `None` if there is none.
///
/// # Errors
/// [`Reason::BadRequest`] if it is too long.
pub fn cosigned_note(response: pb::GetCosignedResponse) -> Result<Option<Vec<u8>>, Refused> {
    if response.note.is_empty() { Ok(None) } else { note(response.note).map(Some) }
}

/// Takes a checkpoint or a closing statement of legal length.
///
/// # Errors
/// [`Reason::BadRequest`] if it is empty or too long.
pub fn note(note: Vec<u8>) -> Result<Vec<u8>, Refused> {
    if (1..=MAX_NOTE).contains(&note.len()) { Ok(note) } else { Err(Reason::BadRequest.into()) }
}

/// Takes one signature line with its newline, of legal length.
///
/// # Errors
/// [`Reason::BadRequest`] if it is too long, or none or more than one line.
pub fn signature_line(line: String) -> Result<String, Refused> {
    let text = line.strip_suffix('\n').ok_or(Reason::BadRequest)?;
    let fits = line.len() <= MAX_SIGNATURE_LINE && !text.is_empty() && !text.contains(char::is_control);
    if fits { Ok(line) } else { Err(Reason::BadRequest.into()) }
}

fn size(size: u64) -> Result<u64, Refused> {
    if size <= MAX_SIZE { Ok(size) } else { Err(Reason::BadRequest.into()) }
}

fn hashes(hashes: &[Vec<u8>]) -> Result<Vec<[u8; 32]>, Refused> {
    if hashes.len() > MAX_PROOF {
        return Err(Reason::BadRequest.into());
    }
    hashes.iter().map(|hash| array(hash)).collect()
}

fn byte_strings(hashes: &[[u8; 32]]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    const BAD: Refused = Refused { reason: Reason::BadRequest, retry_after: None };

    #[test]
    fn an_origin_has_at_most_200_characters_of_its_alphabet() {
        // SPEC §20.1
        let longest = "a".repeat(MAX_ORIGIN);
        for origin in ["agency.example/veilmatch/query/2026h2", &longest] {
            assert_eq!(log_origin(origin).unwrap(), origin);
        }
        for bad in ["", "a b", "a\n", "a+b", "ä", &(longest + "a")] {
            assert_eq!(log_origin(bad), Err(BAD), "{bad}");
        }
    }

    #[test]
    fn what_is_too_long_for_its_place_is_refused() {
        // SPEC §20.1
        let checkpoint = |note, hashes: usize, len| {
            let consistency = vec![vec![1; len]; hashes];
            ProvenCheckpoint::try_from(pb::GetCheckpointResponse { note: vec![b'x'; note], consistency })
        };
        let longest = checkpoint(MAX_NOTE, MAX_PROOF, 32).unwrap();
        assert_eq!(pb::GetCheckpointResponse::from(longest.clone()).consistency.len(), MAX_PROOF);
        for bad in [(0, 0, 32), (MAX_NOTE + 1, 0, 32), (1, MAX_PROOF + 1, 32), (1, 1, 31), (1, 1, 33)]
            .map(|(a, b, c)| checkpoint(a, b, c))
        {
            assert_eq!(bad, Err(BAD));
        }
        let line = |len: usize| signature_line("x".repeat(len - 1) + "\n");
        assert_eq!(line(MAX_SIGNATURE_LINE).unwrap().len(), MAX_SIGNATURE_LINE);
        for bad in [line(MAX_SIGNATURE_LINE + 1), line(1), signature_line("x".into()), signature_line("x\ny\n".into())]
        {
            assert_eq!(bad, Err(BAD));
        }
        let submitted = Submitted { note: longest.note, old_size: MAX_SIZE, consistency: longest.consistency };
        let request = pb::AddCheckpointRequest::from(submitted.clone());
        assert!(request.encoded_len() <= MAX_LOGS_REQUEST);
        assert_eq!(Submitted::try_from(request).unwrap(), submitted);
    }

    #[test]
    fn sizes_that_no_leaf_could_say_are_refused() {
        // SPEC §20.1
        let asked = |size| {
            let request = pb::GetInclusionRequest { origin: "a".into(), leaf_hash: vec![1; 32], size };
            InclusionAsked::try_from(request).map(|asked| asked.size)
        };
        assert_eq!((asked(1), asked(MAX_SIZE)), (Ok(1), Ok(MAX_SIZE)));
        assert_eq!([asked(0), asked(MAX_SIZE + 1)], [Err(BAD), Err(BAD)]);
        let request = pb::GetCheckpointRequest { origin: "a".into(), old_size: u64::MAX };
        assert_eq!(CheckpointAsked::try_from(request), Err(BAD));
    }

    #[test]
    fn leaves_that_are_too_many_too_long_or_out_of_order_are_refused() {
        // SPEC §20.1
        let leaf = |index, len| pb::LogLeaf { index, leaf: vec![b'x'; len] };
        let listed = |leaves: Vec<pb::LogLeaf>, next| ListedLeaves::decode(pb::ListLeavesResponse { leaves, next }, 5);
        let full: Vec<_> = (5..5 + 256).map(|index| leaf(index, 4_096)).collect();
        let legal = listed(full.clone(), 300).unwrap();
        assert!(pb::ListLeavesResponse::from(legal).encoded_len() <= MAX_LEAVES_MESSAGE);
        assert_eq!(listed(Vec::new(), 5).unwrap().next, 5);
        let bad = [
            (full.iter().cloned().chain([leaf(290, 1)]).collect(), 300),
            (full.into_iter().take(255).chain([leaf(299, 4_097)]).collect(), 300),
            (vec![leaf(4, 1)], 10),
            (vec![leaf(6, 1), leaf(6, 1)], 10),
            (vec![leaf(10, 1)], 10),
            (vec![leaf(6, 0)], 10),
            (vec![leaf(6, MAX_LOG_LEAF + 1)], 10),
            (Vec::new(), 4),
            (Vec::new(), MAX_SIZE + 1),
        ];
        for (leaves, next) in bad {
            assert_eq!(listed(leaves, next), Err(BAD));
        }
    }
}
