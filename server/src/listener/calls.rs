//! The calls of one connection: what is let through to the services, and with what.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tonic::{Code, Status, body::Body, service::Routes};
use tower_service::Service as _;
use veilmatch_proto::Refused;

use super::{
    admission::Peer, ending::Ending, request_body::RequestBody, response_body::ResponseBody, streams::StreamClock,
};
use crate::{status::in_our_words, tls::PeerIdentity};

/// Serves the calls of a peer that was let in.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    identity: PeerIdentity,
    peer: Peer,
    ending: Ending,
}

impl Calls {
    pub(super) fn new(routes: Routes, identity: PeerIdentity, peer: Peer, ending: Ending) -> Self {
        Self { routes, identity, peer, ending }
    }

    async fn answer(mut self, request: Request<Incoming>) -> Response<ResponseBody> {
        let clock = StreamClock::of_this_stream();
        let response = match self.refusal(&request) {
            Some(refusal) => refusal,
            None => {
                let (head, body) = request.into_parts();
                let method = head.uri.path().to_owned();
                let mut request = Request::from_parts(head, RequestBody::new(body, Arc::clone(&clock)));
                request.extensions_mut().insert(self.identity.clone());
                request.extensions_mut().insert(self.peer.clone());
                tokio::select! {
                    biased;
                    answer = self.routes.call(request) => {
                        let answer = answer.unwrap_or_else(|never| match never {});
                        match Status::from_header_map(answer.headers()) {
                            Some(status) if status.code() != Code::Ok && status.details().is_empty() => in_our_words(status, &method).into_http(),
                            _ => answer,
                        }
                    }
                    refused = self.ending.refused() => refuse(refused),
                }
            }
        };
        response.map(|body| ResponseBody::new(body, clock))
    }

    // The answer to a call that does not reach a service.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        if let Some(refused) = self.ending.refusal() {
            return Some(refuse(refused));
        }
        // gRPC is POST. CONNECT above all must not be answered with success: it would open a tunnel.
        if request.method() != Method::POST {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return Some(response);
        }
        if !self.peer.methods.allow(request.uri().path()) {
            tracing::info!(platform = %self.peer.platform, "call refused: the method is not open to the platform");
            return Some(Status::unimplemented("no such method").into_http());
        }
        None
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let calls = self.clone();
        Box::pin(async move { Ok(calls.answer(request).await) })
    }
}

fn refuse(refused: Refused) -> Response<Body> {
    Status::from(refused).into_http()
}
