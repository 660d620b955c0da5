//! Labels with a code book, and matches of weak kinds only, between a real server and a real client.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use futures::StreamExt;
use prost::Message;
use sha2::{Digest, Sha512};
use veilmatch_client::{Client, Outcome, Subject};
use veilmatch_proto::pb;
use veilmatch_protocol::{
    item::{Item, Kind},
    label::CodedLabel,
};
use veilmatch_server::admin::ClientTerms;
use veilmatch_tests::{PATIENCE, World, coded, middle::Acts};

const PLATFORM: &str = "platform.example";

/// A synthetic digest of a kind.
fn item(kind: Kind, n: u8) -> Item {
    Item::new(kind, &Sha512::digest([kind.id(), n])[..kind.digest_len()]).unwrap()
}

fn label(stronger_listed: bool, category: u16, source: u8, reference: &str) -> CodedLabel<'_> {
    CodedLabel { stronger_listed, category, source, reference: Some(reference) }
}

fn file(key: u64, items: &[Item]) -> Subject {
    Subject { key, reference: format!("/up/{key}").into_bytes(), items: items.to_vec(), whole: true }
}

/// Content 0 is listed under md5 and sha256, content 1 under md5 alone, content 2 with numbers that no book has.
fn world() -> World {
    let world = World::with_kinds(&[Kind::Md5, Kind::Sha256]);
    world.publish();
    let entries = [
        (item(Kind::Md5, 0), label(true, 2, 1, "case 7")),
        (item(Kind::Sha256, 0), label(false, 2, 1, "case 7")),
        (item(Kind::Md5, 1), label(false, 1, 0, "")),
        (item(Kind::Sha256, 2), label(false, 9, 9, "case 9")),
    ];
    coded::sign(&world, &entries, &coded::code_book(&world));
    world
}

/// Of a match: whether only weak kinds do, and the code with its scheme.
type Told = Option<(bool, Option<String>)>;

/// Files and what is told of them.
fn expected() -> Vec<(Subject, Told)> {
    let told = |weak_only, code: &str| Some((weak_only, Some(code.to_owned())));
    let both = |n, m| [item(Kind::Md5, n), item(Kind::Sha256, m)];
    vec![
        (file(0, &both(0, 0)), told(false, "uk:A")),
        // The planted one: its md5 is made to be a listed file's.
        (file(1, &both(0, 100)), told(true, "uk:A")),
        (file(2, &both(1, 101)), told(false, "custom:abc")),
        (file(3, &both(102, 2)), Some((false, None))),
        (file(4, &both(103, 103)), None),
        // Nothing is known of a stronger digest.
        (Subject { whole: false, ..file(5, &[item(Kind::Md5, 0)]) }, told(false, "uk:A")),
    ]
}

fn told(outcome: &Outcome) -> Told {
    match outcome {
        Outcome::Match { label, weak_only, .. } => {
            Some((*weak_only, label.category().map(|of| format!("{}:{}", of.scheme, of.code))))
        }
        Outcome::NoMatch { .. } => None,
        Outcome::NotChecked(why) => panic!("{}", why.reason()),
    }
}

async fn checked(client: &Client, world: &World) {
    let subjects: Vec<Subject> = expected().into_iter().map(|(subject, _)| subject).collect();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert_eq!(outcomes.len(), expected().len());
    for ((key, outcome), (_, expected)) in outcomes.iter().zip(expected()) {
        assert_eq!(told(outcome), expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_collision_is_a_match_of_weak_kinds_only_when_it_is_checked_and_in_every_rescan() {
    // SPEC §7.7, §12.6
    let mut world = world();
    world.start().await;
    let client = world.platform(PLATFORM).await;
    checked(&client, &world).await;
    for (subject, expected) in expected() {
        let outcome = client.check(&world.list, subject, PATIENCE).await;
        assert_eq!(told(&outcome), expected);
    }
    for _ in 0..2 {
        let mut found = BTreeMap::new();
        let rescan = client.rescan(&world.list, |one| drop(found.insert(one.reference, told(&one.outcome)))).unwrap();
        assert_eq!(rescan.subjects, expected().len() as u64);
        let matches = expected().into_iter().filter(|(_, expected)| expected.is_some());
        let matches: BTreeMap<_, _> = matches.map(|(subject, expected)| (subject.reference, expected)).collect();
        assert_eq!(found, matches);
        rescan.remember().unwrap();
    }
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_comes_with_source_and_reference_and_unknown_numbers_leave_its_bytes() {
    // SPEC §7.7
    let mut world = world();
    world.start().await;
    let client = world.platform(PLATFORM).await;
    let label = async |n: u8| {
        let subject = Subject { whole: false, ..file(0, &[item(Kind::Sha256, n)]) };
        match client.check(&world.list, subject, PATIENCE).await {
            Outcome::Match { label, .. } => label,
            other => panic!("{other:?}"),
        }
    };
    let known = label(0).await;
    assert_eq!((known.source(), known.reference()), (Some("one"), Some("case 7")));
    assert_eq!(known.category().map(|of| of.action.as_str()), Some("report"));
    let unknown = label(2).await;
    assert_eq!((unknown.category(), unknown.source(), unknown.reference()), (None, None, Some("case 9")));
    assert_eq!(unknown.bytes(), b"\0\0\x09\x09case 9\0\0");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_book_is_asked_for_with_the_version_and_never_because_something_matched() {
    // SPEC §7.7, §12.4
    let mut world = world();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts::default()).await;
    let client = world.open(&dir).await;
    let book = coded::code_book(&world).to_bytes();
    let fetched = || {
        let book = pb::GetCodeBookResponse { code_book: book.clone() }.encode_to_vec();
        middle.heard.to_client().iter().filter(|message| **message == book).count()
    };
    assert_eq!(fetched(), 1);
    checked(&client, &world).await;
    client.sync(&world.list, |_| {}).await.unwrap();
    assert_eq!(fetched(), 1);
    client.shutdown().await;
}
