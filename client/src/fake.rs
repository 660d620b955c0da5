//! An agency in the same process, for tests: the real protocol, no TLS, no disk, and misconduct on demand.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use ed25519_dalek::SigningKey;
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use veilmatch_audit::cosignature::Witness;
use veilmatch_proto::{
    MAX_CHUNK, Reason, Refused,
    pb::{
        self,
        lists_server::{Lists, ListsServer},
        logs_server::LogsServer,
    },
};
use veilmatch_protocol::{
    artifact::{DummySeed, Layout, Writer, padded_count},
    codebook::{Category, CodeBook, Source},
    derive::Okm,
    frame::FrameSize,
    item::Kind,
    label,
    manifest::{DeltaRef, Hash, Publication, Quota, SignedManifest, Timestamp, no_canaries},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    note::Verifier,
    oprf::SecretKey,
};

use crate::{
    enrol::{self, Invitation},
    keys::Keys,
    matchlog::{LogKeys, MatchLog, Vault},
    state_dir::StateDir,
    store::Store,
    watch::Watch,
};

mod logs;

pub(crate) use logs::FakeLogs;

/// The list of every test here.
pub(crate) fn list() -> ListId {
    ListId::parse("baseline").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

/// What the agency's notes are verified with.
pub(crate) fn verifier() -> Verifier {
    Verifier::new(Origin::of(&agency()).as_str(), key().verifying_key()).unwrap()
}

pub(crate) fn agency() -> AgencyName {
    AgencyName::parse("agency.example").unwrap()
}

/// The platform of every test here.
pub(crate) fn platform() -> PlatformId {
    PlatformId::parse("platform.example").unwrap()
}

/// What the agency would have sent; nobody checks certificates here.
pub(crate) fn invitation() -> Invitation {
    let verifier = |name: &str| Verifier::new(name, key().verifying_key()).unwrap().to_string();
    let invitation = json!({
        "type": "veilmatch/invitation/v1",
        "agency": "agency.example",
        "address": "127.0.0.1:1",
        "server_name": "localhost",
        "authority": "",
        "certificate": "",
        "manifest_key": verifier("agency.example/veilmatch/manifest"),
        "query_log_key": verifier("agency.example/veilmatch/query"),
        "ack_key": verifier("agency.example/veilmatch/ack"),
        "witness_key": Witness::new("agency.example/veilmatch/witness", key().verifying_key()).unwrap().to_string(),
        "lists": ["baseline"],
        "budget": { "elements": 1_000, "frames": 10 },
    });
    serde_json::from_value(invitation).unwrap()
}

/// A platform that has joined the agency: its directory, its keys, its logs.
pub(crate) struct Home {
    pub(crate) dir: StateDir,
    pub(crate) store: Arc<Store>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) log: Arc<MatchLog>,
    root: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::create(root.path()).unwrap();
        Keys::make(&dir).unwrap();
        Vault::make(&dir).unwrap();
        let witness =
            Witness::new("platform.example/veilmatch/witness", Keys::read(&dir).unwrap().witness.verifying_key());
        std::fs::write(dir.policy(), enrol::default_policy(&invitation(), &witness.unwrap())).unwrap();
        Self::open(root)
    }

    /// The same directory, opened by another process.
    pub(crate) fn again(self) -> Self {
        Self::open(self.root)
    }

    fn open(root: tempfile::TempDir) -> Self {
        // Its folders were made before.
        let dir = StateDir::create(root.path()).unwrap();
        let store = Arc::new(Store::open(&dir.database()).unwrap());
        let Keys { match_log, receipt, witness, .. } = Keys::read(&dir).unwrap();
        let keys = LogKeys { log: match_log, receipts: receipt };
        let log = MatchLog::open(&dir, Arc::clone(&store), (platform(), agency()), keys).unwrap();
        let watch = Watch::open(&dir, Arc::clone(&store), &invitation(), (&platform(), witness)).unwrap();
        Self { dir, store, watch: Arc::new(watch.impatient()), log: Arc::new(log), root }
    }
}

/// Version 1 of a list of 20,480 records and no labels: its manifest and its artifact, of several chunks.
pub(crate) fn published(not_after: Timestamp) -> (SignedManifest, Vec<u8>) {
    let records = (0..20_480_u128).map(|n| (n << 113).to_be_bytes().to_vec()).collect();
    version_1(Layout::new(0).unwrap(), records, vec![Kind::Sha256], None, not_after)
}

/// Length of the labels of [`coded`].
pub(crate) const LABEL_BYTES: u8 = 8;

/// Version 1 of a list of every kind with labels of 8 bytes that [`code_book`] explains: the entries with these
/// evaluations and labels.
pub(crate) fn coded(entries: &[(&Okm, &[u8])]) -> (SignedManifest, Vec<u8>) {
    let layout = Layout::new(LABEL_BYTES).unwrap();
    let mut records: Vec<Vec<u8>> = entries
        .iter()
        .map(|(okm, label)| [&okm.tag().0[..], &label::seal(&okm.label_key(), label).unwrap()].concat())
        .collect();
    let dummies = padded_count(records.len() as u64) - records.len() as u64;
    records.extend((0..dummies).map(|index| DummySeed::new([7; 32]).record(index, layout)));
    records.sort();
    version_1(layout, records, Kind::ALL.to_vec(), Some(code_book().digest()), Timestamp::from_unix(4_000_000_000))
}

/// The same version, naming no code book.
pub(crate) fn with_opaque_labels(signed: &SignedManifest) -> SignedManifest {
    let mut manifest = signed.manifest().clone();
    manifest.categories = None;
    SignedManifest::sign(manifest, &key()).unwrap()
}

/// What the labels of [`coded`] mean.
pub(crate) fn code_book() -> CodeBook {
    let category = |number, scheme: &str, code: &str, action: &str| {
        let [scheme, code, action] = [scheme, code, action].map(str::to_owned);
        Category { number, scheme, code, action, text: "synthetic".to_owned() }
    };
    let categories = vec![category(1, "custom", "abc", ""), category(2, "uk", "A", "report")];
    let sources = vec![Source { number: 1, name: "one".to_owned() }];
    CodeBook::new(&agency(), &list(), categories, sources).unwrap()
}

fn version_1(
    layout: Layout,
    records: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    categories: Option<Hash>,
    not_after: Timestamp,
) -> (SignedManifest, Vec<u8>) {
    let out = std::io::Cursor::new(Vec::new());
    let mut writer = Writer::new(out, layout, Epoch(1), records.len() as u64).unwrap();
    records.iter().for_each(|record| writer.push(record).unwrap());
    let (out, summary) = writer.finish().unwrap();
    let bytes = out.into_inner();
    let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&bytes).into();
    let secret = SecretKey::for_epoch(&[6; 32], &list(), Epoch(1)).unwrap();
    let manifest = Publication {
        agency: agency(),
        list: list(),
        epoch: Epoch(1),
        version: Version(1),
        prev: None,
        not_before: Timestamp::from_unix(1_700_000_000),
        not_after,
        oprf_key: secret.public().clone(),
        artifact: summary.into_ref(sha256),
        delta: DeltaRef::NONE,
        kinds,
        categories,
        frame_sizes: FrameSize::ALL.to_vec(),
        quota: Quota { elements: 1_000, frames: 1_000 },
        canary_root: no_canaries(),
        software: String::new(),
    };
    (SignedManifest::sign(manifest.into(), &key()).unwrap(), bytes)
}

/// What the server says when it is asked for the code book, call by call; the last answer stays.
pub(crate) type CodeBooks = Arc<Mutex<Vec<Result<Vec<u8>, Status>>>>;

/// A server of one version and these answers.
pub(crate) async fn with_code_books(published: (SignedManifest, Vec<u8>), code_books: CodeBooks) -> String {
    let logs = FakeLogs::of(&published.0);
    serve(Fake { published: Some(Arc::new(published)), stalls: Arc::default(), code_books }, logs).await
}

/// A server of one version and these logs.
pub(crate) async fn with_logs(published: (SignedManifest, Vec<u8>), logs: FakeLogs) -> String {
    serve(Fake { published: Some(Arc::new(published)), stalls: Arc::default(), code_books: Arc::default() }, logs).await
}

/// A server that takes every call and answers none; gives its address.
pub(crate) async fn stalling() -> String {
    serve(Fake { published: None, stalls: Arc::default(), code_books: Arc::default() }, FakeLogs::default()).await
}

/// A server of one version, whose first streams of a file stall after one chunk each, as many as `stalls` says.
pub(crate) async fn stalling_in_files(published: (SignedManifest, Vec<u8>), stalls: Arc<Mutex<u32>>) -> String {
    let logs = FakeLogs::of(&published.0);
    serve(Fake { published: Some(Arc::new(published)), stalls, code_books: Arc::default() }, logs).await
}

async fn serve(fake: Fake, logs: FakeLogs) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(ListsServer::new(fake)).add_service(LogsServer::new(logs));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

struct Fake {
    published: Option<Arc<(SignedManifest, Vec<u8>)>>,
    stalls: Arc<Mutex<u32>>,
    code_books: CodeBooks,
}

impl Fake {
    async fn published(&self) -> Arc<(SignedManifest, Vec<u8>)> {
        match &self.published {
            Some(published) => Arc::clone(published),
            None => std::future::pending().await,
        }
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<pb::Chunk, Status>> + Send>>;

#[tonic::async_trait]
impl Lists for Fake {
    type WatchVersionsStream = stream::Pending<Result<pb::SignedManifest, Status>>;
    type FetchArtifactStream = Chunks;
    type FetchDeltaStream = Chunks;

    async fn get_manifest(&self, _: Request<pb::GetManifestRequest>) -> Result<Response<pb::SignedManifest>, Status> {
        let note = self.published().await.0.note().to_vec();
        Ok(Response::new(pb::SignedManifest { note }))
    }

    async fn list_manifests(
        &self,
        request: Request<pb::ListManifestsRequest>,
    ) -> Result<Response<pb::ListManifestsResponse>, Status> {
        let note = self.published().await.0.note().to_vec();
        let new = request.get_ref().after_version == 0;
        let manifests = new.then_some(pb::SignedManifest { note }).into_iter().collect();
        Ok(Response::new(pb::ListManifestsResponse { manifests }))
    }

    async fn watch_versions(
        &self,
        _: Request<pb::WatchVersionsRequest>,
    ) -> Result<Response<Self::WatchVersionsStream>, Status> {
        Ok(Response::new(stream::pending()))
    }

    async fn fetch_artifact(&self, request: Request<pb::FetchRequest>) -> Result<Response<Chunks>, Status> {
        let published = self.published().await;
        let offset = request.get_ref().offset;
        let mut chunks = Vec::new();
        for (n, data) in (0..).zip(published.1[offset as usize..].chunks(MAX_CHUNK)) {
            chunks.push(Ok(pb::Chunk { offset: offset + n * MAX_CHUNK as u64, data: data.to_vec() }));
        }
        let mut stalls = self.stalls.lock().unwrap();
        if *stalls == 0 {
            return Ok(Response::new(stream::iter(chunks).boxed()));
        }
        *stalls -= 1;
        chunks.truncate(1);
        Ok(Response::new(stream::iter(chunks).chain(stream::pending()).boxed()))
    }

    async fn fetch_delta(&self, _: Request<pb::FetchRequest>) -> Result<Response<Chunks>, Status> {
        Err(Status::unimplemented("there is none"))
    }

    async fn get_code_book(
        &self,
        _: Request<pb::GetCodeBookRequest>,
    ) -> Result<Response<pb::GetCodeBookResponse>, Status> {
        let mut answers = self.code_books.lock().unwrap();
        let answer = if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() };
        let code_book = answer.unwrap_or_else(|| Err(Refused::from(Reason::NoCodeBook).into()))?;
        Ok(Response::new(pb::GetCodeBookResponse { code_book }))
    }
}
