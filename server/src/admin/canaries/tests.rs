use std::fs;

use veilmatch_audit::reconcile::CanaryLine;
use veilmatch_protocol::{artifact::Artifact, manifest::no_canaries};

use super::*;
use crate::world::{NOON, World, custom};

fn plant(world: &World, folder: &str, count: u32, deadline: Option<u64>) -> Result<Change, Error> {
    let (category, platform) = (custom("A1"), PlatformId::parse("platform.example").unwrap());
    let cover = Cover { source: "local", category: &category, action: "", reference: "", platform: &platform };
    world.agency().canaries(&world.list, count, &world.path(folder), &cover, deadline, world.now())
}

/// The lines as an auditor reads them, and how many canaries have none.
fn export(world: &World, file: &str) -> (Vec<CanaryLine>, usize) {
    let path = world.path(file);
    let Opened { written, left_out } = world.agency().canary_export(&world.list, &path).unwrap();
    let text = fs::read(&path).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.map(|line| CanaryLine::decode(line).unwrap()).collect();
    assert_eq!(lines.len(), written);
    (lines, left_out)
}

fn is_listed(artifact: &Artifact<Vec<u8>>, line: &CanaryLine) -> bool {
    artifact.lookup(&line.opening.canary().tag).unwrap().is_some()
}

#[test]
fn a_version_commits_to_its_canaries_and_each_can_be_opened() {
    // SPEC §18.7, §21.4
    let world = World::published(10);
    assert_eq!(world.manifest(1).manifest().canary_root, no_canaries());
    plant(&world, "first", 3, Some(NOON + 600)).unwrap();
    assert_eq!(world.agency().canary_export(&world.list, &world.path("early")).unwrap(), Opened::default());
    world.publish();
    let root = world.manifest(2).manifest().canary_root;
    assert_ne!(root, no_canaries());
    let (lines, left_out) = export(&world, "openings");
    assert_eq!((lines.len(), left_out), (3, 0));
    let artifact = world.artifact(2);
    for CanaryLine { platform, list, version, opening, .. } in &lines {
        assert_eq!((platform.as_str(), list, version.0), ("platform.example", &world.list, 2));
        opening.verify(&root).unwrap();
        assert!(opening.verify(&no_canaries()).is_err());
        assert_eq!(opening.canary().deadline, (NOON + 600) / 60);
    }
    assert!(lines.iter().all(|line| is_listed(&artifact, line)));
    // The same list again commits to the same, and each is opened under the first version that has it.
    world.agency().publish(&world.list, true, NOON + 1, &|_| ()).unwrap();
    assert_eq!(world.manifest(3).manifest().canary_root, root);
    plant(&world, "second", 1, None).unwrap();
    world.publish();
    let (lines, _) = export(&world, "more");
    let versions = lines.iter().map(|line| line.version.0).collect::<Vec<_>>();
    assert_eq!(versions, [2, 2, 2, 4]);
    lines[3].opening.verify(&world.manifest(4).manifest().canary_root).unwrap();
    assert_eq!(plant(&world, "late", 1, Some(NOON)).unwrap_err().reason(), "BAD_ARGUMENT");
}

#[test]
fn a_canary_that_proves_nothing_is_left_out() {
    // SPEC §18.7, §21.4: published after its deadline, or with another tag before a platform had to report it.
    let world = World::published(10);
    plant(&world, "late", 2, Some(NOON + 60)).unwrap();
    world.clock.advance(120);
    world.publish();
    assert_eq!(export(&world, "a").1, 2);
    plant(&world, "rotated", 1, None).unwrap();
    world.publish();
    assert_eq!((export(&world, "b").0.len(), export(&world, "c").1), (1, 2));
    world.clock.advance(60);
    world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    let roots = [3, 5].map(|version| world.manifest(version).manifest().canary_root);
    assert_ne!(roots[0], roots[1], "a new epoch has other tags");
    assert_eq!((export(&world, "d").0.len(), export(&world, "e").1), (0, 3));
}

#[test]
fn canaries_that_the_newest_version_does_not_commit_to_are_damaged_whichever_version_brought_them() {
    // SPEC §18.7
    let world = World::published(10);
    plant(&world, "files", 1, None).unwrap();
    world.publish();
    world.agency().publish(&world.list, true, NOON + 1, &|_| ()).unwrap();
    let database = rusqlite::Connection::open(world.agency().dir().entries_database()).unwrap();
    database.execute("UPDATE canary SET salt = zeroblob(32)", []).unwrap();
    let refused = world.agency().canary_export(&world.list, &world.path("openings")).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
}
