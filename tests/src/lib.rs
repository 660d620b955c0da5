//! A world for tests: one agency and its platforms, on real files and real TLS, on ports that the system picks.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod coded;
pub mod leak;
pub mod middle;
pub mod papers;
pub mod programs;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use middle::{Acts, Middle};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use veilmatch_client::{Client, Error, Label, Outcome, Subject, enrol};
use veilmatch_lists::{Category, Format, Options};
use veilmatch_proto::Reason;
use veilmatch_protocol::{
    codebook::{CodeBook, Source},
    item::{Item, Kind},
    label::CodedLabel,
    name::{AgencyName, ListId, PlatformId},
};
use veilmatch_server::{
    Running, ServeOptions, Server,
    admin::{Agency, ClientTerms, InitOptions, init},
    clock::{Clock, SystemClock},
    import::ImportOptions,
    publish::Published,
};

/// Length of the labels of the world's list.
pub const LABEL_BYTES: u8 = 4;

/// An agency with one list, and a directory for everything.
pub struct World {
    dir: TempDir,
    /// The list.
    pub list: ListId,
    /// What the server is started with.
    pub options: ServeOptions,
    address: SocketAddr,
    server: Option<Running>,
}

impl World {
    /// An agency whose list `baseline` has SHA-256 entries; nothing is published, nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self::with_kinds(&[Kind::Sha256])
    }

    /// As [`Self::new`], with entries of these kinds.
    #[must_use]
    pub fn with_kinds(kinds: &[Kind]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let list = ListId::parse("baseline").unwrap();
        // The port is free now and written into invitations; the server binds it again at once and at each restart.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = InitOptions {
            agency: AgencyName::parse("agency.example").unwrap(),
            address: address.to_string(),
            listen: None,
            log_listen: None,
        };
        init(&dir.path().join("agency"), &options, now()).unwrap();
        let world = Self { dir, list, options: ServeOptions::default(), address, server: None };
        world.agency().list_create(&world.list, LABEL_BYTES, kinds, now()).unwrap();
        world
    }

    /// Sets the frame sizes of versions that are published from now on, such as `[1, 4]`.
    pub fn frame_sizes(&self, sizes: &str) {
        frame_sizes(&self.agency_dir(), sizes);
    }

    /// A list of `n` entries labelled `A1`, published and served.
    pub async fn serving(n: usize) -> Self {
        let mut world = Self::new();
        world.import(&(0..n).map(listed).collect::<Vec<_>>(), "A1");
        world.publish();
        world.start().await;
        world
    }

    /// The address that invitations name.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the server behind somebody in the middle, who has the address that invitations name.
    pub async fn start_behind(&mut self, platform_dir: &Path, acts: Acts) -> Middle {
        self.options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        self.start().await;
        let upstream = self.server.as_ref().unwrap().local_addr();
        Middle::start(self, platform_dir, upstream, acts).await
    }

    /// The agency's directory.
    #[must_use]
    pub fn agency_dir(&self) -> PathBuf {
        self.dir.path().join("agency")
    }

    /// A platform's directory.
    #[must_use]
    pub fn platform_dir(&self, platform: &str) -> PathBuf {
        self.dir.path().join(platform)
    }

    /// The agency, for commands.
    #[must_use]
    pub fn agency(&self) -> Agency {
        Agency::open(&self.agency_dir()).unwrap()
    }

    /// Imports items under one label.
    pub fn import(&self, items: &[Item], label: &str) {
        let file = self.sums(items);
        let options = ImportOptions {
            reading: reading(),
            category: (!label.is_empty()).then(|| Category { scheme: "custom".into(), code: label.into() }),
            ..ImportOptions::default()
        };
        self.agency().import(&self.list, &file, &options, now(), &mut |_, _, _| {}).unwrap();
    }

    /// Takes items out of the list.
    pub fn retract(&self, items: &[Item]) {
        let file = self.sums(items);
        let options = ImportOptions { reading: reading(), ..ImportOptions::default() };
        self.agency().retract(&self.list, &file, &options, now(), &mut |_, _, _| {}).unwrap();
    }

    /// Publishes what changed.
    pub fn publish(&self) -> Vec<Published> {
        self.agency().publish(&self.list, false, now(), &|_| {}).unwrap()
    }

    /// Starts the server.
    pub async fn start(&mut self) {
        assert!(self.server.is_none(), "runs already");
        self.server = Some(Server::start(&self.agency_dir(), self.options.clone()).await.unwrap());
    }

    /// Stops the server in order.
    pub async fn stop(&mut self) {
        self.server.take().unwrap().shutdown().await.unwrap();
    }

    /// Enrols a platform; gives its directory.
    pub fn enrol(&self, platform: &str, terms: &ClientTerms) -> PathBuf {
        let dir = self.platform_dir(platform);
        enrol::init(&dir, &PlatformId::parse(platform).unwrap(), "ops@platform.example").unwrap();
        let invitation = self.dir.path().join(format!("{platform}.invitation"));
        self.agency().client_add(&dir.join("request.json"), &invitation, terms, now()).unwrap();
        enrol::join(&dir, &invitation).unwrap();
        dir
    }

    /// A platform that has joined and holds the newest version.
    pub async fn platform(&self, platform: &str) -> Client {
        self.open(&self.enrol(platform, &ClientTerms::default())).await
    }

    /// A platform's client, synchronised.
    pub async fn open(&self, dir: &Path) -> Client {
        let client = Client::open(dir).unwrap();
        // The running server learns of an enrolment within its poll interval.
        until(async || match client.sync(&self.list, |_| {}).await {
            Err(Error::Refused(refused)) if refused.reason == Reason::UnknownClient => None,
            synced => Some(synced.unwrap()),
        })
        .await;
        client
    }

    fn sums(&self, items: &[Item]) -> PathBuf {
        let path = self.dir.path().join("import.sums");
        let text: String = items.iter().map(|item| format!("{}  name\n", hex::encode(item.digest()))).collect();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn reading() -> Options {
    Options { format: Some(Format::Sums), ..Options::default() }
}

/// Asks again until there is something.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The time, for commands.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A clock that stands where a test puts it.
pub struct At(pub u64);

impl Clock for At {
    fn now(&self) -> u64 {
        self.0
    }
}

/// The system's clock, moved by some seconds.
pub struct Moved(pub i64);

impl Clock for Moved {
    fn now(&self) -> u64 {
        SystemClock.now().saturating_add_signed(self.0)
    }
}

/// The SHA-256 item of a synthetic entry that lists have.
#[must_use]
pub fn listed(n: usize) -> Item {
    synthetic("listed", n)
}

/// The SHA-256 item of a synthetic file that no list has.
#[must_use]
pub fn unlisted(n: usize) -> Item {
    synthetic("unlisted", n)
}

fn synthetic(what: &str, n: usize) -> Item {
    let digest = Sha256::new().chain_update(what).chain_update(n.to_be_bytes()).finalize();
    Item::new(Kind::Sha256, &digest).unwrap()
}

/// A bare digest as a subject.
#[must_use]
pub fn bare(key: u64, item: Item) -> Subject {
    Subject { key, reference: hex::encode(item.digest()).into_bytes(), items: vec![item], whole: false }
}

/// Long enough for anything on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a match with a label of the world looks like: `A1` is imported first, and then perhaps one other.
#[must_use]
pub fn matched(label: &str, version: u32) -> Outcome {
    let category = |number, code: &str| {
        let [action, text] = [String::new(), String::new()];
        veilmatch_protocol::codebook::Category { number, scheme: "custom".into(), code: code.into(), action, text }
    };
    let (agency, list) = (AgencyName::parse("agency.example").unwrap(), ListId::parse("baseline").unwrap());
    let sources = vec![Source { number: 1, name: "local".into() }];
    let book = CodeBook::new(
        &agency,
        &list,
        vec![category(1, "A1"), category(2, if label == "A1" { "B2" } else { label })],
        sources,
    )
    .unwrap();
    let category = if label == "A1" { 1 } else { 2 };
    let bytes = CodedLabel { category, source: 1, ..CodedLabel::default() }.encode(LABEL_BYTES).unwrap();
    let label = Label::coded(bytes, Some(&Arc::new(book)));
    Outcome::Match { label, kind: Kind::Sha256, version, weak_only: false }
}

/// Every file below a folder, with its bytes.
#[must_use]
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// Sets the frame sizes that an agency's configuration names.
pub fn frame_sizes(agency: &Path, sizes: &str) {
    let path = agency.join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| match line.trim_start_matches("# ").starts_with("frame_sizes = ") {
        true => format!("frame_sizes = {sizes}\n"),
        false => format!("{line}\n"),
    });
    fs::write(path, lines.collect::<String>()).unwrap();
}

/// Copies a folder with everything in it to a place that is free.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}
