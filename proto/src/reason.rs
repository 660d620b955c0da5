//! Every reason for which a server refuses, its gRPC code and what the other side does next (SPEC §10).

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::pb;

/// `domain` of the ErrorInfo that goes with every refusal.
pub const DOMAIN: &str = "veilmatch.v1";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $code:ident, $message:literal, $action:literal;)*) => {
        /// Why a call or a frame is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order of SPEC §10.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name: ErrorInfo's `reason`, the metric label, the row of SPEC §10.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The gRPC status code.
            #[must_use]
            pub fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)* }
            }

            /// The fixed text that a peer gets; it never depends on the request's content.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What the peer does next.
            #[must_use]
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }
        }
    };
}

reasons! {
    /// A field is absent, too long or outside its grammar, or the message is too long or does not decode.
    BadRequest = "BAD_REQUEST", InvalidArgument, "a field of the request is malformed", "mend the client; never send it again";
    /// An element is not canonical or is the identity: one reason for every cryptographic rejection of a request.
    BadFrame = "BAD_FRAME", InvalidArgument, "the frame is refused", "mend the client; blind the items anew under a new batch id";
    /// The number of elements is no size class of this list's manifest.
    FrameSize = "FRAME_SIZE", InvalidArgument, "the frame's size is not one of the manifest's", "use a size of the manifest";
    /// The request signature does not verify under the platform's registered key.
    BadSignature = "BAD_SIGNATURE", PermissionDenied, "the request signature does not verify", "check the request key against the enrolment; tell the agency";
    /// The request's minute is more than ten minutes away from the server's clock.
    ClockSkew = "CLOCK_SKEW", FailedPrecondition, "the request's minute is too far from the server's clock", "set the clock; sign again under a new batch id";
    /// The certificate is not one of an enrolled platform.
    UnknownClient = "UNKNOWN_CLIENT", Unauthenticated, "the certificate is not enrolled", "enrol with the agency";
    /// The platform is suspended.
    Suspended = "SUSPENDED", PermissionDenied, "the platform is suspended", "stop and ask the agency";
    /// No such list, or not open to this platform.
    UnknownList = "UNKNOWN_LIST", NotFound, "no such list", "use a list of the invitation";
    /// No such version, or its files are gone.
    UnknownVersion = "UNKNOWN_VERSION", NotFound, "no such version, or its files are no longer kept", "fetch the newest manifest and start from it";
    /// The version has opaque labels, and so no code book.
    NoCodeBook = "NO_CODE_BOOK", NotFound, "the version has no code book", "fetch the newest manifest and start from it";
    /// The epoch never existed.
    UnknownEpoch = "UNKNOWN_EPOCH", FailedPrecondition, "no such epoch", "fetch the newest manifest and start from it";
    /// The epoch's key was retired.
    EpochRetired = "EPOCH_RETIRED", FailedPrecondition, "the epoch is retired", "fetch the newest manifest, synchronise and blind anew";
    /// The view is not one that this server ever published.
    UnknownView = "UNKNOWN_VIEW", FailedPrecondition, "the view is not one of this list's", "keep the evidence; fetch the manifests again";
    /// The offset lies beyond the end of the file.
    OffsetOutOfRange = "OFFSET_OUT_OF_RANGE", OutOfRange, "the offset is beyond the end of the file", "discard the partial file and start at 0";
    /// No such log, or a leaf that the platform may not read.
    UnknownLog = "UNKNOWN_LOG", NotFound, "no such log or leaf", "use the origins of the invitation's agency";
    /// A checkpoint has another form, signature or proof than it should.
    BadCheckpoint = "BAD_CHECKPOINT", InvalidArgument, "the checkpoint or its proof is refused", "mend the client; never send it again";
    /// The size that is named is larger than the published tree.
    CheckpointAhead = "CHECKPOINT_AHEAD", FailedPrecondition, "the published tree is smaller", "keep the evidence if the size was published; else wait and ask again";
    /// The old size is not what was cosigned last, or another root was cosigned for the size.
    CheckpointConflict = "CHECKPOINT_CONFLICT", FailedPrecondition, "another checkpoint was cosigned last", "ask with GetCosigned what was cosigned; never sign a smaller tree";
    /// A closing statement that the agency's records contradict.
    CloseDiffers = "CLOSE_DIFFERS", FailedPrecondition, "the closing statement differs from the records", "keep the statement; compare the records with the agency";
    /// The frame alone is larger than a whole day's budget.
    FrameExceedsBudget = "FRAME_EXCEEDS_BUDGET", FailedPrecondition, "the frame is larger than the daily budget", "use smaller frames or ask the agency for a larger budget";
    /// The day's budget of elements or frames is spent.
    BudgetExhausted = "BUDGET_EXHAUSTED", ResourceExhausted, "the daily budget is spent", "wait as told by RetryInfo";
    /// Too many elements wait, too many frames were refused in a minute, or a certificate has too many connections.
    Overloaded = "OVERLOADED", ResourceExhausted, "the server is busy", "wait as told by RetryInfo; send the same bytes again";
    /// The batch id was answered before, for other bytes.
    BatchReused = "BATCH_REUSED", AlreadyExists, "the batch id was used for another frame", "draw batch ids at random; tell us if you do";
    /// The answered frame was asked again too often or too late.
    RetryLimit = "RETRY_LIMIT", FailedPrecondition, "the frame was answered too often or too long ago", "blind the items anew under a new batch id";
    /// 2^40 evaluations were made under this epoch's key.
    EpochCap = "EPOCH_CAP", FailedPrecondition, "the epoch's evaluations are used up", "wait for the next epoch; tell the agency";
    /// The record of the frame could not be made durable, so nothing is answered.
    AuditUnavailable = "AUDIT_UNAVAILABLE", Unavailable, "the query log cannot be written", "back off and send the same bytes again";
    /// The server is starting or draining.
    NotServing = "NOT_SERVING", Unavailable, "the server is not serving", "back off and send the same bytes again";
    /// A message, stream or call took longer than its limit.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, "the call took longer than its limit", "send the same bytes again";
    /// A repeated evaluation differs from what was recorded.
    ResponseMismatch = "RESPONSE_MISMATCH", DataLoss, "the repeated answer differs from the recorded one", "stop and call the agency";
    /// Our own fault.
    Internal = "INTERNAL", Internal, "internal error", "tell the agency the request id";
}

impl Reason {
    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}

/// A refusal as it crosses the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason.message())]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// How long waiting helps, if it does.
    pub retry_after: Option<Duration>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let mut details =
            ErrorDetails::with_error_info(refused.reason.name(), DOMAIN, HashMap::<String, String>::new());
        if let Some(delay) = refused.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(refused.reason.code(), refused.reason.message(), details)
    }
}

impl Refused {
    /// The refusal in a status that a server of ours sent; `None` for a status of the transport, of anything else, or with
    /// a reason that this build does not know: the caller goes by its code (SPEC §10).
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.check_error_details().ok()?;
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        let reason = Reason::from_name(&info.reason)?;
        Some(Self { reason, retry_after: details.retry_info().and_then(|info| info.retry_delay) })
    }

    /// As an answer in a stream; `request_id` names the refusal in the server's log.
    #[must_use]
    pub fn to_pb(self, batch_id: Vec<u8>, request_id: String) -> pb::Refusal {
        pb::Refusal {
            batch_id,
            request_id,
            code: self.reason.code() as u32,
            reason: self.reason.name().to_owned(),
            message: self.reason.message().to_owned(),
            retry_after_ms: self.retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// From an answer in a stream.
    ///
    /// # Errors
    /// A reason that this build does not know: the status to go by, with the code that came and no refusal in it.
    pub fn from_pb(refusal: &pb::Refusal) -> Result<Self, Status> {
        let Some(reason) = Reason::from_name(&refusal.reason) else {
            // A code beyond gRPC's is Unknown there, and so here.
            let code = i32::try_from(refusal.code).map_or(Code::Unknown, Code::from_i32);
            return Err(Status::new(code, "refused for a reason that this build does not know"));
        };
        let retry_after = (refusal.retry_after_ms > 0).then(|| Duration::from_millis(refusal.retry_after_ms));
        Ok(Self { reason, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire_with_its_wait() {
        // SPEC §10
        for &reason in Reason::ALL {
            for retry_after in [None, Some(Duration::from_millis(1_500))] {
                let refused = Refused { reason, retry_after };
                let status = Status::from(refused);
                assert_eq!(status.code(), reason.code());
                assert_eq!(Refused::from_status(&status), Some(refused));
                assert_eq!(Refused::from_pb(&refused.to_pb(vec![1; 16], String::new())).unwrap(), refused);
            }
        }
    }

    #[test]
    fn a_reason_that_is_not_known_here_is_treated_by_its_code() {
        // SPEC §10
        let info = ErrorDetails::with_error_info("OF_A_LATER_VERSION", DOMAIN, HashMap::<String, String>::new());
        let status = Status::with_error_details(Code::NotFound, "", info);
        assert_eq!((Refused::from_status(&status), status.code()), (None, Code::NotFound));

        let mut refusal = Refused::from(Reason::Overloaded).to_pb(vec![1; 16], String::new());
        refusal.reason = "OF_A_LATER_VERSION".into();
        let by_code = Refused::from_pb(&refusal).unwrap_err();
        assert_eq!((by_code.code(), Refused::from_status(&by_code)), (Code::ResourceExhausted, None));
        refusal.code = u32::MAX;
        assert_eq!(Refused::from_pb(&refusal).unwrap_err().code(), Code::Unknown);
    }

    #[test]
    fn a_status_of_somebody_else_is_no_refusal_of_ours() {
        assert_eq!(Refused::from_status(&Status::unavailable("connection refused")), None);
        let foreign = ErrorDetails::with_error_info("BAD_FRAME", "other.example", HashMap::<String, String>::new());
        assert_eq!(Refused::from_status(&Status::with_error_details(Code::Aborted, "", foreign)), None);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
