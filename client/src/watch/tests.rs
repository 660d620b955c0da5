use std::{fs, path::PathBuf};

use veilmatch_audit::{
    cosignature::Cosigner,
    leaf::{Key, Nonce, Role, VerifierKey},
    origin::Shard,
};
use veilmatch_protocol::{
    manifest::{SignedManifest, Timestamp},
    merkle,
};

use super::*;
use crate::{
    fake::{self, FakeLogs, Home},
    frames::now,
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
