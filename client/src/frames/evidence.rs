//! What is kept of an answer whose proof or acknowledgement does not verify: enough for anybody to verify that it does not.

use serde_json::json;
use veilmatch_proto::pb;
use veilmatch_protocol::frame::FrameContext;

use crate::{
    evidence::{self, About},
    state_dir::StateDir,
};

/// Keeps request and answer as they crossed the wire. No item can be told from them: every element is blinded.
pub(super) fn keep(
    dir: &StateDir,
    context: &FrameContext,
    request: &pb::EvaluateRequest,
    answer: &pb::EvaluateResponse,
    reason: &'static str,
) {
    let batch = hex::encode(context.batch.0);
    tracing::error!(list = %context.list, epoch = context.epoch.0, batch, reason, "the answer is thrown away");
    let view = request.view.clone().unwrap_or_default();
    let evidence = json!({
        "type": "veilmatch/refused-answer/v1",
        "reason": reason,
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
        "leaf": hex::encode(&answer.leaf),
        "acknowledgement": hex::encode(&answer.acknowledgement),
    });
    evidence::keep(dir, About::Frame, &format!("{batch}.json"), (evidence.to_string() + "\n").as_bytes());
}
