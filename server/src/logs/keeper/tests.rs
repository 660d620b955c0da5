use std::{cell::Cell, fs};

use veilmatch_audit::{
    cosignature::Cosigner,
    origin::Shard,
    verify::{Known, verify},
};
use veilmatch_protocol::{frame::FrameSize, manifest::Timestamp, note::Verifier};

use super::*;
use crate::{
    admin::ClientTerms,
    keys::read_signing_key,
    logs::{LogKeys, record},
    store::{FrameWriter, Recorded},
    world::{NOON, World},
};

/// A query log of `World`'s agency whose leaves a test appends.
struct Log {
    world: World,
    keys: LogKeys,
    origin: LogOrigin,
}

impl Log {
    fn new() -> Self {
        let world = World::published(10);
        let agency = AgencyName::parse("agency.example").unwrap();
        let keys = LogKeys::read(world.agency().dir(), &agency).unwrap();
        let origin = LogOrigin::Query(agency, Shard::of(Timestamp::from_unix(NOON)));
        Self { world, keys, origin }
    }

    fn append(&self, leaves: u16) {
        let agency = AgencyName::parse("agency.example").unwrap();
        let writer = FrameWriter::start(&self.world.root().join("veilmatch.db"), |_| ()).unwrap();
        let platform = match self.world.store().clients().unwrap().is_empty() {
            true => self.world.enrol("platform.example", &ClientTerms::default()),
            false => self.world.known("platform.example"),
        };
        let asked = platform.ask(&self.world, FrameSize::One, &[]).0;
        let records = (0..leaves).map(|_| asked.refused(&self.world));
        let written = records.map(|frame| {
            let leaf = record::leaf(&agency, &frame).unwrap();
            writer.record(frame, leaf, 0)
        });
        let written = futures::executor::block_on(futures::future::join_all(written));
        assert!(written.iter().all(|outcome| matches!(outcome, Recorded::Durable(..))));
    }

    fn keeper<'a>(&'a self, dir: &'a StateDir) -> Keeper<'a> {
        Keeper::new(dir, self.origin.clone(), &self.keys.query)
    }

    fn publish(&self) -> Result<u64, Error> {
        self.keeper(self.world.agency().dir()).publish(&mut self.world.store(), self.world.now())
    }

    fn folder(&self) -> PathBuf {
        folder(self.world.agency().dir(), &self.origin)
    }

    // What an auditor finds in the files: nothing, and so many leaves.
    fn check(&self, size: u64) {
        check(&self.folder(), &self.keys.public().of(&self.origin).unwrap(), size, self.world.now());
    }
}

pub(crate) fn check(folder: &Path, key: &Verifier, size: u64, now: u64) {
    let known = Known { key: key.clone(), policy: None, now, seen: Vec::new(), every_root: false };
    let audited = verify(&LogFolder::new(folder), &known).unwrap();
    assert!(audited.findings.is_empty(), "{:?}", audited.findings);
    assert!(audited.complete());
    assert_eq!(audited.size(), size);
}

#[test]
fn a_log_begins_with_an_empty_tree_and_grows_by_what_is_durable() {
    // SPEC §17.3, §17.4
    let log = Log::new();
    for (more, size) in [(0, 0), (1, 1), (255, 256), (1, 257), (0, 257), (600, 857)] {
        log.append(more);
        assert_eq!(log.publish().unwrap(), size);
        log.check(size);
    }
}

#[test]
fn killed_between_any_two_steps_the_log_goes_on_without_a_fork() {
    // SPEC §17.4, §17.7
    let steps = [Step::Signed, Step::Swapped, Step::Written, Step::Published, Step::Noted];
    let log = Log::new();
    log.append(3);
    let mut size = log.publish().unwrap();
    let mut seen = Vec::new();
    for killed_after in steps.into_iter().cycle().take(10) {
        log.append(130);
        let agency = log.world.agency();
        let killed = Cell::new(false);
        let on_step = |step| {
            killed.set(step == killed_after);
            if killed.get() { Err(Error::Internal("killed")) } else { Ok(()) }
        };
        let keeper = Keeper { on_step: &on_step, ..log.keeper(agency.dir()) };
        keeper.publish(&mut log.world.store(), log.world.now()).unwrap_err();
        assert!(killed.get(), "{killed_after:?}");
        // Whatever was signed and stored is what goes on; more leaves came meanwhile.
        let head = log.world.store().log(&log.origin.to_string()).unwrap().unwrap().head;
        log.append(1);
        size += 131;
        assert_eq!(log.publish().unwrap(), size);
        log.check(size);
        seen.push(head);
    }
    // Every head that was signed is of a tree that the last one extends.
    let files = LogFolder::new(log.folder());
    for head in seen {
        assert_eq!(veilmatch_audit::tree::root_at(&files.view(size), head.size).unwrap(), head.root);
    }
}

#[test]
fn files_that_are_gone_are_made_again_from_the_leaves() {
    // SPEC §17.7
    let log = Log::new();
    log.append(300);
    log.publish().unwrap();
    fs::remove_dir_all(log.folder()).unwrap();
    log.append(1);
    assert_eq!(log.publish().unwrap(), 301);
    log.check(301);
}

#[test]
fn a_store_that_was_restored_from_a_backup_signs_nothing() {
    // SPEC §17.7
    let log = Log::new();
    log.append(5);
    log.publish().unwrap();
    let database = log.world.root().join("veilmatch.db");
    log.world.store().move_log().unwrap();
    let backup = fs::read(&database).unwrap();
    log.append(5);
    log.publish().unwrap();
    for end in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{end}", database.display())).unwrap();
    }
    fs::write(&database, backup).unwrap();
    let refused = log.publish().unwrap_err();
    assert_eq!(refused.reason(), "LOG_HALTED");
    assert!(refused.to_string().contains("backup"), "{refused}");
}

#[test]
fn a_clock_that_went_back_signs_nothing_until_it_has_caught_up() {
    let log = Log::new();
    log.append(1);
    log.publish().unwrap();
    log.append(1);
    let agency = log.world.agency();
    let refused = log.keeper(agency.dir()).publish(&mut log.world.store(), NOON - 1).unwrap_err();
    assert_eq!(refused.reason(), "CLOCK_BEHIND");
    log.check(1);
    assert_eq!(log.publish().unwrap(), 2);
}

#[test]
fn an_altered_edge_is_found_before_anything_is_signed() {
    // SPEC §17.4
    let log = Log::new();
    log.append(5);
    log.publish().unwrap();
    let tile = log.folder().join("tile/0/000.p/5");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[0] ^= 1;
    fs::write(&tile, bytes).unwrap();
    log.append(1);
    assert_eq!(log.publish().unwrap(), 6);
    log.check(6);
}

#[test]
fn each_version_is_a_leaf_of_the_manifest_log_and_is_served_once_its_checkpoint_is() {
    // SPEC §8.6, §17.1
    let world = World::published(10);
    world.import(10..20, "B2");
    world.publish();
    let agency = world.agency();
    let origin = LogOrigin::Manifest(AgencyName::parse("agency.example").unwrap());
    let key = read_signing_key(&agency.dir().manifest_key()).unwrap();
    let verifier = Verifier::new(&origin.to_string(), key.verifying_key()).unwrap();
    check(&folder(agency.dir(), &origin), &verifier, 2, world.now());
    let row = world.store().log(&origin.to_string()).unwrap().unwrap();
    let leaves = world.store().leaves(row.id, 0..2).unwrap();
    for (version, leaf) in [1, 2].into_iter().zip(&leaves) {
        assert_eq!(world.manifest(version).leaf(), &leaf[..]);
    }
    for size in [1, 2] {
        assert!(world.store().published_root(&Origin::of(origin.agency()), size).unwrap().is_some());
    }

    // A publication that is killed before its checkpoint: the version is not there for anybody yet.
    world.write_a_version_and_no_checkpoint();
    let newest = || {
        let catalogue = crate::catalogue::Catalogue::load(&world.store(), agency.dir(), None, world.now()).unwrap();
        catalogue.list(&world.list).unwrap().newest().unwrap().version.0
    };
    assert_eq!(newest(), 2);
    let (mut store, origin) = (world.store(), origin.agency().clone());
    assert_eq!(publish_manifests(agency.dir(), &origin, &mut store, &key, world.now()).unwrap(), 3);
    assert_eq!(newest(), 3);
    check(&agency.dir().logs().join("manifest"), &verifier, 3, world.now());
}

#[test]
fn witnesses_of_third_parties_stand_before_platforms_and_the_note_stays_one() {
    // SPEC §17.5
    let log = Log::new();
    log.append(1);
    log.publish().unwrap();
    let mut store = log.world.store();
    let row = store.log(&log.origin.to_string()).unwrap().unwrap();
    let text = Checkpoint::parse(Note::parse(&row.published_note).unwrap().text()).unwrap();
    let mut add = |name: &str, at: u64| {
        let cosigner = Cosigner::new(name, SigningKey::from_bytes(&[7; 32])).unwrap();
        let cosignature = Cosignature { witness: name.to_owned(), line: cosigner.cosign(&text, at), at };
        assert!(store.add_cosignature(row.id, row.published_size, &cosignature).unwrap());
    };
    add("platform.example/veilmatch/witness", NOON + 99);
    for at in 0..60 {
        add(&format!("{at:0>250}"), NOON + at);
    }
    let lines = store.cosignatures(row.id, row.published_size).unwrap();
    assert_eq!((lines.len(), lines[0].at, lines[59].at), (61, NOON + 59, NOON));
    assert_eq!(lines[60].witness, "platform.example/veilmatch/witness");
    // So many lines of such names are longer than a note may be.
    let note = with_cosignatures(&row, lines);
    assert!(Note::parse(&note).is_ok() && note.len() > MAX_NOTE_LEN - 400);
    publish_cosignatures(log.world.agency().dir(), &store, &log.origin).unwrap();
    log.append(1);
    assert_eq!(log.publish().unwrap(), 2);
}
