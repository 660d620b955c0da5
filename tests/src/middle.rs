//! Somebody between client and server who holds both sides' TLS keys: hears every message in clear, and may change it.
//!
//! It stands where an agency's own server stands, so what it sends is what a hostile agency could send.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use hyper_util::rt::TokioIo;
use prost::Message;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    service::Routes,
    transport::{Channel, Endpoint},
};
use veilmatch_proto::{
    Refused,
    pb::{
        self,
        evaluation_client::EvaluationClient,
        evaluation_server::{Evaluation, EvaluationServer},
        lists_client::ListsClient,
        lists_server::{Lists, ListsServer},
        logs_client::LogsClient,
        logs_server::{Logs, LogsServer},
    },
};
use veilmatch_protocol::name::PlatformId;
use veilmatch_server::{
    limits::Limits,
    listener::{Edge, Methods, Peer, PeerTable, Stop, serve},
    tls::{PeerIdentity, ServerTls},
};

use crate::World;

/// Changes an honest answer to a request, or refuses it.
pub type OnAnswer =
    dyn Fn(&pb::EvaluateRequest, pb::EvaluateResponse) -> Result<pb::EvaluateResponse, Status> + Send + Sync;

/// Changes a signed manifest that the server offers, or breaks the call.
pub type OnManifest = dyn Fn(Vec<u8>) -> Result<Vec<u8>, Status> + Send + Sync;

/// Changes the bytes of a file: list of `(offset, data)`, or breaks the stream.
pub type OnChunk = dyn Fn(&'static str, pb::Chunk) -> Result<pb::Chunk, Status> + Send + Sync;

/// Changes a checkpoint that the server shows, or breaks the call.
pub type OnCheckpoint = dyn Fn(pb::GetCheckpointRequest, pb::GetCheckpointResponse) -> Result<pb::GetCheckpointResponse, Status>
    + Send
    + Sync;

/// What it does with what passes.
#[derive(Clone)]
pub struct Acts {
    /// With answers.
    pub answer: Arc<OnAnswer>,
    /// With manifests.
    pub manifest: Arc<OnManifest>,
    /// With pieces of files, `artifact` or `delta`.
    pub chunk: Arc<OnChunk>,
    /// With checkpoints of the agency's logs.
    pub checkpoint: Arc<OnCheckpoint>,
}

impl Default for Acts {
    fn default() -> Self {
        Self {
            answer: Arc::new(|_, answer| Ok(answer)),
            manifest: Arc::new(Ok),
            chunk: Arc::new(|_, chunk| Ok(chunk)),
            checkpoint: Arc::new(|_, checkpoint| Ok(checkpoint)),
        }
    }
}

/// Everything that passed, as the messages' bytes, by direction.
#[derive(Clone, Default)]
pub struct Heard {
    to_server: Arc<Mutex<Vec<Vec<u8>>>>,
    to_client: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Heard {
    /// Messages that the server got.
    #[must_use]
    pub fn to_server(&self) -> Vec<Vec<u8>> {
        self.to_server.lock().unwrap().clone()
    }

    /// Messages that the client got.
    #[must_use]
    pub fn to_client(&self) -> Vec<Vec<u8>> {
        self.to_client.lock().unwrap().clone()
    }
}

/// The one in the middle, until it is dropped.
pub struct Middle {
    /// What it heard.
    pub heard: Heard,
    stop: CancellationToken,
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Middle {
    /// Takes the address that invitations name; the world's server must listen at `upstream` instead.
    pub async fn start(world: &World, platform_dir: &Path, upstream: std::net::SocketAddr, acts: Acts) -> Self {
        let dir = world.agency_dir();
        let keys = |name: &str| dir.join("keys").join(name);
        let tls = ServerTls::load(&keys("server.pem"), &keys("server.key"), &keys("authority.pem"), crate::now());
        let heard = Heard::default();
        let relay = Relay { channel: channel(platform_dir, upstream), acts, heard: heard.clone() };
        let routes = Routes::new(EvaluationServer::new(relay.clone()).max_decoding_message_size(usize::MAX))
            .add_service(ListsServer::new(relay.clone()))
            .add_service(LogsServer::new(relay));
        let edge = Edge { tls: tls.unwrap(), limits: Limits::default(), peers: Arc::new(Anybody), routes };
        let listener = TcpListener::bind(world.address()).await.unwrap();
        let stop = CancellationToken::new();
        let ending = Stop { requested: stop.clone(), not_serving: Box::new(|| {}), leaving: CancellationToken::new() };
        tokio::spawn(serve(listener, edge, ending));
        Self { heard, stop }
    }
}

struct Anybody;

impl PeerTable for Anybody {
    fn admit(&self, _: &PeerIdentity) -> Result<Peer, Refused> {
        Ok(Peer { platform: PlatformId::parse("anybody").unwrap(), methods: Methods::PLATFORM })
    }
}

/// A channel with a platform's own certificate.
#[must_use]
pub fn channel(platform_dir: &Path, server: std::net::SocketAddr) -> Channel {
    let invitation = veilmatch_client::enrol::Invitation::of(platform_dir).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(invitation.authority.as_bytes()).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(invitation.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(platform_dir.join("keys/tls.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(invitation.server_name).unwrap();
    let connector = tower::service_fn(move |_| {
        let (tls, name) = (tls.clone(), name.clone());
        async move { Ok::<_, io::Error>(TokioIo::new(tls.connect(name, TcpStream::connect(server).await?).await?)) }
    });
    Endpoint::from_static("https://server").connect_with_connector_lazy(connector)
}

#[derive(Clone)]
struct Relay {
    channel: Channel,
    acts: Acts,
    heard: Heard,
}

impl Relay {
    fn upward(&self, message: &impl Message) {
        self.heard.to_server.lock().unwrap().push(message.encode_to_vec());
    }

    fn downward(&self, message: &impl Message) {
        self.heard.to_client.lock().unwrap().push(message.encode_to_vec());
    }

    fn manifest(&self, manifest: pb::SignedManifest) -> Result<pb::SignedManifest, Status> {
        let manifest = pb::SignedManifest { note: (self.acts.manifest)(manifest.note)? };
        self.downward(&manifest);
        Ok(manifest)
    }

    fn relay<T: Send + 'static>(
        &self,
        mut stream: Streaming<T>,
        pass: impl Fn(&Self, T) -> Result<T, Status> + Send + 'static,
    ) -> Response<ReceiverStream<Result<T, Status>>> {
        let (sender, receiver) = mpsc::channel(4);
        let this = self.clone();
        tokio::spawn(async move {
            while let Some(next) = stream.message().await.transpose() {
                if sender.send(next.and_then(|message| pass(&this, message))).await.is_err() {
                    return;
                }
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

#[tonic::async_trait]
impl Evaluation for Relay {
    type EvaluateStreamStream = ReceiverStream<Result<pb::EvaluateStreamResponse, Status>>;

    async fn evaluate(&self, request: Request<pb::EvaluateRequest>) -> Result<Response<pb::EvaluateResponse>, Status> {
        let request = request.into_inner();
        self.upward(&request);
        let mut upstream = EvaluationClient::new(self.channel.clone());
        let answer = upstream.evaluate(request.clone()).await?.into_inner();
        let answer = (self.acts.answer)(&request, answer)?;
        self.downward(&answer);
        Ok(Response::new(answer))
    }

    async fn evaluate_stream(
        &self,
        _: Request<Streaming<pb::EvaluateRequest>>,
    ) -> Result<Response<Self::EvaluateStreamStream>, Status> {
        Err(Status::unimplemented("the client asks frame by frame"))
    }
}

#[tonic::async_trait]
impl Lists for Relay {
    type WatchVersionsStream = ReceiverStream<Result<pb::SignedManifest, Status>>;
    type FetchArtifactStream = ReceiverStream<Result<pb::Chunk, Status>>;
    type FetchDeltaStream = ReceiverStream<Result<pb::Chunk, Status>>;

    async fn get_manifest(
        &self,
        request: Request<pb::GetManifestRequest>,
    ) -> Result<Response<pb::SignedManifest>, Status> {
        self.upward(request.get_ref());
        let answer = ListsClient::new(self.channel.clone()).get_manifest(request.into_inner()).await?;
        self.manifest(answer.into_inner()).map(Response::new)
    }

    async fn list_manifests(
        &self,
        request: Request<pb::ListManifestsRequest>,
    ) -> Result<Response<pb::ListManifestsResponse>, Status> {
        self.upward(request.get_ref());
        let answer = ListsClient::new(self.channel.clone()).list_manifests(request.into_inner()).await?.into_inner();
        let manifests =
            answer.manifests.into_iter().map(|manifest| self.manifest(manifest)).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListManifestsResponse { manifests }))
    }

    async fn watch_versions(
        &self,
        request: Request<pb::WatchVersionsRequest>,
    ) -> Result<Response<Self::WatchVersionsStream>, Status> {
        self.upward(request.get_ref());
        let stream = ListsClient::new(self.channel.clone()).watch_versions(request.into_inner()).await?.into_inner();
        Ok(self.relay(stream, Self::manifest))
    }

    async fn fetch_artifact(
        &self,
        request: Request<pb::FetchRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        self.upward(request.get_ref());
        let stream = ListsClient::new(self.channel.clone()).fetch_artifact(request.into_inner()).await?.into_inner();
        Ok(self.relay(stream, |this, chunk| {
            this.downward(&chunk);
            (this.acts.chunk)("artifact", chunk)
        }))
    }

    async fn fetch_delta(
        &self,
        request: Request<pb::FetchRequest>,
    ) -> Result<Response<Self::FetchDeltaStream>, Status> {
        self.upward(request.get_ref());
        let stream = ListsClient::new(self.channel.clone()).fetch_delta(request.into_inner()).await?.into_inner();
        Ok(self.relay(stream, |this, chunk| {
            this.downward(&chunk);
            (this.acts.chunk)("delta", chunk)
        }))
    }

    async fn get_code_book(
        &self,
        request: Request<pb::GetCodeBookRequest>,
    ) -> Result<Response<pb::GetCodeBookResponse>, Status> {
        self.upward(request.get_ref());
        let answer = ListsClient::new(self.channel.clone()).get_code_book(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }
}

#[tonic::async_trait]
impl Logs for Relay {
    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let request = request.into_inner();
        self.upward(&request);
        let answer = LogsClient::new(self.channel.clone()).get_checkpoint(request.clone()).await?.into_inner();
        let answer = (self.acts.checkpoint)(request, answer)?;
        self.downward(&answer);
        Ok(Response::new(answer))
    }

    async fn get_inclusion(
        &self,
        request: Request<pb::GetInclusionRequest>,
    ) -> Result<Response<pb::GetInclusionResponse>, Status> {
        self.upward(request.get_ref());
        let answer = LogsClient::new(self.channel.clone()).get_inclusion(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }

    async fn list_leaves(
        &self,
        request: Request<pb::ListLeavesRequest>,
    ) -> Result<Response<pb::ListLeavesResponse>, Status> {
        self.upward(request.get_ref());
        let answer = LogsClient::new(self.channel.clone()).list_leaves(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }

    async fn add_cosignature(
        &self,
        request: Request<pb::AddCosignatureRequest>,
    ) -> Result<Response<pb::AddCosignatureResponse>, Status> {
        self.upward(request.get_ref());
        LogsClient::new(self.channel.clone()).add_cosignature(request.into_inner()).await
    }

    async fn add_checkpoint(
        &self,
        request: Request<pb::AddCheckpointRequest>,
    ) -> Result<Response<pb::AddCheckpointResponse>, Status> {
        self.upward(request.get_ref());
        let answer = LogsClient::new(self.channel.clone()).add_checkpoint(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }

    async fn get_cosigned(
        &self,
        request: Request<pb::GetCosignedRequest>,
    ) -> Result<Response<pb::GetCosignedResponse>, Status> {
        self.upward(request.get_ref());
        let answer = LogsClient::new(self.channel.clone()).get_cosigned(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }

    async fn close_day(&self, request: Request<pb::CloseDayRequest>) -> Result<Response<pb::CloseDayResponse>, Status> {
        self.upward(request.get_ref());
        let answer = LogsClient::new(self.channel.clone()).close_day(request.into_inner()).await?;
        self.downward(answer.get_ref());
        Ok(answer)
    }
}
