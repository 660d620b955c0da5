//! Checks SHA-256 digests from standard input, one per line, in full frames and bounded memory:
//! `sha256sum * | cut -c-64 | cargo run --release -p veilmatch-client --example check_stream -- DIR`

use std::{io::BufRead, path::Path};

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use veilmatch_client::{Client, Outcome, Subject};
use veilmatch_protocol::item::{Item, Kind};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: check_stream DIR")?;
    let client = Client::open(Path::new(&dir))?;
    // Versions that the agency announces from now on are taken at once.
    client.keep_current();
    let list = client.lists().into_iter().next().ok_or("the invitation names no list")?;
    client.sync(&list, |_| {}).await?;

    // The reader stops when the client has enough to do: the channel is short.
    let (send, subjects) = mpsc::channel(64);
    let reading = tokio::task::spawn_blocking(move || {
        for (key, line) in std::io::stdin().lock().lines().enumerate() {
            let line = line.map_err(|error| error.to_string())?;
            let digest = hex::decode(line.trim()).map_err(|error| format!("line {}: {error}", key + 1))?;
            let item = Item::new(Kind::Sha256, &digest).map_err(|error| format!("line {}: {error}", key + 1))?;
            let subject = Subject { key: key as u64, reference: line.into_bytes(), items: vec![item], whole: false };
            if send.blocking_send(subject).is_err() {
                break;
            }
        }
        Ok::<_, String>(())
    });

    let mut outcomes = client.check_stream(&list, ReceiverStream::new(subjects));
    while let Some((key, outcome)) = outcomes.next().await {
        match outcome {
            Outcome::Match { label, .. } => println!("line {}: match, label {}", key + 1, hex::encode(label)),
            Outcome::NoMatch { .. } => {}
            Outcome::NotChecked(why) => println!("line {}: not checked, {}", key + 1, why.reason()),
        }
    }
    drop(outcomes);
    reading.await??;
    client.shutdown().await;
    Ok(())
}
