//! What each side gets and keeps says nothing about the other's set (SPEC §11): taken from decoded messages, above TLS,
//! and from every file of each side.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use futures::StreamExt;
use veilmatch_client::{Client, Outcome, Subject};
use veilmatch_protocol::item::Item;
use veilmatch_server::admin::ClientTerms;
use veilmatch_tests::{
    World, bare, files,
    leak::Needles,
    listed,
    middle::{Acts, Middle},
    unlisted, until,
};

const PLATFORM: &str = "platform.example";
const ENTRIES: usize = 2_000;

/// A world in which a platform has synchronised, scanned, been cut off in the middle of another scan, synchronised again
/// and rescanned. Half of the list is on the platform, and as many files that are not listed.
struct Lived {
    world: World,
    middle: Middle,
}

fn held() -> Vec<Item> {
    (0..ENTRIES / 2).map(listed).chain((0..ENTRIES / 2).map(unlisted)).collect()
}

async fn live() -> Lived {
    let mut world = World::new();
    world.import(&(0..ENTRIES).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts::default()).await;

    let client = world.open(&dir).await;
    let items = held();
    scan(&client, &world, &items[..1_500]).await;
    // Cut off: the stream is dropped with a frame on its way, and the process does nothing more about it.
    let rest: Vec<Subject> = items[1_000..].iter().map(|item| bare(0, item.clone())).collect();
    let mut cut_off = client.check_stream(&world.list, futures::stream::iter(rest));
    drop(tokio::time::timeout(std::time::Duration::from_millis(1), cut_off.next()).await);
    drop(cut_off);
    client.shutdown().await;

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
    world.stop().await;
    Lived { world, middle }
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
    in_messages(&agency, lived.middle.heard.to_server())
        .or_else(|| in_files(&agency, lived.world.agency_dir()))
        .or_else(|| in_messages(&platform, lived.middle.heard.to_client()))
        .or_else(|| in_files(&platform, lived.world.platform_dir(PLATFORM)))
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_has_a_digest_of_the_other_and_a_leak_on_purpose_is_found() {
    // SPEC §11
    let lived = live().await;
    assert!(lived.middle.heard.to_server().len() > 3 && lived.middle.heard.to_client().len() > 3);
    assert_eq!(leaked(&lived), None);

    let (agency, platform) = (lived.world.agency_dir().join("leak"), lived.world.platform_dir(PLATFORM).join("leak"));
    std::fs::write(&agency, hex::encode(unlisted(3).digest())).unwrap();
    assert!(leaked(&lived).is_some_and(|place| place.starts_with("hex")));
    std::fs::remove_file(agency).unwrap();
    std::fs::write(platform, listed(ENTRIES - 1).digest()).unwrap();
    assert!(leaked(&lived).is_some_and(|place| place.starts_with("raw")));
}

/// The lengths of the messages that the agency got for a scan, and of everything in the records it kept of it.
async fn shape_of_a_scan(matches: usize) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut world = World::new();
    world.import(&(0..1_000).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts::default()).await;
    let client = world.open(&dir).await;
    let before = middle.heard.to_server().len();
    let items: Vec<Item> = (0..matches).map(listed).chain((matches..5_000).map(unlisted)).collect();
    scan(&client, &world, &items).await;
    client.shutdown().await;
    let mut messages: Vec<usize> = middle.heard.to_server()[before..].iter().map(Vec::len).collect();
    messages.sort_unstable();
    world.stop().await;

    let database = rusqlite::Connection::open(world.agency_dir().join("veilmatch.db")).unwrap();
    let mut frames = database.prepare("SELECT * FROM frame ORDER BY n").unwrap();
    let columns = frames.column_count();
    let lengths = |row: &rusqlite::Row<'_>| (0..columns).map(|at| Ok(length(row.get_ref(at)?))).collect();
    let records = frames.query_map([], lengths).unwrap().map(Result::unwrap).collect();
    (messages, records)
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
    let none = shape_of_a_scan(0).await;
    let many = shape_of_a_scan(1_000).await;
    assert_eq!(none.0.len(), 2, "5,000 items are a full frame and a smaller one");
    assert_eq!(none, many);
}
