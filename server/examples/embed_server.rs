//! An agency's server inside another program: `cargo run --release -p veilmatch-server --example embed_server -- DIR`
//!
//! DIR is an agency's directory: `veilmatch-server init`, `list create`, `list import`, `list publish`. The commands go on
//! working beside it.

use std::path::Path;

use veilmatch_server::{ServeOptions, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: embed_server DIR")?;
    let mut running = Server::start(Path::new(&dir), ServeOptions::default()).await?;
    println!("listening on {}", running.local_addr());
    tokio::select! {
        // Ends by itself only if it can no longer record what it answers.
        ended = running.ended() => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    // Frames that were taken are answered and recorded first.
    let drained = running.shutdown().await?;
    println!("stopped; {} connections were cut", drained.cut);
    Ok(())
}
