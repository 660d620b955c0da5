//! The Evaluation service: one frame, or a stream of them with a bounded number in flight.

use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming, async_trait};
use veilmatch_proto::{
    EvaluateFrame, FrameAnswer, STREAM_WINDOW,
    pb::{self, evaluate_stream_response::Outcome, evaluation_server::Evaluation},
};

use super::{Service, caller};
use crate::{
    status::{CallError, RequestId, in_our_words},
    tls::PeerIdentity,
};

/// How long a frame may take from its arrival to its answer.
const FRAME_DEADLINE: Duration = Duration::from_secs(10);

type Answers = Pin<Box<dyn Stream<Item = Result<pb::EvaluateStreamResponse, Status>> + Send>>;

#[async_trait]
impl Evaluation for Service {
    type EvaluateStreamStream = Answers;

    async fn evaluate(&self, request: Request<pb::EvaluateRequest>) -> Result<Response<pb::EvaluateResponse>, Status> {
        let id = RequestId::draw();
        let identity = request.extensions().get::<PeerIdentity>().cloned();
        let (answer, platform) = self.frame(identity.as_ref(), request.into_inner()).await;
        match answer {
            Ok(answer) => Ok(Response::new(answer.into())),
            Err(error) => Err(error.into_status(&id, "Evaluate", platform.as_deref())),
        }
    }

    async fn evaluate_stream(
        &self,
        request: Request<Streaming<pb::EvaluateRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let identity = request.extensions().get::<PeerIdentity>().cloned();
        if let Err(error) = caller::client(&self.catalogue(), identity.as_ref()) {
            return Err(error.into_status(&RequestId::draw(), "EvaluateStream", None));
        }
        let service = self.clone();
        let answers = bounded(request.into_inner(), self.draining.clone().cancelled_owned())
            .map(move |frame| {
                let (service, identity) = (service.clone(), identity.clone());
                async move {
                    let frame = frame.map_err(|status| in_our_words(status, "EvaluateStream"))?;
                    let batch = frame.batch_id.clone();
                    let outcome = match service.frame(identity.as_ref(), frame).await {
                        (Ok(answer), _) => Outcome::Answer(answer.into()),
                        (Err(error), platform) => {
                            let id = RequestId::draw();
                            let refused = error.log(&id, "EvaluateStream", platform.as_deref());
                            let batch = if batch.len() == 16 { batch } else { Vec::new() };
                            Outcome::Refusal(refused.to_pb(batch, id.to_string()))
                        }
                    };
                    Ok(pb::EvaluateStreamResponse { outcome: Some(outcome) })
                }
            })
            .buffer_unordered(STREAM_WINDOW);
        Ok(Response::new(Box::pin(answers) as Answers))
    }
}

// Reads frames until the stream ends, fails, or the server drains. A failure is given once and ends it.
fn bounded(
    frames: Streaming<pb::EvaluateRequest>,
    draining: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<pb::EvaluateRequest, Status>> + Send {
    let frames = stream::unfold(Some(frames), |frames| async move {
        let mut frames = frames?;
        match frames.message().await {
            Ok(Some(frame)) => Some((Ok(frame), Some(frames))),
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    });
    frames.take_until(draining)
}

impl Service {
    // A frame, and for the log the platform if it is known. The platform is looked up for each frame: a suspension takes
    // effect within a stream.
    async fn frame(
        &self,
        identity: Option<&PeerIdentity>,
        request: pb::EvaluateRequest,
    ) -> (Result<FrameAnswer, CallError>, Option<String>) {
        let catalogue = self.catalogue();
        let client = match caller::client(&catalogue, identity) {
            Ok(client) => client,
            Err(error) => return (Err(error), None),
        };
        let answer = async {
            let frame = EvaluateFrame::try_from(request)?;
            let list = caller::list(&catalogue, &client, &frame.list)?;
            let answer = self.frames.answer(&client, &list, frame);
            tokio::time::timeout(FRAME_DEADLINE, answer).await.map_err(|_| CallError::DeadlineExceeded)?
        };
        (answer.await, Some(client.row.platform.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_time_that_the_specification_tells() {
        // SPEC §9.6
        let row = format!("| answer to a frame | {} s, then `DEADLINE_EXCEEDED` |\n", FRAME_DEADLINE.as_secs());
        assert!(include_str!("../../../SPEC.md").contains(&row), "SPEC §9.6 lacks: {row}");
    }
}
