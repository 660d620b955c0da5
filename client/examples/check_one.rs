//! Checks one upload: `cargo run --release -p veilmatch-client --example check_one -- DIR FILE`
//!
//! DIR is a platform's directory that has joined an agency: `veilmatch init`, `veilmatch join`.

use std::{path::Path, time::Duration};

use veilmatch_client::{
    Client, Outcome, Subject,
    digest::{Digester, Links},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, file] = &arguments[..] else { return Err("usage: check_one DIR FILE".into()) };

    // One client for the whole process: clones share it, and checks at the same time share frames.
    let client = Client::open(Path::new(dir))?;
    let list = client.lists().into_iter().next().ok_or("the invitation names no list")?;
    client.sync(&list, |_| {}).await?;

    // All the digests that the list needs, in one read of the file.
    let items = Digester::new(&client.kinds(&list)).file(Path::new(file), Links::Follow)?;
    let subject = Subject { key: 0, reference: file.as_bytes().to_vec(), items, whole: true };
    match client.check(&list, subject, Duration::from_secs(5)).await {
        Outcome::Match { label, kind, version, weak_only } => {
            let review = if weak_only { "; perhaps a planted collision: let a person look at it" } else { "" };
            println!("match: label {}, {} in version {version}{review}", hex::encode(label), kind.name());
        }
        Outcome::NoMatch { version } => println!("no match in version {version}"),
        // Never to be taken for "no match": hold the upload back and ask again.
        Outcome::NotChecked(why) => println!("not checked: {}", why.reason()),
    }
    client.shutdown().await;
    Ok(())
}
