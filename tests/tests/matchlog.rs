//! The match log through both programs: every match is in it once and can be opened, whatever is killed (SPEC §18.5, §19).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rand::RngExt;
use veilmatch_audit::{
    checkpoint::Checkpoint,
    folder::LogFolder,
    leaf::{Frame, FrameStatus, Leaf, Match},
    opening::Opening,
    reconcile::Acknowledged,
    tree,
};
use veilmatch_protocol::{
    manifest::Hash,
    note::{Note, Verifier},
};
use veilmatch_tests::{
    listed,
    programs::{Pair, Paths, moments},
    unlisted,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

/// Lines of `sha256sum`: `of` items, every tenth of them listed.
fn hashes(of: usize) -> String {
    let mut text = String::new();
    for n in 0..of {
        let item = if n % 10 == 0 { listed(n / 10) } else { unlisted(n) };
        writeln!(text, "{}  name", hex::encode(item.digest())).unwrap();
    }
    text
}

/// An agency that serves a list, and a platform that has synchronised and has a file of digests.
fn prepared(items: usize) -> Pair {
    let mut pair = Pair::new(PROGRAMS);
    let list: String =
        (0..items.div_ceil(10)).map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect();
    let list = pair.write("list.sha256", list);
    pair.publish(&list, "A1");
    pair.write("hashes.sha256", hashes(items));
    pair.enrol("1000000000");
    pair.serve();
    done(&pair, &["sync"], 0);
    pair
}

fn done(pair: &Pair, arguments: &[&str], code: i32) -> String {
    let ended = pair.platform(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
    ended.out
}

/// What an auditor gets.
struct Bundle {
    folder: LogFolder,
    checkpoint: Checkpoint,
    leaves: Vec<Leaf>,
    path: PathBuf,
}

/// Publishes and exports; every leaf is read from the files, under the root that the checkpoint has.
fn exported(pair: &Pair, name: &str) -> Bundle {
    done(pair, &["log", "publish"], 0);
    let path = pair.path(name);
    done(pair, &["log", "export", "--out", path.to_str().unwrap()], 0);
    let log = fs::read_dir(path.join("logs")).unwrap().next().unwrap().unwrap().path();
    let folder = LogFolder::new(log);
    let note = folder.checkpoint().unwrap().unwrap();
    let checkpoint = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
    let view = folder.view(checkpoint.size);
    assert_eq!(tree::root_at(&view, checkpoint.size).unwrap(), checkpoint.root);
    let leaves = view.leaves(0..checkpoint.size).map(|leaf| Leaf::decode(&leaf.unwrap().1).unwrap()).collect();
    Bundle { folder, checkpoint, leaves, path }
}

impl Bundle {
    fn matches(&self) -> Vec<&Match> {
        self.leaves.iter().filter_map(|leaf| if let Leaf::Match(leaf) = leaf { Some(leaf) } else { None }).collect()
    }

    fn frames(&self) -> Vec<&Frame> {
        self.leaves.iter().filter_map(|leaf| if let Leaf::Frame(leaf) = leaf { Some(leaf) } else { None }).collect()
    }
}

fn receipt_key(platform: &Path) -> Verifier {
    let request: serde_json::Value = serde_json::from_slice(&fs::read(platform.join("request.json")).unwrap()).unwrap();
    Verifier::parse(request["receipt_key"].as_str().unwrap()).unwrap()
}

#[test]
fn every_match_is_in_the_log_once_and_opens_at_both_levels() {
    // SPEC §18.5, §19.1, §19.4, §20.2
    let pair = prepared(50);
    let hashes = pair.path("hashes.sha256");
    for _ in 0..2 {
        done(&pair, &["check", "--quiet", "--hashes", hashes.to_str().unwrap()], 1);
    }
    done(&pair, &["rescan", "--quiet"], 1);
    let rows = done(&pair, &["log", "list", "--json"], 0);
    let rows: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row["code"] == "A1" && row["level"] == 2), "{rows:?}");
    let first = rows[0]["place"].as_str().unwrap();
    done(&pair, &["log", "action", first, "--taken", "reported", "--report", "CT-7"], 0);
    assert!(done(&pair, &["log", "show", first], 0).contains("reported"));
    let lines: Vec<String> = rows
        .iter()
        .map(|row| done(&pair, &["log", "receipt", row["place"].as_str().unwrap(), "--level", "2"], 0))
        .collect();
    let bundle = exported(&pair, "bundle");
    assert_eq!(bundle.checkpoint.size % 64, 0);
    assert_eq!(bundle.matches().len(), 5, "one leaf for each match, however often it was found");
    assert_eq!(bundle.frames().len(), 1);
    let note = bundle.folder.checkpoint().unwrap().unwrap();
    assert_eq!(Note::parse(&note).unwrap().lines().len(), 2, "the agency has cosigned");
    assert_eq!(fs::read_to_string(bundle.path.join("openings.jsonl")).unwrap().lines().count(), 5);
    let records = fs::read_to_string(bundle.path.join("matches.csv")).unwrap();
    assert!(records.lines().count() == 6 && records.contains("CT-7"), "{records}");
    let out = pair.path("records");
    done(&pair, &["log", "export", "--format", "jsonl", "--out", out.to_str().unwrap()], 0);
    let records = fs::read_to_string(out.join("matches.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers = ["position", "index", "epoch", "version", "receipt_level"];
    let typed =
        |record: &serde_json::Value| numbers.iter().all(|name| record[*name].is_u64()) && record["exact"] == true;
    assert!(records.len() == 5 && records.iter().all(typed), "{records:?}");
    let times = ["time", "action_time"].map(|name| records[0][name].as_str().unwrap().len());
    assert_eq!(times, ["2026-11-26T11:30:00Z".len(); 2], "{records:?}");

    let key = receipt_key(&pair.platform_dir());
    let mut items: HashSet<usize> = (0..5).collect();
    for line in lines {
        let opening = Opening::decode(line.trim_end().as_bytes()).unwrap();
        let receipt = opening.receipt(&key).unwrap();
        opening.verify_secret(&receipt).unwrap();
        let Leaf::Match(leaf) = &bundle.leaves[opening.index as usize] else { panic!("no match at {}", opening.index) };
        opening.verify_commitment(&receipt, leaf).unwrap();
        let frame = bundle.frames().into_iter().find(|frame| frame.batch == leaf.batch).unwrap();
        assert_eq!(frame.status, FrameStatus::Answered);
        let element = opening.element.as_ref().unwrap();
        let opens = |n: &usize| element.verify(receipt.receipt(), frame.n, &frame.req, &listed(*n)).is_ok();
        let of = items.iter().copied().find(opens).expect("one of the items");
        items.remove(&of);
    }
    assert!(items.is_empty());
}

#[test]
fn what_a_platform_hands_over_is_what_the_auditor_reads() {
    // SPEC §21.4: nothing wrote the acknowledgements down.
    let pair = prepared(50);
    let hashes = pair.path("hashes.sha256");
    done(&pair, &["check", "--quiet", "--hashes", hashes.to_str().unwrap()], 1);
    let rows = done(&pair, &["log", "list", "--json"], 0);
    for row in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        done(&pair, &["log", "receipt", row["place"].as_str().unwrap(), "--level", "2"], 0);
    }
    done(&pair, &["log", "publish"], 0);
    let audited = pair.audit(env!("CARGO_BIN_EXE_auditor"));
    assert_eq!(audited.code, Some(0), "{}\n{}", audited.out, audited.err);
    for told in ["it showed none", "it released none"] {
        assert!(!audited.out.contains(told), "{}", audited.out);
    }
    let lines = |file: &str| fs::read_to_string(pair.path("bundle").join(file)).unwrap();
    let acknowledged = lines("acknowledgements.jsonl");
    assert_eq!((acknowledged.lines().count(), lines("openings.jsonl").lines().count()), (1, 5));
    assert!(acknowledged.lines().all(|line| Acknowledged::decode(line.as_bytes()).is_some()), "{acknowledged}");
    // What each saw of the other's logs.
    let agency = pair.path("seen");
    pair.agency(["log", "export", "--log", "seen", agency.to_str().unwrap()]);
    let mut seen: Vec<String> =
        [agency, pair.path("bundle").join("seen")].iter().flat_map(|folder| origins(folder)).collect();
    seen.sort();
    let shard = seen[2].rsplit_once('/').unwrap().1;
    let logs = ["agency.example/veilmatch/manifest", &format!("agency.example/veilmatch/query/{shard}")];
    assert_eq!(seen[..2], logs);
    assert_eq!(seen[2..], [format!("platform.example/veilmatch/match/agency.example/{shard}")]);
}

/// Origins of the checkpoints in a folder.
fn origins(folder: &Path) -> Vec<String> {
    let checkpoint = |note: Vec<u8>| Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| checkpoint(fs::read(file.unwrap().path()).unwrap()).origin).collect()
}

#[test]
fn a_record_that_is_erased_is_gone_and_the_log_still_verifies() {
    // SPEC §19.1
    let pair = prepared(20);
    let hashes = pair.path("hashes.sha256");
    done(&pair, &["check", "--quiet", "--hashes", hashes.to_str().unwrap()], 1);
    let rows = done(&pair, &["log", "list", "--json"], 0);
    let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let place = row["place"].as_str().unwrap();
    done(&pair, &["log", "erase", place, "--basis", "retention"], 0);
    let ended = pair.platform(["log", "show", place]);
    assert_eq!(ended.code, Some(70));
    assert!(ended.err.contains("ERASED"), "{}", ended.err);
    assert_eq!(done(&pair, &["log", "list", "--json"], 0).lines().count(), 1);
    let bundle = exported(&pair, "bundle");
    assert_eq!(bundle.matches().len(), 2, "the leaf stays");
    assert!(bundle.leaves.iter().any(|leaf| matches!(leaf, Leaf::Erase(erase) if erase.basis == "retention")));
}

#[test]
fn whatever_moment_a_scan_is_killed_at_no_frame_and_no_match_is_lost_or_written_twice() {
    // SPEC §18.5
    const ITEMS: usize = 20_000;
    let pair = prepared(ITEMS);
    let (hashes, out) = (pair.path("hashes.sha256"), pair.path("answers"));
    let mut moments = moments();
    let scan = || {
        let mut command = pair.platform_command();
        command.args(["scan", "--quiet", "--hashes"]).arg(&hashes).arg("--out").arg(&out);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    for _ in 0..6 {
        let mut running = scan();
        std::thread::sleep(Duration::from_millis(moments.random_range(20..600)));
        // It may have finished: then there is nothing to kill.
        let _ = running.kill();
        running.wait().unwrap();
    }
    assert_eq!(scan().wait().unwrap().code(), Some(1));
    let bundle = exported(&pair, "bundle");
    let commitments: HashSet<_> = bundle.matches().iter().map(|leaf| leaf.c).collect();
    assert_eq!((bundle.matches().len(), commitments.len()), (ITEMS / 10, ITEMS / 10));
    let batches: HashSet<_> = bundle.frames().iter().map(|frame| frame.batch).collect();
    assert_eq!(batches.len(), bundle.frames().len(), "each frame has one leaf");
    let database = rusqlite::Connection::open(pair.platform_dir().join("state.db")).unwrap();
    let number = |query: &str| database.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    assert_eq!(number("SELECT count(*) FROM frame"), batches.len(), "and each that was sent has one");
    assert_eq!(number("SELECT count(*) FROM frame WHERE status = 'sent'"), 0);
    let answered = bundle.frames().iter().filter(|frame| frame.status == FrameStatus::Answered).count();
    assert_eq!(number("SELECT count(*) FROM frame WHERE status = 'answered'"), answered);
    let agency = rusqlite::Connection::open(pair.agency_dir().join("veilmatch.db")).unwrap();
    let recorded: i64 = agency.query_row("SELECT count(*) FROM frame", [], |row| row.get(0)).unwrap();
    assert!(recorded as usize >= answered, "what was answered is recorded there, too");
}

#[test]
fn a_restored_database_is_noticed_and_the_log_goes_on_as_another() {
    // SPEC §20.2, §17.1
    let pair = prepared(20);
    let hashes = pair.path("hashes.sha256");
    let database = pair.platform_dir().join("state.db");
    let emptied = rusqlite::Connection::open(&database).unwrap();
    emptied.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
    drop(emptied);
    let backup = fs::read(&database).unwrap();
    done(&pair, &["check", "--quiet", "--hashes", hashes.to_str().unwrap()], 1);
    done(&pair, &["log", "publish"], 0);
    for file in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(pair.platform_dir().join(file));
    }
    fs::write(&database, backup).unwrap();
    let refused = pair.platform(["log", "publish"]);
    assert!(refused.code == Some(70) && refused.err.contains("LOG_LOST"), "{}", refused.err);
    assert!(refused.err.contains("veilmatch log recover"), "{}", refused.err);
    assert!(done(&pair, &["log", "recover"], 0).contains("goes on as"));
    done(&pair, &["log", "publish"], 0);
    // SPEC §21.5: the files of the lost log are there still, and what is stated about it fits them.
    let audited = pair.audit(env!("CARGO_BIN_EXE_auditor"));
    assert_eq!(audited.code, Some(0), "{}\n{}", audited.out, audited.err);
    let logs = audited.out.lines().filter(|line| line.starts_with("platform.example/veilmatch/match/"));
    assert_eq!(logs.count(), 2, "{}", audited.out);
    let whole = pair.platform(["log", "recover"]);
    assert!(whole.code == Some(70) && whole.err.contains("LOG_WHOLE"), "{}", whole.err);
}

/// The digests of the closing statements in a side's log, as its database has it.
fn closed(database: &Path, leaves: &str) -> Vec<Hash> {
    let database = rusqlite::Connection::open(database).unwrap();
    let mut query = database.prepare(leaves).unwrap();
    let leaves = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(Result::unwrap);
    let closes = leaves.filter_map(|leaf| match Leaf::decode(&leaf).unwrap() {
        Leaf::Close(close) => Some(close.digest),
        _ => None,
    });
    closes.collect()
}

#[test]
fn both_programs_close_a_day_with_one_digest_and_neither_closes_one_that_the_other_tells_otherwise() {
    // SPEC §18.6, §20.3 CLOSE_DIFFERS
    let pair = prepared(30);
    let hashes = pair.path("hashes.sha256");
    done(&pair, &["check", "--quiet", "--hashes", hashes.to_str().unwrap()], 1);
    let (ours, theirs) = (pair.platform_dir().join("state.db"), pair.agency_dir().join("veilmatch.db"));
    let both = || {
        let ours = closed(&ours, "SELECT bytes FROM leaf ORDER BY log, number");
        (ours, closed(&theirs, "SELECT leaf FROM log_leaf ORDER BY id"))
    };
    done(&pair, &["log", "publish"], 0);
    assert_eq!(both(), (Vec::new(), Vec::new()), "the day is not over");

    // Neither program has a clock to be moved, so what they recorded is: first on one side alone.
    let change = |database: &Path, statement: &str| {
        rusqlite::Connection::open(database).unwrap().execute_batch(statement).unwrap();
    };
    change(&ours, "UPDATE frame SET day = date(day, '-3 days')");
    done(&pair, &["log", "publish"], 0);
    assert_eq!(both(), (Vec::new(), Vec::new()), "the agency has no frame of that day");
    let evidence = fs::read_dir(pair.platform_dir().join("evidence")).unwrap();
    let kept: Vec<_> = evidence.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(matches!(&kept[..], [file] if file.starts_with("closing-")), "{kept:?}");

    change(&theirs, "UPDATE frame SET t = t - 3 * 1440");
    for _ in 0..2 {
        done(&pair, &["log", "publish"], 0);
    }
    let (ours, theirs) = both();
    assert_eq!((ours.len(), &ours), (1, &theirs));
}
