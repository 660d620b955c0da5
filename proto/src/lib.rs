//! The wire of Veilmatch: generated messages, and the only place where bytes from outside become typed values.
//!
//! A conversion checks length, grammar and size class once; what comes out cannot be wrong in these respects, so nobody
//! checks again. Elements are decoded later, by [`veilmatch_protocol::oprf::Elements`], after a budget was charged.

mod evaluate;
mod lists;
mod logs;
mod reason;

pub use evaluate::{
    EvaluateFrame, FrameAnswer, MAX_ACKNOWLEDGEMENT, MAX_ANSWER_MESSAGE, MAX_EVALUATE_MESSAGE, MAX_LEAF, STREAM_WINDOW,
};
pub use lists::{
    Fetch, FileChunk, MAX_CHUNK, MAX_CHUNK_MESSAGE, MAX_CODE_BOOK_MESSAGE, MAX_LISTED_MANIFESTS, MAX_LISTS_MESSAGE,
    MAX_MANIFEST_NOTE, MAX_MANIFESTS_MESSAGE, OfVersion, Selector, chunk, code_book, list_id, manifest_note,
    manifest_notes,
};
pub use logs::{
    CheckpointAsked, Cosigned, Inclusion, InclusionAsked, LeavesAsked, ListedLeaves, MAX_LEAVES_MESSAGE,
    MAX_LISTED_BYTES, MAX_LISTED_LEAVES, MAX_LOGS_REQUEST, MAX_NOTE, MAX_ORIGIN, MAX_PROOF, MAX_SIGNATURE_LINE,
    ProvenCheckpoint, Submitted, cosigned_note, log_origin, note, signature_line,
};
pub use reason::{DOMAIN, Reason, Refused};

/// Generated from `veilmatch/v1/veilmatch.proto`, where messages and fields are described.
#[expect(missing_docs, reason = "prost writes field comments, not all of rustdoc's")]
pub mod pb {
    tonic::include_proto!("veilmatch.v1");

    /// The compiled descriptors, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/veilmatch.bin"));
}
