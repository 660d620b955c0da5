//! `kill -9` in the middle of an import, a publication, a synchronisation and a compaction: each has happened or it has not,
//! and what it was to do can be done afterwards.
//!
//! `VEILMATCH_KILL_ENTRIES` changes the size.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use sha2::{Digest, Sha256};
use veilmatch_tests::programs::{Pair, ended, eventually, moments, setting};

use crate::{PROGRAMS, wait};

struct Plan {
    entries: u64,
    kills: u32,
    moments: StdRng,
    // How long the command takes that is killed, as the last one that was not killed took.
    took: Duration,
}

impl Plan {
    fn drawn() -> Self {
        Self {
            entries: setting("VEILMATCH_KILL_ENTRIES", 20_000),
            kills: u32::try_from(setting("VEILMATCH_KILLS", 3)).unwrap(),
            moments: moments(),
            took: Duration::ZERO,
        }
    }

    /// Runs a command and kills it at some moment of its usual time; whether it had ended before.
    fn kill(&mut self, command: &mut Command) -> bool {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = self.took.mul_f64(self.moments.random_range(0.0..1.0));
        wait(moment);
        let had_ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        had_ended
    }

    /// Runs a command to its end, and remembers how long it took.
    fn whole(&mut self, command: &mut Command) {
        let start = Instant::now();
        let done = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(done.code, Some(0), "{}", done.err);
        self.took = start.elapsed();
    }
}

fn digest(number: u64) -> String {
    hex::encode(Sha256::digest(format!("veilmatch kill {number}")))
}

/// A table of records with a key and a digest.
fn table(pair: &Pair, name: &str, numbers: std::ops::Range<u64>) -> std::path::PathBuf {
    let mut text = String::from("id,sha256\n");
    for number in numbers {
        writeln!(text, "{number},{}", digest(number)).unwrap();
    }
    pair.write(name, text)
}

fn import(pair: &Pair, file: &std::path::Path) -> Command {
    let mut command = pair.agency_command();
    command.args(["list", "import", "baseline"]).arg(file);
    command.args(["--column", "id=id", "--source", "feed", "--label", "A1", "--allow-jump"]);
    command
}

fn publish(pair: &Pair) -> Command {
    let mut command = pair.agency_command();
    command.args(["list", "publish", "baseline"]);
    command
}

/// Digests that a version has, or that would be published.
fn entries(pair: &Pair, version: Option<u64>) -> BTreeSet<String> {
    let version = version.map(|version| version.to_string());
    let more = version.iter().flat_map(|version| ["--version", version]);
    let text = pair.agency(["list", "export", "baseline", "--out", "-"].into_iter().chain(more));
    text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect()
}

fn of(numbers: std::ops::Range<u64>) -> BTreeSet<String> {
    numbers.map(digest).collect()
}

fn versions(pair: &Pair) -> u64 {
    let status: serde_json::Value =
        serde_json::from_str(&pair.agency(["list", "status", "baseline", "--json"])).unwrap();
    status["version"].as_u64().unwrap_or(0)
}

#[test]
fn an_import_that_is_killed_has_happened_or_it_has_not() {
    let mut plan = Plan::drawn();
    let pair = Pair::new(PROGRAMS);
    let (n, half) = (plan.entries, plan.entries / 2);
    let files = [table(&pair, "one.csv", 0..n), table(&pair, "two.csv", half..n + half)];
    let contents = [of(0..n), of(half..n + half)];
    plan.whole(&mut import(&pair, &files[0]));
    let mut now = 0;
    let mut happened = 0;
    for _ in 0..plan.kills {
        let next = 1 - now;
        let had_ended = plan.kill(&mut import(&pair, &files[next]));
        let found = entries(&pair, None);
        if found == contents[next] {
            happened += 1;
        } else {
            assert_eq!(found, contents[now]);
            assert!(!had_ended, "an import that ended has happened");
        }
        // What the kill left of it is no obstacle.
        plan.whole(&mut import(&pair, &files[next]));
        assert_eq!(entries(&pair, None), contents[next]);
        now = next;
    }
    eprintln!("{happened} of {} killed imports had happened", plan.kills);
    let left: Vec<_> = fs::read_dir(pair.agency_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let mut plan = Plan::drawn();
    // Longer than what is sorted at a time.
    let rows = plan.entries.max(300_000);
    let whole = Pair::new(PROGRAMS);
    let file = table(&whole, "one.csv", 0..rows);
    plan.whole(&mut import(&whole, &file));
    let exported = whole.agency(EXPORT);
    assert_eq!(exported.lines().count() as u64, rows + 1);
    let mut continued = 0;
    for kill in 0..plan.kills {
        let pair = Pair::new(PROGRAMS);
        // The first one at the first moment from which something can be gone on with.
        let later = if kill == 0 { 0.0 } else { plan.moments.random_range(0.0..0.7) };
        kill_behind_the_first_run(&pair, &file, plan.took.mul_f64(later));
        let found = entries(&pair, None);
        assert!(found.is_empty() || found.len() as u64 == rows);
        let again = ended(import(&pair, &file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(again.code, Some(0), "{}", again.err);
        if found.is_empty() {
            continued += 1;
            let percent = again.err.split_once("continues at ").and_then(|(_, text)| text.split_once(" % of the file"));
            let percent: u32 = percent.unwrap_or_else(|| panic!("{}", again.err)).0.parse().unwrap();
            assert!((1..=100).contains(&percent));
            let counts = format!("read {rows} = accepted {rows} + duplicate 0 + retracted 0 + quarantined 0");
            assert!(again.out.contains(&counts), "{}", again.out);
        }
        assert!(pair.agency(EXPORT) == exported);
        assert!(!pair.agency_dir().join("staged").exists());
    }
    eprintln!("{continued} of {} killed imports were gone on with", plan.kills);
    assert!(continued > 0);
}

#[test]
fn another_command_throws_away_what_a_killed_import_had_read_and_says_so() {
    let pair = Pair::new(PROGRAMS);
    let file = table(&pair, "one.csv", 0..300_000);
    kill_behind_the_first_run(&pair, &file, Duration::ZERO);
    let other = table(&pair, "two.csv", 0..10);
    let told = ended(import(&pair, &other).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.err.contains("had read is thrown away: it was another command"), "{}", told.err);
    assert_eq!(entries(&pair, None), of(0..10));
    assert!(!pair.agency_dir().join("staged").exists());
}

const EXPORT: [&str; 5] = ["list", "export", "baseline", "--out", "-"];

/// Kills an import so long after it has put down what it had read for the first time.
fn kill_behind_the_first_run(pair: &Pair, file: &std::path::Path, later: Duration) {
    let state = pair.agency_dir().join("staged/state.json");
    let mut child = import(pair, file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually(|| state.exists().then_some(()));
    wait(later);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_publication_that_is_killed_has_happened_or_it_has_not() {
    let mut plan = Plan::drawn();
    let pair = Pair::new(PROGRAMS);
    let n = plan.entries;
    let files = [table(&pair, "one.csv", 0..n), table(&pair, "two.csv", n / 2..n + n / 2)];
    let contents = [of(0..n), of(n / 2..n + n / 2)];
    pair.agency(import(&pair, &files[0]).get_args().skip(2));
    plan.whole(&mut publish(&pair));
    let mut happened = 0;
    for kill in 0..plan.kills {
        let next = (kill as usize + 1) % 2;
        pair.agency(import(&pair, &files[next]).get_args().skip(2));
        let before = versions(&pair);
        let had_ended = plan.kill(&mut publish(&pair));
        let after = versions(&pair);
        assert!(after == before + 1 || after == before && !had_ended);
        happened += after - before;
        if after == before {
            plan.whole(&mut publish(&pair));
        }
        assert_eq!(versions(&pair), before + 1);
        assert_eq!(entries(&pair, Some(before + 1)), contents[next]);
    }
    eprintln!("{happened} of {} killed publications had happened", plan.kills);
    // The platform checks every byte of what was published.
    follow(pair);
}

fn follow(mut pair: Pair) {
    pair.enrol("1000");
    pair.serve();
    let synced = pair.platform(["sync"]);
    assert_eq!(synced.code, Some(0), "{}", synced.err);
}

#[test]
fn a_synchronisation_that_is_killed_is_gone_on_with() {
    let mut plan = Plan::drawn();
    let mut pair = Pair::new(PROGRAMS);
    let n = plan.entries;
    let files = [table(&pair, "one.csv", 0..n), table(&pair, "two.csv", n / 2..n + n / 2)];
    pair.agency(import(&pair, &files[0]).get_args().skip(2));
    pair.agency(["list", "publish", "baseline"]);
    pair.enrol("1000000");
    pair.serve();
    let sync = |pair: &Pair| {
        let mut command = pair.platform_command();
        command.arg("sync");
        command
    };
    plan.whole(&mut sync(&pair));
    for kill in 0..plan.kills {
        let now = (kill as usize + 1) % 2;
        pair.agency(import(&pair, &files[now]).get_args().skip(2));
        pair.agency(["list", "publish", "baseline"]);
        // One that begins now serves the new version.
        pair.kill_server();
        pair.serve();
        plan.kill(&mut sync(&pair));
        // Whatever it has, it can be asked at once, and follows then.
        assert_eq!(pair.platform(["status"]).code, Some(0));
        plan.whole(&mut sync(&pair));
        let asked = pair.write("ask.txt", format!("{}\n{}\n", digest(1), digest(n + 1)));
        let check = ["check", "--format", "csv", "--kind", "sha256", "--hashes", asked.to_str().unwrap()];
        let answers = pair.platform(check).out;
        let outcomes: Vec<bool> = answers.lines().skip(1).map(|line| line.contains("no_match")).collect();
        assert_eq!(outcomes, if now == 0 { [false, true] } else { [true, false] }, "{answers}");
    }
}

#[test]
fn a_compaction_that_is_killed_loses_nothing_that_a_version_has() {
    let mut plan = Plan::drawn();
    let pair = Pair::new(PROGRAMS);
    let config = pair.agency_dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap().replace("# history_days = 400", "history_days = 0");
    fs::write(&config, text).unwrap();
    let n = plan.entries;
    let files = [table(&pair, "one.csv", 0..n), table(&pair, "two.csv", n / 2..n + n / 2)];
    let contents = [of(0..n), of(n / 2..n + n / 2)];
    let compact = |pair: &Pair| {
        let mut command = pair.agency_command();
        command.args(["list", "compact", "baseline"]);
        command
    };
    pair.agency(import(&pair, &files[0]).get_args().skip(2));
    pair.agency(["list", "publish", "baseline"]);
    plan.whole(&mut compact(&pair));
    for kill in 0..plan.kills {
        let now = (kill as usize + 1) % 2;
        pair.agency(import(&pair, &files[now]).get_args().skip(2));
        pair.agency(["list", "publish", "baseline"]);
        plan.kill(&mut compact(&pair));
        assert_eq!(entries(&pair, None), contents[now]);
        plan.whole(&mut compact(&pair));
        assert_eq!(entries(&pair, None), contents[now]);
        assert_eq!(
            pair.agency(["list", "diff", "baseline"])
                .lines()
                .next()
                .unwrap()
                .matches("0 added, 0 relabelled, 0 removed")
                .count(),
            1
        );
    }
    follow(pair);
}
