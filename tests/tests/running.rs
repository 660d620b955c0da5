//! A client over its life: what it does by itself, what callers who go away leave behind, how it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use tonic::Status;
use veilmatch_client::{Client, Error, NotChecked, Outcome, Subject};
use veilmatch_proto::{Reason, Refused, pb};
use veilmatch_server::admin::ClientTerms;
use veilmatch_tests::{
    PATIENCE, World, bare, listed, matched,
    middle::{Acts, Middle, OnChunk},
    unlisted, until,
};

const PLATFORM: &str = "platform.example";

fn subjects(n: usize) -> Vec<Subject> {
    (0..n).map(|n| bare(n as u64, if n % 3 == 0 { listed(n / 3 % 10) } else { unlisted(n) })).collect()
}

fn answered(client: &Client) -> u64 {
    client.frames().unwrap().iter().filter(|(status, _)| status == "answered").map(|(_, count)| count).sum()
}

/// A served world with frames of four elements at most.
async fn with_small_frames() -> World {
    let mut world = World::new();
    world.frame_sizes("[1, 4]");
    world.import(&(0..10).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    world.start().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_leave_while_nobody_looks_at_the_answers_before() {
    // SPEC §12.4. The next frame left when the one before was looked up and read, and a look-up takes the longer the more
    // it finds: the pace of frames told the agency how much had matched.
    let world = with_small_frames().await;
    let client = world.platform(PLATFORM).await;
    let outcomes = client.check_stream(&world.list, futures::stream::iter(subjects(60)));
    until(async || (answered(&client) == 15).then_some(())).await;
    let outcomes: Vec<_> = outcomes.collect().await;
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == matched("A1", 1)).count(), 20);
    assert!(outcomes.iter().map(|(key, _)| *key).eq(0..60));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_no_reader_and_everything_given_is_answered() {
    // SPEC §12.1 SHUT_DOWN. A reader that had stopped reading held the shutdown for ever; what was not asked yet had no
    // answer at all, and a clone went on asking.
    let world = with_small_frames().await;
    let client = world.platform(PLATFORM).await;
    let other = client.clone();
    let outcomes = client.check_stream(&world.list, futures::stream::iter(subjects(1_000)));
    until(async || (answered(&client) >= 4).then_some(())).await;
    client.shutdown().await;
    let frames = other.frames().unwrap();
    assert!(answered(&other) < 250, "the reader never read: {frames:?}");
    let outcomes: Vec<_> = outcomes.collect().await;
    assert!(outcomes.iter().map(|(key, _)| *key).eq(0..1_000));
    let shut_down = |outcome: &Outcome| *outcome == Outcome::NotChecked(NotChecked::ShutDown);
    let begun = outcomes.iter().position(|(_, outcome)| shut_down(outcome)).unwrap();
    assert!(begun >= 16 && outcomes[begun..].iter().all(|(_, outcome)| shut_down(outcome)), "{begun}");

    let later: Vec<_> = other.check_stream(&world.list, futures::stream::iter(subjects(10))).collect().await;
    assert!(later.len() == 10 && later.iter().all(|(_, outcome)| shut_down(outcome)), "{later:?}");
    assert!(matches!(other.sync(&world.list, |_| {}).await, Err(Error::ShutDown)));
    assert_eq!(other.frames().unwrap(), frames, "nothing is sent any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_that_no_longer_fit_into_one_frame_are_asked_in_several() {
    // SPEC §9.4 FRAME_SIZE. A batch was packed for the version held then; after a synchronisation in between to one with
    // smaller frames it fitted into none of them, and the thread panicked.
    let mut world = World::new();
    world.import(&(0..10).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let asked = AtomicUsize::new(0);
    let answer = Arc::new(move |_: &pb::EvaluateRequest, answer| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Status::from(Refused { reason: Reason::FrameSize, retry_after: None })),
        _ => Ok(answer),
    });
    let _middle = world.start_behind(&dir, Acts { answer, ..Acts::default() }).await;
    let client = world.open(&dir).await;
    world.frame_sizes("[1, 4]");
    world.import(&[listed(10)], "A1");
    world.publish();
    let other = world.open(&world.enrol("other.example", &ClientTerms::default())).await;
    until(async || (other.sync(&world.list, |_| {}).await.unwrap().version == 2).then_some(())).await;
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects(10))).collect().await;
    for (key, outcome) in outcomes {
        let want = if key % 3 == 0 { matched("A1", 2) } else { Outcome::NoMatch { version: 2 } };
        assert_eq!(outcome, want, "subject {key}");
    }
    other.shutdown().await;
    client.shutdown().await;
}

/// A world behind somebody who acts on the pieces of files; a platform's directory that has not synchronised.
async fn with_files(chunk: Arc<OnChunk>) -> (World, Middle, PathBuf) {
    let mut world = World::new();
    world.import(&(0..10).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts { chunk, ..Acts::default() }).await;
    (world, middle, dir)
}

/// Pieces of files wait until they are let go; tells of each that it waits.
fn held_back() -> (Arc<OnChunk>, mpsc::Sender<()>, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let (waiting, waits) = tokio::sync::mpsc::unbounded_channel();
    let wait = Mutex::new(wait);
    let chunk: Arc<OnChunk> = Arc::new(move |_, chunk| {
        // Whoever has gone away needs no word.
        let _ = waiting.send(());
        tokio::task::block_in_place(|| wait.lock().unwrap().recv()).map_err(|_| Status::cancelled("over"))?;
        Ok(chunk)
    });
    (chunk, go, waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronisation_that_nobody_waits_for_any_more_keeps_others_out() {
    // The turn ended with the caller and the work went on: the next synchronisation wrote into the same files.
    let (chunk, go, mut waits) = held_back();
    let (world, _middle, dir) = with_files(chunk).await;
    let client = Client::open(&dir).unwrap();
    let first = tokio::select! {
        _ = client.sync(&world.list, |_| {}) => panic!("it cannot have the file"),
        first = waits.recv() => first,
    };
    first.unwrap();
    let (other, list) = (client.clone(), world.list.clone());
    let second = tokio::spawn(async move { other.sync(&list, |_| {}).await.unwrap() });
    // That something does not happen takes some waiting; a machine too slow for it lets the test pass, never fail.
    let fetching = tokio::time::timeout(Duration::from_millis(500), waits.recv()).await;
    assert!(fetching.is_err(), "the first one still writes");
    go.send(()).unwrap();
    let report = second.await.unwrap();
    assert_eq!((report.before, report.version, report.fetched), (Some(1), 1, 0), "the first one brought it");
    assert!(waits.recv().now_or_never().is_none(), "the file was fetched once");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_a_synchronisation_and_leaves_the_directory_free() {
    // It did not look at the end of the client, and held the directory's lock after `shutdown` had returned.
    let (chunk, _go, mut waits) = held_back();
    let (world, _middle, dir) = with_files(chunk).await;
    let client = Client::open(&dir).unwrap();
    let (other, list) = (client.clone(), world.list.clone());
    let syncing = tokio::spawn(async move { other.sync(&list, |_| {}).await });
    waits.recv().await.unwrap();
    client.shutdown().await;
    assert!(matches!(syncing.await.unwrap(), Err(Error::ShutDown)));
    Client::open(&dir).unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_had_is_not_fetched_without_pause() {
    // The stream of versions repeats the newest at once, so each failure was followed by the next download.
    let starts: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&starts);
    let chunk: Arc<OnChunk> = Arc::new(move |_, mut chunk| {
        seen.lock().unwrap().push(Instant::now());
        chunk.data[0] ^= 1;
        Ok(chunk)
    });
    let (_world, _middle, dir) = with_files(chunk).await;
    let client = Client::open(&dir).unwrap();
    client.keep_current();
    let starts = until(async || Some(starts.lock().unwrap().clone()).filter(|starts| starts.len() >= 5)).await;
    // 100, 200, 400 and 800 ms, each less a fifth at most.
    assert!(starts[4] - starts[0] >= Duration::from_millis(1_200), "{starts:?}");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_taken_at_once_when_it_is_announced() {
    // SPEC §9.3
    let mut world = World::serving(10).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    std::fs::write(
        dir.join("config.toml"),
        std::fs::read_to_string(dir.join("config.toml")).unwrap() + "\npoll_s = 3600\n",
    )
    .unwrap();
    let client = world.open(&dir).await;
    client.keep_current();
    for n in 0..3 {
        world.import(&[unlisted(n)], "B2");
        world.publish();
        let version = 2 + u32::try_from(n).unwrap();
        until(async || (client.status().unwrap()[0].held.as_ref().unwrap().version == version).then_some(())).await;
    }
    // A server that comes back is found again without waiting for the interval.
    world.stop().await;
    world.start().await;
    world.import(&[unlisted(7)], "B2");
    world.publish();
    until(async || (client.status().unwrap()[0].held.as_ref().unwrap().version == 5).then_some(())).await;
    assert_eq!(client.check(&world.list, bare(0, unlisted(7)), PATIENCE).await, matched("B2", 5));
    client.shutdown().await;
}
