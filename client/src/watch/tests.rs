use std::{fs, path::PathBuf};

use veilmatch_audit::cosignature::Cosigner;
use veilmatch_protocol::{
    manifest::{SignedManifest, Timestamp},
    merkle,
};

use super::*;
use crate::{
    fake::{self, FakeLogs, Home},
    frames::now,
};

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
    assert_eq!(world.logs.state().cosignatures.len(), cosigned, "nothing was cosigned");
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
