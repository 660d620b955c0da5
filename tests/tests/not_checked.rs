//! Whatever fails, the answer is *not checked* with its reason, and never *no match* (SPEC §12.1).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use veilmatch_client::{Client, NotChecked, Outcome, Subject};
use veilmatch_proto::Reason;
use veilmatch_protocol::{
    item::{Item, Kind},
    name::PlatformId,
};
use veilmatch_server::admin::ClientTerms;
use veilmatch_tests::{Moved, PATIENCE, World, bare, listed, matched, now, unlisted, until};

const PLATFORM: &str = "platform.example";
const DAY: u64 = 86_400;

async fn ask(client: &Client, world: &World, item: Item) -> Outcome {
    client.check(&world.list, bare(0, item), PATIENCE).await
}

fn reason(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::NotChecked(why) => why.reason(),
        other => panic!("{other:?}"),
    }
}

/// Sets a field of the platform's configuration.
fn configure(dir: &Path, line: &str) {
    let path = dir.join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}\n{line}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_nothing_is_answered() {
    // SPEC §12.1 NO_LIST
    let world = World::new();
    let client = Client::open(&world.enrol(PLATFORM, &ClientTerms::default())).unwrap();
    assert_eq!(reason(&ask(&client, &world, listed(0)).await), "NO_LIST");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_expired_version_nothing_is_answered_and_a_rescan_says_so() {
    // SPEC §8.5, §12.1 EXPIRED. The rescan deleted the marks of what it had not looked up: every match was no longer listed,
    // and new once more after the next synchronisation.
    let mut world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let client = world.open(&dir).await;
    assert_eq!(ask(&client, &world, listed(0)).await, matched("A1", 1));
    assert_eq!(ask(&client, &world, unlisted(0)).await, Outcome::NoMatch { version: 1 });
    assert_eq!(rescan(&client, &world), (vec![(matched("A1", 1), Some(true))], 0));
    world.stop().await;

    // A next version that was published a month ago, by a server whose clock stands there.
    world.import(&[listed(3)], "A1");
    world.agency().publish(&world.list, false, now() - 30 * DAY, &|_| {}).unwrap();
    world.options.clock = Arc::new(Moved(-(30 * DAY as i64)));
    world.start().await;
    assert_eq!(client.sync(&world.list, |_| {}).await.unwrap().version, 2);
    assert!(!client.status().unwrap()[0].held.as_ref().unwrap().valid);
    assert_eq!(reason(&ask(&client, &world, listed(0)).await), "EXPIRED");
    assert_eq!(reason(&ask(&client, &world, unlisted(1)).await), "EXPIRED");
    let expired = (Outcome::NotChecked(NotChecked::Expired), None);
    assert_eq!(rescan(&client, &world), (vec![expired.clone(), expired], 0));
    world.stop().await;

    world.options.clock = Arc::new(Moved(0));
    world.agency().publish(&world.list, true, now(), &|_| {}).unwrap();
    world.start().await;
    let version = client.sync(&world.list, |_| {}).await.unwrap().version;
    assert_eq!(rescan(&client, &world), (vec![(matched("A1", version), Some(false))], 0));
    client.shutdown().await;
}

/// What a rescan finds with what of it is new, and how many of the rescan before are no longer listed.
fn rescan(client: &Client, world: &World) -> (Vec<(Outcome, Option<bool>)>, u64) {
    let mut found = Vec::new();
    let rescan = client.rescan(&world.list, |one| found.push((one.outcome, one.new))).unwrap();
    (found, rescan.remember().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_list_has_not_is_told_apart_from_one_that_is_missing() {
    // SPEC §12.2, §12.3 KIND_MISSING KIND_NOT_LISTED
    let mut world = World::with_kinds(&[Kind::Sha1, Kind::Sha256]);
    world.import(&[listed(0)], "A1");
    world.publish();
    world.start().await;
    let client = world.platform(PLATFORM).await;
    let md5 = Item::new(Kind::Md5, &[9; 16]).unwrap();
    assert_eq!(reason(&ask(&client, &world, md5).await), "KIND_NOT_LISTED");
    let mut file = bare(0, unlisted(0));
    file.whole = true;
    assert_eq!(reason(&client.check(&world.list, file, PATIENCE).await), "KIND_MISSING");
    let frames: u64 = client.frames().unwrap().iter().map(|(_, count)| count).sum();
    assert_eq!(frames, 1, "a kind that the list has not is not asked");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_offline_and_a_short_deadline_is_kept() {
    // SPEC §12.1 OFFLINE DEADLINE
    let mut world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    configure(&dir, "check_deadline_ms = 300");
    let client = world.open(&dir).await;
    assert_eq!(ask(&client, &world, listed(0)).await, matched("A1", 1));
    world.stop().await;
    assert_eq!(reason(&ask(&client, &world, listed(1)).await), "OFFLINE");
    let start = Instant::now();
    let outcome = client.check(&world.list, bare(0, listed(1)), Duration::from_millis(50)).await;
    assert_eq!(reason(&outcome), "DEADLINE");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(ask(&client, &world, listed(0)).await, matched("A1", 1), "what is kept needs no server");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_budget_is_refused_with_the_time_to_wait() {
    // SPEC §9.6, §12.1 BUDGET_EXHAUSTED
    let world = World::serving(3).await;
    let terms = ClientTerms { elements_per_day: Some(2), ..ClientTerms::default() };
    let client = world.open(&world.enrol(PLATFORM, &terms)).await;
    assert_eq!(ask(&client, &world, listed(0)).await, matched("A1", 1));
    assert_eq!(ask(&client, &world, listed(1)).await, matched("A1", 1));
    for n in [2, 3] {
        match ask(&client, &world, listed(n)).await {
            Outcome::NotChecked(NotChecked::Refused { reason: Reason::BudgetExhausted, retry_after: Some(wait) }) => {
                assert!(wait <= Duration::from_secs(DAY), "{wait:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ask(&client, &world, listed(1)).await, matched("A1", 1), "what is kept costs nothing");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_no_frame_of_a_days_budget_holds_is_told_so() {
    // SPEC §9.6, §12.2 FRAME_EXCEEDS_BUDGET. A file of two kinds under a budget of three elements was put into the largest
    // frame that the budget holds, which is one of one: the thread panicked and the answer was SHUT_DOWN.
    let mut world = World::with_kinds(&[Kind::Sha1, Kind::Sha256]);
    world.import(&[listed(0)], "A1");
    world.publish();
    world.start().await;
    let terms = ClientTerms { elements_per_day: Some(3), ..ClientTerms::default() };
    let client = world.open(&world.enrol(PLATFORM, &terms)).await;
    let file = Subject {
        items: vec![Item::new(Kind::Sha1, &[3; 20]).unwrap(), unlisted(1)],
        whole: true,
        ..bare(1, unlisted(1))
    };
    let subjects = vec![bare(0, listed(0)), file.clone(), bare(2, unlisted(2))];
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert_eq!(outcomes[0], (0, matched("A1", 1)));
    assert_eq!(reason(&outcomes[1].1), "FRAME_EXCEEDS_BUDGET");
    assert_eq!(outcomes[2], (2, Outcome::NoMatch { version: 1 }));
    assert_eq!(reason(&client.check(&world.list, file, PATIENCE).await), "FRAME_EXCEEDS_BUDGET");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_platform_is_refused_until_it_is_resumed() {
    // SPEC §9.2 SUSPENDED
    let world = World::serving(3).await;
    let client = world.platform(PLATFORM).await;
    let platform = PlatformId::parse(PLATFORM).unwrap();
    world.agency().client_suspend(&platform, false, now()).unwrap();
    // The running server learns of it within its poll interval; until then it answers.
    let mut n = 0;
    let refused = until(async || {
        n += 1;
        Some(ask(&client, &world, unlisted(n)).await).filter(|outcome| matches!(outcome, Outcome::NotChecked(_)))
    })
    .await;
    assert_eq!(reason(&refused), "SUSPENDED");
    world.agency().client_suspend(&platform, true, now()).unwrap();
    let again = async || Some(ask(&client, &world, listed(1)).await).filter(|outcome| *outcome == matched("A1", 1));
    until(again).await;
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agencys_authority_is_a_certificate_error_and_not_a_server_that_is_away() {
    // SPEC §9.1, §12.1 CERTIFICATE
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    world.open(&dir).await.shutdown().await;
    let other = World::new();
    let foreign: serde_json::Value =
        serde_json::from_slice(&fs::read(invitation(&other.enrol(PLATFORM, &ClientTerms::default()))).unwrap())
            .unwrap();
    let path = invitation(&dir);
    let mut ours: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    ours["authority"] = foreign["authority"].clone();
    fs::write(&path, ours.to_string()).unwrap();

    let client = Client::open(&dir).unwrap();
    assert_eq!(reason(&ask(&client, &world, listed(0)).await), "CERTIFICATE");
    let error = client.sync(&world.list, |_| {}).await.unwrap_err();
    assert_eq!(error.reason(), "CERTIFICATE", "{error}");
    client.shutdown().await;
}

fn invitation(dir: &Path) -> std::path::PathBuf {
    dir.join("invitation.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_altered_on_disk_is_no_answer() {
    // SPEC §7.4, §12.1 ALTERED_RECORD
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    world.open(&dir).await.shutdown().await;
    let artifact = dir.join("lists/baseline/1.vml");
    let mut bytes = fs::read(&artifact).unwrap();
    // The last byte is of the last record: opening the file looks at header and directory only.
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&artifact, bytes).unwrap();
    let client = Client::open(&dir).unwrap();
    for item in [listed(0), unlisted(0)] {
        assert_eq!(reason(&ask(&client, &world, item).await), "ALTERED_RECORD");
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_keeps_frames_from_being_sent() {
    // SPEC §12.1 STORAGE
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let client = world.open(&dir).await;
    // What a full disk does: no page can be added.
    let other = rusqlite::Connection::open(dir.join("state.db")).unwrap();
    other.execute_batch("DROP TABLE frame").unwrap();
    assert_eq!(reason(&ask(&client, &world, listed(0)).await), "STORAGE");
    client.shutdown().await;
    let frames = rusqlite::Connection::open(world.agency_dir().join("veilmatch.db")).unwrap();
    let asked: i64 = frames.query_row("SELECT count(*) FROM frame", [], |row| row.get(0)).unwrap();
    assert_eq!(asked, 0, "the intent comes before the sending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_shut_down_says_so() {
    // SPEC §12.1 SHUT_DOWN
    let world = World::serving(3).await;
    let client = world.platform(PLATFORM).await;
    let other = client.clone();
    client.shutdown().await;
    assert_eq!(reason(&ask(&other, &world, listed(0)).await), "SHUT_DOWN");
}

/// The totals of today as they are on the disk, which is what a kill leaves.
fn totals(dir: &Path) -> Vec<(String, i64)> {
    let database = rusqlite::Connection::open(dir.join("state.db")).unwrap();
    let mut query = database.prepare("SELECT what, sum(n) FROM total GROUP BY what ORDER BY what").unwrap();
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_counted_on_the_disk() {
    // SPEC §18.5. What was offered and could not be checked was counted in memory until another frame ended: a kill made the
    // day's totals too small.
    let mut world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let client = world.open(&dir).await;
    let said = |expected: &[(&str, i64)]| {
        let expected: Vec<_> = expected.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect();
        assert_eq!(totals(&dir), expected);
    };
    ask(&client, &world, listed(0)).await;
    said(&[("answered", 1), ("frames", 1), ("matches", 1), ("offered", 1), ("queried", 1)]);
    ask(&client, &world, listed(0)).await;
    said(&[("answered", 2), ("frames", 1), ("matches", 1), ("offered", 2), ("queried", 1)]);
    let md5 = Item::new(Kind::Md5, &[7; 16]).unwrap();
    assert_eq!(reason(&ask(&client, &world, md5).await), "KIND_NOT_LISTED");
    world.stop().await;
    configure(&dir, "check_deadline_ms = 300");
    client.shutdown().await;
    let client = Client::open(&dir).unwrap();
    assert_eq!(reason(&ask(&client, &world, unlisted(1)).await), "OFFLINE");
    let not_checked = [("not_checked:KIND_NOT_LISTED", 1), ("not_checked:OFFLINE", 1)];
    let counted = [("answered", 2), ("frames", 2), ("matches", 1)];
    said(&[&counted[..], &not_checked, &[("offered", 4), ("queried", 2)]].concat());
    client.shutdown().await;
}
