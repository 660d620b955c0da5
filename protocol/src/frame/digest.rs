//! What both logs record of a frame, and what the platform signs (SPEC §6.4, §6.5, §6.8).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FrameContext, FrameSize};
use crate::{
    encode::{lp2, push_lp2},
    json, merkle,
    name::Version,
    oprf::Proof,
};

/// Largest difference between the two sides' clocks, in minutes.
pub const MINUTE_SKEW: u64 = 10;

/// The state of the manifests that a client had verified: tree size and root (SPEC §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Number of leaves.
    #[serde(with = "json::integer")]
    pub size: u64,
    /// Root over them.
    #[serde(with = "json::bytes")]
    pub root: [u8; 32],
}

/// `req`: names a frame and every element of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(#[serde(with = "json::bytes")] pub [u8; 32]);

/// `resp`: names an answer to a frame, proof included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResponseDigest(#[serde(with = "json::bytes")] pub [u8; 32]);

/// Root of the RFC 6962 tree over the blinded elements, so that one of them can be shown with at most 12 hashes.
#[must_use]
pub fn element_root(blinded: &[[u8; 32]]) -> [u8; 32] {
    merkle::root(blinded.iter().map(|element| merkle::leaf_hash(element)))
}

/// The inclusion path of the element at `position` under [`element_root`], from the leaf upwards: at most 12 hashes.
///
/// # Panics
/// If the frame has no such position.
#[must_use]
pub fn element_path(blinded: &[[u8; 32]], position: u16) -> Vec<[u8; 32]> {
    let leaves: Vec<_> = blinded.iter().map(|element| merkle::leaf_hash(element)).collect();
    merkle::path(&leaves, position.into())
}

/// SHA-256 over length-prefixed domain, origin, platform, list, epoch, batch id, n and element root.
#[must_use]
pub fn request_digest(context: &FrameContext, blinded: &[[u8; 32]]) -> RequestDigest {
    let n = u32::try_from(blinded.len()).expect("at most 4,096");
    digest_of(context, n, &element_root(blinded))
}

/// As [`request_digest`], for who was shown a frame's root and not its elements.
#[must_use]
pub fn request_digest_of_root(context: &FrameContext, n: FrameSize, element_root: &[u8; 32]) -> RequestDigest {
    digest_of(context, n as u32, element_root)
}

fn digest_of(context: &FrameContext, n: u32, element_root: &[u8; 32]) -> RequestDigest {
    let mut hash = Sha256::new();
    lp2(&mut hash, b"veilmatch/v1/request");
    lp2(&mut hash, context.origin.as_str().as_bytes());
    lp2(&mut hash, context.platform.as_str().as_bytes());
    lp2(&mut hash, context.list.as_str().as_bytes());
    lp2(&mut hash, &context.epoch.0.to_be_bytes());
    lp2(&mut hash, &context.batch.0);
    lp2(&mut hash, &n.to_be_bytes());
    lp2(&mut hash, element_root);
    RequestDigest(hash.finalize().into())
}

/// SHA-256("veilmatch/v1/response" ‖ req ‖ evaluated elements ‖ proof).
#[must_use]
pub fn response_digest(request: &RequestDigest, evaluated: &[[u8; 32]], proof: &Proof) -> ResponseDigest {
    let hash = Sha256::new()
        .chain_update(b"veilmatch/v1/response")
        .chain_update(request.0)
        .chain_update(evaluated.as_flattened())
        .chain_update(proof.to_bytes());
    ResponseDigest(hash.finalize().into())
}

/// The message of the platform's request signature: domain, req, view, version and minute, each length-prefixed.
#[must_use]
pub fn signed_message(request: &RequestDigest, view: &View, version: Version, minute: u64) -> Vec<u8> {
    let mut view_bytes = view.size.to_be_bytes().to_vec();
    view_bytes.extend_from_slice(&view.root);
    let mut message = Vec::new();
    push_lp2(&mut message, b"veilmatch/v1/request-signature");
    push_lp2(&mut message, &request.0);
    push_lp2(&mut message, &view_bytes);
    push_lp2(&mut message, &version.0.to_be_bytes());
    push_lp2(&mut message, &minute.to_be_bytes());
    message
}
