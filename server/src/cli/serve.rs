//! `serve`: the process around the running server.

use std::{io::IsTerminal, net::SocketAddr, path::Path};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    Error,
    config::{Config, LogFormat},
    hardening::raise_open_files,
    server::{ServeOptions, Server},
    state_dir::StateDir,
};

pub(super) fn serve(dir: &Path, listen: Option<SocketAddr>, reflection: bool) -> Result<(), Error> {
    let config = Config::read(&StateDir::open(dir)?)?;
    start_log(&config)?;
    raise_open_files(config.limits.connections);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Network { what: "start the runtime", source: source.into() })?;
    let ended = runtime.block_on(run(dir, ServeOptions { listen, reflection, ..ServeOptions::default() }));
    // What still runs in the background holds nothing that must be finished: records are written by a thread that the
    // server has joined.
    runtime.shutdown_background();
    ended
}

async fn run(dir: &Path, options: ServeOptions) -> Result<(), Error> {
    let signals =
        |kind| signal(kind).map_err(|source| Error::Network { what: "listen for signals", source: source.into() });
    let (mut terminate, mut interrupt) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let mut running = Server::start(dir, options).await?;
    eprintln!("veilmatch-server: listening on {}", running.local_addr());
    tokio::select! {
        ended = running.ended() => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let drained = running.shutdown().await?;
    tracing::info!(cut = drained.cut, "stopped");
    Ok(())
}

fn start_log(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.process.log_filter)
        .map_err(|error| Error::argument("process.log_filter", error.to_string()))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    let started = match config.process.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| Error::Internal("the log was started twice"))
}
