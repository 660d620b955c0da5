use veilmatch_audit::opening::Opening;
use veilmatch_protocol::{
    frame::BatchId,
    item::Item,
    manifest::{Hash, Timestamp},
    name::AgencyName,
    receipt::Salt,
};

use super::*;
use crate::{
    admin::ClientTerms,
    world::{Platform, World, item},
};

/// A line of a receipt for an item, as of version 1.
fn line(world: &World, platform: &Platform, item: &Item, label: Vec<u8>) -> String {
    let key = world.agency().epoch_key(&world.list, Epoch(1)).unwrap().unwrap();
    let output = oprf::evaluate(Mode::Voprf, &key, &[item.as_bytes()]).unwrap();
    let okm = EpochContext { list: world.list.clone(), epoch: Epoch(1) }.okm(&output[0]);
    let receipt = Receipt {
        agency: AgencyName::parse("agency.example").unwrap(),
        batch: BatchId([1; 16]),
        epoch: Epoch(1),
        label,
        list: world.list.clone(),
        manifest: Hash([2; 32]),
        matched: Timestamp::from_unix(world.now()).minute(),
        object: String::new(),
        platform: platform.name.clone(),
        position: 0,
        tag: okm.tag(),
        version: Version(1),
    };
    let signed = receipt.sign(&okm.match_secret(), &platform.evidence.receipt).unwrap();
    let opening = Opening {
        log: LogOrigin::parse("platform.example/veilmatch/match/agency.example/2024h2").unwrap(),
        index: 0,
        salt: Salt::random(&mut rand::rng()),
        receipt: String::from_utf8(signed.note().to_vec()).unwrap(),
        secret: None,
        element: None,
    };
    String::from_utf8(opening.encode().unwrap().to_vec()).unwrap() + "\n"
}

#[test]
fn the_entries_behind_receipts_are_written_as_their_version_had_them() {
    // SPEC §21.4
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let label = world.label(1, 3).unwrap();
    let mut forged = platform.clone();
    forged.evidence.receipt = forged.evidence.match_log.clone();
    let lines = [
        line(&world, &platform, &item(3), label.clone()),
        line(&world, &platform, &item(3), label.clone()),
        line(&world, &platform, &item(99), label.clone()),
        line(&world, &forged, &item(4), label.clone()),
        "no opening\n".to_owned(),
    ];
    let (openings, out) = (world.path("openings.jsonl"), world.path("items.jsonl"));
    fs::write(&openings, lines.concat()).unwrap();
    // What a version had stays told when the entry has left.
    world.retract([3]);
    world.publish();
    let done = world.agency().items(&world.list, &openings, &out, &|_| ()).unwrap();
    assert_eq!(done, Disclosed { written: 1, unread: 2, unknown: 1 });
    let written = fs::read(&out).unwrap();
    assert_eq!(written.split(|&byte| byte == b'\n').count(), 2, "one line");
    let (named, _) = world.agency().named(&world.list, &openings).unwrap();
    let items = Items::read(&written).unwrap();
    let found: Vec<_> =
        named.values().flatten().filter_map(|tag| items.of(&world.list, Epoch(1), *tag)).cloned().collect();
    assert_eq!(found.len(), 1);
    assert!(found[0] == (item(3), label));
}
