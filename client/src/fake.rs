//! An agency in the same process, for tests: real protocol, no TLS, no disk, and misconduct on demand.

use veilmatch_proto::pb;

/// A request of legal form that nobody can answer.
pub(crate) fn any_request() -> pb::EvaluateRequest {
    pb::EvaluateRequest::default()
}
