//! Keeps a list current in the background.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use veilmatch_proto::{manifest_note, pb};
use veilmatch_protocol::{manifest::SignedManifest, name::ListId};

use super::Client;
use crate::{Error, connection::Backoff};

/// Synchronises a list whenever a version is announced, and every poll interval at the latest, until the client is shut
/// down.
pub(super) async fn follow(client: Client, list: ListId) {
    let mut stop = client.inner.stop.subscribe();
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = keep_current(&client, &list) => {}
    }
}

/// What waits, and how long: a server that is away comes back at any moment, and asking it costs a connection. What fails
/// otherwise may cost a whole download each time, and a server can announce all day long what then is not there: those waits
/// grow up to the poll interval. An announcement after a time of rest is followed at once.
async fn keep_current(client: &Client, list: &ListId) {
    let poll = client.inner.config.poll();
    let (mut away, mut futile) = (Backoff::new(), Backoff::up_to(poll));
    let mut announced = false;
    loop {
        let before = client.newest_manifest(list);
        match client.sync(list, |_| {}).await {
            Ok(_) if client.newest_manifest(list) != before => futile = Backoff::up_to(poll),
            Ok(_) if announced => sleep(futile.next(Duration::ZERO)).await,
            Ok(_) => {}
            Err(error) => {
                tell(list, &error);
                let wait = if matches!(error, Error::Unreachable { .. }) { &mut away } else { &mut futile };
                sleep(wait.next(Duration::ZERO)).await;
                announced = false;
                continue;
            }
        }
        let news = timeout(poll, news(client, list)).await;
        announced = matches!(news, Ok(Some(())));
        match news {
            Ok(Some(())) => away = Backoff::new(),
            // The stream is broken; what it would have told is asked for.
            Ok(None) => sleep(away.next(Duration::ZERO)).await,
            Err(_) => (away, futile) = (Backoff::new(), Backoff::up_to(poll)),
        }
    }
}

fn tell(list: &ListId, error: &Error) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(%list, error, "synchronisation failed; the version held stays in use");
}

/// Waits until another manifest than the newest one known is announced; nothing if the stream breaks.
async fn news(client: &Client, list: &ListId) -> Option<()> {
    let connection = &client.inner.frames.connection;
    let request = pb::WatchVersionsRequest { list_id: list.to_string() };
    let mut lists = connection.lists();
    let mut stream = connection.in_time(lists.watch_versions(request)).await.ok()?.into_inner();
    loop {
        let note = manifest_note(stream.message().await.ok()??).ok()?;
        // The first message repeats the newest one.
        let announced = SignedManifest::verify(&note, &client.inner.verifier).ok()?;
        let known = client.newest_manifest(list);
        let known = known.and_then(|note| SignedManifest::verify(&note, &client.inner.verifier).ok());
        if known.is_none_or(|known| known.leaf() != announced.leaf()) {
            return Some(());
        }
    }
}
