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

/// Tries after which nobody knows whether the frame was answered. The server answers a known frame no more often than that;
/// tries that found no server, and those that it refused, do not count.
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
        let mut tries = Tries::new(patience);
        let mut stopped = self.stopped.clone();
        loop {
            let timeout = tries.left().clamp(LEAST_TIMEOUT, ANSWER_TIMEOUT);
            let mut evaluation = self.connection.evaluation();
            let status = match tokio::time::timeout(timeout, evaluation.evaluate(request.clone())).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let passing = judge(request, &status, self.connection.distrust())?;
            let pause = tries.again(&passing).ok_or(Failed::NotChecked(passing.otherwise))?;
            let made = tries.unknown;
            tracing::debug!(code = ?status.code(), made, pause_ms = pause.as_millis() as u64, "a frame is sent again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return Err(Failed::NotChecked(NotChecked::ShutDown)),
            }
        }
    }
}

/// How long one frame is sent again.
struct Tries {
    start: Instant,
    patience: Duration,
    backoff: Backoff,
    // Tries with an unknown end.
    unknown: u32,
}

impl Tries {
    fn new(patience: Duration) -> Self {
        Self { start: Instant::now(), patience, backoff: Backoff::new(), unknown: 0 }
    }

    fn left(&self) -> Duration {
        self.patience.saturating_sub(self.start.elapsed())
    }

    /// The pause before the next try, if there is one.
    fn again(&mut self, passing: &Passing) -> Option<Duration> {
        self.unknown += u32::from(passing.unknown);
        let pause = self.backoff.next(passing.asked);
        (self.unknown < MAX_TRIES && pause <= self.left()).then_some(pause)
    }
}

/// A failed call after which the same bytes may be sent again.
struct Passing {
    /// What to say if there is no patience left.
    otherwise: NotChecked,
    /// The wait that the server asks for.
    asked: Duration,
    /// Whether the frame may have been answered nevertheless.
    unknown: bool,
}

/// What a failed call means.
fn judge(request: &pb::EvaluateRequest, status: &Status, distrust: Option<rustls::Error>) -> Result<Passing, Failed> {
    let Some(Refused { reason, retry_after }) = Refused::from_status(status) else {
        return judge_transport(status, distrust);
    };
    let refused = NotChecked::Refused { reason, retry_after };
    match reason {
        reason if is_passing_refusal(reason) => Ok(Passing {
            otherwise: refused,
            asked: retry_after.unwrap_or_default(),
            // The record may have been on its way to the disk when the time was over.
            unknown: reason == Reason::DeadlineExceeded,
        }),
        Reason::EpochRetired
        | Reason::UnknownEpoch
        | Reason::UnknownVersion
        | Reason::UnknownView
        | Reason::FrameSize
        | Reason::RetryLimit => Err(Failed::Behind(refused)),
        Reason::ClockSkew if now().unix() / 60 >= request.minute + OLD_MINUTES => Err(Failed::Behind(refused)),
        _ => Err(Failed::NotChecked(refused)),
    }
}

/// Whether the same bytes may be answered when they are sent again.
pub(super) fn is_passing_refusal(reason: Reason) -> bool {
    matches!(reason, Reason::Overloaded | Reason::AuditUnavailable | Reason::NotServing | Reason::DeadlineExceeded)
}

/// The transport's own errors: nothing was answered, so the same bytes may be sent again.
fn judge_transport(status: &Status, distrust: Option<rustls::Error>) -> Result<Passing, Failed> {
    if let Some(error) = distrust {
        tracing::error!(%error, "the two sides do not accept each other's certificates");
        return Err(Failed::NotChecked(NotChecked::Certificate));
    }
    if is_passing(status) {
        let unknown = !never_sent(status);
        return Ok(Passing { otherwise: NotChecked::Offline, asked: Duration::ZERO, unknown });
    }
    tracing::error!(code = ?status.code(), "a call failed in a way that our server does not");
    Err(Failed::NotChecked(NotChecked::Offline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_is_asked_as_long_as_there_is_patience() {
        // SPEC §9.6. Refusals of a busy server used up the eight tries of a frame, so a scan gave up after eleven seconds
        // where the configuration promises ten minutes.
        let request = pb::EvaluateRequest::default();
        let after = |status: Status, tries: &mut Tries| tries.again(&judge(&request, &status, None).ok().unwrap());
        for reason in [Reason::Overloaded, Reason::NotServing, Reason::AuditUnavailable] {
            let mut tries = Tries::new(Duration::from_secs(600));
            let busy = || Refused { reason, retry_after: Some(Duration::from_secs(1)) }.into();
            for n in 0..100 {
                assert!(after(busy(), &mut tries) >= Some(Duration::from_secs(1)), "{reason:?}, try {n}");
            }
        }
        let mut tries = Tries::new(Duration::from_secs(600));
        let made = (1..).find(|_| after(Status::unavailable("cut"), &mut tries).is_none());
        assert_eq!(made, Some(MAX_TRIES), "what may have been answered is asked no more often than it would be again");
        let mut tries = Tries::new(Duration::ZERO);
        assert_eq!(after(Status::unavailable("cut"), &mut tries), None, "no patience, no second try");
    }
}
