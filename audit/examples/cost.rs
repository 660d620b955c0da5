//! What an audit costs: writes a query log of that many leaves with real signatures, and audits it twice.
//!
//! ```text
//! cargo run --release -p veilmatch-audit --example cost -- FOLDER [LEAVES]
//! ```

use std::{error::Error, path::Path, time::Instant};

use ed25519_dalek::{Signer, SigningKey};
use veilmatch_audit::{
    case::{Source, query_log},
    checkpoint::{self, Checkpoint},
    folder::LogFolder,
    leaf::{Leaf, Nonce, Query, QueryStatus, Role, Signature},
    tile::Growth,
    verify::{KeySet, Known, verify},
};
use veilmatch_protocol::{
    frame::{BatchId, FrameSize, RequestDigest, ResponseDigest, View, signed_message},
    manifest::Timestamp,
    merkle,
    name::{Epoch, ListId, PlatformId, Version},
    note::Verifier,
};

// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORIGIN: &str = "agency.example/veilmatch/query/2026h2";
const FIRST_MINUTE: u64 = 29_800_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: cost FOLDER [LEAVES]")?;
    let leaves = arguments.next().map_or(Ok(1_000_000), |leaves| leaves.parse())?;
    let (log_key, request_key) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let key = Verifier::new(ORIGIN, log_key.verifying_key())?;
    println!("{key}");
    let platform = PlatformId::parse("platform.example")?;
    if !Path::new(&folder).exists() {
        write(&folder, leaves, &log_key, &request_key, &platform)?;
    }
    let now = (FIRST_MINUTE + leaves) * 60;
    let known = Known { key, policy: None, now, seen: Vec::new(), every_root: false };

    let start = Instant::now();
    let audited = verify(&LogFolder::new(&folder), &known)?;
    println!("tree only: {:.2} s, {} findings", start.elapsed().as_secs_f64(), audited.findings.len());

    let keys = [(platform, KeySet::pinned(Role::Request, request_key.verifying_key()))];
    let source = Source { place: folder.clone(), files: Box::new(LogFolder::new(&folder)), known };
    let (start, mut findings) = (Instant::now(), Vec::new());
    let (audited, log) = query_log(&source, &keys, now, 2, &mut findings)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("with signatures, 2 threads: {seconds:.2} s, {} frames, {} findings", log.frames.len(), findings.len());
    println!("{} leaves", audited.size());
    Ok(())
}

fn write(
    folder: &str,
    leaves: u64,
    log_key: &SigningKey,
    request_key: &SigningKey,
    platform: &PlatformId,
) -> Result<(), Box<dyn Error>> {
    let (log, mut growth) = (LogFolder::create(folder)?, Growth::new());
    let list = ListId::parse("baseline")?;
    let start = Instant::now();
    for index in 0..leaves {
        growth.push(&leaf(index, &list, platform, request_key)?)?;
        if index % 65_536 == 65_535 {
            log.write(&growth.take_full())?;
        }
    }
    log.write(&growth.take_files())?;
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: growth.size(), root: growth.root() };
    log.publish(checkpoint::sign(&checkpoint, log_key)?.as_bytes())?;
    println!("written in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn leaf(index: u64, list: &ListId, platform: &PlatformId, key: &SigningKey) -> Result<Vec<u8>, Box<dyn Error>> {
    let digest = merkle::leaf_hash(&index.to_be_bytes());
    let half: [u8; 16] = digest[..16].try_into()?;
    // Ten frames a minute.
    let minute = FIRST_MINUTE + index / 10;
    let (req, view) = (RequestDigest(digest), View { size: 1, root: digest });
    let version = Version(1);
    let query = Query {
        batch: BatchId(half),
        code: None,
        epoch: Epoch(1),
        list: list.clone(),
        minute,
        n: FrameSize::Four,
        nonce: Nonce(half),
        platform: platform.clone(),
        req,
        req_sig: Signature(key.sign(&signed_message(&req, &view, version, minute)).to_bytes()),
        resp: Some(ResponseDigest(digest)),
        status: QueryStatus::Ok,
        t: Timestamp::from_unix(minute * 60),
        version,
        view,
    };
    Ok(Leaf::from(query).encode()?)
}
