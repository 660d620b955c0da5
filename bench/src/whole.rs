//! The whole way with both programs: import, publish, synchronise, scan, change, rescan, at the size that users have.

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    figures::{self, Figure},
    lists::Serving,
    process::{Cost, Program, peak},
};

/// Every so many items one is listed.
const EVERY: u64 = 1_000;

/// Entries that one change retracts, and as many that it adds.
const CHANGED: u64 = 1_000;

/// Longest rescan.
const RESCAN: Duration = Duration::from_secs(2);

/// Memory that the rest of a scan may need, beside that of its first third.
const GROWTH: f64 = 1.25;

/// One step of the whole way.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub step: String,
    /// Seconds from start to end of the command.
    pub seconds: f64,
    /// Items that were worked on, where their rate says something.
    pub items: Option<u64>,
    /// Most memory resident, MiB.
    pub memory_mib: f64,
    /// What the ratio compares with.
    pub baseline: String,
    /// Time or memory, divided by the baseline's.
    pub ratio: f64,
    /// Whether it is within its limit; none if it has no limit.
    pub holds: Option<bool>,
}

/// Items of a scan that are answered per second on two cores with AVX-512 IFMA, at least.
const SCANNED_PER_SECOND: f64 = 55_000.0;

/// Runs the whole way in a folder of its own, with as many entries as items. `stages` are the figures of this run, which
/// give the bare arithmetic's time.
pub fn run(size: u64, stages: &[Figure], vector: bool) -> anyhow::Result<Vec<Step>> {
    let folder = tempfile::tempdir()?;
    let mut way = Way::new(folder.path(), size, size, stages, vector);
    way.publish()?;
    way.scan()?;
    way.rescan()?;
    Ok(way.steps)
}

/// Seconds that a list of `size` takes to be imported and published, and as many items to be scanned.
pub fn growing(size: u64, stages: &[Figure], vector: bool) -> anyhow::Result<[f64; 3]> {
    let folder = tempfile::tempdir()?;
    let mut way = Way::new(folder.path(), size, size, stages, vector);
    way.publish()?;
    let [import, publish] = [0, 1].map(|at: usize| way.steps[at].seconds);
    way.steps.clear();
    way.scan()?;
    Ok([import, publish, way.steps[0].seconds + way.steps[1].seconds])
}

struct Way<'a> {
    folder: &'a Path,
    entries: u64,
    items: u64,
    agency: Program,
    platform: Program,
    // Bare arithmetic, seconds per item on one core: list build, server, client.
    bare: [f64; 3],
    cores: f64,
    vector: bool,
    steps: Vec<Step>,
}

impl<'a> Way<'a> {
    fn new(folder: &'a Path, entries: u64, items: u64, stages: &[Figure], vector: bool) -> Self {
        Self {
            folder,
            entries,
            items,
            agency: Program::agency(folder.join("agency")),
            platform: Program::platform(folder.join("platform")),
            bare: figures::bare(stages),
            cores: available_parallelism().map_or(1.0, |cores| cores.get() as f64),
            vector,
            steps: Vec::new(),
        }
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        self.agency.run(["init", "--agency", "agency.example", "--address", &address])?;
        self.agency.run(["list", "create", "baseline", "--label-bytes", "4", "--kinds", "sha256"])?;
        let list = self.sums("list.sha256", (0..self.entries).map(entry))?;
        let import = self.agency.run([
            "list".as_ref(),
            "import".as_ref(),
            "baseline".as_ref(),
            list.as_os_str(),
            "--label".as_ref(),
            "A1".as_ref(),
        ])?;
        let reading = hashing(&list)?;
        self.step(
            format!("import {} entries", self.entries),
            import,
            "SHA-256 of the list's file",
            import.time.as_secs_f64() / reading,
            None,
        );

        let published = self.agency.run(["list", "publish", "baseline"])?;
        let bare = self.bare[0] * self.entries as f64 / self.cores;
        let bounded = published.memory < 1 << 30;
        self.step(
            "publish them, labels of 4 bytes",
            published,
            "bare arithmetic of a list build, all cores",
            published.time.as_secs_f64() / bare,
            Some(bounded),
        );
        self.counted(self.entries);

        self.platform.run(["init", "--platform", "platform.example"])?;
        let (request, invitation) = (self.platform.dir().join("request.json"), self.folder.join("invitation.json"));
        let add = [
            "client".as_ref(),
            "add".as_ref(),
            "--request".as_ref(),
            request.as_os_str(),
            "--out".as_ref(),
            invitation.as_os_str(),
        ];
        self.agency.run(add.into_iter().chain(["--elements-per-day".as_ref(), "1000000000".as_ref()]))?;
        self.platform.run(["join".as_ref(), invitation.as_os_str()])?;
        let serving = Serving::start(&self.agency, &address)?;
        let synced = self.platform.run(["sync", "--quiet"])?;
        let reading = hashing(&self.platform.dir().join("lists/baseline/1.vml"))?;
        self.step("synchronise", synced, "SHA-256 of the published file", synced.time.as_secs_f64() / reading, None);
        drop(serving);
        Ok(())
    }

    fn scan(&mut self) -> anyhow::Result<()> {
        let address = self.address()?;
        let serving = Serving::start(&self.agency, &address)?;
        // Enough that every bounded buffer is full: what grows after that grows without a bound.
        let third = self.items / 3;
        let first = self.scanned("first", 0..third)?;
        let (server, client) = (self.bare[1], self.bare[2]);
        let bare = |items: u64, cores: f64| (server + client) * items as f64 / cores;
        let ratio = first.time.as_secs_f64() / bare(third, self.cores);
        self.step(format!("scan {third} items"), first, "bare arithmetic of both sides, all cores", ratio, None);
        let before = serving.processor_time()?;
        let all = self.scanned("all", third..self.items)?;
        let served = serving.processor_time()?.saturating_sub(before);
        let more = self.items - third;
        let ratio = all.time.as_secs_f64() / bare(more, self.cores);
        let holds = self.vector.then(|| more as f64 / all.time.as_secs_f64() >= SCANNED_PER_SECOND);
        self.step(format!("scan {more} more"), all, "bare arithmetic of both sides, all cores", ratio, holds);
        self.counted(more);
        for (program, spent, arithmetic) in [("platform", all.processor, client), ("agency", served, server)] {
            let cost = Cost { time: spent, ..all };
            let ratio = spent.as_secs_f64() / (arithmetic * more as f64);
            self.step(format!("processor time of the {program}"), cost, "bare arithmetic of its side", ratio, None);
            self.counted(more);
        }
        let growth = all.memory as f64 / first.memory as f64;
        self.step(
            "memory of the platform's program",
            all,
            "its memory in the first scan",
            growth,
            Some(growth <= GROWTH),
        );
        let memory = peak(serving.id()).context("the server has ended")?;
        let cost = Cost { memory, anonymous: memory, ..all };
        self.step("memory of the server", cost, "the platform's program", memory as f64 / all.memory as f64, None);
        drop(serving);
        Ok(())
    }

    fn scanned(&self, name: &str, items: std::ops::Range<u64>) -> anyhow::Result<Cost> {
        let hashes = self.sums(&format!("{name}.sha256"), items.map(item))?;
        let out = self.folder.join(format!("{name}.jsonl"));
        self.platform.run([
            "scan".as_ref(),
            "--quiet".as_ref(),
            "--hashes".as_ref(),
            hashes.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ])
    }

    fn rescan(&mut self) -> anyhow::Result<()> {
        let gone = self.sums("gone.sha256", (0..CHANGED).map(entry))?;
        let new = self.sums("new.sha256", (0..CHANGED).map(|n| item(n * EVERY + 1)))?;
        self.agency.run(["list".as_ref(), "retract".as_ref(), "baseline".as_ref(), gone.as_os_str()])?;
        self.agency.run([
            "list".as_ref(),
            "import".as_ref(),
            "baseline".as_ref(),
            new.as_os_str(),
            "--label".as_ref(),
            "B2".as_ref(),
        ])?;
        let published = self.agency.run(["list", "publish", "baseline"])?;
        let bare = self.bare[0] * 2.0 * CHANGED as f64 / self.cores;
        self.step(
            format!("publish {} changes", 2 * CHANGED),
            published,
            "bare arithmetic of their evaluation",
            published.time.as_secs_f64() / bare,
            None,
        );
        let address = self.address()?;
        let serving = Serving::start(&self.agency, &address)?;
        let synced = self.platform.run(["sync", "--quiet"])?;
        let reading = hashing(&self.platform.dir().join("lists/baseline/2.vml"))?;
        self.step(
            "synchronise by the delta",
            synced,
            "SHA-256 of the published file",
            synced.time.as_secs_f64() / reading,
            None,
        );
        drop(serving);
        let rescan = self.platform.run(["rescan", "--quiet"])?;
        // What is kept lies in the database and, until it is copied back, in its log.
        let kept = ["state.db", "state.db-wal"].map(|name| self.platform.dir().join(name));
        let reading: f64 =
            kept.iter().filter(|file| file.exists()).map(|file| hashing(file)).sum::<anyhow::Result<_>>()?;
        let ratio = rescan.time.as_secs_f64() / reading;
        self.step(
            format!("rescan {} items", self.items),
            rescan,
            "SHA-256 of the kept results",
            ratio,
            Some(rescan.time < RESCAN),
        );
        self.counted(self.items);
        Ok(())
    }

    fn address(&self) -> anyhow::Result<String> {
        let invitation: serde_json::Value = serde_json::from_slice(&fs::read(self.folder.join("invitation.json"))?)?;
        invitation["address"].as_str().map(str::to_owned).context("an invitation has an address")
    }

    fn sums(&self, name: &str, digests: impl Iterator<Item = [u8; 32]>) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        let mut file = BufWriter::new(File::create(&path)?);
        for digest in digests {
            for byte in digest {
                write!(file, "{byte:02x}")?;
            }
            writeln!(file, "  name")?;
        }
        file.flush()?;
        Ok(path)
    }

    /// The step before worked on so many items.
    fn counted(&mut self, items: u64) {
        if let Some(step) = self.steps.last_mut() {
            step.items = Some(items);
        }
    }

    fn step(&mut self, step: impl Into<String>, cost: Cost, baseline: &str, ratio: f64, holds: Option<bool>) {
        let step = Step {
            step: step.into(),
            seconds: cost.time.as_secs_f64(),
            items: None,
            memory_mib: cost.memory as f64 / f64::from(1 << 20),
            baseline: baseline.to_owned(),
            ratio,
            holds,
        };
        eprintln!("{}: {:.2} s", step.step, step.seconds);
        self.steps.push(step);
    }
}

fn entry(n: u64) -> [u8; 32] {
    Sha256::new().chain_update("entry").chain_update(n.to_be_bytes()).finalize().into()
}

/// What the platform has: every so many are the list's, from its end.
fn item(n: u64) -> [u8; 32] {
    if n.is_multiple_of(EVERY) {
        return entry(2 * CHANGED + n / EVERY);
    }
    Sha256::new().chain_update("upload").chain_update(n.to_be_bytes()).finalize().into()
}

/// Seconds that one core needs to read and hash a file.
fn hashing(path: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    black_box(Sha256::digest(fs::read(path)?));
    Ok(start.elapsed().as_secs_f64())
}
