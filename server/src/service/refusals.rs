//! Which refused frames are recorded, and how many.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use veilmatch_protocol::name::PlatformId;

use crate::status::CallError;

/// Counts the recorded refusals of each platform in the present minute.
#[derive(Debug)]
pub(super) struct Refusals {
    per_minute: u32,
    counted: Mutex<HashMap<PlatformId, (u64, u32)>>,
}

impl Refusals {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, counted: Mutex::default() }
    }

    /// Whether one more refusal of this platform is recorded in this minute.
    pub(super) fn admit(&self, platform: &PlatformId, minute: u64) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, count) = counted.entry(platform.clone()).or_default();
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        *count <= self.per_minute
    }
}

/// Whether a frame that was refused so, after its signature verified, belongs on record (SPEC §9.7). Not recorded: what
/// never named a frame, load shedding, and what we could not do.
pub(super) fn is_recorded(error: &CallError) -> bool {
    match error {
        CallError::BadFrame
        | CallError::FrameSize
        | CallError::UnknownVersion
        | CallError::VersionOfOtherEpoch
        | CallError::UnknownEpoch
        | CallError::EpochRetired
        | CallError::UnknownView
        | CallError::ViewBehindVersion
        | CallError::ClockSkew { .. }
        | CallError::FrameExceedsBudget
        | CallError::BudgetExhausted { .. }
        | CallError::EpochCap
        | CallError::BatchReused
        | CallError::RetryLimit => true,
        CallError::Malformed(_)
        | CallError::BadSignature
        | CallError::NoIdentity
        | CallError::UnknownKey
        | CallError::WrongName
        | CallError::Suspended
        | CallError::UnknownList
        | CallError::ListNotOpen
        | CallError::NoCodeBook
        | CallError::OffsetOutOfRange
        | CallError::UnknownLog
        | CallError::BadCheckpoint
        | CallError::CheckpointAhead
        | CallError::CheckpointConflict
        | CallError::CloseDiffers
        | CallError::RefusalFlood
        | CallError::Overloaded(_)
        | CallError::AuditUnavailable
        | CallError::NotServing
        | CallError::DeadlineExceeded
        | CallError::ResponseMismatch
        | CallError::Store(_)
        | CallError::Lost => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_recorded_up_to_its_limit_each_minute() {
        let refusals = Refusals::new(2);
        let (a, b) = (PlatformId::parse("a").unwrap(), PlatformId::parse("b").unwrap());
        assert_eq!([1, 2, 3].map(|_| refusals.admit(&a, 7)), [true, true, false]);
        assert!(refusals.admit(&b, 7));
        assert!(refusals.admit(&a, 8));
    }
}
