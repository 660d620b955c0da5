//! The world of this crate's tests: an agency in a temporary directory, a clock that tests move, platforms that enrolled,
//! and the services behind an in-memory connection.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use rand::Rng;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tower::{ServiceExt, service_fn};
use veilmatch_audit::cosignature::Witness;
use veilmatch_lists::{Category, Format, Options};
use veilmatch_proto::{
    EvaluateFrame, MAX_EVALUATE_MESSAGE,
    pb::{self, evaluation_client::EvaluationClient, lists_client::ListsClient, logs_client::LogsClient},
};
use veilmatch_protocol::{
    artifact::Artifact,
    derive::EpochContext,
    frame::{BatchId, BlindedFrame, FrameContext, FrameSize, View, request_digest, signed_message},
    item::{Item, Kind},
    label,
    manifest::{Hash, SignedManifest},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    note::Verifier,
    oprf::{self, Mode},
};

use crate::{
    admin::{Agency, ClientTerms, InitOptions, init},
    clock::Clock,
    cpu::CpuPool,
    enrolment::signed_message as enrolment_message,
    follow::Follower,
    import::ImportOptions,
    keys::{EpochSeeds, read_signing_key},
    logs::{AgencyLogs, LogHealth, task::QueryLogTask},
    publish::{Published, open_manifest},
    service::{FrameRules, Frames, HealthService, Service},
    store::{AuditState, Change, FrameKey, FrameRecord, FrameStatus, FrameWriter, Store, VersionRow},
    tls::PeerIdentity,
};

/// Noon of some day.
pub(crate) const NOON: u64 = 20_000 * 86_400 + 43_200;

/// A clock that stands still until a test moves it.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A category of the agency's own.
pub(crate) fn custom(code: &str) -> Category {
    Category { scheme: "custom".into(), code: code.into() }
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: TestClock,
    pub(crate) list: ListId,
}

impl World {
    /// An agency with an empty list `base`: kinds md5 and sha256, labels of 4 bytes.
    pub(crate) fn new() -> Self {
        Self::at(NOON)
    }

    /// The same at another time: certificates are looked at by the system's clock.
    pub(crate) fn at(now: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world =
            Self { folder, clock: TestClock(Arc::new(AtomicU64::new(now))), list: ListId::parse("base").unwrap() };
        let options = InitOptions {
            agency: AgencyName::parse("agency.example").unwrap(),
            address: "localhost:7443".into(),
            listen: None,
            log_listen: None,
        };
        init(&world.root(), &options, now).unwrap();
        let kinds = [Kind::Md5, Kind::Sha256];
        world.agency().list_create(&world.list, 4, &kinds, now).unwrap();
        world
    }

    /// An agency with a published list of `entries` entries, labelled `A1`.
    pub(crate) fn published(entries: u32) -> Self {
        let world = Self::new();
        world.import(0..entries, "A1");
        world.publish();
        world
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("agency")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn agency(&self) -> Agency {
        Agency::open(&self.root()).unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.root().join("veilmatch.db")).unwrap()
    }

    /// Sets a key of the configuration, in place of the line that comments its default.
    pub(crate) fn configure(&self, key: &str, value: &str) {
        let path = self.root().join("config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let is_key = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} ="));
        assert_eq!(text.lines().filter(|line| is_key(line)).count(), 1, "{key}");
        let set =
            text.lines().map(|line| if is_key(line) { format!("{key} = {value}\n") } else { format!("{line}\n") });
        std::fs::write(&path, set.collect::<String>()).unwrap();
    }

    /// Writes a list file with the digests of the numbered items.
    pub(crate) fn list_file(&self, items: impl IntoIterator<Item = u32>) -> PathBuf {
        let path = self.path("list.txt");
        let lines: String = items.into_iter().map(|i| format!("{}\n", hex::encode(item(i).digest()))).collect();
        std::fs::write(&path, lines).unwrap();
        path
    }

    pub(crate) fn import(&self, items: impl IntoIterator<Item = u32>, label: &str) -> Change {
        let file = self.list_file(items);
        let options = ImportOptions { reading: plain(), category: Some(custom(label)), ..ImportOptions::default() };
        self.agency().import(&self.list, &file, &options, self.now(), &mut |_, _, _| ()).unwrap()
    }

    pub(crate) fn retract(&self, items: impl IntoIterator<Item = u32>) -> Change {
        let file = self.list_file(items);
        let options = ImportOptions { reading: plain(), ..ImportOptions::default() };
        self.agency().retract(&self.list, &file, &options, self.now(), &mut |_, _, _| ()).unwrap()
    }

    pub(crate) fn publish(&self) -> Vec<Published> {
        self.agency().publish(&self.list, false, self.now(), &|_| ()).unwrap()
    }

    /// The signed manifest of a version, verified.
    pub(crate) fn manifest(&self, version: u32) -> SignedManifest {
        let agency = self.agency();
        let key = read_signing_key(&agency.dir().manifest_key()).unwrap();
        let rows = self.store().versions_after(&self.list, Version(version - 1)).unwrap();
        open_manifest(agency.config(), &key, &rows[0]).unwrap()
    }

    /// The published file of a version, every record of it checked against its manifest.
    pub(crate) fn artifact(&self, version: u32) -> Artifact<Vec<u8>> {
        let manifest = self.manifest(version);
        let manifest = manifest.manifest();
        let file = std::fs::read(self.artifact_path(version)).unwrap();
        assert_eq!(Hash(Sha256::digest(&file).into()), manifest.artifact.sha256);
        let artifact = Artifact::open(file, &manifest.artifact, Epoch(manifest.epoch)).unwrap();
        artifact.verify_records().unwrap();
        artifact
    }

    /// The code of the category under which an item is listed in a version.
    pub(crate) fn code(&self, version: u32, number: u32) -> Option<String> {
        let label = self.label(version, number)?;
        let (categories, _) = self.agency().codes(&self.list).unwrap();
        let category = u16::from_be_bytes([label[1], label[2]]);
        Some(categories.into_iter().find(|row| row.number == category).map_or(String::new(), |row| row.code))
    }

    /// The label under which an item is listed in a version, by way of the agency's own key.
    pub(crate) fn label(&self, version: u32, number: u32) -> Option<Vec<u8>> {
        let epoch = Epoch(self.manifest(version).manifest().epoch);
        let seeds = EpochSeeds::read(&self.root().join(format!("keys/oprf/base-{}.seed", epoch.0))).unwrap();
        let key = seeds.secret_key(&self.list, epoch).unwrap();
        let output = oprf::evaluate(Mode::Voprf, &key, &[item(number).as_bytes()]).unwrap();
        let okm = EpochContext { list: self.list.clone(), epoch }.okm(&output[0]);
        let artifact = self.artifact(version);
        let record = artifact.lookup(&okm.tag()).unwrap()?;
        Some(label::open(&okm.label_key(), record.sealed_label()).unwrap())
    }

    /// What a publication leaves that is killed right after its transaction: the newest version once more, as the next one.
    pub(crate) fn write_a_version_and_no_checkpoint(&self) {
        let newest = self.store().newest_version(&self.list, None).unwrap().unwrap();
        let next = VersionRow { version: Version(newest.version.0 + 1), log_index: None, ..newest };
        let origin = Origin::of(&AgencyName::parse("agency.example").unwrap());
        self.store().publish(&origin, &[], &[next]).unwrap();
    }

    /// The newest tree of the manifest log.
    pub(crate) fn view(&self) -> View {
        let log = self.store().log("agency.example/veilmatch/manifest").unwrap().unwrap();
        assert_eq!(log.published_size, log.head.size);
        View { size: log.head.size, root: log.head.root }
    }

    pub(crate) fn artifact_path(&self, version: u32) -> PathBuf {
        self.root().join(format!("lists/base/{version}.vml"))
    }

    pub(crate) fn delta(&self, version: u32) -> PathBuf {
        self.root().join(format!("lists/base/{version}.delta"))
    }

    pub(crate) fn code_book_path(&self, version: u32) -> PathBuf {
        self.root().join(format!("lists/base/{version}.codebook"))
    }

    /// Writes the request that a platform would.
    pub(crate) fn request_file(&self, platform: &str, tls: &rcgen::KeyPair, key: &SigningKey) -> PathBuf {
        let csr = rcgen::CertificateParams::default().serialize_request(tls).unwrap().pem().unwrap();
        let evidence = EvidenceSigners::of(key);
        let [match_log, receipt] =
            [("match", &evidence.match_log), ("receipt", &evidence.receipt)].map(|(role, key)| {
                Verifier::new(&format!("{platform}/veilmatch/{role}"), key.verifying_key()).unwrap().to_string()
            });
        let witness = evidence.witness.verifying_key();
        let witness = Witness::new(&format!("{platform}/veilmatch/witness"), witness).unwrap().to_string();
        let message = enrolment_message(&[platform, &csr, "ops", &match_log, &receipt, &witness]);
        let request = serde_json::json!({
            "type": "veilmatch/enrolment-request/v1",
            "platform": platform,
            "csr": csr,
            "request_key": STANDARD.encode(key.verifying_key().as_bytes()),
            "match_log_key": match_log,
            "receipt_key": receipt,
            "witness_key": witness,
            "contact": "ops",
            "signature": STANDARD.encode(key.sign(&message).to_bytes()),
        });
        let path = self.path("request.json");
        std::fs::write(&path, request.to_string()).unwrap();
        path
    }

    pub(crate) fn enrol(&self, name: &str, terms: &ClientTerms) -> Platform {
        let tls = rcgen::KeyPair::generate().unwrap();
        let key = SigningKey::from_bytes(&Sha256::digest(name).into());
        let request = self.request_file(name, &tls, &key);
        self.agency().client_add(&request, &self.path("invitation.json"), terms, self.now()).unwrap();
        self.known(name)
    }

    /// A platform that has enrolled.
    pub(crate) fn known(&self, name: &str) -> Platform {
        let key = SigningKey::from_bytes(&Sha256::digest(name).into());
        let row = self.store().client(&PlatformId::parse(name).unwrap()).unwrap().unwrap();
        let identity = PeerIdentity { spki_sha256: row.spki_sha256, uri_sans: vec![row.uri_san] };
        let evidence = EvidenceSigners::of(&key);
        Platform { name: row.platform, key, evidence, identity }
    }

    /// Starts the services on this world's directory.
    pub(crate) fn serve(&self) -> Served {
        self.serve_with(|store| FrameWriter::run(store, |state| assert_eq!(state, AuditState::Writable)).unwrap())
    }

    /// As [`Self::serve`], on a disk that has hardly any room for records.
    pub(crate) fn serve_on_a_full_disk(&self) -> Served {
        self.serve_with(|store| {
            store.fill_disk();
            FrameWriter::run(store, |_| ()).unwrap()
        })
    }

    /// As [`Self::serve`], with processors that let nothing wait.
    pub(crate) fn serve_overloaded(&self) -> Served {
        self.serve_on(CpuPool::start(1, 0).unwrap(), |store| FrameWriter::run(store, |_| ()).unwrap())
    }

    fn serve_with(&self, writer: impl FnOnce(Store) -> FrameWriter) -> Served {
        self.serve_on(CpuPool::start(2, 65_536).unwrap(), writer)
    }

    fn serve_on(&self, cpu: CpuPool, writer: impl FnOnce(Store) -> FrameWriter) -> Served {
        let agency = self.agency();
        let (dir, config) = (agency.dir().clone(), agency.config().clone());
        let writer = Arc::new(writer(self.store()));
        let rules = FrameRules {
            sizes: config.publication.frame_sizes.clone(),
            retries: 8,
            retry_minutes: 24 * 60,
            refusals_per_minute: 5,
        };
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let logs = AgencyLogs::open(&dir, &config, Arc::clone(&clock), |_| ()).unwrap();
        let frames =
            Frames::new(cpu, Arc::clone(&writer), logs.frame_evidence(), rules, Arc::clone(&clock), dir.database());
        let query_log = logs.start(CancellationToken::new()).unwrap();
        let mut config = config;
        config.process.poll_ms = 10;
        let (follower, catalogue) = Follower::start(dir.clone(), config, clock, logs.health()).unwrap();
        let draining = CancellationToken::new();
        let served = logs.served(writer);
        let service = Service::new(catalogue, Arc::new(frames), served, dir, draining.clone());
        Served { service, draining, health: logs.health(), _follower: follower, query_log }
    }
}

/// The services, running.
pub(crate) struct Served {
    service: Service,
    pub(crate) draining: CancellationToken,
    pub(crate) health: Arc<LogHealth>,
    _follower: Follower,
    query_log: QueryLogTask,
}

impl Served {
    /// A gRPC channel whose other end has this identity.
    pub(crate) fn connect(&self, identity: Option<PeerIdentity>) -> Channel {
        let health = tonic_health::server::HealthService::from_health_reporter(Default::default());
        let routes = self.service.clone().routes(HealthService::new(health), false).unwrap().prepare();
        let connector = service_fn(move |_| {
            let (near, far) = tokio::io::duplex(1 << 16);
            let (routes, identity) = (routes.clone(), identity.clone());
            tokio::spawn(async move {
                let service = routes.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
                    if let Some(identity) = identity.clone() {
                        request.extensions_mut().insert(identity);
                    }
                    request.map(tonic::body::Body::new)
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(far), TowerToHyperService::new(service));
                let _ = connection.await;
            });
            async { Ok::<_, std::io::Error>(TokioIo::new(near)) }
        });
        Endpoint::from_static("http://in.memory").connect_with_connector_lazy(connector)
    }

    pub(crate) fn evaluation(&self, platform: &Platform) -> EvaluationClient<Channel> {
        EvaluationClient::new(self.connect(Some(platform.identity.clone())))
            .max_decoding_message_size(MAX_EVALUATE_MESSAGE)
    }

    pub(crate) fn logs(&self, platform: &Platform) -> LogsClient<Channel> {
        LogsClient::new(self.connect(Some(platform.identity.clone())))
    }

    /// Ends, after what was recorded is published.
    pub(crate) fn stop(self) {
        self.query_log.stop();
    }

    pub(crate) fn lists(&self, platform: &Platform) -> ListsClient<Channel> {
        ListsClient::new(self.connect(Some(platform.identity.clone())))
    }
}

/// A platform's keys.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) name: PlatformId,
    pub(crate) key: SigningKey,
    pub(crate) evidence: EvidenceSigners,
    pub(crate) identity: PeerIdentity,
}

/// The keys behind a platform's evidence, made from its request key.
#[derive(Clone)]
pub(crate) struct EvidenceSigners {
    pub(crate) match_log: SigningKey,
    pub(crate) receipt: SigningKey,
    pub(crate) witness: SigningKey,
}

impl EvidenceSigners {
    fn of(key: &SigningKey) -> Self {
        let derived =
            |role: &str| SigningKey::from_bytes(&Sha256::digest([&key.to_bytes(), role.as_bytes()].concat()).into());
        Self { match_log: derived("match"), receipt: derived("receipt"), witness: derived("witness") }
    }
}

/// A frame as a platform has it before it is signed.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) frame: EvaluateFrame,
    pub(crate) context: FrameContext,
}

impl Platform {
    /// Blinds items into a frame that cites the newest version.
    pub(crate) fn ask(&self, world: &World, size: FrameSize, items: &[Item]) -> (Asked, BlindedFrame) {
        let mut rng = rand::rng();
        let newest = world.store().newest_version(&world.list, None).unwrap().unwrap();
        let context = FrameContext {
            origin: Origin::of(&AgencyName::parse("agency.example").unwrap()),
            list: world.list.clone(),
            epoch: newest.epoch,
            platform: self.name.clone(),
            batch: BatchId::random(&mut rng),
        };
        let blinded = BlindedFrame::blind(size, items, &mut rng);
        let frame = EvaluateFrame {
            list: context.list.clone(),
            epoch: context.epoch,
            version: newest.version,
            view: world.view(),
            batch: context.batch,
            minute: world.now() / 60,
            blinded: blinded.elements().encodings().to_vec(),
            size,
            signature: [0; 64],
        };
        (self.sign(Asked { frame, context }), blinded)
    }

    /// A frame of one random dummy: enough where the answer does not matter.
    pub(crate) fn ask_anything(&self, world: &World) -> Asked {
        self.ask(world, FrameSize::One, &[]).0
    }

    /// Signs a frame as it is now.
    pub(crate) fn sign(&self, mut asked: Asked) -> Asked {
        asked.context.epoch = asked.frame.epoch;
        asked.context.batch = asked.frame.batch;
        let Asked { frame, context } = &mut asked;
        let request = request_digest(context, &frame.blinded);
        let message = signed_message(&request, &frame.view, frame.version, frame.minute);
        frame.signature = self.key.sign(&message).to_bytes();
        asked
    }
}

impl Asked {
    /// The record of this frame, refused.
    pub(crate) fn refused(&self, world: &World) -> FrameRecord {
        let Self { frame, context } = self;
        FrameRecord {
            key: FrameKey {
                platform: context.platform.clone(),
                list: context.list.clone(),
                epoch: context.epoch,
                batch: context.batch,
            },
            version: frame.version,
            view: frame.view,
            n: u32::from(frame.size as u16),
            request: request_digest(context, &frame.blinded),
            signature: frame.signature,
            platform_minute: frame.minute,
            status: FrameStatus::Refused("CLOCK_SKEW"),
            minute: world.now() / 60,
            nonce: random(),
        }
    }

    pub(crate) fn request(&self) -> pb::EvaluateRequest {
        self.frame.clone().into()
    }
}

/// The numbered synthetic item.
pub(crate) fn item(number: u32) -> Item {
    Item::new(Kind::Sha256, &Sha256::digest(number.to_be_bytes())).unwrap()
}

fn plain() -> Options {
    Options { format: Some(Format::Plain), kind: Some(Kind::Sha256), ..Options::default() }
}

/// Random bytes where a test wants any.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
