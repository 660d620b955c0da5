use std::{fs, path::Path};

use futures::executor::block_on;
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    leaf::{Key, Leaf, Role},
};
use veilmatch_proto::{ListedLeaves, Reason, Refused, pb};
use veilmatch_protocol::name::AgencyName;

use super::*;
use crate::{
    admin::ClientTerms,
    keys::read_signing_key,
    logs::{LogState, record},
    store::{FrameWriter, Head, Recorded},
    world::{Platform, Served, World},
};

const LOG: &str = "agency.example/veilmatch/query/2024h2";
const SECOND: &str = "agency.example/veilmatch/query/2024h2.2";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn ask(served: &Served, world: &World, platform: &Platform) -> Result<pb::EvaluateResponse, Reason> {
    let answer = served.evaluation(platform).evaluate(platform.ask_anything(world).request()).await;
    answer.map(tonic::Response::into_inner).map_err(|status| reason(&status))
}

fn reason(status: &tonic::Status) -> Reason {
    Refused::from_status(status).unwrap().reason
}

/// Answers so many frames and stops; gives the checkpoint that is published then.
async fn serve(world: &World, platform: &Platform, frames: usize) -> Vec<u8> {
    let served = world.serve();
    for _ in 0..frames {
        ask(&served, world, platform).await.unwrap();
    }
    served.stop();
    world.store().log(LOG).unwrap().unwrap().published_note
}

/// A platform hands a checkpoint of the query log in.
async fn show(served: &Served, world: &World, platform: &Platform, seen: &Checkpoint) -> Result<(), Reason> {
    let key = read_signing_key(&world.root().join("keys/query-log.key")).unwrap();
    let witness = format!("{}/veilmatch/witness", platform.name);
    let cosigner = Cosigner::new(&witness, platform.evidence.witness.clone()).unwrap();
    let request = pb::AddCosignatureRequest {
        note: checkpoint::sign(seen, &key).unwrap().into_bytes(),
        cosignature: cosigner.cosign(seen, world.now()),
    };
    served.logs(platform).add_cosignature(request).await.map(drop).map_err(|status| reason(&status))
}

/// An agency whose directory is that of a backup with three frames; a platform has seen five.
async fn restored() -> (World, Platform, Checkpoint) {
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    serve(&world, &platform, 3).await;
    let backup = world.path("backup");
    copy(&world.root(), &backup);
    let seen = serve(&world, &platform, 2).await;
    let seen = Checkpoint::parse(veilmatch_protocol::note::Note::parse(&seen).unwrap().text()).unwrap();
    fs::remove_dir_all(world.root()).unwrap();
    copy(&backup, &world.root());
    (world, platform, seen)
}

/// The same once the platform has shown what it saw, and the server has stopped.
async fn halted() -> (World, Platform, Checkpoint) {
    let (world, platform, seen) = restored().await;
    let served = world.serve();
    assert_eq!(show(&served, &world, &platform, &seen).await, Err(Reason::AuditUnavailable));
    assert_eq!(served.health.state(), LogState::Halted);
    assert_eq!(ask(&served, &world, &platform).await, Err(Reason::AuditUnavailable));
    served.stop();
    (world, platform, seen)
}

fn recover(world: &World) -> Result<Recovery, Error> {
    world.agency().log_recover(Recover::Query, world.now())
}

fn first_leaf(world: &World, origin: &str) -> Key {
    let log = world.store().log(origin).unwrap().unwrap();
    let leaf = world.store().leaves(log.id, 0..1).unwrap().remove(0);
    let Leaf::Key(key) = Leaf::decode(&leaf).unwrap() else { panic!("a key leaf") };
    key
}

#[tokio::test]
async fn a_log_that_a_platform_has_seen_more_of_goes_on_as_another_that_says_so() {
    // SPEC §17.1, §17.7, §18.2, §20.1 LOG_WHOLE
    let (world, platform, _) = halted().await;
    let refused = world.agency().log_recover(Recover::Manifest, world.now()).unwrap_err();
    assert_eq!(refused.reason(), "LOG_WHOLE");
    let recovery = recover(&world).unwrap();
    let expected = Recovered { lost: LOG.into(), log: SECOND.into(), range: 3..5 };
    assert_eq!((recovery.logs, recovery.manifest_halted), (vec![expected], false));
    assert_eq!(recover(&world).unwrap_err().reason(), "LOG_WHOLE");
    let key = first_leaf(&world, SECOND);
    assert_eq!((key.role, key.lost_from, key.lost_to), (Role::QueryLog, 3, 5));
    assert_eq!(key.previous.unwrap().to_string(), LOG);
    let keys = LogKeys::read(world.agency().dir(), &AgencyName::parse("agency.example").unwrap()).unwrap();
    assert_eq!(key.key.key(), keys.public().query.key());

    // Frames are answered, and recorded in the new log.
    let served = world.serve();
    let answer = ask(&served, &world, &platform).await.unwrap();
    let promised = Acknowledgement::open(&answer.acknowledgement, &keys.public().ack).unwrap();
    assert_eq!((promised.origin.to_string(), promised.index), (SECOND.to_owned(), 1));
    served.stop();
    let status = world.agency().log_status().unwrap();
    let told: Vec<_> = status.iter().map(|log| (log.row.published_size, log.row.lost.clone())).collect();
    assert_eq!(told, [(1, None), (3, Some(3..5)), (2, None)]);
    let checked = world.agency().log_check(true, world.now()).unwrap();
    assert!(checked.len() == 3 && checked.iter().all(|log| log.findings.is_empty()), "{checked:?}");
    for (log, size) in [("query", 2), (LOG, 3)] {
        assert_eq!(world.agency().log_export(log, &world.path(&size.to_string())).unwrap().published_size, size);
    }

    // Every platform may read what the log says of itself, and then its own leaves.
    let other = world.enrol("other.example", &ClientTerms::default());
    let served = world.serve();
    for (from, leaves) in [(0, 1), (1, 0)] {
        let request = pb::ListLeavesRequest { origin: SECOND.into(), from };
        let listed = served.logs(&other).list_leaves(request).await.unwrap().into_inner();
        assert_eq!(ListedLeaves::decode(listed, from).unwrap().leaves.len(), leaves);
    }
}

#[tokio::test]
async fn what_was_recorded_and_never_published_goes_along() {
    // SPEC §17.1
    let (world, platform, seen) = restored().await;
    let writer = FrameWriter::start(&world.root().join("veilmatch.db"), |_| ()).unwrap();
    let frame = platform.ask_anything(&world).refused(&world);
    let leaf = record::leaf(&AgencyName::parse("agency.example").unwrap(), &frame).unwrap();
    let bytes = leaf.bytes.clone();
    assert_eq!(block_on(writer.record(frame.clone(), leaf, 0)), Recorded::Durable(LOG.into(), 3));
    drop(writer);
    // Signed already, when the server was killed before anybody could see it.
    let (mut store, key) = (world.store(), read_signing_key(&world.root().join("keys/query-log.key")).unwrap());
    let row = store.log(LOG).unwrap().unwrap();
    let head = Head { size: 4, note: b"a checkpoint".to_vec(), ..row.head.clone() };
    assert!(store.swap_head(row.id, &row.head, &head).unwrap());
    store.halt_log(row.id, "more was seen", checkpoint::sign(&seen, &key).unwrap().as_bytes()).unwrap();
    assert_eq!(recover(&world).unwrap().logs[0].range, 3..5);
    let logs = [LOG, SECOND].map(|origin| store.log(origin).unwrap().unwrap());
    assert_eq!(logs.each_ref().map(|log| store.log_len(log.id).unwrap()), [3, 2]);
    assert_eq!(store.leaves(logs[1].id, 1..2).unwrap(), [bytes]);
    let checked = [false, true].map(|full| world.agency().log_check(full, world.now()).unwrap());
    assert!(checked.iter().flatten().all(|log| log.findings.is_empty()), "{checked:?}");
    // A log that was given up is not given up twice by mistake.
    let (old, next) = (&logs[0], LogOrigin::parse(SECOND).unwrap());
    assert_eq!(store.go_on(old, &(3..5), &next, b"{}").unwrap_err().reason(), "INTERNAL");
}

#[tokio::test]
async fn more_of_a_lost_log_that_comes_to_light_is_stated_by_yet_another() {
    // SPEC §17.1, §17.7
    let (world, platform, seen) = halted().await;
    recover(&world).unwrap();
    let served = world.serve();
    show(&served, &world, &platform, &seen).await.unwrap();
    assert_eq!(world.store().logs().unwrap().len(), 3);
    let more = Checkpoint { size: 9, root: [7; 32], ..seen.clone() };
    show(&served, &world, &platform, &more).await.unwrap();
    assert_eq!(served.health.state(), LogState::Sound);
    let key = first_leaf(&world, "agency.example/veilmatch/query/2024h2.3");
    assert_eq!((key.previous.unwrap().to_string(), key.lost_from, key.lost_to), (LOG.to_owned(), 3, 9));
    // One that the tree here does not lead to: nobody knows from where on.
    let forked = Checkpoint { size: 2, root: [7; 32], ..seen.clone() };
    show(&served, &world, &platform, &forked).await.unwrap();
    let key = first_leaf(&world, "agency.example/veilmatch/query/2024h2.4");
    assert_eq!((key.lost_from, key.lost_to), (0, 9));
    for known in [&seen, &more, &forked] {
        show(&served, &world, &platform, known).await.unwrap();
    }
    assert_eq!(world.store().logs().unwrap().len(), 5);
    ask(&served, &world, &platform).await.unwrap();
    served.stop();
    assert!(world.agency().log_check(true, world.now()).unwrap().iter().all(|log| log.findings.is_empty()));
}

#[tokio::test]
async fn of_a_log_that_forked_all_is_lost() {
    // SPEC §17.1, §17.7: after the backup was restored as much was signed anew.
    let (world, platform, seen) = restored().await;
    serve(&world, &platform, 3).await;
    let served = world.serve();
    assert_eq!(show(&served, &world, &platform, &seen).await, Err(Reason::AuditUnavailable));
    served.stop();
    assert_eq!(recover(&world).unwrap().logs[0].range, 0..6);
}

#[tokio::test]
async fn a_log_that_began_after_the_backup_is_lost_from_its_beginning() {
    // SPEC §17.7: the store does not have it.
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let served = world.serve();
    let origin = "agency.example/veilmatch/query/2025h1".to_owned();
    let seen = Checkpoint { origin: origin.clone(), size: 4, root: [7; 32] };
    assert_eq!(show(&served, &world, &platform, &seen).await, Err(Reason::AuditUnavailable));
    served.stop();
    let recovered = recover(&world).unwrap().logs.remove(0);
    assert_eq!((recovered.log, recovered.range), (format!("{origin}.2"), 0..4));
}

#[tokio::test]
async fn a_manifest_log_does_not_go_on_as_another_and_no_log_of_a_running_server_does() {
    // SPEC §17.1 MANIFEST_LOG_LOST
    let world = World::published(10);
    let row = world.store().logs().unwrap().remove(0);
    world.store().halt_log(row.id, "another tree was seen", b"").unwrap();
    let refused = world.agency().log_recover(Recover::Manifest, world.now()).unwrap_err();
    assert_eq!(refused.reason(), "MANIFEST_LOG_LOST");
    assert!(refused.hint().contains("newer backup"), "{}", refused.hint());
    let _serving = world.agency().dir().lock_serving().unwrap();
    assert_eq!(recover(&world).unwrap_err().reason(), "ALREADY_SERVING");
}

#[tokio::test]
async fn a_store_that_is_older_than_its_files_is_halted_durably_and_goes_on() {
    // SPEC §17.7
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    serve(&world, &platform, 3).await;
    let database = world.root().join("veilmatch.db");
    world.store().move_log().unwrap();
    let backup = fs::read(&database).unwrap();
    serve(&world, &platform, 2).await;
    // Another file, as a copy brings it: a thread that ends may still have the old one open.
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", database.display()));
    }
    fs::write(&database, backup).unwrap();
    let agency = world.agency();
    let start = || {
        crate::logs::AgencyLogs::open(agency.dir(), agency.config(), std::sync::Arc::new(world.clock.clone()), |_| ())
    };
    let refused = start().unwrap().start(tokio_util::sync::CancellationToken::new()).err().unwrap();
    assert_eq!(refused.reason(), "LOG_HALTED");
    assert!(refused.hint().contains("log recover"), "{}", refused.hint());
    assert_eq!(start().err().unwrap().reason(), "LOG_HALTED");
    assert_eq!(recover(&world).unwrap().logs[0].range, 3..5);
    serve(&world, &platform, 1).await;
    let checked = agency.log_check(true, world.now()).unwrap();
    assert!(checked.iter().all(|log| log.findings.is_empty()), "{checked:?}");
}
