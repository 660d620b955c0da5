//! What each side gets and keeps says nothing about the other's set (SPEC §11): taken from decoded messages, above TLS,
//! from every file of each side, and from what both programs log.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::StreamExt;
use tracing_subscriber::filter::LevelFilter;
use veilmatch_client::{Client, NotChecked, Outcome, Subject};
use veilmatch_proto::pb::{self, lists_client::ListsClient};
use veilmatch_protocol::item::Item;
use veilmatch_server::admin::ClientTerms;
use veilmatch_tests::{
    PATIENCE, World, bare, files,
    leak::Needles,
    listed,
    middle::{Acts, Middle, OnAnswer, channel},
    programs::{Pair, Paths, ended, eventually},
    unlisted, until,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

const PLATFORM: &str = "platform.example";
const ENTRIES: usize = 2_000;

/// A world in which a platform has synchronised, scanned, been killed in the middle of another scan, synchronised again
/// and rescanned. Half of the list is on the platform, and as many files that are not listed.
struct Lived {
    world: World,
    middle: Middle,
    // What the platform's program said, the killed one's words included.
    said: Vec<u8>,
    // Whether answers leak, from now on.
    leak: Arc<AtomicBool>,
}

/// Everything that this process logs, of whatever side: the server and the client of a world run in it.
fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<&'static Mutex<Vec<u8>>> = OnceLock::new();
    struct Log(&'static Mutex<Vec<u8>>);
    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    LOG.get_or_init(|| {
        let log: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
        let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
        subscriber.with_writer(move || Log(log)).init();
        log
    })
}

fn held() -> Vec<Item> {
    (0..ENTRIES / 2).map(listed).chain((0..ENTRIES / 2).map(unlisted)).collect()
}

async fn live() -> Lived {
    log();
    let mut world = World::new();
    world.import(&(0..ENTRIES).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let leak = Arc::new(AtomicBool::new(false));
    let leaks = Arc::clone(&leak);
    let answer: Arc<OnAnswer> = Arc::new(move |_, mut answer| {
        if leaks.load(Ordering::SeqCst) {
            answer.acknowledgement = listed(ENTRIES - 1).digest().to_vec();
        }
        Ok(answer)
    });
    let middle = world.start_behind(&dir, Acts { answer, ..Acts::default() }).await;

    let client = world.open(&dir).await;
    let items = held();
    scan(&client, &world, &items[..1_500]).await;
    client.shutdown().await;
    let said = killed_scan(&world, &dir, &middle, &items[1_000..]);

    let client = world.open(&dir).await;
    world.import(&[listed(ENTRIES)], "B2");
    world.publish();
    until(async || (client.sync(&world.list, |_| {}).await.unwrap().version == 2).then_some(())).await;
    let mut matches = 0;
    let rescan =
        client.rescan(&world.list, |found| matches += usize::from(matches!(found.outcome, Outcome::Match { .. })));
    rescan.unwrap().remember().unwrap();
    assert!(matches >= ENTRIES / 2, "the scans found what they should: {matches}");
    client.shutdown().await;
    Lived { world, middle, said, leak }
}

/// The platform's program, killed when a frame of its scan was heard; gives what it said.
fn killed_scan(world: &World, dir: &Path, middle: &Middle, items: &[Item]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let hashes = folder.path().join("hashes.sha256");
    let lines = items.iter().map(|item| format!("{}  name\n", hex::encode(item.digest())));
    fs::write(&hashes, lines.collect::<String>()).unwrap();
    let heard = middle.heard.to_server().len();
    let mut scan = Command::new(PROGRAMS.platform);
    scan.arg("--dir").arg(dir).args(["--verbose", "scan", "--hashes"]).arg(&hashes);
    scan.arg("--out").arg(folder.path().join("answers")).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut scan = scan.spawn().unwrap();
    eventually(|| (middle.heard.to_server().len() > heard).then_some(()));
    scan.kill().unwrap();
    let killed = ended(scan);
    assert_eq!(killed.code, None, "{} {}", world.list, killed.err);
    killed.err.into_bytes()
}

async fn scan(client: &Client, world: &World, items: &[Item]) {
    let subjects: Vec<Subject> = items.iter().enumerate().map(|(n, item)| bare(n as u64, item.clone())).collect();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert!(outcomes.iter().all(|(_, outcome)| !matches!(outcome, Outcome::NotChecked(_))));
}

/// Where a digest stands on a side that must not have it.
fn leaked(lived: &Lived) -> Option<String> {
    let unlisted_items: Vec<Item> = (0..ENTRIES / 2).map(unlisted).collect();
    let agency = Needles::of(&unlisted_items);
    let not_held: Vec<Item> = (ENTRIES / 2..=ENTRIES).map(listed).collect();
    let platform = Needles::of(&not_held);
    let in_files = |needles: &Needles, folder: PathBuf| {
        files(&folder)
            .into_iter()
            .find_map(|(path, bytes)| Some(format!("{} in {}", needles.find(&bytes)?, path.display())))
    };
    let in_messages = |needles: &Needles, messages: Vec<Vec<u8>>| {
        messages.iter().find_map(|message| Some(format!("{} in a message", needles.find(message)?)))
    };
    let logged = [log().lock().unwrap().clone(), lived.said.clone()];
    let in_logs = |needles: &Needles| logged.iter().find_map(|text| Some(format!("{} in a log", needles.find(text)?)));
    in_logs(&agency)
        .or_else(|| in_logs(&platform))
        .or_else(|| in_messages(&agency, lived.middle.heard.to_server()))
        .or_else(|| in_files(&agency, lived.world.agency_dir()))
        .or_else(|| in_messages(&platform, lived.middle.heard.to_client()))
        .or_else(|| in_files(&platform, lived.world.platform_dir(PLATFORM)))
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_has_a_digest_of_the_other_and_a_leak_on_purpose_is_found() {
    // SPEC §11
    let mut lived = live().await;
    assert!(lived.middle.heard.to_server().len() > 3 && lived.middle.heard.to_client().len() > 3);
    assert!(!log().lock().unwrap().is_empty() && !lived.said.is_empty());
    assert_eq!(leaked(&lived), None);

    let (agency, platform) = (lived.world.agency_dir().join("leak"), lived.world.platform_dir(PLATFORM).join("leak"));
    fs::write(&agency, hex::encode(unlisted(3).digest())).unwrap();
    assert!(leaked(&lived).is_some_and(|place| place.starts_with("hex in /")));
    fs::remove_file(agency).unwrap();
    fs::write(&platform, listed(ENTRIES - 1).digest()).unwrap();
    assert!(leaked(&lived).is_some_and(|place| place.starts_with("raw in /")));
    fs::remove_file(platform).unwrap();

    lived.said.extend(hex::encode_upper(unlisted(4).digest()).into_bytes());
    assert_eq!(leaked(&lived).unwrap(), "HEX in a log");
    lived.said.clear();
    log().lock().unwrap().extend(hex::encode(listed(ENTRIES - 2).digest()).into_bytes());
    assert_eq!(leaked(&lived).unwrap(), "hex in a log");
    log().lock().unwrap().clear();
    assert_eq!(leaked(&lived), None);

    // In an answer: our client refuses it there.
    lived.leak.store(true, Ordering::SeqCst);
    let dir = lived.world.platform_dir(PLATFORM);
    let client = Client::open(&dir).unwrap();
    let outcome = client.check(&lived.world.list, bare(0, unlisted(ENTRIES)), PATIENCE).await;
    assert_eq!(outcome, Outcome::NotChecked(NotChecked::BadAcknowledgement));
    client.shutdown().await;
    assert_eq!(leaked(&lived).unwrap(), "raw in a message");

    // In a request. The server is gone, so that nothing but the message has it.
    lived.world.stop().await;
    let list_id = hex::encode(unlisted(5).digest());
    let call = ListsClient::new(channel(&dir, lived.world.address()))
        .get_manifest(pb::GetManifestRequest { list_id, ..Default::default() })
        .await;
    assert!(call.is_err());
    assert_eq!(leaked(&lived).unwrap(), "hex in a message");
}

#[test]
fn what_the_two_programs_log_and_print_has_no_digest_of_the_other_side() {
    // SPEC §11
    let mut pair = Pair::new(PROGRAMS);
    let sums = |items: Vec<Item>| -> String {
        items.iter().map(|item| format!("{}  name\n", hex::encode(item.digest()))).collect()
    };
    let list = pair.write("list.sha256", sums((0..500).map(listed).collect()));
    pair.publish(&list, "A1");
    pair.enrol("1000000");
    pair.serve();
    let hashes = pair.write("hashes.sha256", sums((0..100).map(listed).chain((0..100).map(unlisted)).collect()));
    let mut said = String::new();
    let mut run = |arguments: &[&str]| {
        let done = pair.platform(["--verbose"].iter().chain(arguments));
        assert!(matches!(done.code, Some(0..=2)), "{}", done.err);
        said.push_str(&done.err);
    };
    run(&["sync"]);
    run(&["check", "--hashes", hashes.to_str().unwrap()]);
    run(&["check", "--hashes", hashes.to_str().unwrap()]);
    run(&["rescan"]);
    run(&["log", "publish"]);
    run(&["forget", "--hashes", hashes.to_str().unwrap()]);
    pair.kill_server();
    let server = fs::read(pair.path("server.log")).unwrap();
    assert!(!server.is_empty());
    let both: Vec<Item> = (0..500).map(listed).chain((0..100).map(unlisted)).collect();
    let needles = Needles::of(&both);
    assert_eq!(needles.find(&server), None);
    assert_eq!(needles.find(said.as_bytes()), None, "not even the platform's own");
    assert_eq!(Needles::of(&both[500..]).find(&agency_bytes(&pair)), None);
    // What the platform publishes of its match log says nothing of what it asked, listed or not (SPEC §18.5).
    let published = files(&pair.platform_dir().join("logs"));
    assert!(published.iter().any(|(path, _)| path.ends_with("checkpoint")));
    assert!(published.iter().all(|(_, bytes)| needles.find(bytes).is_none()));
}

fn agency_bytes(pair: &Pair) -> Vec<u8> {
    files(&pair.agency_dir()).into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// What the agency has of a scan: the messages that it got, every row of every table, every file.
#[derive(Debug, PartialEq)]
struct Shape {
    messages: Vec<usize>,
    /// Lengths of the values, row by row.
    tables: BTreeMap<String, Vec<Vec<usize>>>,
    files: BTreeMap<PathBuf, usize>,
}

async fn shape_of_a_scan(matches: usize, published: bool) -> Shape {
    let mut world = World::new();
    world.import(&(0..1_000).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts::default()).await;
    let client = world.open(&dir).await;
    let before = middle.heard.to_server().len();
    let items: Vec<Item> = (0..matches).map(listed).chain((matches..5_000).map(unlisted)).collect();
    scan(&client, &world, &items).await;
    if published {
        assert!(client.publish_log().await.unwrap()[0].cosigned);
    }
    client.shutdown().await;
    let mut messages: Vec<usize> = middle.heard.to_server()[before..].iter().map(Vec::len).collect();
    messages.sort_unstable();
    world.stop().await;

    let all = files(&world.agency_dir());
    let databases = all.iter().filter(|(_, bytes)| bytes.starts_with(b"SQLite format 3"));
    let tables = databases.flat_map(|(path, _)| tables(path)).collect();
    // A certificate's signature is a byte longer or shorter by chance; so is a log of transactions, where records that come
    // together are in one.
    let others = all.iter().filter(|(path, _)| path.extension().is_none_or(|of| of != "pem" && of != "db-wal"));
    let name = |path: &Path| path.strip_prefix(world.agency_dir()).unwrap().to_owned();
    let files = others.map(|(path, bytes)| (name(path), bytes.len())).collect();
    Shape { messages, tables, files }
}

fn tables(path: &Path) -> Vec<(String, Vec<Vec<usize>>)> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |name: &String| {
        let mut rows = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = rows.column_count();
        let lengths = |row: &rusqlite::Row<'_>| (0..columns).map(|at| Ok(length(row.get_ref(at)?))).collect();
        let mut rows: Vec<Vec<usize>> = rows.query_map([], lengths).unwrap().map(Result::unwrap).collect();
        rows.sort_unstable();
        rows
    };
    let file = path.file_name().unwrap().to_str().unwrap();
    names.iter().map(|name| (format!("{file}: {name}"), rows(name))).collect()
}

fn length(value: rusqlite::types::ValueRef<'_>) -> usize {
    match value {
        rusqlite::types::ValueRef::Blob(bytes) | rusqlite::types::ValueRef::Text(bytes) => bytes.len(),
        _ => 8,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agency_gets_and_keeps_has_one_shape_whatever_matched() {
    // SPEC §11
    let none = shape_of_a_scan(0, false).await;
    let many = shape_of_a_scan(1_000, false).await;
    assert_eq!(none.messages.len(), 2, "5,000 items are a full frame and a smaller one");
    assert_eq!(none.tables["veilmatch.db: frame"].len(), 2);
    assert_eq!(none, many);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_the_match_log_has_one_shape_whether_or_not_something_matched() {
    // SPEC §11, §12.4, §18.5
    assert_eq!(shape_of_a_scan(0, true).await, shape_of_a_scan(50, true).await);
}

/// Transactions in the write-ahead log of a database, each of them one flush: frames of the log that end one name the size of
/// the database.
fn transactions(database: &Path) -> usize {
    let log = fs::read(database.with_extension("db-wal")).unwrap();
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (header, frames) = log.split_at(32);
    let frames = frames.chunks_exact(24 + number(header, 8) as usize);
    frames.filter(|frame| frame[8..16] == header[16..24] && number(frame, 4) != 0).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_as_many_transactions_whether_or_not_something_matched() {
    // SPEC §12.4. A match was one transaction more, and a frame that came at that moment waited for it.
    let world = World::serving(200).await;
    let client = world.platform(PLATFORM).await;
    let database = world.platform_dir(PLATFORM).join("state.db");
    // The first one makes what results are kept in.
    client.check(&world.list, bare(0, unlisted(199)), PATIENCE).await;
    let mut of_a_frame = Vec::new();
    let all_and_none: [fn(usize) -> Item; 2] = [listed, unlisted];
    for items in all_and_none {
        let before = transactions(&database);
        scan(&client, &world, &(0..60).map(items).collect::<Vec<_>>()).await;
        let scanned = transactions(&database);
        client.check(&world.list, bare(0, items(100)), PATIENCE).await;
        of_a_frame.push([scanned - before, transactions(&database) - scanned]);
    }
    assert_eq!(of_a_frame, [[3, 3], [3, 3]], "before it is sent, when it has ended, before it is answered");
    let again = transactions(&database);
    client.check(&world.list, bare(0, listed(100)), PATIENCE).await;
    client.check(&world.list, bare(0, unlisted(100)), PATIENCE).await;
    assert_eq!(transactions(&database) - again, 2, "what is known already is counted before it is answered");
    client.shutdown().await;
}
