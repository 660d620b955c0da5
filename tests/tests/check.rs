//! The private check through both libraries: publish, enrol, synchronise, check, retract, rotate, rescan.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures::StreamExt;
use veilmatch_client::{NotChecked, Outcome, Subject};
use veilmatch_protocol::item::{Item, Kind};
use veilmatch_tests::{PATIENCE, World, bare, listed, matched, now, unlisted, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_item_is_a_match_with_its_label_and_an_unlisted_one_is_none() {
    let mut world = World::new();
    world.import(&[listed(0), listed(1)], "A1");
    world.import(&[listed(2)], "B2");
    world.publish();
    world.start().await;
    let client = world.platform("platform.example").await;
    let check = async |item| client.check(&world.list, bare(0, item), PATIENCE).await;
    assert_eq!(check(listed(0)).await, matched("A1", 1));
    assert_eq!(check(listed(2)).await, matched("B2", 1));
    assert_eq!(check(unlisted(0)).await, Outcome::NoMatch { version: 1 });
    // Asked again, it is answered from what is kept: no further frame.
    let frames = client.frames().unwrap();
    assert_eq!(check(listed(0)).await, matched("A1", 1));
    assert_eq!(client.frames().unwrap(), frames);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_exactly_the_plain_intersection_in_order() {
    let world = World::serving(1_500).await;
    let client = world.platform("platform.example").await;
    // Heavy duplicates, more than one frame, matches at odd places.
    let items: Vec<Item> = (0..6_000)
        .map(|n| match n % 7 {
            0 => listed(n % 2_000),
            3 => unlisted(5),
            _ => unlisted(n),
        })
        .collect();
    let subjects: Vec<Subject> = items.iter().enumerate().map(|(n, item)| bare(n as u64, item.clone())).collect();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    let set: std::collections::HashSet<Item> = (0..1_500).map(listed).collect();
    assert_eq!(outcomes.len(), items.len());
    for (n, ((key, outcome), item)) in outcomes.iter().zip(&items).enumerate() {
        assert_eq!(*key, n as u64);
        let want = if set.contains(item) { matched("A1", 1) } else { Outcome::NoMatch { version: 1 } };
        assert_eq!(*outcome, want, "subject {n}");
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_entry_stops_matching_by_a_small_delta_and_a_rescan_asks_nobody() {
    let world = World::serving(3_000).await;
    let client = world.platform("platform.example").await;
    let subjects: Vec<_> = (0..100)
        .map(|n| bare(n, listed(n as usize)))
        .chain((100..200).map(|n| bare(n, unlisted(n as usize))))
        .collect();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == matched("A1", 1)).count(), 100);

    world.retract(&[listed(7)]);
    world.import(&[unlisted(150)], "C3");
    world.publish();
    let frames = client.frames().unwrap();
    let report = synced_to(&client, &world, 2).await;
    assert!(report.by_delta);
    // Two changes of 36 + 4 bytes and 4 KiB fit into the class of 8 KiB.
    assert!(report.fetched <= 8_192, "{}", report.fetched);

    let mut found = std::collections::BTreeMap::new();
    let rescan = client.rescan(&world.list, |hit| drop(found.insert(hit.reference, hit.outcome))).unwrap();
    assert_eq!((rescan.subjects, rescan.lost()), (200, 0));
    assert_eq!(found.len(), 100);
    let by = |item: &Item| bare(0, item.clone()).reference;
    assert!(!found.contains_key(&by(&listed(7))));
    assert_eq!(found[&by(&unlisted(150))], matched("C3", 2));
    assert_eq!(client.frames().unwrap(), frames);
    client.shutdown().await;
}

// The running server learns of a publication within its poll interval; until then it offers the older version.
async fn synced_to(client: &veilmatch_client::Client, world: &World, version: u32) -> veilmatch_client::SyncReport {
    until(async || Some(client.sync(&world.list, |_| {}).await.unwrap()).filter(|report| report.version == version))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_client_learns_of_a_new_version_by_itself() {
    let world = World::serving(10).await;
    let client = world.platform("platform.example").await;
    client.keep_current();
    assert_eq!(client.check(&world.list, bare(0, listed(3)), PATIENCE).await, matched("A1", 1));
    world.retract(&[listed(3)]);
    world.publish();
    let ask = async || Some(client.check(&world.list, bare(0, listed(3)), PATIENCE).await);
    let later = until(async || ask().await.filter(|outcome| *outcome != matched("A1", 1))).await;
    assert_eq!(later, Outcome::NoMatch { version: 2 });
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_key_is_rotated_both_epochs_answer_and_the_client_moves_on() {
    let world = World::serving(50).await;
    let old = world.platform("old.example").await;
    world.agency().rotate(&world.list, now(), &|_| {}).unwrap();
    let new = world.platform("new.example").await;
    // Two consecutive versions: the old epoch's first.
    synced_to(&new, &world, 3).await;
    // The one that has not synchronised goes on under the first epoch, the other asks under the second.
    let epoch = |client: &veilmatch_client::Client| client.status().unwrap()[0].held.as_ref().unwrap().epoch;
    assert_eq!((epoch(&old), epoch(&new)), (1, 2));
    assert_eq!(old.check(&world.list, bare(0, listed(1)), PATIENCE).await, matched("A1", 1));
    assert_eq!(new.check(&world.list, bare(0, listed(1)), PATIENCE).await, matched("A1", 3));
    let report = synced_to(&old, &world, 3).await;
    assert!(!report.by_delta, "another key makes another artifact");
    assert_eq!(old.check(&world.list, bare(0, listed(1)), PATIENCE).await, matched("A1", 3));
    old.shutdown().await;
    new.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_digest_of_every_kind_is_not_checked_unless_one_matches() {
    // SPEC §12.2, §12.3
    let mut world = World::with_kinds(&[Kind::Md5, Kind::Sha256]);
    world.import(&[listed(0)], "A1");
    world.publish();
    world.start().await;
    let client = world.platform("platform.example").await;
    let check = async |items, whole| {
        let subject = Subject { key: 0, reference: b"file".to_vec(), items, whole };
        client.check(&world.list, subject, PATIENCE).await
    };
    let md5 = |byte: u8| Item::new(Kind::Md5, &[byte; 16]).unwrap();
    assert_eq!(check(vec![listed(0)], true).await, matched("A1", 1));
    assert_eq!(check(vec![md5(9), listed(0)], true).await, matched("A1", 1));
    assert_eq!(check(vec![md5(9), unlisted(0)], true).await, Outcome::NoMatch { version: 1 });
    let missing = Outcome::NotChecked(NotChecked::KindMissing(Kind::Md5));
    assert_eq!(check(vec![unlisted(0)], true).await, missing);
    let sha1 = Item::new(Kind::Sha1, &[3; 20]).unwrap();
    assert_eq!(check(vec![sha1], false).await, Outcome::NotChecked(NotChecked::KindNotListed(Kind::Sha1)));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_checks_share_frames() {
    let world = World::serving(10).await;
    let client = world.platform("platform.example").await;
    let checks = (0..200)
        .map(|n| client.check(&world.list, bare(0, if n % 20 == 0 { listed(n / 20) } else { unlisted(n) }), PATIENCE));
    let outcomes = futures::future::join_all(checks).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let want = if n % 20 == 0 { matched("A1", 1) } else { Outcome::NoMatch { version: 1 } };
        assert_eq!(*outcome, want, "check {n}");
    }
    let frames: u64 = client.frames().unwrap().iter().map(|(_, count)| count).sum();
    assert!(frames <= 20, "200 checks took {frames} frames");
    client.shutdown().await;
}
