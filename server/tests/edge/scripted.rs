//! An Evaluation service that does what the first byte of a batch id says.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures::{Stream, StreamExt, stream};
use tokio::sync::Notify;
use tonic::{Request, Response, Status, Streaming, async_trait};
use veilmatch_proto::pb::{self, evaluate_stream_response::Outcome, evaluation_server::Evaluation};
use veilmatch_server::{listener::Peer, tls::PeerIdentity};

/// Answer at once with the batch id.
pub const ECHO: u8 = 0;
/// Answer when released.
pub const HOLD: u8 = 1;
/// On a stream: answer for ever, as fast as the peer reads.
pub const FLOOD: u8 = 2;

/// Bytes of each answer of a flood.
pub const FLOOD_BYTES: usize = 65_536;

#[derive(Clone, Default)]
pub struct Scripted(Arc<Inner>);

#[derive(Default)]
struct Inner {
    release: Notify,
    held: Notify,
    callers: Mutex<Vec<(PeerIdentity, Peer)>>,
}

impl Scripted {
    /// Waits until a call is held.
    pub async fn until_held(&self) {
        self.0.held.notified().await;
    }

    /// Lets one held call go, now or when it comes.
    pub fn release(&self) {
        self.0.release.notify_one();
    }

    /// Who has called so far.
    pub fn callers(&self) -> Vec<(PeerIdentity, Peer)> {
        self.0.callers.lock().unwrap().clone()
    }

    fn note<T>(&self, request: &Request<T>) {
        let extensions = request.extensions();
        let caller = (extensions.get::<PeerIdentity>().unwrap().clone(), extensions.get::<Peer>().unwrap().clone());
        self.0.callers.lock().unwrap().push(caller);
    }

    async fn answer(&self, request: pb::EvaluateRequest) -> pb::EvaluateResponse {
        if request.batch_id.first() == Some(&HOLD) {
            self.0.held.notify_one();
            self.0.release.notified().await;
        }
        pb::EvaluateResponse { batch_id: request.batch_id, ..Default::default() }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<pb::EvaluateStreamResponse, Status>> + Send>>;

#[async_trait]
impl Evaluation for Scripted {
    type EvaluateStreamStream = Answers;

    async fn evaluate(&self, request: Request<pb::EvaluateRequest>) -> Result<Response<pb::EvaluateResponse>, Status> {
        self.note(&request);
        Ok(Response::new(self.answer(request.into_inner()).await))
    }

    async fn evaluate_stream(
        &self,
        request: Request<Streaming<pb::EvaluateRequest>>,
    ) -> Result<Response<Answers>, Status> {
        self.note(&request);
        let service = self.clone();
        let answers = request.into_inner().flat_map(move |frame| {
            let service = service.clone();
            match frame {
                Ok(frame) if frame.batch_id.first() == Some(&FLOOD) => stream::repeat_with(|| {
                    Ok(wrapped(pb::EvaluateResponse { evaluated_elements: vec![7; FLOOD_BYTES], ..Default::default() }))
                })
                .boxed(),
                frame => stream::once(async move { Ok(wrapped(service.answer(frame?).await)) }).boxed(),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn wrapped(answer: pb::EvaluateResponse) -> pb::EvaluateStreamResponse {
    pb::EvaluateStreamResponse { outcome: Some(Outcome::Answer(answer)) }
}
