//! `run`: a long-lived process that keeps the lists current and answers on a Unix socket.

use std::{
    io,
    num::NonZero,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{fs::Mode, process::umask};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{exit::Exit, failure::Failure, interrupt::Interrupt};
use crate::Client;

mod connection;
mod request;

/// What `run --help` says.
pub const ABOUT: &str = "Keep the lists current and answer on a Unix socket until SIGTERM or Ctrl-C.\n\n\
    One JSON object per line in, one per line out, matched by `id`; answers come when they are ready. Ask about digests, \
    {\"id\": 1, \"digests\": {\"sha256\": \"<hex>\"}}, or about a file, {\"id\": 2, \"path\": \"/absolute/path\"}; optional are \
    \"list\", \"name\" (what a rescan calls it) and \"deadline_ms\". Several digests are those of one file. Every answer has an \
    \"outcome\": \"match\", \"no_match\" or \"not_checked\" with a \"reason\". Only the user who runs it can use the socket.";

/// Connections at a time. A client that keeps one open per worker stays far below.
const CONNECTIONS: usize = 256;

/// Time between SIGTERM and the end for answers still on their way.
const DRAIN: Duration = Duration::from_secs(30);

/// What every connection shares.
struct Shared {
    client: Client,
    // Files that are read at a time.
    readers: Arc<Semaphore>,
}

pub async fn run(dir: &Path, socket: Option<PathBuf>) -> Result<Exit, Failure> {
    let client = Client::open(dir)?;
    let interrupt = Interrupt::listen("stopping when what is on its way is answered")?;
    let path = socket.unwrap_or_else(|| dir.join("veilmatch.sock"));
    let listener = bind(&path).await?;
    client.keep_current();
    eprintln!("veilmatch: answering on {}", path.display());

    let readers = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));
    let shared = Arc::new(Shared { client: client.clone(), readers });
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = interrupt.asked() => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                accept(accepted, &mut connections, &shared, &stopped).await;
            }
            Some(_) = connections.join_next(), if connections.len() >= CONNECTIONS => {}
        }
    }
    drop(listener);
    remove_socket(&path);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were still open at the end");
        connections.shutdown().await;
    }
    drop(shared);
    client.shutdown().await;
    Ok(Exit::Done)
}

async fn accept(
    accepted: io::Result<(UnixStream, tokio::net::unix::SocketAddr)>,
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    stopped: &watch::Receiver<bool>,
) {
    match accepted {
        Ok((stream, _)) => {
            connections.spawn(connection::serve(stream, Arc::clone(shared), stopped.clone()));
        }
        Err(error) => {
            // Out of descriptors, most likely: those who are served now must end first.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// New callers find no socket instead of one that nobody answers on. One that somebody removed, or that cannot be removed, is
/// no reason to leave those without an answer who have asked already.
fn remove_socket(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "the socket stays");
        }
        _ => {}
    }
}

/// Listens on a path that nobody else answers on, for this user alone.
async fn bind(path: &Path) -> Result<UnixListener, Failure> {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(Failure::NotASocket { path: path.to_owned() });
        }
        Ok(_) => match UnixStream::connect(path).await {
            // Left behind by a process that was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(Failure::io("remove", path))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Somebody listens who does not take this connection, or not now.
            Ok(_) | Err(_) => return Err(Failure::SocketTaken { path: path.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io("look at", path)(error)),
    }
    // The mode is right from the first moment, not corrected afterwards.
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = UnixListener::bind(path);
    umask(before);
    bound.map_err(Failure::io("listen on", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_on_is_replaced() {
        // Any failure to connect counted as a dead socket: one whose queue was full, or of another kind, was unlinked under
        // the process that listened on it.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("veilmatch.sock");
        let alive = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(bind(&path).await, Err(Failure::SocketTaken { .. })));
        assert!(path.exists());
        drop(alive);
        assert!(bind(&path).await.is_ok(), "whoever listened there is gone");
    }

    #[test]
    fn a_socket_that_somebody_removed_is_as_good_as_one_that_we_removed() {
        // The end of `run` failed at it, before the answers on their way were given and the frames recorded.
        let dir = tempfile::tempdir().unwrap();
        remove_socket(&dir.path().join("veilmatch.sock"));
    }
}
