//! Keeps a list current in the background.

use std::time::Duration;

use veilmatch_proto::{manifest_note, pb};
use veilmatch_protocol::name::ListId;

use super::Client;

/// Synchronises a list whenever a version is announced, and every poll interval at the latest.
pub(super) async fn follow(client: Client, list: ListId) {
    let mut stop = client.inner.stop.subscribe();
    let poll = client.inner.config.poll();
    let work = async {
        loop {
            if let Err(error) = client.sync(&list, |_| {}).await {
                tracing::warn!(%list, %error, "synchronisation failed; the version held stays in use");
            }
            let request = pb::WatchVersionsRequest { list_id: list.to_string() };
            let announced = async {
                let mut stream =
                    client.inner.frames.connection.lists().watch_versions(request).await.ok()?.into_inner();
                loop {
                    let note = manifest_note(stream.message().await.ok()??).ok()?;
                    // The first message repeats the newest; only another one than the one held is news.
                    let held = client.held(&list);
                    let same = held.as_ref().is_some_and(|held| held.note() == note);
                    if !same {
                        return Some(());
                    }
                }
            };
            match tokio::time::timeout(poll, announced).await {
                Ok(Some(())) | Err(_) => {}
                // The stream is broken: ask again after a while.
                Ok(None) => tokio::time::sleep(poll.min(Duration::from_secs(5))).await,
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
