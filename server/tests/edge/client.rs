//! A gRPC client made by hand on `h2`, so that it can misbehave.

use std::io;

use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method, Request};
use hyper::body::Bytes;
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    task::JoinHandle,
    time::timeout,
};
use tonic::{Code, Status};
use veilmatch_proto::{
    Reason, Refused,
    pb::{EvaluateRequest, EvaluateResponse},
};

use crate::world::PATIENCE;

pub const EVALUATE: &str = "/veilmatch.v1.Evaluation/Evaluate";
pub const EVALUATE_STREAM: &str = "/veilmatch.v1.Evaluation/EvaluateStream";

pub struct Client {
    pub h2: SendRequest<Bytes>,
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

/// A call whose request is still open.
pub struct Call {
    pub response: ResponseFuture,
    pub send: SendStream<Bytes>,
}

/// A call at its end.
#[derive(Debug)]
pub struct Ended {
    pub messages: Bytes,
    pub status: Status,
}

impl Client {
    pub async fn open<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Self {
        let (h2, connection) = h2::client::handshake(stream).await.unwrap();
        Self { h2, connection: tokio::spawn(connection) }
    }

    pub async fn begin(&mut self, path: &str) -> Call {
        self.request(request(Method::POST, path)).await.unwrap()
    }

    pub async fn request(&mut self, request: Request<()>) -> Result<Call, h2::Error> {
        let mut h2 = self.h2.clone().ready().await?;
        let (response, send) = h2.send_request(request, false)?;
        Ok(Call { response, send })
    }

    /// One whole unary call.
    pub async fn evaluate(&mut self, script: u8) -> Ended {
        let mut call = self.begin(EVALUATE).await;
        call.send(message(script), true);
        call.ended().await
    }

    /// Waits until the connection is closed by the other side.
    pub async fn closed(self) -> Result<(), h2::Error> {
        drop(self.h2);
        timeout(PATIENCE, self.connection).await.expect("the connection stays open").unwrap()
    }

    /// Waits until the other side has asked us to leave or cut us.
    pub async fn refuses_new_calls(&mut self) {
        let refused = async {
            while self.h2.clone().ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, refused).await.expect("the connection takes new calls");
    }
}

impl Call {
    pub fn send(&mut self, data: Bytes, last: bool) {
        self.send.send_data(data, last).unwrap();
    }

    /// The head of the response and its body.
    pub async fn head(self) -> (http::response::Parts, RecvStream, SendStream<Bytes>) {
        let response = timeout(PATIENCE, self.response).await.expect("no response").unwrap();
        let (head, body) = response.into_parts();
        (head, body, self.send)
    }

    pub async fn ended(self) -> Ended {
        let (head, body, _send) = self.head().await;
        ended(head, body).await
    }
}

/// Reads a response to its end, which is a status.
pub async fn ended(head: http::response::Parts, mut body: RecvStream) -> Ended {
    let mut messages = Vec::new();
    let read = async {
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            messages.extend_from_slice(&data);
        }
        body.trailers().await
    };
    let trailers: Option<HeaderMap> = timeout(PATIENCE, read).await.expect("the response has no end").unwrap();
    let status = Status::from_header_map(&trailers.unwrap_or(head.headers)).expect("the response has no status");
    Ended { messages: messages.into(), status }
}

impl Ended {
    /// The answers; the call ended well.
    pub fn answers(self) -> usize {
        assert_eq!(self.status.code(), Code::Ok, "{:?}", self.status);
        let mut rest = self.messages;
        let mut count = 0;
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
            rest = rest.split_off(5 + length);
            count += 1;
        }
        count
    }

    pub fn echoed(self) -> u8 {
        assert_eq!(self.status.code(), Code::Ok, "{:?}", self.status);
        EvaluateResponse::decode(&self.messages[5..]).unwrap().batch_id[0]
    }

    pub fn refused(&self) -> Refused {
        Refused::from_status(&self.status).unwrap_or_else(|| panic!("not refused by us: {:?}", self.status))
    }

    pub fn reason(&self) -> Reason {
        self.refused().reason
    }
}

pub fn request(method: Method, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// A frame of the wire whose batch id begins with the script's byte.
pub fn message(script: u8) -> Bytes {
    let mut batch_id = vec![9; 16];
    batch_id[0] = script;
    let body = EvaluateRequest { batch_id, ..Default::default() }.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes.into()
}

/// Waits until the other side has closed; gives what it said before, and how it closed.
pub async fn until_closed(mut stream: impl AsyncRead + Unpin) -> (Vec<u8>, io::Result<()>) {
    let mut said = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the connection stays open");
    (said, end.map(|_| ()))
}
