//! The writer of frames alone: records that are durable, each with its leaf, charge and batch id, from many callers at once;
//! beside it the flush of the same disk.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail, ensure};
use rand::Rng;
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest, View},
    name::{AgencyName, Epoch, ListId, PlatformId, Version},
};
use veilmatch_server::{
    logs::{LogKeys, record},
    state_dir::StateDir,
    store::{FrameKey, FrameRecord, FrameStatus, FrameWriter, LoggedLeaf, Recorded},
};

use crate::process::{Of, processor_time};

/// Callers that each wait for their record before they bring the next.
pub const CALLERS: u64 = 64;

/// Flushes whose median is told.
const FLUSHES: usize = 201;

/// Records frames in a folder for so long, and prints what came of it.
pub fn run(folder: &Path, seconds: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let before = flush(folder.path())?;
    let writer = Arc::new(FrameWriter::start(&folder.path().join("veilmatch.db"), |_| ())?);
    let spent = || processor_time("self", Of::Itself).context("the system tells no processor time");
    let (began, processor) = (Instant::now(), spent()?);
    let until = began + Duration::from_secs(seconds);
    let records = load(&writer, move |_| Instant::now() < until)?;
    let (took, processor) = (began.elapsed().as_secs_f64(), spent()?.saturating_sub(processor));
    drop(writer);
    let after = flush(folder.path())?;
    println!(
        "{CALLERS} callers, {records} durable records with leaves in {took:.1} s: {:.0} /s; processor time of each {:.0} µs",
        records as f64 / took,
        processor.as_secs_f64() * 1e6 / records as f64
    );
    println!("flush of the same disk: {:.3} ms before, {:.3} ms after (median of {FLUSHES})", ms(before), ms(after));
    Ok(())
}

/// Records frames from all callers for as long as a caller that has recorded so many is to go on; gives how many are durable.
pub fn load(writer: &Arc<FrameWriter>, goes_on: impl Fn(u64) -> bool + Clone + Send + 'static) -> anyhow::Result<u64> {
    // As in the server: a caller is a task that waits.
    let runtime = tokio::runtime::Runtime::new()?;
    let call = |caller| runtime.spawn(call(caller, Arc::clone(writer), goes_on.clone()));
    let callers: Vec<_> = (0..CALLERS).map(call).collect();
    let mut records = 0;
    for caller in callers {
        records += runtime.block_on(caller).context("a caller ended in a panic")??;
    }
    Ok(records)
}

async fn call(caller: u64, writer: Arc<FrameWriter>, goes_on: impl Fn(u64) -> bool) -> anyhow::Result<u64> {
    let agency = AgencyName::parse("agency.example")?;
    let mut written = 0;
    while goes_on(written) {
        let frame = frame(caller)?;
        let leaf = record::leaf(&agency, &frame)?;
        let recorded = writer.record(frame, leaf, 0).await;
        ensure!(matches!(recorded, Recorded::Durable(..)), "a record was not written: {recorded:?}");
        written += 1;
    }
    Ok(written)
}

/// What the record of an evaluated frame costs until it is acknowledged, one after the other, in turns with a flush: the
/// medians of both.
pub fn alone(dir: &StateDir) -> anyhow::Result<(Duration, Duration)> {
    let agency = AgencyName::parse("agency.example")?;
    let keys = LogKeys::read(dir, &agency)?;
    let writer = FrameWriter::start(&dir.database(), |_| ())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut page = Page::in_folder(dir.root())?;
    let (mut flushes, mut records) = (Vec::new(), Vec::new());
    for _ in 0..FLUSHES {
        flushes.push(page.flush()?);
        let frame = frame(0)?;
        let began = Instant::now();
        let leaf = record::leaf(&agency, &frame)?;
        let (batch, minute, bytes) = (frame.key.batch, frame.minute, leaf.bytes.clone());
        let Recorded::Durable(origin, index) = runtime.block_on(writer.record(frame, leaf, 0)) else {
            bail!("a record was not written");
        };
        let leaf = LoggedLeaf { origin: origin.to_string(), index, bytes };
        record::acknowledge(&leaf, batch, minute, &keys)?;
        records.push(began.elapsed());
    }
    Ok((median(records), median(flushes)))
}

fn frame(caller: u64) -> anyhow::Result<FrameRecord> {
    let (mut batch, mut nonce, mut proof) = ([0; 16], [0; 16], [0; 64]);
    let mut rng = rand::rng();
    rng.fill_bytes(&mut batch);
    rng.fill_bytes(&mut nonce);
    rng.fill_bytes(&mut proof);
    let minute = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 60;
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
    let mut page = Page::in_folder(folder)?;
    Ok(median((0..FLUSHES).map(|_| page.flush()).collect::<anyhow::Result<_>>()?))
}

// A file that grows by one page at a time.
struct Page(File);

impl Page {
    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(File::create(folder.join("flush"))?))
    }

    fn flush(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.0.write_all(&[7; 4_096])?;
        self.0.sync_data()?;
        Ok(began.elapsed())
    }
}

/// The one in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
