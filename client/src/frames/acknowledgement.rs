//! No item of a frame is answered before the agency has acknowledged that the frame is recorded (SPEC §18.4).

use sha2::{Digest, Sha256};
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    date::Date,
    leaf::{Leaf, Query, QueryStatus},
    origin::LogOrigin,
};
use veilmatch_proto::pb;
use veilmatch_protocol::{
    frame::{FrameContext, MINUTE_SKEW, RequestDigest, ResponseDigest},
    manifest::Timestamp,
    name::Version,
    note::Verifier,
};

use crate::enrol::Invitation;

/// Verifies acknowledgements of one agency.
pub(crate) struct Acknowledger {
    /// Its name is the agency's: a note of another agency's log does not open under it.
    key: Verifier,
}

/// Where a frame is recorded.
pub(super) struct Acknowledged {
    pub(super) origin: LogOrigin,
    /// Index of the leaf.
    pub(super) index: u64,
    /// SHA-256 of the note.
    pub(super) ack: [u8; 32],
    /// The day of the record by the agency's clock.
    pub(super) day: String,
    /// The leaf and the note, as they came.
    pub(super) bytes: (Vec<u8>, Vec<u8>),
}

/// Whatever is wrong, the items are not checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAcknowledged;

impl Acknowledger {
    pub(crate) fn new(invitation: &Invitation) -> Self {
        Self { key: invitation.ack_key() }
    }

    /// Verifies that the leaf of an answer is about this very request and answer, and that the agency promises to publish
    /// it. A request is sent again with the same bytes only, so that its record says the same however often it was sent.
    pub(super) fn verify(
        &self,
        context: &FrameContext,
        request: &pb::EvaluateRequest,
        (req, resp): (&RequestDigest, &ResponseDigest),
        answer: &pb::EvaluateResponse,
        now: Timestamp,
    ) -> Result<Acknowledged, NotAcknowledged> {
        let note = Acknowledgement::open(&answer.acknowledgement, &self.key).map_err(|_| NotAcknowledged)?;
        let Ok(Leaf::Query(query)) = Leaf::decode(&answer.leaf) else { return Err(NotAcknowledged) };
        if note.promises(&answer.leaf, &query).is_err() || !is_about(&query, context, request, (req, resp)) {
            return Err(NotAcknowledged);
        }
        if !is_of_its_time(query.t, request.minute, now) {
            return Err(NotAcknowledged);
        }
        let ack = Sha256::digest(&answer.acknowledgement).into();
        let (bytes, day) = ((answer.leaf.clone(), answer.acknowledgement.clone()), Date::of(query.t).to_string());
        Ok(Acknowledged { origin: note.origin, index: note.index, ack, day, bytes })
    }
}

// A record of another time would stand in a log that nobody looks at yet, and on a day that is never closed.
fn is_of_its_time(t: Timestamp, minute: u64, now: Timestamp) -> bool {
    let recorded = t.unix() / 60;
    (minute.saturating_sub(MINUTE_SKEW)..=now.unix() / 60 + MINUTE_SKEW).contains(&recorded)
}

fn is_about(
    query: &Query,
    context: &FrameContext,
    request: &pb::EvaluateRequest,
    (req, resp): (&RequestDigest, &ResponseDigest),
) -> bool {
    let view = request.view.as_ref();
    query.status == QueryStatus::Ok
        && query.platform == context.platform
        && query.list == context.list
        && query.epoch == context.epoch
        && query.version == Version(request.version)
        && query.batch == context.batch
        && query.n.len() * 32 == request.blinded_elements.len()
        && query.req == *req
        && query.resp == Some(*resp)
        && query.req_sig.0[..] == request.request_signature
        && view.is_some_and(|view| query.view.size == view.size && query.view.root[..] == view.root)
        && query.minute == request.minute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_time_acknowledges_nothing() {
        // SPEC §18.4. With a record of a far half-year the log of today was not looked at any more.
        let (asked, now) = (29_000_000, 29_000_030);
        let is = |minute: u64| {
            let time = |minute: u64| Timestamp::from_unix(minute * 60);
            is_of_its_time(time(minute), asked, time(now))
        };
        assert!(is(asked - MINUTE_SKEW) && is(asked) && is(now + MINUTE_SKEW));
        assert!(!is(asked - MINUTE_SKEW - 1) && !is(now + MINUTE_SKEW + 1));
    }
}
