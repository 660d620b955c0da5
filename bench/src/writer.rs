//! The writer of frames alone: records that are durable, each with its leaf, charge and batch id, from many callers at once;
//! beside it the flush of the same disk.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rand::Rng;
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest, View},
    name::{AgencyName, Epoch, ListId, PlatformId, Version},
};
use veilmatch_server::{
    logs::record,
    store::{FrameKey, FrameRecord, FrameStatus, FrameWriter, Recorded},
};

/// Callers that each wait for their record before they bring the next.
const CALLERS: u64 = 64;

/// Flushes whose median is told.
const FLUSHES: usize = 201;

/// Records frames in a folder for so long, and prints what came of it.
pub fn run(folder: &Path, seconds: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let before = flush(folder.path())?;
    let writer = Arc::new(FrameWriter::start(&folder.path().join("veilmatch.db"), |_| ())?);
    // As in the server: a caller is a task that waits.
    let runtime = tokio::runtime::Runtime::new()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let callers: Vec<_> = (0..CALLERS).map(|caller| runtime.spawn(call(caller, Arc::clone(&writer), until))).collect();
    let mut records = 0;
    for caller in callers {
        records += runtime.block_on(caller).context("a caller ended in a panic")??;
    }
    let took = began.elapsed().as_secs_f64();
    drop(writer);
    let after = flush(folder.path())?;
    println!(
        "{CALLERS} callers, {records} durable records with leaves in {took:.1} s: {:.0} /s",
        records as f64 / took
    );
    println!("flush of the same disk: {:.3} ms before, {:.3} ms after (median of {FLUSHES})", ms(before), ms(after));
    Ok(())
}

// Gives how many of its records are durable.
async fn call(caller: u64, writer: Arc<FrameWriter>, until: Instant) -> anyhow::Result<u64> {
    let agency = AgencyName::parse("agency.example")?;
    let mut written = 0;
    while Instant::now() < until {
        let frame = frame(caller)?;
        let leaf = record::leaf(&agency, &frame)?;
        let recorded = writer.record(frame, leaf, 0).await;
        ensure!(matches!(recorded, Recorded::Durable(..)), "a record was not written: {recorded:?}");
        written += 1;
    }
    Ok(written)
}

fn frame(caller: u64) -> anyhow::Result<FrameRecord> {
    let (mut batch, mut nonce, mut proof) = ([0; 16], [0; 16], [0; 64]);
    let mut rng = rand::rng();
    rng.fill_bytes(&mut batch);
    rng.fill_bytes(&mut nonce);
    rng.fill_bytes(&mut proof);
    let minute = 29_666_666;
    Ok(FrameRecord {
        key: FrameKey {
            platform: PlatformId::parse(&format!("platform-{caller}.example"))?,
            list: ListId::parse("baseline")?,
            epoch: Epoch(1),
            batch: BatchId(batch),
        },
        version: Version(1),
        view: View { size: 1, root: [1; 32] },
        n: 1,
        request: RequestDigest([2; 32]),
        signature: proof,
        platform_minute: minute,
        status: FrameStatus::Answered { response: ResponseDigest([4; 32]), proof },
        minute,
        nonce,
    })
}

/// What a write of one page costs until it is on the disk: the median.
pub fn flush(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = File::create(folder.join("flush"))?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let began = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[FLUSHES / 2])
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
