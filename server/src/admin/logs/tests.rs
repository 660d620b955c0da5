use std::fs;

use veilmatch_protocol::frame::FrameSize;

use super::*;
use crate::{admin::ClientTerms, world::World};

/// An agency that has answered five frames and published its logs.
async fn world() -> World {
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let served = world.serve();
    for _ in 0..5 {
        let asked = platform.ask(&world, FrameSize::One, &[]).0;
        served.evaluation(&platform).evaluate(asked.request()).await.unwrap();
    }
    served.stop();
    world
}

fn findings(world: &World, full: bool) -> Vec<String> {
    let checked = world.agency().log_check(full, world.now()).unwrap();
    assert_eq!(checked.len(), 2);
    checked.into_iter().flat_map(|log| log.findings).collect()
}

#[tokio::test]
async fn a_sound_log_has_no_findings_and_each_damage_has_one() {
    // SPEC §17.3
    let world = world().await;
    assert!(findings(&world, false).is_empty() && findings(&world, true).is_empty());
    let status = world.agency().log_status().unwrap();
    assert_eq!(status.iter().map(|log| (log.leaves, log.row.published_size)).collect::<Vec<_>>(), [(1, 1), (5, 5)]);

    let folder = world.root().join("logs/query/2024h2");
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[9] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let tile = folder.join("tile/0/000.p/5");
    flip(&tile);
    assert_eq!(findings(&world, false).len(), 1);
    assert!(findings(&world, true).iter().any(|finding| finding.starts_with("L04")));
    flip(&tile);
    let entries = folder.join("tile/entries/000.p/5");
    flip(&entries);
    assert!(findings(&world, false).iter().all(|finding| !finding.starts_with("L01")));
    assert!(findings(&world, true).iter().any(|finding| finding.starts_with("L04")));
    flip(&entries);
    let checkpoint = fs::read_to_string(folder.join("checkpoint")).unwrap();
    fs::write(folder.join("checkpoint"), checkpoint.replacen("\n5\n", "\n4\n", 1)).unwrap();
    assert!(findings(&world, true).iter().any(|finding| finding.starts_with("L01")));
    fs::write(folder.join("checkpoint"), checkpoint).unwrap();
    assert!(findings(&world, true).is_empty());
}

#[tokio::test]
async fn what_is_exported_is_a_whole_log_that_an_auditor_can_read() {
    // SPEC §17.3
    let world = world().await;
    let keys = LogKeys::read(world.agency().dir(), &world.agency().config().agency()).unwrap();
    for (log, size) in [("manifest", 1), ("query", 5), ("agency.example/veilmatch/query/2024h2", 5)] {
        let out = world.path(&format!("{size}-{}", log.len()));
        let row = world.agency().log_export(log, &out).unwrap();
        let key = keys.public().of(&LogOrigin::parse(&row.origin).unwrap()).unwrap();
        let known = Known { key, policy: None, now: world.now(), seen: Vec::new(), every_root: false };
        let audited = verify(&LogFolder::new(&out), &known).unwrap();
        assert!(audited.findings.is_empty() && audited.complete(), "{:?}", audited.findings);
        assert_eq!(audited.size(), size);
        let again = world.agency().log_export(log, &out).unwrap_err();
        assert_eq!(again.reason(), "BAD_ARGUMENT");
    }
    assert_eq!(world.agency().log_export("nothing", &world.path("n")).unwrap_err().reason(), "BAD_ARGUMENT");
}
