//! Sending: the same bytes again until there is an answer, a refusal that waiting does not mend, or no patience left.

use std::time::{Duration, Instant};

use tonic::Status;
use veilmatch_proto::{Reason, Refused, pb};

use super::{Failed, Frames, now};
use crate::{
    connection::{Backoff, is_passing, never_sent},
    outcome::NotChecked,
};

/// How long the server may take for one frame before the same bytes are sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Least time that a try gets, however little patience is left.
const LEAST_TIMEOUT: Duration = Duration::from_millis(500);

/// Tries in which the frame may have arrived. The server answers a known frame no more often than that; tries that found
/// no server do not count.
const MAX_TRIES: u32 = 8;

/// After this time a refusal for the request's minute is no wonder: the frame has waited too long, not the clock is wrong.
const OLD_MINUTES: u64 = 5;

impl Frames {
    /// A server that had answered before a connection broke gives the same answer again and charges nothing.
    pub(super) async fn send(
        &self,
        request: &pb::EvaluateRequest,
        patience: Duration,
    ) -> Result<pb::EvaluateResponse, Failed> {
        let start = Instant::now();
        let (mut backoff, mut tries) = (Backoff::new(), 0);
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let timeout = left.clamp(LEAST_TIMEOUT, ANSWER_TIMEOUT);
            let mut evaluation = self.connection.evaluation();
            let status = match tokio::time::timeout(timeout, evaluation.evaluate(request.clone())).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            if !never_sent(&status) {
                tries += 1;
            }
            let (failed, asked) = self.judge(request, &status)?;
            let pause = backoff.next(asked);
            if tries >= MAX_TRIES || start.elapsed() + pause > patience {
                return Err(Failed::NotChecked(failed));
            }
            tracing::debug!(code = ?status.code(), tries, pause_ms = pause.as_millis() as u64, "a frame is sent again");
            tokio::time::sleep(pause).await;
        }
    }

    /// What a failed call means: an end, or what to say if there is no patience left, and the wait that the server asks for.
    fn judge(&self, request: &pb::EvaluateRequest, status: &Status) -> Result<(NotChecked, Duration), Failed> {
        let Some(Refused { reason, retry_after }) = Refused::from_status(status) else {
            return self.judge_transport(status);
        };
        let refused = NotChecked::Refused { reason, retry_after };
        match reason {
            Reason::Overloaded | Reason::AuditUnavailable | Reason::NotServing | Reason::DeadlineExceeded => {
                Ok((refused, retry_after.unwrap_or_default()))
            }
            Reason::EpochRetired
            | Reason::UnknownEpoch
            | Reason::UnknownVersion
            | Reason::UnknownView
            | Reason::FrameSize
            | Reason::RetryLimit => Err(Failed::Stale(reason)),
            Reason::ClockSkew if now().unix() / 60 >= request.minute + OLD_MINUTES => Err(Failed::Stale(reason)),
            _ => Err(Failed::NotChecked(refused)),
        }
    }

    /// The transport's own errors: nothing was answered, so the same bytes may be sent again.
    fn judge_transport(&self, status: &Status) -> Result<(NotChecked, Duration), Failed> {
        if let Some(error) = self.connection.distrust() {
            tracing::error!(%error, "the two sides do not accept each other's certificates");
            return Err(Failed::NotChecked(NotChecked::Certificate));
        }
        if is_passing(status) {
            return Ok((NotChecked::Offline, Duration::ZERO));
        }
        tracing::error!(code = ?status.code(), "a call failed in a way that our server does not");
        Err(Failed::NotChecked(NotChecked::Offline))
    }
}
