//! Both programs are killed while thousands of small frames are asked: no acknowledged record is lost, and no log forks.
//!
//! `VEILMATCH_KILL_FRAMES` changes the frames of one scan.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use veilmatch_audit::{checkpoint::Checkpoint, folder::LogFolder, tree};
use veilmatch_protocol::note::Note;
use veilmatch_tests::{
    frame_sizes, listed,
    programs::{Pair, ended, eventually, moments, setting},
    unlisted,
};

use crate::{PROGRAMS, scans::recorded, wait};

/// Items of a frame.
const FRAME: usize = 4;

/// Every so many items one is listed.
const EVERY: usize = 50;

/// A pair whose frames are small, and every checkpoint that either side published.
struct Killed {
    pair: Pair,
    items: usize,
    scans: usize,
    moments: StdRng,
    // By the folder of the log, then by size.
    published: BTreeMap<PathBuf, BTreeMap<u64, Checkpoint>>,
}

impl Killed {
    fn new() -> Self {
        let items = FRAME * usize::try_from(setting("VEILMATCH_KILL_FRAMES", 500)).unwrap();
        let pair = Pair::new(PROGRAMS);
        frame_sizes(&pair.agency_dir(), "[1, 4]");
        let list: String = (0..1_000).map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect();
        let list = pair.write("list.sha256", list);
        pair.publish(&list, "A1");
        pair.enrol("1000000000");
        let mut killed = Self { pair, items, scans: 0, moments: moments(), published: BTreeMap::new() };
        killed.pair.serve();
        killed.done(&["sync"]);
        killed
    }

    fn done(&self, arguments: &[&str]) {
        let ended = self.pair.platform(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
    }

    /// Writes digests that nobody asked about yet.
    fn next(&mut self) {
        self.scans += 1;
        let mut text = String::new();
        for n in self.scans * self.items..(self.scans + 1) * self.items {
            let item = if n.is_multiple_of(EVERY) { listed(n / EVERY % 1_000) } else { unlisted(n) };
            writeln!(text, "{}  name", hex::encode(item.digest())).unwrap();
        }
        self.pair.write("hashes.sha256", text);
    }

    /// Begins the scan of these digests, or goes on with it.
    fn scan(&self) -> Child {
        let mut command = self.pair.platform_command();
        command.args(["scan", "--quiet", "--hashes"]).arg(self.pair.path("hashes.sha256"));
        command.arg("--out").arg(self.pair.path(&format!("answers-{}", self.scans)));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Remembers what was published up to here.
    fn remember(&mut self) {
        for folder in folders(&self.pair.path("")) {
            let Some(note) = LogFolder::new(&folder).checkpoint().unwrap() else { continue };
            let checkpoint = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
            let of_log = self.published.entry(folder).or_default();
            let before = of_log.entry(checkpoint.size).or_insert_with(|| checkpoint.clone());
            assert_eq!(*before, checkpoint, "one size, two roots");
        }
    }

    /// Kills one of the two, brings it back, and gives the time that the server took to come back.
    fn kill(&mut self, scan: &mut Child) -> Option<Duration> {
        if self.moments.random_bool(0.5) {
            scan.kill().unwrap();
            scan.wait().unwrap();
            self.remember();
            if self.moments.random_bool(0.2) {
                self.done(&["log", "publish"]);
            }
            *scan = self.scan();
            return None;
        }
        self.pair.kill_server();
        self.remember();
        let killed = Instant::now();
        self.pair.serve();
        Some(killed.elapsed())
    }
}

/// Folders of both sides that have a log's checkpoint.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.join("agency/logs"), dir.join("platform/logs")];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.map(Result::unwrap) {
            match entry.file_name().to_str().unwrap() {
                "checkpoint" => found.push(dir.clone()),
                "tile" => {}
                _ if entry.file_type().unwrap().is_dir() => open.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn whoever_is_killed_no_acknowledged_record_is_lost_and_no_log_forks() {
    // SPEC §17.4, §17.7, §18.5
    let kills = setting("VEILMATCH_KILLS", 6);
    let mut killed = Killed::new();
    killed.next();
    let mut scan = killed.scan();
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        let pause = Duration::from_millis(killed.moments.random_range(20..700));
        wait(pause);
        while scan.try_wait().unwrap().is_some() {
            let ended = ended(scan);
            assert_eq!(ended.code, Some(1), "1: there are matches. {}", ended.err);
            killed.next();
            scan = killed.scan();
            wait(pause);
        }
        slowest = slowest.max(killed.kill(&mut scan).unwrap_or_default());
    }
    let ended = ended(scan);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for scan in 1..=killed.scans {
        let answers = fs::read_to_string(killed.pair.path(&format!("answers-{scan}"))).unwrap();
        assert_eq!(answers.lines().count(), killed.items);
        let count = |outcome: &str| answers.matches(&format!("\"outcome\":\"{outcome}\"")).count();
        let first = scan * killed.items;
        let listed = (first..first + killed.items).filter(|n| n.is_multiple_of(EVERY)).count();
        assert_eq!((count("match"), count("no_match")), (listed, killed.items - listed));
    }
    killed.done(&["log", "publish"]);
    killed.pair.kill_server();
    killed.pair.serve();
    let frames = recorded(&killed.pair).frames;
    eventually(|| {
        killed.remember();
        (killed.leaves() == frames).then_some(())
    });
    killed.pair.agency(["log", "check", "--full"]);
    killed.whole();
    let audited = killed.pair.audit(env!("CARGO_BIN_EXE_auditor"));
    assert_eq!(audited.code, Some(0), "{}\n{}", audited.out, audited.err);
    let sizes: usize = killed.published.values().map(BTreeMap::len).sum();
    eprintln!(
        "{kills} kills, {} scans, {frames} leaves of the query log, {sizes} checkpoints, slowest restart {} ms",
        killed.scans,
        slowest.as_millis()
    );
}

impl Killed {
    /// Leaves of the query log under its newest checkpoint.
    fn leaves(&self) -> u64 {
        let mut query = self.published.iter().filter(|(folder, _)| folder.iter().any(|part| part == "query"));
        query.next().map_or(0, |(_, checkpoints)| *checkpoints.keys().next_back().unwrap())
    }

    /// Every checkpoint that was published is a beginning of the tree that is there.
    fn whole(&self) {
        for (folder, checkpoints) in &self.published {
            let folder = LogFolder::new(folder);
            let view = folder.view(*checkpoints.keys().next_back().unwrap());
            for (at, checkpoint) in checkpoints {
                assert_eq!(tree::root_at(&view, *at).unwrap(), checkpoint.root, "{} at {at}", folder.dir().display());
            }
        }
    }
}
