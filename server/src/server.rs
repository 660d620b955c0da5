//! The running server: everything put together, started on one directory, stopped in order.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::{
    Error,
    admin::Agency,
    catalogue::Catalogue,
    clock::{Clock, SystemClock},
    config::Config,
    cpu::CpuPool,
    follow::Follower,
    listener::{Drained, Edge, FileEdge, Stop, serve, serve_files},
    logs::{AgencyLogs, LogState, task::QueryLogTask, witnesses::WitnessTask},
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

/// A server that accepts connections. Dropped without [`Self::shutdown`], it ends at once: nothing is accepted any more,
/// and every connection is cut.
pub struct Running {
    local_addr: SocketAddr,
    shutdown: CancellationToken,
    failed: CancellationToken,
    // Taken away by `shutdown` only.
    serving: Option<JoinHandle<Drained>>,
    follower: Option<Follower>,
    query_log: Option<QueryLogTask>,
    _witnesses: Option<WitnessTask>,
    files: Option<ServedFiles>,
    _lock: DirLock,
}

struct ServedFiles {
    local_addr: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// What decides whether the server calls itself healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    writable: bool,
    // Whether the logs can go on.
    logged: bool,
    draining: bool,
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
        let condition = watch::Sender::new(Condition { writable: true, logged: true, draining: false });
        let writer = Arc::new(start_writer(&dir, &condition, &failed)?);
        let cpu = CpuPool::start(
            usize::try_from(config.frames.threads).unwrap_or(0),
            usize::try_from(config.frames.waiting_elements).unwrap_or(usize::MAX),
        )?;
        let logs = AgencyLogs::open(&dir, &config, Arc::clone(&options.clock), follow_logs(&condition))?;
        let evidence = logs.frame_evidence();
        let frames = Frames::new(
            cpu,
            Arc::clone(&writer),
            evidence,
            frame_rules(&config),
            Arc::clone(&options.clock),
            dir.database(),
        );
        // Before anything is signed: a store that was restored from a backup must not sign behind what others have seen.
        let (logs, witnesses) = tokio::task::spawn_blocking(move || {
            let witnesses = logs.start_witnesses();
            (logs, witnesses)
        })
        .await
        .map_err(|_| Error::Internal("the witnesses could not be asked"))?;
        let witnesses = witnesses?;
        let query_log = logs.start(failed.clone())?;
        let (follower, catalogue) =
            Follower::start(dir.clone(), config.clone(), Arc::clone(&options.clock), logs.health())?;
        let leaving = CancellationToken::new();
        let logged = catalogue.clone();
        let service = Service::new(catalogue, Arc::new(frames), logs.served(writer), dir.clone(), leaving.clone());
        let peers = service.clients();
        let reflection = options.reflection || config.process.reflection;
        let health = HealthReporter::new();
        let routes = service.routes(
            HealthService::new(tonic_health::server::HealthService::from_health_reporter(health.clone())),
            reflection,
        )?;
        follow_condition(health, condition.subscribe()).await;
        let edge = Edge { tls, limits: config.limits.clone(), peers: Arc::new(peers), routes };
        let files = match config.log.listen().map_err(|why| Error::Config { path: dir.config(), why })? {
            Some(address) => Some(serve_logs(address, &dir, &config, &options, logged)?),
            None => None,
        };
        let not_serving = Box::new(move || condition.send_modify(|condition| condition.draining = true));
        let stop = Stop { requested: shutdown.clone(), not_serving, leaving };
        let serving = tokio::spawn(serve(listener, edge, stop));
        tracing::info!(address = %local_addr, backend = veilmatch_ristretto::backend(), "serving");
        Ok(Running {
            local_addr,
            shutdown,
            failed,
            serving: Some(serving),
            follower: Some(follower),
            query_log: Some(query_log),
            _witnesses: witnesses,
            files,
            _lock: lock,
        })
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
        let Self { failed, serving: Some(serving), .. } = self else { return Ok(()) };
        tokio::select! {
            () = failed.cancelled() => Err(Error::AuditFailed),
            _ = serving => Err(Error::Internal("the accepting task ended")),
        }
    }

    /// Stops: not serving at once, then no new connections, then the open ones come to their end or are cut. A publication
    /// that has begun is finished.
    ///
    /// # Errors
    /// [`Error::Internal`] if the accepting task panicked.
    pub async fn shutdown(mut self) -> Result<Drained, Error> {
        self.shutdown.cancel();
        let drained = match self.serving.as_mut() {
            // Not taken away before its end: a caller who gives up waiting cuts the rest by dropping this.
            Some(serving) => serving.await.map_err(|_| Error::Internal("the accepting task ended")),
            None => Err(Error::Internal("the accepting task ended")),
        };
        self.serving = None;
        if let Some(follower) = self.follower.take() {
            let stopped = tokio::task::spawn_blocking(move || follower.stop());
            stopped.await.map_err(|_| Error::Internal("the following thread could not be waited for"))?;
        }
        if let Some(query_log) = self.query_log.take() {
            // Nothing is answered any more: what was recorded last is published.
            let stopped = tokio::task::spawn_blocking(move || query_log.stop());
            stopped.await.map_err(|_| Error::Internal("the thread of the query log could not be waited for"))?;
        }
        if let Some(mut files) = self.files.take() {
            files.stop.cancel();
            // Ended or cut: nothing of it must be finished.
            drop((&mut files.serving).await);
        }
        drained
    }

    /// The address that the logs' files are served on, if they are.
    #[must_use]
    pub fn files_addr(&self) -> Option<SocketAddr> {
        self.files.as_ref().map(|files| files.local_addr)
    }
}

impl Drop for ServedFiles {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            // With the task go the listener and the connections' tasks. Records that are on their way are written.
            serving.abort();
        }
    }
}

// Says at once how things stand, and then each change of it. One task says it all, so that what is said last is how
// things are: a writer that recovers during a drain does not make the server healthy again.
async fn follow_condition(health: HealthReporter, mut condition: watch::Receiver<Condition>) {
    let now = *condition.borrow_and_update();
    serve_status(&health, now).await;
    tokio::spawn(async move {
        // Ends when the writer and the edge have gone, which is when nobody can ask any more.
        while condition.changed().await.is_ok() {
            let now = *condition.borrow_and_update();
            serve_status(&health, now).await;
        }
    });
}

// The names that health checks ask for: the whole server, and each service.
async fn serve_status(health: &HealthReporter, condition: Condition) {
    let status = if condition.writable && condition.logged && !condition.draining {
        tonic_health::ServingStatus::Serving
    } else {
        tonic_health::ServingStatus::NotServing
    };
    for service in ["", "veilmatch.v1.Lists", "veilmatch.v1.Evaluation", "veilmatch.v1.Logs"] {
        health.set_service_status(service, status).await;
    }
}

// Health follows the writer: what cannot be recorded is not answered, and everybody may know.
fn start_writer(
    dir: &StateDir,
    condition: &watch::Sender<Condition>,
    failed: &CancellationToken,
) -> Result<FrameWriter, Error> {
    let (condition, failed) = (condition.clone(), failed.clone());
    FrameWriter::start(&dir.database(), move |state| {
        condition.send_modify(|condition| condition.writable = state == AuditState::Writable);
        if state == AuditState::Failed {
            failed.cancel();
        }
    })
}

fn follow_logs(condition: &watch::Sender<Condition>) -> impl Fn(LogState) + Send + Sync + 'static {
    let condition = condition.clone();
    move |state| condition.send_modify(|condition| condition.logged = state == LogState::Sound)
}

// The logs' files, with the certificate of the server.
fn serve_logs(
    address: SocketAddr,
    dir: &StateDir,
    config: &Config,
    options: &ServeOptions,
    catalogue: watch::Receiver<Arc<Catalogue>>,
) -> Result<ServedFiles, Error> {
    let tls = ServerTls::load_public(
        &dir.resolve(&config.tls.certificate),
        &dir.resolve(&config.tls.key),
        &dir.resolve(&config.tls.authority),
        options.clock.now(),
    )?;
    let listener = bind(address)?;
    let local_addr = listener.local_addr().map_err(network("read the address listened on"))?;
    let edge = FileEdge { tls, limits: config.limits.clone(), dir: dir.clone(), catalogue };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_files(listener, edge, stop.clone()));
    tracing::info!(address = %local_addr, "serving the logs as files");
    Ok(ServedFiles { local_addr, stop, serving })
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

#[cfg(test)]
mod tests {
    use tonic_health::{
        pb::{HealthCheckRequest, health_server::Health},
        server::HealthService,
    };

    use super::*;

    #[tokio::test]
    async fn health_is_how_things_stand_and_not_who_spoke_last() {
        // Two tasks wrote the status, each what it knew: a writer that recovered during a drain made the server healthy
        // again, and of two changes in a row the older one could be written last.
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let condition = watch::Sender::new(Condition { writable: true, logged: true, draining: false });
        follow_condition(reporter, condition.subscribe()).await;
        for (writable, logged, draining) in [
            (true, true, false),
            (false, true, false),
            (true, true, false),
            (true, false, false),
            (false, true, false),
            (false, true, true),
            (true, true, true),
        ] {
            condition.send_replace(Condition { writable, logged, draining });
            let wanted = if writable && logged && !draining { 1 } else { 2 };
            for name in ["", "veilmatch.v1.Lists", "veilmatch.v1.Evaluation", "veilmatch.v1.Logs"] {
                let told = async || {
                    let request = tonic::Request::new(HealthCheckRequest { service: name.to_owned() });
                    service.check(request).await.unwrap().into_inner().status
                };
                tokio::time::timeout(std::time::Duration::from_secs(10), async {
                    while told().await != wanted {
                        tokio::task::yield_now().await;
                    }
                })
                .await
                .unwrap();
            }
        }
        // Nothing is written later.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let request = tonic::Request::new(HealthCheckRequest { service: String::new() });
        assert_eq!(service.check(request).await.unwrap().into_inner().status, 2);
    }
}
