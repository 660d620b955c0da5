//! A running edge, its authority, its client table, and the ways to reach it.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use veilmatch_proto::{Reason, Refused, pb::evaluation_server::EvaluationServer};
use veilmatch_protocol::name::PlatformId;
use veilmatch_server::{
    limits::Limits,
    listener::{Drained, Edge, Methods, Peer, PeerTable, Stop, serve},
    tls::{PeerIdentity, ServerTls},
};

use crate::{
    client::Client,
    pki::{Authority, Leaf, uri},
    scripted::Scripted,
};

/// Nothing that is waited for takes so long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub address: SocketAddr,
    pub authority: Authority,
    pub table: Arc<Table>,
    pub service: Scripted,
    pub serving: Arc<AtomicBool>,
    pub leaving: CancellationToken,
    stop: CancellationToken,
    ended: JoinHandle<Drained>,
}

/// The client table: enrolled keys, and whether they are suspended.
#[derive(Default)]
pub struct Table(Mutex<HashMap<[u8; 32], (String, bool)>>);

impl Table {
    pub fn suspend(&self, leaf: &Leaf) {
        self.0.lock().unwrap().get_mut(&leaf.spki_sha256()).unwrap().1 = true;
    }
}

impl PeerTable for Table {
    fn admit(&self, identity: &PeerIdentity) -> Result<Peer, Refused> {
        let table = self.0.lock().unwrap();
        let (name, suspended) = table.get(&identity.spki_sha256).ok_or(Reason::UnknownClient)?;
        if !identity.uri_sans.contains(&uri(name)) {
            return Err(Reason::UnknownClient.into());
        }
        if *suspended {
            return Err(Reason::Suspended.into());
        }
        Ok(Peer { platform: PlatformId::parse(name).unwrap(), methods: Methods::PLATFORM })
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With limits other than the defaults.
    pub async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits { admission_poll_ms: 20, ..Limits::default() };
        change(&mut limits);
        limits.check().unwrap();
        let authority = Authority::new();
        let (table, service) = (Arc::<Table>::default(), Scripted::default());
        let (stop, leaving) = (CancellationToken::new(), CancellationToken::new());
        let serving = Arc::new(AtomicBool::new(true));
        let health = Arc::clone(&serving);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let edge = Edge {
            tls: server_tls(&authority),
            limits,
            peers: Arc::clone(&table) as Arc<dyn PeerTable>,
            routes: Routes::new(EvaluationServer::new(service.clone())),
        };
        let steps = Stop {
            requested: stop.clone(),
            not_serving: Box::new(move || health.store(false, Ordering::SeqCst)),
            leaving: leaving.clone(),
        };
        let ended = tokio::spawn(serve(listener, edge, steps));
        Self { address, authority, table, service, serving, leaving, stop, ended }
    }

    /// A platform with a certificate, in the table.
    pub fn enrol(&self, name: &str) -> Leaf {
        let leaf = self.authority.client(name);
        self.table.0.lock().unwrap().insert(leaf.spki_sha256(), (name.to_owned(), false));
        leaf
    }

    pub async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// TLS with this configuration, as far as the client can tell.
    pub async fn tls(&self, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await).await
    }

    /// TLS as this platform.
    pub async fn tls_as(&self, leaf: &Leaf) -> TlsStream<TcpStream> {
        self.tls(self.authority.client_config(Some(leaf))).await.unwrap()
    }

    /// HTTP/2 as this platform.
    pub async fn connect(&self, leaf: &Leaf) -> Client {
        Client::open(self.tls_as(leaf).await).await
    }

    pub fn request_stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and waits for the end.
    pub async fn stop(self) -> Drained {
        self.stop.cancel();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap()
    }
}

fn server_tls(authority: &Authority) -> ServerTls {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key, root] = ["server.pem", "server.key", "authority.pem"].map(|name| dir.path().join(name));
    let leaf = authority.server();
    fs::write(&certificate, leaf.certificate.pem()).unwrap();
    fs::write(&key, leaf.key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&root, authority.certificate.pem()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    ServerTls::load(&certificate, &key, &root, now).unwrap()
}
