//! The running server: everything put together, started on one directory, stopped in order.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;
use veilmatch_protocol::name::Origin;

use crate::{
    Error,
    admin::Agency,
    clock::{Clock, SystemClock},
    config::Config,
    cpu::CpuPool,
    follow::Follower,
    listener::{Drained, Edge, Stop, serve},
    service::{FrameRules, Frames, HealthService, Service},
    state_dir::{DirLock, StateDir},
    store::{AuditState, FrameWriter},
    tls::ServerTls,
};

/// What a start may be told beyond the directory.
#[derive(Clone)]
pub struct ServeOptions {
    /// Where to listen, if not where the configuration says; port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Offer server reflection even if the configuration does not.
    pub reflection: bool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { listen: None, reflection: false, clock: Arc::new(SystemClock) }
    }
}

/// A server before it is started.
pub struct Server;

/// A server that accepts connections.
pub struct Running {
    local_addr: SocketAddr,
    shutdown: CancellationToken,
    failed: CancellationToken,
    serving: JoinHandle<Drained>,
    // Fields are dropped in this order: the follower stops, then the lock is free.
    _follower: Follower,
    _lock: DirLock,
}

impl Server {
    /// Starts a server on an agency's directory. It accepts connections when this returns.
    ///
    /// # Errors
    /// Those of [`Agency::open`], [`Error::AlreadyServing`], [`Error::KeyFileMode`], [`Error::Network`].
    pub async fn start(root: &Path, options: ServeOptions) -> Result<Running, Error> {
        let agency = Agency::open(root)?;
        let (dir, config) = (agency.dir().clone(), agency.config().clone());
        drop(agency);
        let lock = dir.lock_serving()?;
        let tls = ServerTls::load(
            &dir.resolve(&config.tls.certificate),
            &dir.resolve(&config.tls.key),
            &dir.resolve(&config.tls.authority),
            options.clock.now(),
        )?;
        tls.warn_of_expiry(options.clock.now());
        let listen = options.listen.unwrap_or(config.network.listen);
        let listener = bind(listen)?;
        let local_addr = listener.local_addr().map_err(network("read the address listened on"))?;

        let shutdown = CancellationToken::new();
        let failed = CancellationToken::new();
        let health = HealthReporter::new();
        let writer = start_writer(&dir, &health, &failed)?;
        let cpu = CpuPool::start(
            usize::try_from(config.frames.threads).unwrap_or(0),
            usize::try_from(config.frames.waiting_elements).unwrap_or(usize::MAX),
        )?;
        let origin = Origin::of(&config.agency());
        let rules = frame_rules(&config);
        let frames = Frames::new(cpu, writer, origin, rules, Arc::clone(&options.clock), dir.database());
        let (follower, catalogue) = Follower::start(dir.clone(), config.clone(), Arc::clone(&options.clock))?;
        let leaving = CancellationToken::new();
        let service = Service::new(catalogue, Arc::new(frames), dir.clone(), leaving.clone());
        let peers = service.clients();
        let reflection = options.reflection || config.process.reflection;
        let routes = service.routes(
            HealthService::new(tonic_health::server::HealthService::from_health_reporter(health.clone())),
            reflection,
        )?;
        serve_status(&health, true).await;
        let edge = Edge { tls, limits: config.limits.clone(), peers: Arc::new(peers), routes };
        let stop = Stop { requested: shutdown.clone(), not_serving: end_health(health), leaving };
        let serving = tokio::spawn(serve(listener, edge, stop));
        tracing::info!(address = %local_addr, backend = veilmatch_ristretto::backend(), "serving");
        Ok(Running { local_addr, shutdown, failed, serving, _follower: follower, _lock: lock })
    }
}

impl Running {
    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until the server ends by itself: never, unless it must.
    ///
    /// # Errors
    /// [`Error::AuditFailed`] if a record could not be written and the process must end; [`Error::Network`].
    pub async fn ended(&mut self) -> Result<(), Error> {
        tokio::select! {
            () = self.failed.cancelled() => Err(Error::AuditFailed),
            _ = &mut self.serving => Err(Error::Internal("the accepting task ended")),
        }
    }

    /// Stops: not serving at once, then no new connections, then the open ones come to their end or are cut.
    ///
    /// # Errors
    /// [`Error::Internal`] if the accepting task panicked.
    pub async fn shutdown(self) -> Result<Drained, Error> {
        self.shutdown.cancel();
        self.serving.await.map_err(|_| Error::Internal("the accepting task ended"))
    }
}

// Called once, when the server is asked to stop.
fn end_health(health: HealthReporter) -> Box<dyn FnOnce() + Send> {
    let runtime = tokio::runtime::Handle::current();
    Box::new(move || {
        runtime.spawn(async move { serve_status(&health, false).await });
    })
}

// The names that health checks ask for: the whole server, and each service.
async fn serve_status(health: &HealthReporter, serving: bool) {
    let status = if serving { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    for service in ["", "veilmatch.v1.Lists", "veilmatch.v1.Evaluation"] {
        health.set_service_status(service, status).await;
    }
}

// Health follows the writer: what cannot be recorded is not answered, and everybody may know.
fn start_writer(dir: &StateDir, health: &HealthReporter, failed: &CancellationToken) -> Result<FrameWriter, Error> {
    let (health, failed) = (health.clone(), failed.clone());
    let runtime = tokio::runtime::Handle::current();
    FrameWriter::start(&dir.database(), move |state| {
        let health = health.clone();
        runtime.spawn(async move { serve_status(&health, state == AuditState::Writable).await });
        if state == AuditState::Failed {
            failed.cancel();
        }
    })
}

fn frame_rules(config: &Config) -> FrameRules {
    FrameRules {
        sizes: config.publication.frame_sizes.clone(),
        retries: config.frames.retries,
        retry_minutes: u64::from(config.frames.retry_hours) * 60,
        refusals_per_minute: config.frames.refusals_per_minute,
    }
}

fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, Error> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(tokio::net::TcpListener::from_std);
    listener.map_err(network("listen on the address of the configuration"))
}

fn network(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Network { what, source: source.into() }
}
