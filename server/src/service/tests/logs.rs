//! The Logs service, asked by platforms.

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    checkpoint::{self, Checkpoint},
    closing::{AnsweredFrame, Closing, Day},
    cosignature::{Cosigner, Witness},
    date::Date,
    leaf::{Leaf, QueryStatus},
    origin::LogOrigin,
    tree::{Edge, consistency_proof, verify_consistency, verify_inclusion},
};
use veilmatch_proto::{Inclusion, ListedLeaves, ProvenCheckpoint};
use veilmatch_protocol::{
    frame::{RequestDigest, ResponseDigest},
    manifest::Timestamp,
    merkle::leaf_hash,
    name::AgencyName,
    note::{Note, Verifier},
    prepared::PreparedKey,
};

use super::*;
use crate::logs::{LogKeys, LogState};

const MANIFEST: &str = "agency.example/veilmatch/manifest";

fn keys(world: &World) -> LogKeys {
    LogKeys::read(world.agency().dir(), &AgencyName::parse("agency.example").unwrap()).unwrap()
}

fn query_log(world: &World) -> String {
    let origin = "agency.example/veilmatch/query/2024h2".to_owned();
    assert!(world.store().log(&origin).unwrap().is_some());
    origin
}

async fn checkpoint_of(
    served: &crate::world::Served,
    platform: &Platform,
    origin: &str,
    old_size: u64,
) -> Result<ProvenCheckpoint, Status> {
    let request = pb::GetCheckpointRequest { origin: origin.into(), old_size };
    served.logs(platform).get_checkpoint(request).await.map(|proven| proven.into_inner().try_into().unwrap())
}

#[tokio::test]
async fn an_answer_brings_its_leaf_and_the_promise_of_it_and_a_retry_the_same_bytes() {
    // SPEC §9.4, §9.7, §18.3, §18.4
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    let first = client.evaluate(asked.request()).await.unwrap().into_inner();
    assert_eq!(client.evaluate(asked.request()).await.unwrap().into_inner(), first);

    let Leaf::Query(leaf) = Leaf::decode(&first.leaf).unwrap() else { panic!("a leaf of the query log") };
    assert_eq!((leaf.platform.as_str(), leaf.status, leaf.view), ("platform.example", QueryStatus::Ok, world.view()));
    leaf.verify_signature(&PreparedKey::new(platform.key.verifying_key())).unwrap();
    let promised = Acknowledgement::open(&first.acknowledgement, &keys(&world).public().ack).unwrap();
    promised.promises(&first.leaf, &leaf).unwrap();
    assert_eq!((promised.origin.to_string(), promised.index), (query_log(&world), 0));

    // The promise is kept, and the leaf is where it says.
    served.stop();
    let log = world.store().log(&query_log(&world)).unwrap().unwrap();
    assert_eq!((log.published_size, world.store().leaves(log.id, 0..2).unwrap()), (1, vec![first.leaf]));
}

#[tokio::test]
async fn checkpoints_and_leaves_are_proven_to_whom_they_are_open() {
    // SPEC §20.1
    let (world, platform) = world();
    let other = world.enrol("other.example", &ClientTerms::default());
    let served = world.serve();
    let mut leaves = Vec::new();
    for asker in [&platform, &other, &platform] {
        let answer = served.evaluation(asker).evaluate(asker.ask_anything(&world).request()).await.unwrap();
        leaves.push(answer.into_inner().leaf);
    }
    let origin = query_log(&world);
    served.stop();
    let served = world.serve();

    let proven = checkpoint_of(&served, &platform, &origin, 1).await.unwrap();
    let verifier = keys(&world).public().of(&LogOrigin::parse(&origin).unwrap()).unwrap();
    let signed = checkpoint::open(&proven.note, &origin, &verifier).unwrap();
    assert_eq!(signed.size, 3);
    verify_consistency(1, &leaf_hash(&leaves[0]), 3, &signed.root, &proven.consistency).unwrap();

    let inclusion = async |asker: &Platform, leaf: &[u8], size| {
        let (origin, leaf_hash) = (origin.clone(), leaf_hash(leaf).to_vec());
        let request = pb::GetInclusionRequest { origin, leaf_hash, size };
        served.logs(asker).get_inclusion(request).await.map(|found| Inclusion::try_from(found.into_inner()).unwrap())
    };
    let found = inclusion(&platform, &leaves[2], 3).await.unwrap();
    verify_inclusion(&leaf_hash(&leaves[2]), found.index, 3, &found.proof, &signed.root).unwrap();
    assert_eq!(found.index, 2);
    let refused = [
        (inclusion(&platform, &leaves[1], 3).await, Reason::UnknownLog),
        (inclusion(&platform, b"no leaf", 3).await, Reason::UnknownLog),
        (inclusion(&platform, &leaves[2], 2).await, Reason::UnknownLog),
        (inclusion(&platform, &leaves[2], 4).await, Reason::CheckpointAhead),
    ];
    for (refused, why) in refused {
        assert_eq!(reason(&refused.unwrap_err()), why);
    }

    let list = async |asker: &Platform, origin: &str, from| {
        let request = pb::ListLeavesRequest { origin: origin.into(), from };
        served.logs(asker).list_leaves(request).await.map(|l| ListedLeaves::decode(l.into_inner(), from).unwrap())
    };
    let own = list(&platform, &origin, 0).await.unwrap();
    assert_eq!(own, ListedLeaves { leaves: vec![(0, leaves[0].clone()), (2, leaves[2].clone())], next: 3 });
    assert_eq!(list(&other, &origin, 2).await.unwrap(), ListedLeaves { leaves: Vec::new(), next: 3 });
    assert_eq!(list(&other, MANIFEST, 0).await.unwrap().leaves[0].1, world.manifest(1).leaf());
    assert_eq!(reason(&list(&other, &origin, 4).await.unwrap_err()), Reason::CheckpointAhead);
    for unknown in ["agency.example/veilmatch/query/2019h1", "other.example/veilmatch/manifest", "x"] {
        assert_eq!(reason(&list(&other, unknown, 0).await.unwrap_err()), Reason::UnknownLog);
    }
    assert_eq!(reason(&checkpoint_of(&served, &other, MANIFEST, 2).await.unwrap_err()), Reason::CheckpointAhead);
}

#[tokio::test]
async fn a_platform_s_cosignature_is_published_and_a_false_one_is_not() {
    // SPEC §17.5, §20.2
    let (world, platform) = world();
    let served = world.serve();
    let note = checkpoint_of(&served, &platform, MANIFEST, 0).await.unwrap().note;
    let signed = checkpoint::open(&note, MANIFEST, &keys(&world).public().manifest).unwrap();
    let cosigner = |name: &str, key: &SigningKey| Cosigner::new(name, key.clone()).unwrap();
    let ours = cosigner("platform.example/veilmatch/witness", &platform.evidence.witness);
    let add = async |note: &[u8], cosignature: String| {
        let request = pb::AddCosignatureRequest { note: note.to_vec(), cosignature };
        served.logs(&platform).add_cosignature(request).await.map(drop).map_err(|status| reason(&status))
    };
    let now = world.now();
    let other = Checkpoint { size: 2, ..signed.clone() };
    for bad in [
        ours.cosign(&signed, now + 31),
        ours.cosign(&other, now),
        cosigner("platform.example/veilmatch/witness", &platform.key).cosign(&signed, now),
        cosigner("other.example/veilmatch/witness", &platform.evidence.witness).cosign(&signed, now),
        "— platform.example/veilmatch/witness AAAA\n".into(),
    ] {
        assert_eq!(add(&note, bad).await, Err(Reason::BadCheckpoint));
    }
    let forged = checkpoint::sign(&other, &platform.key).unwrap();
    assert_eq!(add(forged.as_bytes(), ours.cosign(&other, now)).await, Err(Reason::BadCheckpoint));

    add(&note, ours.cosign(&signed, now)).await.unwrap();
    let witness =
        Witness::new("platform.example/veilmatch/witness", platform.evidence.witness.verifying_key()).unwrap();
    let published = checkpoint_of(&served, &platform, MANIFEST, 0).await.unwrap().note;
    assert_eq!(witness.cosigned(&Note::parse(&published).unwrap(), now), Ok(Some(now)));
    assert_eq!(std::fs::read(world.root().join("logs/manifest/checkpoint")).unwrap(), published);
    // A later one of the same platform takes the place of the earlier.
    add(&note, ours.cosign(&signed, now + 5)).await.unwrap();
    let published = checkpoint_of(&served, &platform, MANIFEST, 0).await.unwrap().note;
    assert_eq!(Note::parse(&published).unwrap().lines().len(), 2);
}

#[tokio::test]
async fn a_checkpoint_of_our_key_that_is_not_ours_stops_all_answers() {
    // SPEC §17.7
    for size in [1, 9] {
        let (world, platform) = world();
        let served = world.serve();
        let key = crate::keys::read_signing_key(&world.root().join("keys/manifest-log.key")).unwrap();
        let forked = Checkpoint { origin: MANIFEST.into(), size, root: [7; 32] };
        let cosigner = Cosigner::new("platform.example/veilmatch/witness", platform.evidence.witness.clone()).unwrap();
        let request = pb::AddCosignatureRequest {
            note: checkpoint::sign(&forked, &key).unwrap().into_bytes(),
            cosignature: cosigner.cosign(&forked, world.now()),
        };
        let refused = served.logs(&platform).add_cosignature(request).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::AuditUnavailable);
        assert_eq!(served.health.state(), LogState::Halted);
        let refused = served.evaluation(&platform).evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::AuditUnavailable);
        assert_eq!(world.store().count_frames().unwrap(), (0, 0));
        // Nor does it publish, or start again.
        let refused = world.agency().publish(&world.list, true, world.now(), &|_| ()).unwrap_err();
        assert_eq!(refused.reason(), "LOG_HALTED");
    }
}

/// A platform's match log of so many leaves.
fn match_log(platform: &Platform, seed: u8, size: u64) -> (Vec<[u8; 32]>, Checkpoint, Vec<u8>) {
    let leaves: Vec<[u8; 32]> = (0..size).map(|i| leaf_hash(&[seed, u8::try_from(i).unwrap()])).collect();
    let mut edge = Edge::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf));
    let origin = format!("{}/veilmatch/match/agency.example/2024h2", platform.name);
    let checkpoint = Checkpoint { origin, size, root: edge.root() };
    let note = checkpoint::sign(&checkpoint, &platform.evidence.match_log).unwrap().into_bytes();
    (leaves, checkpoint, note)
}

#[tokio::test]
async fn the_agency_cosigns_what_extends_what_it_cosigned_and_nothing_else() {
    // SPEC §17.5, §20.2
    let (world, platform) = world();
    let other = world.enrol("other.example", &ClientTerms::default());
    let served = world.serve();
    let (_, first, first_note) = match_log(&platform, 1, 3);
    let (leaves, second, second_note) = match_log(&platform, 1, 7);
    let (forked_leaves, _, forked) = match_log(&platform, 2, 7);
    let proof = |leaves: &[[u8; 32]]| consistency_proof(leaves, 3, 7).unwrap();
    let add = async |asker: &Platform, note: &[u8], old_size, proof: &[[u8; 32]]| {
        let consistency = proof.iter().map(|hash| hash.to_vec()).collect();
        let request = pb::AddCheckpointRequest { note: note.to_vec(), old_size, consistency };
        let added = served.logs(asker).add_checkpoint(request).await;
        added.map(|added| added.into_inner().cosignature).map_err(|status| reason(&status))
    };
    let cosigned = async |asker: &Platform, origin: &str| {
        let request = pb::GetCosignedRequest { origin: origin.into() };
        served.logs(asker).get_cosigned(request).await.map(|note| note.into_inner().note).map_err(|s| reason(&s))
    };
    let origin = first.origin.clone();
    assert_eq!(cosigned(&platform, &origin).await, Ok(Vec::new()));
    assert_eq!(add(&platform, &first_note, 2, &[]).await, Err(Reason::CheckpointConflict));
    assert_eq!(add(&other, &first_note, 0, &[]).await, Err(Reason::UnknownLog));
    assert_eq!(cosigned(&other, &origin).await, Err(Reason::UnknownLog));

    let line = add(&platform, &first_note, 0, &[]).await.unwrap();
    let witness = keys(&world).public().witness.clone();
    let verified = |line: &str, of: &Checkpoint| {
        let note = format!("{}\n{line}", of.text());
        witness.cosigned(&Note::parse(note.as_bytes()).unwrap(), world.now()).unwrap()
    };
    assert_eq!(verified(&line, &first), Some(world.now()));
    assert_eq!(add(&platform, &second_note, 0, &[]).await, Err(Reason::CheckpointConflict));
    assert_eq!(add(&platform, &second_note, 3, &[]).await, Err(Reason::BadCheckpoint));
    assert_eq!(add(&platform, &forked, 3, &proof(&forked_leaves)).await, Err(Reason::BadCheckpoint));
    let line = add(&platform, &second_note, 3, &proof(&leaves)).await.unwrap();
    assert_eq!(verified(&line, &second), Some(world.now()));
    assert_eq!(add(&platform, &forked, 7, &[]).await, Err(Reason::CheckpointConflict));
    assert_eq!(add(&platform, &first_note, 7, &[]).await, Err(Reason::BadCheckpoint));

    // A log that is signed by another key, or is about another agency.
    let foreign =
        Checkpoint { origin: "platform.example/veilmatch/match/other.example/2024h2".into(), ..second.clone() };
    let foreign = checkpoint::sign(&foreign, &platform.evidence.match_log).unwrap();
    assert_eq!(add(&platform, foreign.as_bytes(), 0, &[]).await, Err(Reason::UnknownLog));
    let wrong_key = checkpoint::sign(&second, &platform.evidence.receipt).unwrap();
    assert_eq!(add(&platform, wrong_key.as_bytes(), 7, &[]).await, Err(Reason::BadCheckpoint));

    // What was cosigned is known after a restart.
    let before = cosigned(&platform, &origin).await.unwrap();
    let verifier = Verifier::new(&origin, platform.evidence.match_log.verifying_key()).unwrap();
    assert_eq!(checkpoint::open(&before, &origin, &verifier).unwrap(), second);
    assert!(String::from_utf8(before.clone()).unwrap().ends_with(&line));
    served.stop();
    let served = world.serve();
    let request = pb::GetCosignedRequest { origin };
    assert_eq!(served.logs(&platform).get_cosigned(request).await.unwrap().into_inner().note, before);
}

#[tokio::test]
async fn a_day_is_closed_once_both_sides_say_the_same_of_it() {
    // SPEC §18.6, §20.3
    let (world, platform) = world();
    let served = world.serve();
    let mut frames = Vec::new();
    for _ in 0..3 {
        let answer = served.evaluation(&platform).evaluate(platform.ask_anything(&world).request()).await.unwrap();
        let Leaf::Query(leaf) = Leaf::decode(&answer.into_inner().leaf).unwrap() else { panic!("a query leaf") };
        let (req, resp): (RequestDigest, ResponseDigest) = (leaf.req, leaf.resp.unwrap());
        frames.push(AnsweredFrame { req, resp, n: leaf.n });
    }
    let day = Day {
        agency: AgencyName::parse("agency.example").unwrap(),
        platform: platform.name.clone(),
        list: world.list.clone(),
        epoch: Epoch(1),
        date: Date::of(Timestamp::from_unix(world.now())),
    };
    let right = Closing::of(day.clone(), frames.clone());
    let close = async |statement: &Closing, key: &SigningKey| {
        let statement = statement.sign(key).unwrap().into_bytes();
        let closed = served.logs(&platform).close_day(pb::CloseDayRequest { statement }).await;
        closed.map(|closed| closed.into_inner().signature).map_err(|status| reason(&status))
    };
    let key = &platform.evidence.receipt;
    assert_eq!(close(&right, key).await, Err(Reason::CloseDiffers), "the day is not over");
    world.clock.advance(86_400);
    assert_eq!(close(&right, &platform.key).await, Err(Reason::BadRequest));
    let wrong = Closing::of(day, frames[..2].to_vec());
    assert_eq!(close(&wrong, key).await, Err(Reason::CloseDiffers));

    let line = close(&right, key).await.unwrap();
    assert_eq!(close(&right, key).await.unwrap(), line);
    assert_eq!(close(&wrong, key).await, Err(Reason::CloseDiffers));
    let note = right.sign(key).unwrap() + &line;
    let receipt = Verifier::new("platform.example/veilmatch/receipt", key.verifying_key()).unwrap();
    assert_eq!(Closing::open_countersigned(note.as_bytes(), &receipt, &keys(&world).public().ack).unwrap(), right);
    let log = world.store().log(&query_log(&world)).unwrap().unwrap();
    let leaves = world.store().leaves(log.id, 0..9).unwrap();
    let Leaf::Close(leaf) = Leaf::decode(&leaves[3]).unwrap() else { panic!("a closing leaf") };
    assert_eq!((leaf.digest, leaves.len()), (right.digest().unwrap(), 4));

    // SPEC §17.7: nothing is signed any more.
    served.health.become_state(LogState::Halted);
    assert_eq!(close(&right, key).await, Err(Reason::AuditUnavailable));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_answers_until_it_can() {
    // SPEC §9.7
    let (world, platform) = world();
    world.configure("checkpoint_seconds", "1");
    let served = world.serve();
    let logs = world.root().join("logs");
    std::fs::rename(&logs, world.root().join("away")).unwrap();
    std::fs::write(&logs, "in the way").unwrap();
    let until = async |state| {
        let reached = async {
            while served.health.state() != state {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap();
    };
    until(LogState::Unpublished).await;
    let asked = platform.ask_anything(&world);
    let refused = served.evaluation(&platform).evaluate(asked.request()).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::AuditUnavailable);
    assert_eq!(world.store().count_frames().unwrap(), (0, 0));
    std::fs::remove_file(&logs).unwrap();
    std::fs::rename(world.root().join("away"), &logs).unwrap();
    until(LogState::Sound).await;
    served.evaluation(&platform).evaluate(asked.request()).await.unwrap();
}
