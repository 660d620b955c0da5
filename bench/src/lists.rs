//! Lists at the sizes that agencies have: a foreign file beside serde_json, and a list of any size from its file to a
//! platform that has followed a change.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use crate::process::{Cost, Of, Program, processor_time};

const MIB: f64 = (1 << 20) as f64;

/// Times a dry run of a VICS file takes turns with serde_json.
const ROUNDS: u32 = 3;

/// Entries that a change retracts, and as many that it adds.
const CHANGED: u64 = 500;

/// Imports a VICS file, dry and durably, beside serde_json reading past its bytes.
pub fn vics(file: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(file.parent().context("the file lies in a folder")?)?;
    let agency = Program::agency(folder.path().join("agency"));
    agency.run(["init", "--agency", "agency.example", "--address", "localhost:7443"])?;
    agency.run(["list", "create", "vics", "--kinds", "md5,sha1"])?;
    let megabytes = fs::metadata(file)?.len() as f64 / 1e6;
    let name = file.as_os_str();
    let import = ["list".as_ref(), "import".as_ref(), "vics".as_ref(), name, "--source".as_ref(), "vics".as_ref()];
    let (mut dry, mut json) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        serde_json::from_reader::<_, IgnoredAny>(BufReader::new(File::open(file)?))?;
        json = json.min(start.elapsed().as_secs_f64());
        let cost = agency.run(import.into_iter().chain(["--dry-run".as_ref()]))?;
        told("dry run", cost, None);
        dry = dry.min(cost.time.as_secs_f64());
    }
    println!(
        "dry run {:.0} MB/s, serde_json into IgnoredAny {:.0} MB/s: {:.2} of it",
        megabytes / dry,
        megabytes / json,
        json / dry
    );
    let cost = agency.run(import)?;
    let claims = claims(&agency, "vics")?;
    told("durable import", cost, Some(claims));
    Ok(())
}

/// Makes a list of `entries` digests in a folder, publishes it, synchronises a platform, and lets it follow a change.
pub fn scale(folder: &Path, entries: u64, label_bytes: u8) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let folder = tempfile::tempdir_in(folder)?;
    let at = |name: &str| folder.path().join(name);
    let agency = Program::agency(at("agency"));
    let platform = Program::platform(at("platform"));
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    agency.run(["init", "--agency", "agency.example", "--address", &address])?;
    let label = label_bytes.to_string();
    agency.run(["list", "create", "large", "--kinds", "sha256", "--label-bytes", &label])?;
    let whole = sums(&at("list.txt"), 0..entries)?;
    let import = |file: &Path| {
        let args = ["list", "import", "large", "--kind", "sha256", "--label", if label_bytes == 0 { "" } else { "A1" }];
        agency.run(args.iter().map(AsRef::as_ref).chain([file.as_os_str()]))
    };
    told("import", import(&whole)?, Some(entries));
    fs::remove_file(&whole)?;
    told("publish", agency.run(["list", "publish", "large"])?, Some(entries));
    println!("artifact {:.0} MB", fs::metadata(at("agency/lists/large/1.vml"))?.len() as f64 / 1e6);

    platform.run(["init", "--platform", "platform.example"])?;
    let (request, invitation) = (at("platform/request.json"), at("invitation.json"));
    let add = ["client".as_ref(), "add".as_ref(), "--request".as_ref(), request.as_os_str(), "--out".as_ref()];
    agency.run(add.into_iter().chain([invitation.as_os_str()]))?;
    platform.run(["join".as_ref(), invitation.as_os_str()])?;
    let serving = Serving::start(&agency, &address)?;
    told("synchronise", platform.run(["sync", "--quiet"])?, Some(entries));

    let gone = sums(&at("gone.txt"), 0..CHANGED)?;
    let new = sums(&at("new.txt"), entries..entries + CHANGED)?;
    let retract = ["list", "retract", "large", "--kind", "sha256"].iter().map(AsRef::as_ref).chain([gone.as_os_str()]);
    told("retract 500", agency.run(retract)?, None);
    told("import 500", import(&new)?, None);
    told("publish the change", agency.run(["list", "publish", "large"])?, None);
    println!("delta {} bytes", fs::metadata(at("agency/lists/large/2.delta"))?.len());
    told("synchronise by the delta", platform.run(["sync", "--quiet"])?, None);
    drop(serving);
    Ok(())
}

fn told(what: &str, cost: Cost, items: Option<u64>) {
    let Cost { time, memory, anonymous, .. } = cost;
    let seconds = time.as_secs_f64();
    let rate = items.map_or_else(String::new, |items| format!("{:.0} a second, ", items as f64 / seconds));
    println!(
        "{what}: {seconds:.2} s, {rate}at most {:.0} MiB, of which {:.0} its own",
        memory as f64 / MIB,
        anonymous as f64 / MIB
    );
}

/// Claims of a list that stand.
fn claims(agency: &Program, list: &str) -> anyhow::Result<u64> {
    let status: serde_json::Value = serde_json::from_slice(&agency.output(["list", "status", list, "--json"])?)?;
    let sources = status["sources"].as_array().context("a list has sources")?;
    Ok(sources.iter().filter_map(|source| source["claims"].as_u64()).sum())
}

fn sums(path: &Path, numbers: std::ops::Range<u64>) -> anyhow::Result<PathBuf> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut line = [b'\n'; 65];
    for number in numbers {
        let digest = Sha256::new().chain_update("large").chain_update(number.to_be_bytes()).finalize();
        hex::encode_to_slice(digest, &mut line[..64])?;
        file.write_all(&line)?;
    }
    file.flush()?;
    Ok(path.to_owned())
}

/// The agency's server, until this is dropped.
pub struct Serving(Child);

impl Serving {
    /// Starts it and waits until it listens.
    pub fn start(agency: &Program, address: &str) -> anyhow::Result<Self> {
        let serving = Self(agency.start(["serve"])?);
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            anyhow::ensure!(start.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(serving)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The processor time that it has taken.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        processor_time(&self.id().to_string(), Of::Itself).context("the server has ended")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Killed at any instant it has lost nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
