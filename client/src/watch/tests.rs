use std::{fs, path::PathBuf};

use veilmatch_audit::{
    cosignature::Cosigner,
    leaf::{Key, Nonce, Role, VerifierKey},
    origin::Shard,
};
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest},
    manifest::{SignedManifest, Timestamp},
    merkle,
    name::{Epoch, Version},
};

use super::*;
use crate::{
    evidence::{self, About},
    fake::{self, FakeLogs, Home},
    frames::now,
    store::{Answered, Ended, Promise, Sent},
};

const MANIFEST: &str = "agency.example/veilmatch/manifest";

/// A platform, and an agency whose manifest log does as it is told.
struct World {
    home: Home,
    logs: FakeLogs,
    connection: Connection,
    signed: SignedManifest,
}

impl World {
    async fn new() -> Self {
        let published = fake::published(Timestamp::from_unix(4_000_000_000));
        let (signed, logs) = (published.0.clone(), FakeLogs::of(&published.0));
        let connection = Connection::plain(&fake::with_logs(published, logs.clone()).await);
        Self { home: Home::new(), logs, connection, signed }
    }

    async fn prove(&self) -> Result<Watched, Error> {
        self.home.watch.prove(&self.connection, self.signed.leaf()).await
    }

    fn evidence(&self) -> Vec<PathBuf> {
        fs::read_dir(self.home.dir.evidence()).unwrap().map(|file| file.unwrap().path()).collect()
    }

    /// A policy that one other witness makes, who has cosigned this long ago.
    fn other_witness(&self, ago: u64) {
        let witness = Cosigner::new("witness.example", SigningKey::from_bytes(&[8; 32])).unwrap();
        let log = fake::invitation().manifest_key();
        let policy = format!("log {log}\nwitness other {}\nquorum other\n", witness.witness());
        fs::write(self.home.dir.policy(), policy).unwrap();
        let (origin, size) = (log.name().to_owned(), self.logs.state().leaves.len() as u64);
        let root = merkle::root(self.logs.state().leaves.iter().map(|leaf| merkle::leaf_hash(leaf)));
        let line = witness.cosign(&Checkpoint { origin, size, root }, now().unix() - ago);
        self.logs.state().lines = vec![line];
    }
}

fn standing(world: &World) -> Result<View, NotChecked> {
    world.home.watch.standing(now().unix())
}

#[tokio::test]
async fn a_version_whose_leaf_is_proven_stands_and_its_checkpoint_is_cosigned() {
    // SPEC §17.6, §8.6
    let world = World::new().await;
    assert_eq!(standing(&world), Err(NotChecked::UnprovenLog));
    let watched = world.prove().await.unwrap();
    let view = View { size: 1, root: merkle::leaf_hash(world.signed.leaf()) };
    assert_eq!((watched.view(), standing(&world)), (view, Ok(view)));
    assert_eq!(world.logs.state().cosignatures.len(), 1);
    let late = now().unix() + 2 * FRESH;
    assert_eq!(world.home.watch.standing(late), Err(NotChecked::StaleLog), "it must be looked at every day");
    world.logs.state().leaves.push(b"another".to_vec());
    assert_eq!(world.prove().await.unwrap().size, 2);
    let World { home, .. } = world;
    assert_eq!(home.again().watch.standing(now().unix()).unwrap().size, 2, "what was verified is kept");
}

#[tokio::test]
async fn a_log_that_forks_is_refused_and_nothing_is_asked() {
    // SPEC §17.6, §17.5
    let world = World::new().await;
    world.logs.state().leaves.push(b"another".to_vec());
    world.prove().await.unwrap();
    world.logs.state().leaves.insert(0, b"put in before".to_vec());
    let cosigned = world.logs.state().cosignatures.len();
    let refused = world.prove().await.unwrap_err();
    assert_eq!(refused.reason(), "LOG_FORK");
    assert!(matches!(&refused, Error::LogFork { size: 2, evidence: Some(path), .. } if path.is_file()));
    assert!(refused.hint().unwrap().contains("evidence"));
    assert_eq!(world.evidence().len(), 2, "both notes prove it");
    assert_eq!(standing(&world), Err(NotChecked::LogFork));
    assert_eq!(world.logs.state().cosignatures.len(), cosigned + 1, "the agency is shown what it signed before");
    assert_eq!(world.home.store.watched(MANIFEST).unwrap().unwrap().size, 2, "nothing else was cosigned");
}

#[tokio::test]
async fn another_root_for_the_same_size_is_a_fork() {
    // SPEC §17.6
    let world = World::new().await;
    world.logs.state().leaves.push(b"one".to_vec());
    world.prove().await.unwrap();
    world.logs.state().leaves[1] = b"two".to_vec();
    assert_eq!(world.prove().await.unwrap_err().reason(), "LOG_FORK");
}

#[tokio::test]
async fn a_log_that_shrinks_is_refused() {
    // SPEC §17.6
    let world = World::new().await;
    world.logs.state().leaves.push(b"another".to_vec());
    world.prove().await.unwrap();
    world.logs.state().leaves.pop();
    let refused = world.prove().await.unwrap_err();
    assert_eq!((refused.reason(), standing(&world)), ("LOG_ROLLBACK", Err(NotChecked::LogRollback)));
    assert_eq!(world.evidence().len(), 2);
    world.logs.state().leaves.push(b"another".to_vec());
    world.prove().await.unwrap();
    assert!(standing(&world).is_ok(), "it shows again what it showed before");
}

#[tokio::test]
async fn a_version_that_the_log_does_not_have_is_not_used() {
    // SPEC §17.6
    let world = World::new().await;
    world.logs.state().leaves[0] = b"another".to_vec();
    assert_eq!(world.prove().await.unwrap_err().reason(), "UNPROVEN_LOG");
    assert_eq!(world.home.store.watched("agency.example/veilmatch/manifest").unwrap(), None);
    assert!(world.logs.state().cosignatures.is_empty());
}

#[tokio::test]
async fn a_policy_of_others_must_be_met_by_fresh_cosignatures() {
    // SPEC §17.5, §17.6
    let world = World::new().await;
    world.other_witness(FRESH + 60);
    assert_eq!(world.prove().await.unwrap_err().reason(), "STALE_LOG");
    assert_eq!(standing(&world), Err(NotChecked::StaleLog));
    world.other_witness(60);
    world.prove().await.unwrap();
    world.logs.state().lines.clear();
    let refused = world.prove().await.unwrap_err();
    assert!(matches!(&refused, Error::UnprovenLog { why, .. } if why.starts_with("too few")), "{refused:?}");
}

#[tokio::test]
async fn a_witness_that_lags_behind_a_new_checkpoint_does_not_stop_what_was_proven() {
    // SPEC §17.6. Each new version stopped every check until the slowest witness had cosigned.
    let world = World::new().await;
    world.other_witness(60);
    world.prove().await.unwrap();
    let proven = standing(&world).unwrap();
    world.logs.state().leaves.push(b"another".to_vec());
    world.logs.state().lines.clear();
    assert_eq!(world.prove().await.unwrap_err().reason(), "UNPROVEN_LOG");
    assert_eq!(standing(&world), Ok(proven), "the new one is not used, and the one before goes on");
    assert_eq!(world.home.watch.standing(now().unix() + FRESH), Err(NotChecked::StaleLog), "but not for ever");
    world.other_witness(10);
    assert_eq!(world.prove().await.unwrap().size, 2);
    assert_eq!(standing(&world).unwrap().size, 2);
}

#[tokio::test]
async fn a_fork_finds_its_places_however_many_checkpoints_were_refused_before() {
    // SPEC §17.6. Refused checkpoints took every place that the two notes of a fork need.
    let world = World::new().await;
    world.prove().await.unwrap();
    (0..300).for_each(|n| drop(evidence::keep(&world.home.dir, About::Log, &format!("{n}.note"), b"note")));
    world.logs.state().leaves[0] = b"another".to_vec();
    let Error::LogFork { evidence: Some(kept), .. } = world.prove().await.unwrap_err() else { panic!("no fork") };
    let forks = world.evidence().into_iter().filter(|path| path.to_str().unwrap().contains("/fork-"));
    assert!(forks.count() == 2 && kept.is_file());
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_the_operators_to_mend() {
    let world = World::new().await;
    fs::write(world.home.dir.policy(), "quorum nobody\n").unwrap();
    assert_eq!(world.prove().await.unwrap_err().reason(), "BAD_CONFIG");
}

#[tokio::test]
async fn a_checkpoint_that_does_not_change_is_cosigned_once_an_hour() {
    let world = World::new().await;
    for _ in 0..3 {
        world.prove().await.unwrap();
    }
    assert_eq!(world.logs.state().cosignatures.len(), 1);
}

/// The first leaf of a log that goes on from another.
fn stated(previous: &LogOrigin, lost_to: u64) -> Vec<u8> {
    let key = fake::invitation().query_log_key();
    let key = VerifierKey::signer(key.name(), *key.key()).unwrap();
    let (nonce, previous, role, t) = (Nonce([1; 16]), Some(previous.clone()), Role::QueryLog, now());
    let first = Key { cross: None, key, lost_from: 0, lost_to, nonce, old: None, previous, role, t };
    first.encode().unwrap()
}

#[tokio::test]
async fn a_query_log_that_shrank_is_left_only_for_one_that_states_all_that_was_lost() {
    // SPEC §17.1, §17.7
    let world = World::new().await;
    let log = |shard| LogOrigin::Query(fake::agency(), shard);
    let shard = Shard::of(now());
    let [lost, second, third] = [shard, shard.successor(), shard.successor().successor()].map(log);
    let has = |log: &LogOrigin, leaves: Vec<Vec<u8>>| {
        world.logs.state().queries.insert(log.to_string(), leaves);
    };
    let watch = async || world.home.watch.watch_queries(&world.connection).await.map_err(|error| error.reason());
    let of = |size: u8| (0..size).map(|leaf| vec![leaf]).collect::<Vec<_>>();
    has(&lost, of(3));
    watch().await.unwrap();
    has(&lost, of(2));
    let handed_in = world.logs.state().cosignatures.len();
    assert_eq!(watch().await, Err("LOG_ROLLBACK"));
    assert_eq!(world.logs.state().cosignatures.len(), handed_in + 1, "the agency is shown what it signed before");

    let other = log(Shard::of(Timestamp::from_unix(0)));
    for first in [vec![1], stated(&lost, 2), stated(&other, 3)] {
        has(&second, vec![first]);
        assert_eq!(watch().await, Err("LOG_ROLLBACK"));
    }
    has(&third, vec![stated(&lost, 3), vec![1]]);
    for _ in 0..2 {
        assert_eq!(watch().await, Ok(()));
    }
    assert_eq!(world.home.store.watched(&third.to_string()).unwrap().unwrap().size, 2);
    // One that is not there any more at all.
    world.logs.state().queries.remove(&third.to_string());
    assert_eq!(watch().await, Err("LOG_ROLLBACK"));
}

impl World {
    /// A frame that was acknowledged as this leaf of the newest query log, so many seconds ago.
    fn acknowledged(&self, number: u64, leaf: &[u8], ago: u64) {
        let (list, byte) = (fake::list(), u8::try_from(number).unwrap());
        let (batch, req) = (BatchId([byte; 16]), RequestDigest([byte; 32]));
        let sent = Sent { batch, list: &list, epoch: Epoch(1), version: Version(1), n: 4, req, minute: 1 };
        self.home.log.frame_sent(&sent).unwrap();
        let acknowledged = (leaf.to_vec(), b"note".to_vec());
        let promise = Promise { origin: newest(), number, received: now().unix() - ago };
        let (resp, day) = (ResponseDigest([byte; 32]), "2026-05-28".to_owned());
        let ended = Ended::Answered(Answered { resp, ack: [8; 32], day, acknowledged, promise });
        self.home.log.frame_ended(&list, batch, ended, 1).unwrap();
    }

    fn publish_queries(&self, leaves: &[&str]) {
        let leaves = leaves.iter().map(|leaf| leaf.as_bytes().to_vec()).collect();
        self.logs.state().queries.insert(newest(), leaves);
    }

    async fn watch_queries(&self) {
        self.home.watch.watch_queries(&self.connection).await.unwrap();
    }

    /// Indices of the leaves that are promised still, and how many promises are late, and how many leaves absent.
    fn promises(&self) -> (Vec<u64>, (u64, u64)) {
        let database = rusqlite::Connection::open(self.home.dir.database()).unwrap();
        let mut query = database.prepare("SELECT number FROM promise ORDER BY number").unwrap();
        let numbers = query.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        let numbers = numbers.map(|number| number.unwrap().cast_unsigned()).collect();
        (numbers, self.home.store.broken_promises().unwrap())
    }
}

/// The query log of this half-year.
fn newest() -> String {
    LogOrigin::Query(fake::agency(), Shard::of(now())).to_string()
}

#[tokio::test]
async fn an_acknowledgement_is_kept_until_its_leaf_is_proven_to_be_where_it_was_promised() {
    // SPEC §17.7
    let world = World::new().await;
    world.acknowledged(0, b"zero", 0);
    world.acknowledged(1, b"one", 0);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![0, 1], (0, 0)), "nothing is published yet, and a minute is not over");
    world.publish_queries(&["zero"]);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![1], (0, 0)));
    world.publish_queries(&["zero", "one"]);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![], (0, 0)));
    assert!(world.evidence().is_empty());
}

#[tokio::test]
async fn a_leaf_that_was_acknowledged_and_dropped_is_evidence_and_told_once() {
    // SPEC §17.7, §21.1 Q01
    let world = World::new().await;
    ["zero", "one", "two"].iter().zip(0..).for_each(|(leaf, at)| world.acknowledged(at, leaf.as_bytes(), 10));
    // One is not there, and so another is at its index.
    world.publish_queries(&["zero", "two", "three"]);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![1, 2], (0, 2)));
    let mut names: Vec<_> =
        world.evidence().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let [one, two] = [1, 2].map(|byte| format!("acknowledged-{}", hex::encode([byte; 16])));
    assert_eq!(names, [format!("{one}.jsonl"), format!("{one}.note"), format!("{two}.jsonl"), format!("{two}.note")]);
    let line = fs::read_to_string(world.home.dir.evidence().join(&names[0])).unwrap();
    assert_eq!(line, "{\"leaf\":\"one\",\"note\":\"note\",\"type\":\"veilmatch/acknowledged/v1\"}\n");
    for path in world.evidence() {
        fs::remove_file(path).unwrap();
    }
    world.watch_queries().await;
    assert_eq!((world.promises(), world.evidence().len()), ((vec![1, 2], (0, 2)), 0));
}

#[tokio::test]
async fn a_leaf_that_is_not_published_within_a_minute_is_late_until_it_comes() {
    // SPEC §17.7
    let world = World::new().await;
    world.acknowledged(0, b"zero", 50);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![0], (0, 0)));
    world.acknowledged(1, b"one", 70);
    world.publish_queries(&["zero"]);
    world.watch_queries().await;
    assert_eq!((world.promises(), world.evidence().len()), ((vec![1], (1, 0)), 2));
    world.publish_queries(&["zero", "one"]);
    world.watch_queries().await;
    assert_eq!(world.promises(), (vec![], (0, 0)));
}

#[tokio::test]
async fn what_was_acknowledged_in_a_log_that_is_lost_is_evidence_and_asked_for_no_more() {
    // SPEC §17.7, §17.1, §21.1 Q01
    let world = World::new().await;
    world.publish_queries(&["zero", "one"]);
    world.watch_queries().await;
    world.acknowledged(2, b"two", 0);
    world.publish_queries(&["zero"]);
    let lost = LogOrigin::parse(&newest()).unwrap();
    let next = LogOrigin::Query(fake::agency(), Shard::of(now()).successor());
    world.logs.state().queries.insert(next.to_string(), vec![stated(&lost, 3)]);
    for _ in 0..2 {
        world.watch_queries().await;
        assert_eq!(world.promises(), (vec![2], (0, 1)));
    }
    assert!(world.evidence().iter().any(|path| path.to_str().unwrap().contains("/acknowledged-")));
}
