//! Why a call is refused, as our log says it and as the peer hears it.
//!
//! The peer gets a fixed sentence and a stable name; the log gets the cause. Both carry one request id.

use std::{fmt, time::Duration};

use rand::Rng;
use thiserror::Error;
use tonic::{Code, Status, metadata::MetadataValue};
use veilmatch_proto::{Reason, Refused};

use crate::{
    Error,
    budget::NoBudget,
    cpu::{NoResult, Overloaded},
};

/// Names the request id in a status' metadata.
pub const REQUEST_ID: &str = "veilmatch-request-id";

/// Why a call or a frame is refused.
#[derive(Debug, Error)]
pub enum CallError {
    // The peer's bytes.
    /// A field is outside its grammar.
    #[error("a field is malformed")]
    Malformed(Refused),
    /// An element is not canonical or is the identity.
    #[error("an element is refused")]
    BadFrame,
    /// The size class is not one of the manifest's.
    #[error("the size class is not offered")]
    FrameSize,
    /// The request signature does not verify.
    #[error("the request signature does not verify")]
    BadSignature,

    // The peer's conduct.
    /// The connection has no identity.
    #[error("the connection shows no certificate")]
    NoIdentity,
    /// The certificate's key is not enrolled.
    #[error("the certificate's key is not enrolled")]
    UnknownKey,
    /// The certificate's key is enrolled under another name.
    #[error("the certificate names somebody else than its key's holder")]
    WrongName,
    /// The platform is suspended.
    #[error("the platform is suspended")]
    Suspended,
    /// There is no such list.
    #[error("no such list")]
    UnknownList,
    /// The platform may not ask this list.
    #[error("the list is not open to the platform")]
    ListNotOpen,
    /// There is no such version.
    #[error("no such version")]
    UnknownVersion,
    /// The version has no code book.
    #[error("the version has no code book")]
    NoCodeBook,
    /// The version belongs to another epoch.
    #[error("the version belongs to another epoch")]
    VersionOfOtherEpoch,
    /// There is no such epoch.
    #[error("no such epoch")]
    UnknownEpoch,
    /// The epoch is retired.
    #[error("the epoch is retired")]
    EpochRetired,
    /// The view was never published.
    #[error("the view was never published")]
    UnknownView,
    /// The view's tree does not have the version that the frame names.
    #[error("the view does not have the version")]
    ViewBehindVersion,
    /// The request's minute is too far away.
    #[error("the request's minute is {minutes} minutes away")]
    ClockSkew {
        /// How far.
        minutes: u64,
    },
    /// The offset is beyond the end of the file.
    #[error("the offset is beyond the end")]
    OffsetOutOfRange,
    /// No day's budget would hold the frame.
    #[error("the frame exceeds a day's budget")]
    FrameExceedsBudget,
    /// The day's budget is spent.
    #[error("the day's budget is spent")]
    BudgetExhausted {
        /// Until the next day.
        retry_after: Duration,
    },
    /// The key has answered as much as it may.
    #[error("the epoch's evaluations are used up")]
    EpochCap,
    /// The batch id was answered for other bytes.
    #[error("the batch id was answered for another frame")]
    BatchReused,
    /// The frame was answered too often or too long ago.
    #[error("the frame was answered too often or too long ago")]
    RetryLimit,
    /// There is no such log, or the leaf is not the platform's to read.
    #[error("no such log or leaf")]
    UnknownLog,
    /// A checkpoint, a cosignature or a proof does not hold.
    #[error("a checkpoint or its proof is refused")]
    BadCheckpoint,
    /// A size beyond the published tree.
    #[error("the size is beyond the published tree")]
    CheckpointAhead,
    /// Something else was cosigned last.
    #[error("another checkpoint was cosigned last")]
    CheckpointConflict,
    /// Our records say otherwise than the closing statement.
    #[error("the closing statement differs from the records")]
    CloseDiffers,
    /// Too many refusals of this platform are on record for this minute.
    #[error("too many refused frames in a minute")]
    RefusalFlood,

    // The environment.
    /// Too much waits for a processor.
    #[error("too many elements wait")]
    Overloaded(Overloaded),
    /// The record could not be made durable.
    #[error("the frame could not be recorded")]
    AuditUnavailable,
    /// The server is starting or draining.
    #[error("the server is not serving")]
    NotServing,
    /// The call took too long.
    #[error("the call took longer than its limit")]
    DeadlineExceeded,

    // We.
    /// A repeated evaluation differs from the recorded one.
    #[error("a repeated answer differs from the recorded one")]
    ResponseMismatch,
    /// The store or a file failed.
    #[error("the store failed")]
    Store(#[source] Error),
    /// A thread of ours ended.
    #[error("the evaluation was lost")]
    Lost,
}

impl CallError {
    /// What the peer hears. Every variant is listed, so a new one asks its author for a reason.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let wait = |reason, retry_after| Refused { reason, retry_after: Some(retry_after) };
        match self {
            Self::Malformed(refused) => *refused,
            Self::BadFrame => Reason::BadFrame.into(),
            Self::FrameSize => Reason::FrameSize.into(),
            Self::BadSignature => Reason::BadSignature.into(),
            Self::NoIdentity | Self::UnknownKey | Self::WrongName => Reason::UnknownClient.into(),
            Self::Suspended => Reason::Suspended.into(),
            Self::UnknownList | Self::ListNotOpen => Reason::UnknownList.into(),
            Self::UnknownVersion | Self::VersionOfOtherEpoch => Reason::UnknownVersion.into(),
            Self::NoCodeBook => Reason::NoCodeBook.into(),
            Self::UnknownEpoch => Reason::UnknownEpoch.into(),
            Self::EpochRetired => Reason::EpochRetired.into(),
            Self::UnknownView | Self::ViewBehindVersion => Reason::UnknownView.into(),
            Self::ClockSkew { .. } => Reason::ClockSkew.into(),
            Self::OffsetOutOfRange => Reason::OffsetOutOfRange.into(),
            Self::FrameExceedsBudget => Reason::FrameExceedsBudget.into(),
            Self::BudgetExhausted { retry_after } => wait(Reason::BudgetExhausted, *retry_after),
            Self::EpochCap => Reason::EpochCap.into(),
            Self::BatchReused => Reason::BatchReused.into(),
            Self::RetryLimit => Reason::RetryLimit.into(),
            Self::UnknownLog => Reason::UnknownLog.into(),
            Self::BadCheckpoint => Reason::BadCheckpoint.into(),
            Self::CheckpointAhead => Reason::CheckpointAhead.into(),
            Self::CheckpointConflict => Reason::CheckpointConflict.into(),
            Self::CloseDiffers => Reason::CloseDiffers.into(),
            Self::RefusalFlood => wait(Reason::Overloaded, Duration::from_secs(60)),
            Self::Overloaded(overloaded) => wait(Reason::Overloaded, overloaded.retry_after),
            Self::AuditUnavailable => wait(Reason::AuditUnavailable, Duration::from_secs(1)),
            Self::NotServing => wait(Reason::NotServing, Duration::from_secs(1)),
            Self::DeadlineExceeded => Reason::DeadlineExceeded.into(),
            Self::ResponseMismatch => Reason::ResponseMismatch.into(),
            Self::Store(_) | Self::Lost => Reason::Internal.into(),
        }
    }

    /// Writes the one line of a refused call and makes the status that the peer gets.
    #[must_use]
    pub fn into_status(self, request: &RequestId, call: &'static str, platform: Option<&str>) -> Status {
        let refused = self.log(request, call, platform);
        let mut status = Status::from(refused);
        if let Ok(id) = MetadataValue::try_from(request.to_string()) {
            status.metadata_mut().insert(REQUEST_ID, id);
        }
        status
    }

    /// Writes the one line of a refused call and gives what the peer hears.
    pub fn log(&self, request: &RequestId, call: &'static str, platform: Option<&str>) -> Refused {
        let refused = self.refused();
        let reason = refused.reason.name();
        let platform = platform.unwrap_or("");
        let cause = Chain(self);
        match self {
            Self::Store(_) | Self::Lost | Self::ResponseMismatch | Self::AuditUnavailable => {
                tracing::error!(%request, call, platform, reason, %cause, "call failed");
            }
            _ => tracing::info!(%request, call, platform, reason, %cause, "call refused"),
        }
        refused
    }
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> Self {
        Self::Malformed(refused)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<NoBudget> for CallError {
    fn from(refused: NoBudget) -> Self {
        match refused {
            NoBudget::ExceedsDay => Self::FrameExceedsBudget,
            NoBudget::Exhausted { retry_after } => Self::BudgetExhausted { retry_after },
            NoBudget::EpochCap => Self::EpochCap,
            NoBudget::Store(error) => Self::Store(error),
        }
    }
}

impl From<NoResult> for CallError {
    fn from(none: NoResult) -> Self {
        match none {
            NoResult::Overloaded(overloaded) => Self::Overloaded(overloaded),
            NoResult::Lost => Self::Lost,
        }
    }
}

/// What the transport says of a message that is too long or cannot be decoded, as a refusal of ours: its own text quotes
/// the parser, and a peer that sends such a message must not send it again (SPEC §9.4).
#[must_use]
pub fn in_our_words(status: Status, call: &str) -> Status {
    let of_transport = matches!(status.code(), Code::OutOfRange | Code::Internal) && status.details().is_empty();
    if !of_transport {
        return status;
    }
    let (request, reason) = (RequestId::draw(), Reason::BadRequest);
    tracing::info!(%request, call, reason = reason.name(), cause = status.message(), "call refused");
    let mut refused = Status::from(Refused::from(reason));
    if let Ok(id) = MetadataValue::try_from(request.to_string()) {
        refused.metadata_mut().insert(REQUEST_ID, id);
    }
    refused
}

/// An error with its causes, outermost first.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// Names a call in our log and, if it is refused, to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 8]);

impl RequestId {
    /// Draws one.
    #[must_use]
    pub fn draw() -> Self {
        let mut bytes = [0; 8];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_hears_the_fixed_sentence_and_the_log_the_cause() {
        let cause = Error::Internal("the disk's name is /dev/secret");
        let error = CallError::Store(cause);
        assert!(Chain(&error).to_string().contains("/dev/secret"));
        let request = RequestId::draw();
        let status = error.into_status(&request, "Evaluate", None);
        assert_eq!(status.code(), tonic::Code::Internal);
        assert_eq!(status.message(), Reason::Internal.message());
        assert_eq!(status.metadata().get(REQUEST_ID).unwrap().to_str().unwrap(), request.to_string());
    }

    #[test]
    fn what_the_transport_says_of_a_message_is_said_in_our_words() {
        // SPEC §9.4
        for code in [Code::OutOfRange, Code::Internal] {
            let status = in_our_words(Status::new(code, "invalid wire type"), "Evaluate");
            assert_eq!(Refused::from_status(&status), Some(Reason::BadRequest.into()));
            assert_eq!(status.message(), Reason::BadRequest.message());
            assert!(status.metadata().contains_key(REQUEST_ID));
        }
        let ours = Status::from(Refused::from(Reason::OffsetOutOfRange));
        assert_eq!(Refused::from_status(&in_our_words(ours, "FetchDelta")), Some(Reason::OffsetOutOfRange.into()));
        assert_eq!(in_our_words(Status::unimplemented("no such method"), "?").code(), Code::Unimplemented);
    }

    #[test]
    fn whoever_must_wait_hears_how_long() {
        let wait = Duration::from_secs(90);
        let status = CallError::BudgetExhausted { retry_after: wait }.into_status(&RequestId::draw(), "Evaluate", None);
        assert_eq!(
            Refused::from_status(&status),
            Some(Refused { reason: Reason::BudgetExhausted, retry_after: Some(wait) })
        );
    }

    #[test]
    fn a_list_that_is_not_open_looks_like_one_that_is_not_there() {
        assert_eq!(CallError::ListNotOpen.refused(), CallError::UnknownList.refused());
        assert_eq!(CallError::WrongName.refused(), CallError::UnknownKey.refused());
    }
}
