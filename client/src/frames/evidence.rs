//! What is kept of an answer whose proof does not verify: enough for anybody to verify that it does not.

use std::fs;

use serde_json::json;
use veilmatch_proto::pb;
use veilmatch_protocol::frame::FrameContext;

use crate::state_dir::{StateDir, write_private};

/// Files kept at most: a server that goes on lying must not fill the disk. The first ones prove as much as the rest.
const MAX_FILES: usize = 256;

/// Keeps request and answer as they crossed the wire. No item can be told from them: every element is blinded.
pub(super) fn keep(
    dir: &StateDir,
    context: &FrameContext,
    request: &pb::EvaluateRequest,
    answer: &pb::EvaluateResponse,
) {
    let batch = hex::encode(context.batch.0);
    let path = dir.evidence().join(format!("frame-{batch}.json"));
    tracing::error!(list = %context.list, epoch = context.epoch.0, batch, "BAD_PROOF: the answer is thrown away");
    if fs::read_dir(dir.evidence()).is_ok_and(|files| files.count() >= MAX_FILES) {
        tracing::error!("evidence/ is full; this frame is not kept");
        return;
    }
    let view = request.view.clone().unwrap_or_default();
    let evidence = json!({
        "type": "veilmatch/bad-proof/v1",
        "origin": context.origin.as_str(),
        "platform": context.platform.as_str(),
        "list": request.list_id,
        "epoch": request.epoch,
        "version": request.version,
        "view": { "size": view.size, "root": hex::encode(view.root) },
        "batch": batch,
        "minute": request.minute,
        "blinded_elements": hex::encode(&request.blinded_elements),
        "request_signature": hex::encode(&request.request_signature),
        "answered_batch": hex::encode(&answer.batch_id),
        "evaluated_elements": hex::encode(&answer.evaluated_elements),
        "proof": hex::encode(&answer.proof),
    });
    if let Err(error) = write_private(&path, (evidence.to_string() + "\n").as_bytes()) {
        tracing::error!(%error, "evidence could not be kept");
    }
}
