//! How long a server is away with many leaves in its query log: from the start of its process to its first answer, after all
//! was published, after it was killed at work, and with leaves that nobody has published yet.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use veilmatch_audit::origin::{LogOrigin, Shard};
use veilmatch_protocol::{manifest::Timestamp, name::AgencyName};
use veilmatch_server::{
    logs::{LogKeys, keeper::Keeper},
    state_dir::StateDir,
    store::{FrameWriter, Store},
};

use crate::{
    frames::{Agency, check, digest, synchronised},
    lists::Serving,
    writer::{CALLERS, load},
};

/// Leaves that are recorded and not published at the last start.
const UNPUBLISHED: u64 = 200_000;

/// How long the server is at work before it is killed.
const AT_WORK: Duration = Duration::from_secs(3);

/// Starts a server with so many leaves in its query log, and prints how long it took to answer.
pub fn run(folder: &Path, leaves: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let agency = Agency::found(folder.path())?;
    let (platform, other) = (agency.enrol(0)?, agency.enrol(1)?);
    let runtime = tokio::runtime::Runtime::new()?;
    let dir = StateDir::open(agency.program.dir())?;
    drop(first_answer(&agency, &platform, &runtime, 0)?);

    let began = Instant::now();
    record(&dir, leaves)?;
    let recorded = began.elapsed();
    let size = publish(&dir)?;
    println!(
        "{size} leaves: recorded in {:.1} s, published in {:.1} s",
        recorded.as_secs_f64(),
        (began.elapsed() - recorded).as_secs_f64()
    );
    let (serving, took) = first_answer(&agency, &platform, &runtime, 1)?;
    println!("all published: first answer after {:.3} s", took.as_secs_f64());

    let checks = killed_at_work(serving, other)?;
    let (serving, took) = first_answer(&agency, &platform, &runtime, 2)?;
    println!("killed at work, after {checks} more: first answer after {:.3} s", took.as_secs_f64());
    drop(serving);

    record(&dir, UNPUBLISHED)?;
    let (serving, took) = first_answer(&agency, &platform, &runtime, 3)?;
    println!("with {UNPUBLISHED} leaves that are not published: first answer after {:.3} s", took.as_secs_f64());
    drop(serving);
    Ok(())
}

// Until a platform has its answer: the platform's own start and its connection are among it.
fn first_answer(
    agency: &Agency,
    platform: &Path,
    runtime: &tokio::runtime::Runtime,
    number: u64,
) -> anyhow::Result<(Serving, Duration)> {
    let began = Instant::now();
    let serving = agency.serve()?;
    runtime.block_on(async {
        let client = synchronised(platform).await?;
        check(&client, digest("first", number, 0)).await?;
        let took = began.elapsed();
        client.shutdown().await;
        Ok((serving, took))
    })
}

// Kills the server while a platform asks it; gives how many answers the platform had before.
fn killed_at_work(serving: Serving, platform: PathBuf) -> anyhow::Result<u64> {
    let answered = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&answered);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.spawn(async move {
        let client = synchronised(&platform).await?;
        for number in 0.. {
            check(&client, digest("work", 0, number)).await?;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    });
    std::thread::sleep(AT_WORK);
    drop(serving);
    runtime.shutdown_background();
    Ok(answered.load(Ordering::Relaxed))
}

fn record(dir: &StateDir, leaves: u64) -> anyhow::Result<()> {
    let writer = Arc::new(FrameWriter::start(&dir.database(), |_| ())?);
    load(&writer, move |written| written < leaves.div_ceil(CALLERS)).map(drop)
}

fn publish(dir: &StateDir) -> anyhow::Result<u64> {
    let agency = AgencyName::parse("agency.example")?;
    let keys = LogKeys::read(dir, &agency)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let origin = LogOrigin::Query(agency, Shard::of(Timestamp::from_unix(now)));
    Ok(Keeper::new(dir, origin, &keys.query).publish(&mut Store::open(&dir.database())?, now)?)
}
