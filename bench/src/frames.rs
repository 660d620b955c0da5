//! Checks of one item from end to end: platforms that ask one server over mutual TLS, each with a frame of one
//! element on its way, and durable records and logs on both sides; then the same without the platforms' records.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use veilmatch_client::{Client, Outcome, Subject};
use veilmatch_protocol::{
    item::{Item, Kind},
    name::ListId,
};
use veilmatch_server::{state_dir::StateDir, store::Store};

use crate::{
    bare::Bare,
    lists::Serving,
    process::{Of, Program, processor_time},
    writer::{alone as alone_recorded, flush, median, ms},
};

/// Entries of the list.
const ENTRIES: u64 = 1_000;

/// Checks of one platform alone, whose median is told.
const ALONE: usize = 1_001;

/// How long a check may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Lets so many platforms check for so long, and prints what came of it.
pub fn run(folder: &Path, platforms: usize, seconds: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(folder)?;
    let agency = Agency::found(folder.path())?;
    let dirs = (0..platforms).map(|number| agency.enrol(number)).collect::<anyhow::Result<Vec<_>>>()?;
    let serving = agency.serve()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let checks = runtime.block_on(async {
        let mut clients = Vec::with_capacity(platforms);
        for dir in &dirs {
            clients.push(synchronised(dir).await?);
        }
        let before = flush(folder.path())?;
        let alone = alone(&clients[0]).await?;
        println!(
            "one platform alone: a check of one item in {:.2} ms (median of {ALONE}), three flushes among it, one of the agency's; \
             a flush of the same disk: {:.3} ms",
            ms(alone),
            ms(before)
        );
        let kept = load(("platforms", &clients), &serving, seconds).await?;
        for client in clients {
            client.shutdown().await;
        }
        let (store, list) = (agency.store()?, ListId::parse("baseline")?);
        let mut bare = Vec::with_capacity(platforms);
        for dir in &dirs {
            bare.push(Arc::new(Bare::open(dir, &store, &list).await?));
        }
        let not_kept = load(("platforms that keep nothing", &bare), &serving, seconds).await?;
        anyhow::Ok(kept + not_kept + ALONE as u64)
    })?;
    println!("flush of the same disk afterwards: {:.3} ms", ms(flush(folder.path())?));
    drop(serving);
    let (answered, _) = agency.store()?.count_frames()?;
    ensure!(answered == checks, "{checks} checks of one item, and {answered} frames on record");
    println!("each of {checks} checks was a frame of its own");
    let (record, flushed) = alone_recorded(&StateDir::open(agency.program.dir())?)?;
    println!(
        "from evaluated to acknowledged, one frame alone: {:.3} ms, and in turns with it a flush: {:.3} ms: {:.3} ms beyond it",
        ms(record),
        ms(flushed),
        ms(record.saturating_sub(flushed))
    );
    Ok(())
}

/// The agency with its list.
pub struct Agency {
    /// Its program.
    pub program: Program,
    address: String,
    folder: PathBuf,
}

impl Agency {
    /// Founds an agency in a folder, and publishes a small list.
    pub fn found(folder: &Path) -> anyhow::Result<Self> {
        let program = Program::agency(folder.join("agency"));
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        program.run(["init", "--agency", "agency.example", "--address", &address])?;
        program.run(["list", "create", "baseline", "--label-bytes", "4", "--kinds", "sha256"])?;
        let list = folder.join("list.txt");
        let lines: String = (0..ENTRIES).map(|n| hex::encode(digest("entry", n, 0)) + "\n").collect();
        std::fs::write(&list, lines)?;
        let import = ["list", "import", "baseline", "--kind", "sha256", "--label", "A1"];
        program.run(import.iter().map(AsRef::as_ref).chain([list.as_os_str()]))?;
        program.run(["list", "publish", "baseline"])?;
        Ok(Self { program, address, folder: folder.to_owned() })
    }

    /// Enrols a platform; gives its directory.
    pub fn enrol(&self, number: usize) -> anyhow::Result<PathBuf> {
        let dir = self.folder.join(format!("platform-{number}"));
        let platform = Program::platform(dir.clone());
        platform.run(["init", "--platform", &format!("platform-{number}.example")])?;
        let (request, invitation) = (dir.join("request.json"), self.folder.join(format!("invitation-{number}.json")));
        let terms = ["--elements-per-day", "1000000000", "--frames-per-day", "1000000000"];
        let add = ["client".as_ref(), "add".as_ref(), "--request".as_ref(), request.as_os_str(), "--out".as_ref()];
        let add = add.into_iter().chain([invitation.as_os_str()]).chain(terms.iter().map(AsRef::as_ref));
        self.program.run(add)?;
        platform.run(["join".as_ref(), invitation.as_os_str()])?;
        Ok(dir)
    }

    fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.program.dir().join("veilmatch.db"))?)
    }

    /// Starts its server.
    pub fn serve(&self) -> anyhow::Result<Serving> {
        Serving::start(&self.program, &self.address)
    }
}

// The median of one check after the other.
async fn alone(client: &Client) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(ALONE);
    for number in 0..ALONE as u64 {
        let began = Instant::now();
        check(client, digest("alone", number, 0)).await?;
        times.push(began.elapsed());
    }
    Ok(median(times))
}

/// Whoever checks one item at a time.
trait Check: Clone + Send + 'static {
    fn check(&self, digest: [u8; 32]) -> impl Future<Output = anyhow::Result<()>> + Send;
}

impl Check for Client {
    async fn check(&self, digest: [u8; 32]) -> anyhow::Result<()> {
        check(self, digest).await
    }
}

impl Check for Arc<Bare> {
    async fn check(&self, digest: [u8; 32]) -> anyhow::Result<()> {
        Bare::check(self, digest).await
    }
}

// All platforms at once, each one check after the other; gives how many were made.
async fn load((who, platforms): (&str, &[impl Check]), serving: &Serving, seconds: u64) -> anyhow::Result<u64> {
    let spent =
        || anyhow::Ok((processor_time("self", Of::Itself).context("no processor time")?, serving.processor_time()?));
    let before = spent()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let tasks: Vec<_> =
        (0..).zip(platforms).map(|(number, platform)| tokio::spawn(ask(platform.clone(), number, until))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let (took, after) = (began.elapsed().as_secs_f64(), spent()?);
    times.sort_unstable();
    let each = |of: Duration| of.as_secs_f64() * 1e6 / times.len() as f64;
    println!(
        "{} {who}, {} checks of one item in {took:.1} s: {:.0} /s; median {:.2} ms, 99 of 100 within \
         {:.2} ms",
        platforms.len(),
        times.len(),
        times.len() as f64 / took,
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100])
    );
    println!(
        "processor time of a check: platforms {:.0} µs, agency {:.0} µs",
        each(after.0.saturating_sub(before.0)),
        each(after.1.saturating_sub(before.1))
    );
    Ok(times.len() as u64)
}

async fn ask(platform: impl Check, name: u64, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0.. {
        let began = Instant::now();
        if began >= until {
            break;
        }
        platform.check(digest("load", name, number)).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

/// The client of a platform, with the newest version of its list.
pub async fn synchronised(platform: &Path) -> anyhow::Result<Client> {
    let client = Client::open(platform)?;
    client.sync(&list_of(&client)?, |_| {}).await?;
    Ok(client)
}

fn list_of(client: &Client) -> anyhow::Result<ListId> {
    client.lists().into_iter().next().context("the invitation names a list")
}

/// Checks one item that is not listed.
pub async fn check(client: &Client, digest: [u8; 32]) -> anyhow::Result<()> {
    let list = list_of(client)?;
    let item = Item::new(Kind::Sha256, &digest)?;
    let subject = Subject { key: 0, reference: Vec::new(), items: vec![item], whole: true };
    let outcome = client.check(&list, subject, DEADLINE).await;
    ensure!(matches!(outcome, Outcome::NoMatch { .. }), "an item that is not listed: {outcome:?}");
    Ok(())
}

/// A digest that is not listed, but for those of `entry`.
pub fn digest(of: &str, platform: u64, number: u64) -> [u8; 32] {
    let digest = Sha256::new().chain_update(of).chain_update(platform.to_be_bytes());
    digest.chain_update(number.to_be_bytes()).finalize().into()
}
