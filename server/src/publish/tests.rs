use std::{fs, sync::Mutex};

use sha2::{Digest, Sha256};
use veilmatch_lists::Options;
use veilmatch_protocol::{
    artifact::padded_count,
    delta::{self, Delta},
    item::Kind,
    manifest::DeltaRef,
    name::{Epoch, Version},
};

use super::*;
use crate::{catalogue::Catalogue, import::ImportOptions, world::World};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// What a client does with a version: apply its delta to the version before and land exactly on the signed file.
fn apply_delta(world: &World, from: u32, to: u32) {
    let manifest = world.manifest(to);
    let manifest = manifest.manifest();
    let delta = Delta::open(fs::read(world.delta(to)).unwrap(), manifest).unwrap();
    let out = std::io::Cursor::new(Vec::new());
    let applied = delta::apply(&world.artifact(from), &delta, Epoch(manifest.epoch), &manifest.artifact, out).unwrap();
    assert!(applied.into_inner() == fs::read(world.artifact_path(to)).unwrap());
}

#[test]
fn what_was_imported_is_published_with_its_label_and_nothing_else_is() {
    let world = World::published(50);
    let manifest = world.manifest(1);
    let manifest = manifest.manifest();
    assert_eq!((manifest.version, manifest.epoch, manifest.artifact.count), (1, 1, 1_024));
    assert_eq!(manifest.delta, DeltaRef::NONE);
    assert_eq!(world.code(1, 0).unwrap(), "A1");
    assert_eq!(world.code(1, 49).unwrap(), "A1");
    assert_eq!(world.label(1, 50), None);
}

#[test]
fn without_a_change_nothing_is_published_unless_the_operator_insists() {
    let world = World::published(10);
    assert!(world.publish().is_empty());
    let forced = world.agency().publish(&world.list, true, world.now() + 1, &|_| ()).unwrap();
    assert_eq!(forced[0].version, Version(2));
    assert_eq!(forced[0].delta, Some((0, 0, 4_096)));
    apply_delta(&world, 1, 2);
    assert_eq!(fs::read(world.artifact_path(1)).unwrap(), fs::read(world.artifact_path(2)).unwrap());
}

#[test]
fn additions_retractions_and_new_labels_travel_in_one_delta_that_lands_on_the_signed_root() {
    let world = World::published(1_500);
    world.import(1_500..1_510, "B2");
    world.import(0..5, "B2");
    world.retract(5..15);
    let published = world.publish();
    // Ten come, five change, ten go: the class holds, so dummies stay as they are.
    assert_eq!(published[0].delta.map(|(removed, added, _)| (removed, added)), Some((15, 15)));
    apply_delta(&world, 1, 2);
    assert_eq!(world.code(2, 0).unwrap(), "B2");
    assert_eq!(world.code(2, 4).unwrap(), "B2");
    assert_eq!(world.label(2, 5), None);
    assert_eq!(world.code(2, 15).unwrap(), "A1");
    assert_eq!(world.code(2, 1_509).unwrap(), "B2");
    world.manifest(2).follows(Some(&world.manifest(1))).unwrap();
}

#[test]
fn a_retraction_alone_is_as_large_as_the_issue_allows() {
    let world = World::published(2_000);
    for (version, number) in (2..).zip([1, 2, 3]) {
        world.retract([number]);
        let published = world.publish();
        let (removed, added, bytes) = published[0].delta.unwrap();
        assert_eq!((removed, added), (1, 1), "one entry goes, one dummy comes");
        assert_eq!(bytes, 4_096);
        assert_eq!(published[0].records, padded_count(published[0].entries));
        apply_delta(&world, version - 1, version);
        assert_eq!(world.label(version, number), None);
    }
}

#[test]
fn a_delta_larger_than_the_list_is_not_made() {
    let world = World::published(1_000);
    world.import(10_000..13_000, "A1");
    let published = world.publish();
    assert_eq!(published[0].delta, None);
    assert!(!world.delta(2).exists());
    assert_eq!(world.code(2, 12_999).unwrap(), "A1");
}

#[test]
fn the_same_list_and_seeds_give_the_same_bytes() {
    let (one, other) = (World::new(), World::new());
    let seed = "keys/oprf/base-1.seed";
    fs::copy(one.root().join(seed), other.root().join(seed)).unwrap();
    one.import(0..1_200, "A1");
    // In another order and in other pieces.
    other.import((600..1_200).rev(), "A1");
    other.import((0..700).rev(), "A1");
    one.publish();
    other.publish();
    assert!(fs::read(one.artifact_path(1)).unwrap() == fs::read(other.artifact_path(1)).unwrap());
}

#[test]
fn what_a_killed_publication_left_behind_is_overwritten() {
    let world = World::published(10);
    // Killed after the renames and before the transaction, and once before a rename.
    fs::write(world.artifact_path(2), b"half").unwrap();
    fs::write(world.delta(2), b"half").unwrap();
    fs::write(world.root().join("lists/base/.tmp-killed"), b"half").unwrap();
    world.retract([1]);
    world.publish();
    apply_delta(&world, 1, 2);
    assert_eq!(names(&world.root().join("lists/base")), ["1.codebook", "1.vml", "2.codebook", "2.delta", "2.vml"]);
}

#[test]
fn a_damaged_artifact_is_not_built_upon() {
    let world = World::published(10);
    let mut file = fs::read(world.artifact_path(1)).unwrap();
    *file.last_mut().unwrap() ^= 1;
    fs::write(world.artifact_path(1), file).unwrap();
    world.retract([1]);
    let refused = world.agency().publish(&world.list, false, world.now(), &|_| ()).unwrap_err();
    assert_eq!(refused.reason(), "DAMAGED");
    assert_eq!(world.store().newest_version(&world.list, None).unwrap().unwrap().version, Version(1));
}

#[test]
fn old_artifacts_are_deleted_and_deltas_stay() {
    let world = World::published(10);
    for number in 0..3 {
        world.retract([number]);
        world.publish();
    }
    assert_eq!(
        names(&world.root().join("lists/base")),
        ["2.delta", "3.codebook", "3.delta", "3.vml", "4.codebook", "4.delta", "4.vml"],
        "two artifacts are kept, for downloads that have begun"
    );
}

#[test]
fn deltas_take_no_more_room_than_the_artifact_however_many_versions_there_are() {
    let world = World::published(100);
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    for number in 0..30 {
        world.retract([number]);
        let version = world.publish()[0].version.0;
        let deltas: Vec<u32> = (2..=version).filter(|version| world.delta(*version).exists()).collect();
        // The newest ones, without a gap.
        assert_eq!(deltas, (version + 1 - u32::try_from(deltas.len()).unwrap()..=version).collect::<Vec<_>>());
        let together: u64 = deltas.iter().map(|version| length(&world.delta(*version))).sum();
        let artifact = length(&world.artifact_path(version));
        assert!(together <= artifact, "{together} {artifact}");
        // And none went for which there was room.
        assert!(deltas[0] == 2 || together + 4_096 > artifact, "{together} {artifact}");
        apply_delta(&world, version - 1, version);
    }
    assert!(!world.delta(2).exists());
}

#[test]
fn before_a_version_without_a_delta_no_delta_is_kept() {
    let world = World::published(10);
    world.retract([1]);
    world.publish();
    assert!(world.delta(2).exists());
    world.import(1_000..9_000, "A1");
    assert_eq!(world.publish()[0].delta, None);
    assert!(!world.delta(2).exists());
}

#[test]
fn a_rotation_publishes_the_whole_list_under_a_new_key_and_both_epochs_follow_every_change() {
    let world = World::published(100);
    world.clock.advance(3_600);
    let rotated = world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    let versions: Vec<_> = rotated.published.iter().map(|version| (version.version.0, version.epoch.0)).collect();
    assert_eq!(versions, [(2, 1), (3, 2)]);
    assert_eq!(rotated.old_retires_at, world.now() + 168 * 3_600);
    assert_ne!(world.manifest(2).manifest().oprf_key, world.manifest(3).manifest().oprf_key);
    assert_eq!(world.code(3, 99).unwrap(), "A1");

    world.retract([7]);
    let published = world.publish();
    let versions: Vec<_> = published.iter().map(|version| (version.version.0, version.epoch.0)).collect();
    assert_eq!(versions, [(4, 1), (5, 2)]);
    apply_delta(&world, 2, 4);
    apply_delta(&world, 3, 5);
    assert_eq!((world.label(4, 7), world.label(5, 7)), (None, None));
    for version in 2..=5 {
        world.manifest(version).follows(Some(&world.manifest(version - 1))).unwrap();
    }
    let again = world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap_err();
    assert_eq!(again.reason(), "EPOCHS_OVERLAP");
}

#[test]
fn when_the_overlap_is_over_the_old_key_and_its_files_are_gone() {
    let world = World::published(100);
    world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    let seed = world.root().join("keys/oprf/base-1.seed");
    assert!(world.agency().retire(&world.list, world.now()).unwrap().is_empty());
    assert!(seed.exists());
    world.clock.advance(168 * 3_600);
    assert_eq!(world.agency().retire(&world.list, world.now()).unwrap(), [Epoch(1)]);
    assert!(!seed.exists());
    assert_eq!(names(&world.root().join("lists/base")), ["3.codebook", "3.vml"]);
    world.retract([7]);
    let published = world.publish();
    assert_eq!((published.len(), published[0].epoch), (1, Epoch(2)));
    world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
}

#[test]
fn a_version_of_a_retiring_epoch_is_not_valid_beyond_its_end() {
    let world = World::published(10);
    let rotated = world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    world.clock.advance(100 * 3_600);
    world.retract([1]);
    let published = world.publish();
    assert_eq!(published[0].not_after, rotated.old_retires_at);
    assert_eq!(published[1].not_after, world.now() + 168 * 3_600);
}

#[test]
fn without_an_overlap_the_old_key_is_destroyed_by_the_rotation_itself() {
    // SPEC §8.7. The end of the old epoch was decided and never recorded, because nothing was published for it: its key
    // answered for ever although the command said that it was destroyed, and every later rotation failed.
    let world = World::published(10);
    world.configure("overlap_hours", "0");
    let rotated = world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    assert!(rotated.old_destroyed);
    assert_eq!(rotated.old_retires_at, world.now());
    let versions: Vec<_> = rotated.published.iter().map(|version| (version.version.0, version.epoch.0)).collect();
    assert_eq!(versions, [(2, 2)]);
    let old = &world.store().epochs(&world.list).unwrap()[0];
    assert_eq!((old.retire_at, old.destroyed_at), (Some(world.now()), Some(world.now())));
    assert!(!world.root().join("keys/oprf/base-1.seed").exists());
    assert_eq!(names(&world.root().join("lists/base")), ["2.codebook", "2.vml"]);
    world.manifest(2).follows(Some(&world.manifest(1))).unwrap();
    world.agency().rotate(&world.list, world.now() + 1, &|_| ()).unwrap();
}

#[test]
fn an_overlap_shorter_than_a_versions_life_ends_what_is_published_after_the_rotation() {
    // SPEC §8.7
    let world = World::published(10);
    world.configure("overlap_hours", "24");
    let rotated = world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    assert!(!rotated.old_destroyed);
    let ends: Vec<u64> = rotated.published.iter().map(|version| version.not_after - world.now()).collect();
    assert_eq!(ends, [24 * 3_600, 168 * 3_600]);
    assert_eq!(rotated.old_retires_at, world.now() + 24 * 3_600);
}

#[test]
fn a_destruction_that_was_killed_at_any_point_stops_no_start_and_is_finished() {
    // The seed went first and the row said so last, but the start read the key of every epoch that the row did not call
    // destroyed: a server killed in between never started again. And files that were left were left for ever.
    let kills: [fn(&World); 4] = [
        |world| fs::write(world.root().join("keys/oprf/base-1.seed"), [0; 115]).unwrap(),
        |world| fs::remove_file(world.root().join("keys/oprf/base-1.seed")).unwrap(),
        |world| {
            fs::remove_file(world.root().join("keys/oprf/base-1.seed")).unwrap();
            fs::remove_file(world.artifact_path(1)).unwrap();
        },
        |world| {
            fs::remove_file(world.root().join("keys/oprf/base-1.seed")).unwrap();
            for file in [world.artifact_path(1), world.artifact_path(2), world.delta(2)] {
                fs::remove_file(file).unwrap();
            }
        },
    ];
    for kill in kills {
        let world = World::published(10);
        world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
        world.clock.advance(168 * 3_600);
        kill(&world);
        let agency = world.agency();
        Catalogue::load(&world.store(), agency.dir(), None, world.now()).unwrap();
        assert_eq!(world.agency().retire(&world.list, world.now()).unwrap(), [Epoch(1)]);
        assert_eq!(names(&world.root().join("lists/base")), ["3.codebook", "3.vml"]);
        assert_eq!(names(&world.root().join("keys/oprf")), ["base-2.seed"]);
        assert_eq!(world.store().epochs(&world.list).unwrap()[0].destroyed_at, Some(world.now()));
    }
}

#[test]
fn frames_too_small_for_the_kinds_of_a_list_are_named_when_it_is_published() {
    // The manifest was refused by our own encoder: "protocol", "tell us", for what stood in the configuration.
    let world = World::new();
    world.configure("frame_sizes", "[1]");
    let refused = world.agency().publish(&world.list, false, world.now(), &|_| ()).unwrap_err();
    assert_eq!(refused.reason(), "BAD_CONFIG");
    assert!(refused.to_string().contains("publication.frame_sizes"), "{refused}");
    assert_eq!(names(&world.root().join("lists")), [""; 0]);
}

#[test]
fn an_empty_list_is_published_as_dummies() {
    let world = World::new();
    let published = world.publish();
    assert_eq!((published[0].entries, published[0].records), (0, 1_024));
    assert_eq!(world.artifact(1).count(), 1_024);
}

#[test]
fn progress_ends_at_its_total() {
    let world = World::new();
    world.import(0..3_000, "A1");
    let seen = Mutex::new(Vec::new());
    world.agency().publish(&world.list, false, world.now(), &|progress| seen.lock().unwrap().push(progress)).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.contains(&Progress { epoch: Epoch(1), stage: Stage::Evaluate, done: 3_000, total: 3_000 }));
    let count = padded_count(3_000);
    assert!(seen.contains(&Progress { epoch: Epoch(1), stage: Stage::Write, done: count, total: count }));
}

#[test]
fn a_publication_that_was_killed_while_it_evaluated_goes_on_where_it_was() {
    let world = World::new();
    world.import(0..100_000, "A1");
    let agency = world.agency();
    let publish = |progress: OnProgress<'_>| {
        let mut store = world.store();
        let mut publisher = Publisher::new(agency.dir(), agency.config(), &mut store, progress).unwrap();
        publisher.put_down_every = 30_000;
        // The time goes on: what was begun is finished as it was meant.
        world.clock.advance(10);
        publisher.publish(&world.list, Occasion::Asked, world.now())
    };
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        publish(&|progress| assert!(progress.done < 98_304, "killed here"))
    }));
    assert!(killed.is_err());
    let first = Mutex::new(None);
    publish(&|progress| {
        first.lock().unwrap().get_or_insert(progress.done);
    })
    .unwrap();
    assert!(first.into_inner().unwrap().unwrap() > 60_000, "what was put down was evaluated again");
    assert_eq!(world.artifact(1).count(), padded_count(100_000));
    assert_eq!(world.store().newest_version(&world.list, None).unwrap().unwrap().entries, 100_000);
    for number in [0, 31_000, 65_000, 99_999] {
        assert_eq!(world.code(1, number).unwrap(), "A1");
    }
    assert_eq!(names(&world.root().join("lists/base")), ["1.codebook", "1.vml"]);
}

#[test]
fn a_clock_that_is_set_back_over_a_date_stops_no_publication() {
    // The entry was in the artifact and came once more.
    let world = World::new();
    let options = ImportOptions {
        reading: Options { kind: Some(Kind::Sha256), ..Options::default() },
        valid_from: Some(world.now() + 50),
        ..ImportOptions::default()
    };
    let file = world.list_file(0..1);
    world.agency().import(&world.list, &file, &options, world.now(), &mut |_, _, _| ()).unwrap();
    let early = world.now();
    world.clock.advance(100);
    world.publish();
    let mut agency = world.agency();
    world.import(1..2, "A1");
    agency.publish(&world.list, false, early, &|_| ()).unwrap();
    world.import(2..3, "A1");
    agency.publish(&world.list, false, early + 60, &|_| ()).unwrap();
    assert!(world.label(3, 0).is_some());
}

#[test]
fn a_manifest_names_the_policy_of_the_logs_by_its_hash() {
    // SPEC §8.2
    let world = World::published(3);
    assert_eq!(world.manifest(1).manifest().policy, None);
    let text = "quorum none\n";
    fs::write(world.root().join("policy"), text).unwrap();
    world.configure("policy", "\"policy\"");
    world.import(3..6, "A1");
    world.publish();
    assert_eq!(world.manifest(2).manifest().policy, Some(Hash(Sha256::digest(text).into())));
    fs::remove_file(world.root().join("policy")).unwrap();
    world.import(6..9, "A1");
    let refused = world.agency().publish(&world.list, false, world.now(), &|_| ()).unwrap_err();
    assert_eq!(refused.reason(), "IO");
}
