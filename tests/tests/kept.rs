//! What a platform keeps of its checks: found again, lost with its key, forgotten with its item (SPEC §12.5).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf, process::Stdio};

use futures::StreamExt;
use serde_json::Value;
use veilmatch_client::{NotChecked, Outcome, Subject};
use veilmatch_protocol::item::Item;
use veilmatch_tests::{
    World, bare, files,
    leak::Needles,
    listed, matched, now,
    programs::{Ended, Pair, Paths, ended, eventually},
    unlisted, until,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

fn sums(items: impl IntoIterator<Item = Item>) -> String {
    items.into_iter().map(|item| format!("{}  name\n", hex::encode(item.digest()))).collect()
}

/// An agency that lists `listed(0..3)`, and a platform that has checked two of them and two others.
struct Checked {
    pair: Pair,
    hashes: PathBuf,
}

impl Checked {
    fn new() -> Self {
        let mut pair = Pair::new(PROGRAMS);
        let list = pair.write("list.sha256", sums((0..3).map(listed)));
        pair.publish(&list, "A1");
        pair.enrol("1000000");
        pair.serve();
        assert_eq!(pair.platform(["sync"]).code, Some(0));
        let hashes = pair.write("hashes.sha256", sums([listed(0), listed(1), unlisted(0), unlisted(1)]));
        let this = Self { pair, hashes };
        assert_eq!(this.check().code, Some(1));
        this
    }

    fn check(&self) -> Ended {
        self.pair.platform(["check".as_ref(), "--hashes".as_ref(), self.hashes.as_os_str()])
    }

    fn rescan(&self, more: &[&str]) -> Ended {
        self.pair.platform(["rescan"].iter().chain(more))
    }

    fn held(&self) -> Value {
        let status = self.pair.platform(["status", "--json"]);
        serde_json::from_str::<Value>(&status.out).unwrap()["lists"][0]["held"].clone()
    }

    fn sync_to(&self, member: &str, value: u64) {
        eventually(|| {
            let synced = self.pair.platform(["sync", "--quiet"]);
            assert_eq!(synced.code, Some(0), "{}", synced.err);
            (self.held()[member] == value).then_some(())
        });
    }
}

#[test]
fn a_rescan_after_a_key_rotation_says_that_nothing_was_checked() {
    // It walked through no results at all, called every match of before no longer listed, and ended with 0: all checked,
    // none listed.
    let checked = Checked::new();
    let first = checked.rescan(&[]);
    assert_eq!(first.code, Some(1), "{}", first.err);
    assert!(first.err.contains("4 kept; 2 new since the rescan before, 0 no longer listed"), "{}", first.err);

    checked.pair.agency(["key", "rotate", "baseline"]);
    checked.sync_to("epoch", 2);
    for more in [&[][..], &["--new"], &["--quiet"]] {
        let after = checked.rescan(more);
        assert_eq!(after.code, Some(2), "{more:?}: {}", after.err);
        assert!(after.err.contains("results to epoch 1 (4 kept) were destroyed with its key"), "{}", after.err);
        assert!(!after.err.contains("no longer listed") || after.err.contains(" 0 no longer listed"), "{}", after.err);
    }
    let after = checked.rescan(&[]);
    assert!(after.err.contains("4 not checked (4 RESULT_LOST)") && after.err.contains("hint: scan again"));
    assert!(!checked.pair.platform_dir().join("keys/results-baseline-1.key").exists());

    assert_eq!(checked.check().code, Some(1));
    let still = checked.rescan(&[]);
    assert!(still.err.contains("2 matches, 2 no match, 4 not checked (4 RESULT_LOST)"), "{}", still.err);
    assert_eq!(checked.pair.platform(["forget", "--lost"]).code, Some(0));
    let again = checked.rescan(&[]);
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(!again.err.contains("destroyed") && !again.err.contains("RESULT_LOST"), "{}", again.err);
}

#[test]
fn where_less_is_left_to_be_checked_lost_results_can_be_forgotten() {
    let checked = Checked::new();
    checked.pair.agency(["key", "rotate", "baseline"]);
    checked.sync_to("epoch", 2);
    let rest = checked.pair.write("rest.sha256", sums([unlisted(0)]));
    assert_eq!(checked.pair.platform(["check".as_ref(), "--hashes".as_ref(), rest.as_os_str()]).code, Some(0));
    let lost = checked.rescan(&[]);
    assert_eq!(lost.code, Some(2));
    assert!(lost.err.contains("1 no match, 4 not checked (4 RESULT_LOST)"), "{}", lost.err);
    assert_eq!(checked.pair.platform(["forget", "--lost"]).code, Some(0));
    let after = checked.rescan(&[]);
    assert_eq!(after.code, Some(0), "{}", after.err);
}

#[test]
fn a_rescan_passes_over_a_damaged_block_and_does_not_end_with_0() {
    // It failed, and so did every check of what was in there, until the epoch ended. Then it called what it could not look
    // at no longer listed, and new once it was checked again.
    let checked = Checked::new();
    assert_eq!(checked.rescan(&[]).code, Some(1));
    let more = checked.pair.write("more.sha256", sums([unlisted(7)]));
    let check_more = || checked.pair.platform(["check".as_ref(), "--hashes".as_ref(), more.as_os_str()]);
    assert_eq!(check_more().code, Some(0));
    let database = rusqlite::Connection::open(checked.pair.platform_dir().join("state.db")).unwrap();
    database.execute("UPDATE block SET sealed = zeroblob(50) WHERE id = (SELECT min(id) FROM block)", []).unwrap();
    drop(database);
    let rescan = checked.rescan(&[]);
    assert_eq!(rescan.code, Some(2), "{}", rescan.err);
    assert!(rescan.err.contains("0 matches, 1 no match, 4 not checked (4 RESULT_LOST)"), "{}", rescan.err);
    assert!(rescan.err.contains("0 new since the rescan before, 0 no longer listed"), "{}", rescan.err);
    let again = checked.check();
    assert_eq!(again.code, Some(1), "{}", again.err);
    assert!(again.err.contains("2 matches, 2 no match, 0 not checked"), "{}", again.err);
    assert_eq!(checked.pair.platform(["forget", "--lost"]).code, Some(0));
    let rescan = checked.rescan(&[]);
    assert!(rescan.err.contains("2 matches, 3 no match, 0 not checked"), "{}", rescan.err);
    assert!(rescan.err.contains("0 new since the rescan before, 0 no longer listed"), "{}", rescan.err);
}

#[test]
fn a_rescan_where_nothing_is_kept_is_an_error() {
    let checked = Checked::new();
    let config = checked.pair.platform_dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\nkeep_results = false\n")).unwrap();
    let rescan = checked.rescan(&[]);
    assert_eq!(rescan.code, Some(70));
    assert!(rescan.err.contains("(KEEPS_NOTHING)") && rescan.err.contains("hint: set keep_results"), "{}", rescan.err);
}

#[test]
fn with_new_only_new_matches_are_printed_and_told_by_the_code() {
    let checked = Checked::new();
    let new = |ended: &Ended| (ended.code, ended.out.lines().count());
    assert_eq!(new(&checked.rescan(&["--new", "--format", "jsonl"])), (Some(1), 2));
    let second = checked.rescan(&["--new", "--format", "jsonl"]);
    assert_eq!(new(&second), (Some(0), 0));
    assert!(second.err.contains("2 matches, 2 no match"), "older matches are counted: {}", second.err);
    assert_eq!(checked.rescan(&[]).code, Some(1), "and stand");

    let more = checked.pair.write("more.sha256", sums([unlisted(0)]));
    checked.pair.publish(&more, "B2");
    checked.sync_to("version", 2);
    assert_eq!(new(&checked.rescan(&["--new", "--format", "jsonl"])), (Some(1), 1));
}

#[test]
fn what_is_forgotten_is_in_no_rescan_and_is_asked_anew() {
    let checked = Checked::new();
    let uploads = checked.pair.path("uploads");
    fs::create_dir_all(uploads.join("deep")).unwrap();
    for name in ["a", "deep/b", "deep/c"] {
        fs::write(uploads.join(name), name).unwrap();
    }
    fs::write(checked.pair.path("uploads too"), "d").unwrap();
    let check = |name: &str| checked.pair.platform(["check".as_ref(), checked.pair.path(name).as_os_str()]);
    assert_eq!((check("uploads").code, check("uploads too").code), (Some(0), Some(0)));
    let kept = || checked.held()["kept"].as_u64().unwrap();
    assert_eq!(kept(), 8);
    fs::remove_dir_all(&uploads).unwrap();

    let folder = checked.pair.platform(["forget".as_ref(), uploads.join("deep/").as_os_str()]);
    assert_eq!((folder.code, folder.out.as_str()), (Some(0), "baseline: 2 forgotten\n"), "{}", folder.err);
    let file = checked.pair.platform(["forget".as_ref(), uploads.as_os_str()]);
    assert_eq!(file.out, "baseline: 1 forgotten\n");
    assert_eq!(kept(), 5, "a name that begins like the folder's is another's");

    assert_eq!(checked.rescan(&[]).code, Some(1));
    let gone =
        checked.pair.write("gone.sha256", format!("{}not a digest\n", sums([listed(0), unlisted(0), unlisted(9)])));
    let digests = checked.pair.platform(["forget".as_ref(), "--hashes".as_ref(), gone.as_os_str()]);
    assert_eq!((digests.code, digests.out.as_str()), (Some(2), "baseline: 2 forgotten\n"), "{}", digests.err);
    let rescan = checked.rescan(&[]);
    assert!(rescan.err.contains("1 match, 2 no match, 0 not checked"), "{}", rescan.err);
    let frames = || {
        serde_json::from_str::<Value>(&checked.pair.platform(["status", "--json"]).out).unwrap()["frames"]["answered"]
            .as_u64()
            .unwrap()
    };
    let before = frames();
    assert_eq!(checked.check().code, Some(1));
    assert_eq!(frames(), before + 1);
    assert_eq!(kept(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_with_two_digests_of_a_kind_is_not_checked_and_the_others_are() {
    // The second one, asked again, got the row of the first: a listed item was no match.
    let world = World::serving(3).await;
    let client = world.platform("platform.example").await;
    let twice = |key, items: [Item; 2]| Subject { key, reference: b"two".to_vec(), items: items.into(), whole: false };
    let refused = Outcome::NotChecked(NotChecked::KindTwice);
    for _ in 0..2 {
        let subjects = vec![
            bare(0, listed(0)),
            twice(1, [unlisted(0), listed(1)]),
            bare(2, unlisted(2)),
            twice(3, [listed(1), listed(1)]),
        ];
        let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
        let want = [matched("A1", 1), refused.clone(), Outcome::NoMatch { version: 1 }, refused.clone()];
        assert_eq!(outcomes, (0..).zip(want).collect::<Vec<_>>());
    }
    let alone = client.check(&world.list, twice(9, [unlisted(0), listed(1)]), veilmatch_tests::PATIENCE).await;
    assert_eq!(alone, refused);
    assert_eq!(refused_name(&refused), "KIND_TWICE");
    assert_eq!(client.check(&world.list, bare(0, listed(1)), veilmatch_tests::PATIENCE).await, matched("A1", 1));
    client.shutdown().await;
}

fn refused_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::NotChecked(why) => why.reason(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_a_running_client_leaves_no_results_of_the_old_epoch() {
    let world = World::serving(20).await;
    let client = world.platform("platform.example").await;
    let dir = world.platform_dir("platform.example");
    let subjects: Vec<Subject> = (0..5_000).map(|n| bare(n as u64, unlisted(n))).collect();
    let answered = client.check_stream(&world.list, futures::stream::iter(subjects)).count().await;
    assert_eq!(answered, 5_000);
    assert_eq!(client.rescan(&world.list, |_| ()).unwrap().subjects, 5_000);
    world.agency().rotate(&world.list, now(), &|_| {}).unwrap();
    until(async || (client.sync(&world.list, |_| {}).await.unwrap().version == 3).then_some(())).await;
    let after = client.rescan(&world.list, |_| ()).unwrap();
    assert_eq!((after.subjects, after.lost()), (0, 5_000));
    let destroyed = after.destroyed.unwrap();
    assert_eq!((destroyed.epoch, destroyed.subjects), (1, 5_000));
    client.shutdown().await;
    let database = rusqlite::Connection::open(dir.join("state.db")).unwrap();
    for table in ["block", "fresh", "seen", "mark"] {
        let rows: i64 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}: shutting down waits for the end of the deleting");
    }
}

#[test]
fn a_database_that_is_none_is_named() {
    let checked = Checked::new();
    let database = checked.pair.platform_dir().join("state.db");
    for log in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(checked.pair.platform_dir().join(log));
    }
    fs::write(&database, "this was a database once, and now it is a text of some length\n".repeat(40)).unwrap();
    let mut check = checked.pair.platform_command();
    check.args(["check", "--hashes"]).arg(&checked.hashes);
    let ended = ended(check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (Some(70), ""));
    assert!(ended.err.contains("(DATABASE)"), "{}", ended.err);
    assert!(ended.err.contains("state.db") && ended.err.contains("hint: "), "{}", ended.err);
}

#[test]
fn no_digest_of_a_platform_is_in_its_directory_after_a_rescan() {
    // What a rescan remembers stood in a file, as a digest of reference and label with its salt beside it.
    let checked = Checked::new();
    assert_eq!(checked.rescan(&[]).code, Some(1));
    let needles = Needles::of(&[listed(0), listed(1), unlisted(0)]);
    for (path, bytes) in files(&checked.pair.platform_dir()) {
        assert_eq!(needles.find(&bytes), None, "{}", path.display());
    }
    assert!(!checked.pair.platform_dir().join("rescans").exists());
}
