//! `kill -9` of both programs in the middle of a scan: exact results, nothing charged twice, nothing leaked.
//!
//! `VEILMATCH_KILL_ITEMS` changes the size.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use veilmatch_protocol::item::Item;
use veilmatch_tests::{
    files,
    leak::Needles,
    listed,
    programs::{Ended, Pair, ended, eventually, moments, setting},
    unlisted,
};

use crate::{PROGRAMS, wait};

/// Items of a full frame.
const FRAME: u64 = 4_096;

/// Frames that a client has on its way at most (SPEC §9.4).
const IN_FLIGHT: u64 = 4;

/// Every so many items one is listed.
const EVERY: u64 = 100;

/// Entries that nobody has.
const FOREIGN: usize = 1_000;

struct Plan {
    items: u64,
    kills: u64,
    moments: StdRng,
}

impl Plan {
    fn drawn() -> Self {
        Self {
            items: setting("VEILMATCH_KILL_ITEMS", 60_000),
            kills: setting("VEILMATCH_KILLS", 3),
            moments: moments(),
        }
    }

    /// Answers after which to kill, spread over the scan, and how long to wait then.
    fn moments(&mut self) -> Vec<(u64, Duration)> {
        let (items, kills) = (self.items, self.kills);
        let mut moment = |kill: u64| {
            let answers = self.moments.random_range(items * kill / (kills + 1)..items * (kill + 1) / (kills + 1));
            (answers, Duration::from_millis(self.moments.random_range(0..300)))
        };
        (0..kills).map(&mut moment).collect()
    }
}

fn item(n: u64) -> Item {
    let n = usize::try_from(n).unwrap();
    if (n as u64).is_multiple_of(EVERY) { listed(n / EVERY as usize) } else { unlisted(n) }
}

fn sums(path: &Path, items: impl Iterator<Item = Item>) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for item in items {
        writeln!(file, "{}  name", hex::encode(item.digest())).unwrap();
    }
    file.flush().unwrap();
}

/// A published list, a platform that has joined and synchronised, a file of digests to scan.
fn prepared(plan: &Plan) -> Pair {
    let mut pair = Pair::new(PROGRAMS);
    let entries = usize::try_from(plan.items / EVERY).unwrap() + 1 + FOREIGN;
    let list = pair.path("list.sha256");
    sums(&list, (0..entries).map(listed));
    pair.publish(&list, "A1");
    fs::remove_file(list).unwrap();
    sums(&pair.path("hashes.sha256"), (0..plan.items).map(item));
    pair.enrol("1000000000");
    pair.serve();
    let synced = pair.platform(["sync"]);
    assert_eq!(synced.code, Some(0), "{}", synced.err);
    pair
}

fn scan(pair: &Pair) -> Child {
    let mut command = pair.platform_command();
    command
        .args(["scan", "--quiet", "--hashes"])
        .arg(pair.path("hashes.sha256"))
        .arg("--out")
        .arg(pair.path("answers"));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until so many answers are written; `None` if the scan ended before.
fn reach(pair: &Pair, scan: &mut Child, answers: u64) -> Option<()> {
    let start = Instant::now();
    loop {
        if scan.try_wait().unwrap().is_some() {
            return None;
        }
        if written(pair) >= answers {
            return Some(());
        }
        assert!(start.elapsed() < Duration::from_secs(600), "the scan stands still");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn written(pair: &Pair) -> u64 {
    // Every line has at least this many bytes; counting lines again and again would be slow.
    let Ok(answers) = File::open(pair.path("answers")) else { return 0 };
    answers.metadata().unwrap().len() / LINE
}

/// Bytes of an answer's line, roughly.
const LINE: u64 = 170;

/// Every line once, in order, and answered rightly.
fn assert_exact(pair: &Pair, items: u64) {
    let answers = BufReader::new(File::open(pair.path("answers")).unwrap());
    let mut count = 0;
    for (n, line) in answers.lines().enumerate() {
        let answer: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let n = n as u64;
        assert_eq!(answer["line"], n + 1);
        if n.is_multiple_of(EVERY) {
            assert_eq!((&answer["outcome"], &answer["label"]), (&"match".into(), &"A1".into()), "{answer}");
        } else {
            assert_eq!(answer["outcome"], "no_match", "{answer}");
        }
        count += 1;
    }
    assert_eq!(count, items);
}

/// What the agency has recorded: frames, distinct batch ids among them, elements in the frames, elements charged.
pub struct Recorded {
    pub frames: u64,
    batches: u64,
    elements: u64,
    charged: u64,
}

pub fn recorded(pair: &Pair) -> Recorded {
    let database = rusqlite::Connection::open(pair.agency_dir().join("veilmatch.db")).unwrap();
    let number = |query: &str| database.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    assert_eq!(number("SELECT count(*) FROM frame WHERE status <> 'ok'"), 0);
    Recorded {
        frames: number("SELECT count(*) FROM frame"),
        batches: number("SELECT count(DISTINCT batch) FROM frame"),
        elements: number("SELECT sum(n) FROM frame"),
        charged: number("SELECT sum(elements) FROM budget"),
    }
}

/// The agency's logs are as they were signed, and each frame has one leaf, at an index of its own and without a gap.
fn assert_logged(pair: &Pair, frames: u64) {
    pair.agency(["log", "check", "--full"]);
    let database = rusqlite::Connection::open(pair.agency_dir().join("veilmatch.db")).unwrap();
    let number = |query: &str| database.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    assert_eq!(number("SELECT count(*) FROM log_leaf WHERE platform <> ''"), frames);
    assert_eq!(number("SELECT count(DISTINCT id % 1099511627776) FROM frame"), frames);
    assert_eq!(number("SELECT max(id % 1099511627776) + 1 FROM frame"), frames);
}

fn assert_finished(Ended { code, err, .. }: &Ended) {
    assert_eq!(*code, Some(1), "1: there are matches. {err}");
}

/// No digest of the other side in any file of a side.
fn assert_nothing_leaked(pair: &Pair, items: u64) {
    let find = |needles: &Needles, folder: &Path| {
        let all = files(folder).into_iter();
        all.filter_map(|(path, bytes)| Some((needles.find(&bytes)?, path))).next()
    };
    // A part of them is enough to find a leak, and what memory holds at the long run's size.
    let unlisted_items: Vec<Item> = (0..items).filter(|n| !n.is_multiple_of(EVERY)).take(50_000).map(item).collect();
    assert_eq!(find(&Needles::of(&unlisted_items), &pair.agency_dir()), None);
    let first = usize::try_from(items / EVERY).unwrap() + 1;
    let foreign: Vec<Item> = (first..first + FOREIGN).map(listed).collect();
    assert_eq!(find(&Needles::of(&foreign), &pair.platform_dir()), None);
}

#[test]
fn a_scan_outlives_kills_of_the_server_and_no_frame_is_charged_twice() {
    // SPEC §9.4, §17.7
    let mut plan = Plan::drawn();
    let mut pair = prepared(&plan);
    let mut scan = scan(&pair);
    let mut kills = 0;
    for (answers, pause) in plan.moments() {
        if reach(&pair, &mut scan, answers).is_some() {
            wait(pause);
            pair.kill_server();
            pair.serve();
            kills += 1;
        }
    }
    assert_eq!(kills, plan.kills, "every kill met the scan");
    assert_finished(&ended(scan));
    assert_exact(&pair, plan.items);
    let Recorded { frames, batches, elements, charged } = recorded(&pair);
    assert_eq!(frames, plan.items.div_ceil(FRAME), "no item was asked twice");
    assert_eq!((batches, charged), (frames, elements), "no frame is recorded or charged twice");
    pair.kill_server();
    assert_logged(&pair, frames);
    assert_nothing_leaked(&pair, plan.items);
}

#[test]
fn a_scan_that_was_killed_goes_on_and_asks_again_at_most_what_was_on_its_way() {
    // SPEC §12.4
    let mut plan = Plan::drawn();
    let mut pair = prepared(&plan);
    let mut running = scan(&pair);
    let mut kills = 0;
    for (answers, pause) in plan.moments() {
        if reach(&pair, &mut running, answers).is_some() {
            wait(pause);
            running.kill().unwrap();
            running.wait().unwrap();
            kills += 1;
            running = scan(&pair);
        }
    }
    assert_eq!(kills, plan.kills, "every kill met the scan");
    assert_finished(&ended(running));
    assert_exact(&pair, plan.items);
    let Recorded { frames, batches, elements, charged } = recorded(&pair);
    let needed = plan.items.div_ceil(FRAME);
    // After a kill the rest is packed anew, so that one frame more may be needed.
    assert!(frames <= needed + kills * (IN_FLIGHT + 1), "{frames} frames, {needed} were needed");
    assert_eq!((batches, charged), (frames, elements));
    pair.kill_server();
    assert_nothing_leaked(&pair, plan.items);
}

#[test]
fn a_finished_scan_says_so_and_asks_nothing() {
    let plan = Plan { items: 5_000, kills: 0, moments: StdRng::seed_from_u64(0) };
    let mut pair = prepared(&plan);
    assert_finished(&ended(scan(&pair)));
    let before = recorded(&pair).frames;
    pair.kill_server();
    assert_finished(&ended(scan(&pair)));
    assert_eq!(recorded(&pair).frames, before);
    assert_exact(&pair, plan.items);
    let references: HashSet<String> =
        BufReader::new(File::open(pair.path("answers")).unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(references.len() as u64, plan.items);
    eventually(|| pair.platform_dir().join("state.db").is_file().then_some(()));
}
