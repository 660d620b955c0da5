//! A hostile server between an honest one and a real client: whatever it answers, nothing is believed (SPEC §6.7, §8.4).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use futures::StreamExt;
use tonic::Status;
use veilmatch_client::{Client, Error, NotChecked, Outcome};
use veilmatch_proto::pb;
use veilmatch_protocol::{
    Error as ProtocolError,
    frame::{self, BatchId, FrameContext},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId},
    oprf::{self, Elements, SecretKey},
};
use veilmatch_server::{admin::ClientTerms, keys::EpochSeeds};
use veilmatch_tests::{
    PATIENCE, World, bare, listed, matched,
    middle::{Acts, Middle, OnAnswer},
    unlisted,
};

const PLATFORM: &str = "platform.example";

/// A served world behind somebody who changes answers, and a synchronised client.
async fn behind(answer: Arc<OnAnswer>) -> (World, Middle, Client) {
    let mut world = World::new();
    world.import(&(0..10).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts { answer, ..Acts::default() }).await;
    let client = world.open(&dir).await;
    (world, middle, client)
}

/// The frame that a batch of checks makes is thrown away whole, kept as evidence, and nothing of it is kept as a result.
async fn is_refused(
    items: usize,
    answer: impl Fn(&pb::EvaluateRequest, &mut pb::EvaluateResponse) + Send + Sync + 'static,
) {
    is_refused_as(NotChecked::BadProof, items, answer).await;
}

async fn is_refused_as(
    why: NotChecked,
    items: usize,
    answer: impl Fn(&pb::EvaluateRequest, &mut pb::EvaluateResponse) + Send + Sync + 'static,
) {
    let changed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&changed);
    let act: Arc<OnAnswer> = Arc::new(move |request, mut response| {
        count.fetch_add(1, Ordering::SeqCst);
        answer(request, &mut response);
        Ok(response)
    });
    let (world, _middle, client) = behind(act).await;
    let subjects =
        (0..items).map(|n| bare(n as u64, if n % 2 == 0 { listed(n % 10) } else { unlisted(n) })).collect::<Vec<_>>();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert_eq!(outcomes.len(), items);
    for (key, outcome) in outcomes {
        assert_eq!(outcome, Outcome::NotChecked(why.clone()), "subject {key}");
    }
    assert!(changed.load(Ordering::SeqCst) > 0, "the answer was never changed");
    nothing_was_unblinded(&world, &client);
    client.shutdown().await;
}

fn nothing_was_unblinded(world: &World, client: &Client) {
    assert_eq!(client.rescan(&world.list, |_| panic!("a result was kept")).unwrap().subjects, 0);
    let frames = client.frames().unwrap();
    assert!(frames.iter().all(|(status, count)| status != "answered" || *count == 0), "{frames:?}");
    let evidence = std::fs::read_dir(world.platform_dir(PLATFORM).join("evidence")).unwrap();
    assert!(evidence.count() > 0, "the refused frame is kept");
}

fn shifted(element: &mut [u8], by: Scalar) {
    let point = CompressedRistretto(element.try_into().unwrap()).decompress().unwrap() + RistrettoPoint::mul_base(&by);
    element.copy_from_slice(point.compress().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_answer_passes_through_the_middle() {
    let (world, middle, client) = behind(Arc::new(|_, answer| Ok(answer))).await;
    assert_eq!(client.check(&world.list, bare(0, listed(1)), PATIENCE).await, matched("A1", 1));
    assert!(!middle.heard.to_server().is_empty() && !middle.heard.to_client().is_empty());
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_item_at_any_position_is_refused() {
    for (items, size) in [(1, 1), (3, 4), (9, 16)] {
        // One world per size; each frame of the stream is wrong at the next position.
        let next = Mutex::new(0);
        let act: Arc<OnAnswer> = Arc::new(move |_, mut response| {
            let mut at = next.lock().unwrap();
            shifted(&mut response.evaluated_elements[*at * 32..][..32], Scalar::ONE);
            *at = (*at + 1) % size;
            Ok(response)
        });
        let (world, _middle, client) = behind(act).await;
        for _ in 0..size {
            let subjects: Vec<_> = (0..items).map(|n| bare(n as u64, listed(n))).collect();
            let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
            assert!(outcomes.iter().all(|(_, o)| *o == Outcome::NotChecked(NotChecked::BadProof)), "{outcomes:?}");
        }
        nothing_was_unblinded(&world, &client);
        client.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_swapped_items_are_refused() {
    is_refused(9, |_, answer| {
        let (a, b) = answer.evaluated_elements.split_at_mut(32);
        a.swap_with_slice(&mut b[..32]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_cancel_are_refused() {
    is_refused(9, |_, answer| {
        shifted(&mut answer.evaluated_elements[..32], Scalar::from(5_u8));
        shifted(&mut answer.evaluated_elements[32..64], -Scalar::from(5_u8));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_a_long_and_an_empty_frame_are_refused() {
    is_refused(9, |_, answer| answer.evaluated_elements.truncate(15 * 32)).await;
    is_refused(9, |_, answer| answer.evaluated_elements.extend_from_within(..32)).await;
    is_refused(9, |_, answer| answer.evaluated_elements.clear()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_batch_id_is_refused() {
    is_refused(3, |_, answer| answer.batch_id[0] ^= 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_and_a_non_canonical_element_are_refused() {
    is_refused(3, |_, answer| answer.evaluated_elements[..32].fill(0)).await;
    is_refused(3, |_, answer| answer.evaluated_elements[31] |= 0x80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_record_is_not_acknowledged_is_refused() {
    // SPEC §18.4 BAD_ACKNOWLEDGEMENT
    let why = || NotChecked::BadAcknowledgement;
    let changed = |bytes: &mut Vec<u8>, from: &str, to: &str| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    };
    // The note no longer verifies; it is of another leaf; the leaf is of another frame, or says something else.
    is_refused_as(why(), 3, move |_, answer| changed(&mut answer.acknowledgement, "/query/", "/other/")).await;
    is_refused_as(why(), 3, move |_, answer| changed(&mut answer.leaf, "\"n\":4", "\"n\":1")).await;
    is_refused_as(why(), 3, move |_, answer| changed(&mut answer.leaf, "\"status\":\"ok\"", "\"status\":\"no\"")).await;
    let first: Mutex<Option<(Vec<u8>, Vec<u8>)>> = Mutex::default();
    let act: Arc<OnAnswer> = Arc::new(move |_, mut answer| {
        let mut first = first.lock().unwrap();
        let kept = first.get_or_insert_with(|| (answer.leaf.clone(), answer.acknowledgement.clone())).clone();
        (answer.leaf, answer.acknowledgement) = kept;
        Ok(answer)
    });
    let (world, _middle, client) = behind(act).await;
    assert_eq!(client.check(&world.list, bare(0, listed(1)), PATIENCE).await, matched("A1", 1));
    let outcome = client.check(&world.list, bare(1, listed(2)), PATIENCE).await;
    assert_eq!(outcome, Outcome::NotChecked(why()), "the record of another frame, rightly acknowledged");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_log_that_was_rolled_back_or_is_not_signed_is_refused_and_nothing_is_asked() {
    // SPEC §17.6
    let mut world = World::new();
    world.import(&[listed(0)], "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let first: Mutex<Option<pb::GetCheckpointResponse>> = Mutex::default();
    let act = Arc::new(Mutex::new("honest"));
    let now = Arc::clone(&act);
    let checkpoint = Arc::new(move |request: pb::GetCheckpointRequest, mut answer: pb::GetCheckpointResponse| {
        if !request.origin.ends_with("/manifest") {
            return Ok(answer);
        }
        let mut first = first.lock().unwrap();
        let first = first.get_or_insert_with(|| answer.clone());
        match *now.lock().unwrap() {
            "back" => answer = pb::GetCheckpointResponse { note: first.note.clone(), consistency: Vec::new() },
            "unsigned" => answer.note[40] ^= 1,
            "unproven" => answer.consistency.clear(),
            _ => {}
        }
        Ok(answer)
    });
    let _middle = world.start_behind(&dir, Acts { checkpoint, ..Acts::default() }).await;
    let client = world.open(&dir).await;
    for n in 1..4 {
        world.import(&[listed(n)], "A1");
        world.publish();
    }
    veilmatch_tests::until(async || {
        let report = client.sync(&world.list, |_| {}).await.unwrap();
        (report.version == 4).then_some(())
    })
    .await;
    world.import(&[listed(9)], "A1");
    world.publish();
    let refusals =
        [("back", "LOG_ROLLBACK", NotChecked::LogRollback), ("unsigned", "UNPROVEN_LOG", NotChecked::UnprovenLog)];
    for (hostile, reason, why) in refusals {
        *act.lock().unwrap() = hostile;
        assert_eq!(client.sync(&world.list, |_| {}).await.unwrap_err().reason(), reason);
        let outcome = client.check(&world.list, bare(0, listed(0)), PATIENCE).await;
        assert_eq!(outcome, Outcome::NotChecked(why), "{hostile}");
    }
    let held = client.status().unwrap()[0].held.as_ref().unwrap().version;
    assert_eq!(held, 4, "what was held stays in place");
    *act.lock().unwrap() = "honest";
    client.sync(&world.list, |_| {}).await.unwrap();
    assert_eq!(client.check(&world.list, bare(0, listed(9)), PATIENCE).await, matched("A1", 5));
    client.shutdown().await;
}

/// The agency's own secrets: a hostile server has them.
fn secrets(dir: &Path) -> SecretKey {
    let seeds = EpochSeeds::read(&dir.join("keys/oprf/baseline-1.seed")).unwrap();
    seeds.secret_key(&ListId::parse("baseline").unwrap(), Epoch(1)).unwrap()
}

fn context(batch: [u8; 16]) -> FrameContext {
    FrameContext {
        origin: Origin::of(&AgencyName::parse("agency.example").unwrap()),
        list: ListId::parse("baseline").unwrap(),
        epoch: Epoch(1),
        platform: PlatformId::parse(PLATFORM).unwrap(),
        batch: BatchId(batch),
    }
}

/// As [`is_refused`], for a server that answers by itself with a key of its choice.
async fn forged_is_refused(
    items: usize,
    forge: impl Fn(&SecretKey, &pb::EvaluateRequest, &mut pb::EvaluateResponse) + Send + Sync + 'static,
) {
    let key: Arc<Mutex<Option<SecretKey>>> = Arc::default();
    let held = Arc::clone(&key);
    let act: Arc<OnAnswer> = Arc::new(move |request, mut response| {
        forge(held.lock().unwrap().as_ref().unwrap(), request, &mut response);
        Ok(response)
    });
    let (world, _middle, client) = behind(act).await;
    *key.lock().unwrap() = Some(secrets(&world.agency_dir()));
    let subjects: Vec<_> = (0..items).map(|n| bare(n as u64, listed(n))).collect();
    let outcomes: Vec<_> = client.check_stream(&world.list, futures::stream::iter(subjects)).collect().await;
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::NotChecked(NotChecked::BadProof)), "{outcomes:?}");
    nothing_was_unblinded(&world, &client);
    client.shutdown().await;
}

fn fill(response: &mut pb::EvaluateResponse, answer: frame::Answer) {
    response.evaluated_elements = answer.evaluated.into_flattened();
    response.proof = answer.proof.to_bytes().to_vec();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_refused_although_its_proof_is_sound() {
    for items in [1, 3] {
        forged_is_refused(items, |_, request, response| {
            let other = SecretKey::for_epoch(&[9; 32], &context([0; 16]).list, Epoch(1)).unwrap();
            let blinded = Elements::decode(&request.blinded_elements).unwrap();
            let batch = request.batch_id.as_slice().try_into().unwrap();
            fill(response, frame::answer(&context(batch), &other, &blinded, &mut rand::rng()));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_of_another_batch_or_platform_is_refused() {
    forged_is_refused(3, |key, request, response| {
        let blinded = Elements::decode(&request.blinded_elements).unwrap();
        fill(response, frame::answer(&context([1; 16]), key, &blinded, &mut rand::rng()));
    })
    .await;
    forged_is_refused(3, |key, request, response| {
        let blinded = Elements::decode(&request.blinded_elements).unwrap();
        let batch = request.batch_id.as_slice().try_into().unwrap();
        let other = FrameContext { platform: PlatformId::parse("other.example").unwrap(), ..context(batch) };
        fill(response, frame::answer(&other, key, &blinded, &mut rand::rng()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_in_the_manner_of_rfc_9497_are_refused_for_a_larger_frame() {
    forged_is_refused(3, |key, request, response| {
        let blinded = Elements::decode(&request.blinded_elements).unwrap();
        let evaluated = oprf::blind_evaluate(key, &blinded);
        let proof = oprf::generate_proof(key, &blinded, &evaluated, &Scalar::from(77_u8));
        fill(response, frame::Answer { evaluated, proof });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_manifest_is_refused_and_kept_as_evidence() {
    let mut world = World::new();
    world.import(&[listed(0)], "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let first: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let stale = Arc::new(Mutex::new(false));
    let (kept, back) = (Arc::clone(&first), Arc::clone(&stale));
    let manifest = Arc::new(move |note: Vec<u8>| {
        let mut kept = kept.lock().unwrap();
        let kept = kept.get_or_insert_with(|| note.clone());
        Ok(if *back.lock().unwrap() { kept.clone() } else { note })
    });
    let _middle = world.start_behind(&dir, Acts { manifest, ..Acts::default() }).await;
    let client = world.open(&dir).await;
    world.import(&[listed(1)], "A1");
    world.publish();
    veilmatch_tests::until(async || {
        let report = client.sync(&world.list, |_| {}).await.unwrap();
        (report.version == 2).then_some(())
    })
    .await;
    *stale.lock().unwrap() = true;
    let refused = client.sync(&world.list, |_| {}).await.unwrap_err();
    let Error::Untrusted { source: ProtocolError::StaleManifest, evidence: Some(evidence), .. } = refused else {
        panic!("{refused:?}");
    };
    assert!(evidence.is_file() && evidence.starts_with(dir.join("evidence")), "{evidence:?}");
    // What was held stays in use.
    assert_eq!(client.status().unwrap()[0].held.as_ref().unwrap().version, 2);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_one_changed_byte_is_refused() {
    let mut world = World::new();
    world.import(&[listed(0)], "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let manifest = Arc::new(|mut note: Vec<u8>| {
        let at = note.windows(9).position(|window| window == b"\"count\":1").unwrap();
        note[at + 8] = b'2';
        Ok(note)
    });
    let _middle = world.start_behind(&dir, Acts { manifest, ..Acts::default() }).await;
    let client = Client::open(&dir).unwrap();
    let refused = veilmatch_tests::until(async || match client.sync(&world.list, |_| {}).await {
        Err(error @ Error::Untrusted { .. }) => Some(error),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(matches!(refused, Error::Untrusted { source: ProtocolError::Note, .. }));
    let outcome = client.check(&world.list, bare(0, listed(0)), PATIENCE).await;
    assert_eq!(outcome, Outcome::NotChecked(NotChecked::NoList));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_artifact_is_refused_and_an_altered_delta_falls_back_to_the_artifact() {
    let mut world = World::new();
    world.import(&(0..50).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let alter = Arc::new(Mutex::new("artifact"));
    let which = Arc::clone(&alter);
    let chunk = Arc::new(move |name: &'static str, mut chunk: pb::Chunk| {
        if *which.lock().unwrap() == name {
            let last = chunk.data.len() / 2;
            chunk.data[last] ^= 1;
        }
        Ok(chunk)
    });
    let _middle = world.start_behind(&dir, Acts { chunk, ..Acts::default() }).await;
    let client = Client::open(&dir).unwrap();
    let refused = client.sync(&world.list, |_| {}).await.unwrap_err();
    assert!(matches!(refused, Error::Untrusted { source: ProtocolError::BadArtifact, .. }), "{refused:?}");
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, Outcome::NotChecked(NotChecked::NoList));

    *alter.lock().unwrap() = "nothing";
    client.sync(&world.list, |_| {}).await.unwrap();
    *alter.lock().unwrap() = "delta";
    world.import(&[listed(60)], "A1");
    world.publish();
    let report = veilmatch_tests::until(async || {
        let report = client.sync(&world.list, |_| {}).await.unwrap();
        (report.version == 2).then_some(report)
    })
    .await;
    assert!(!report.by_delta);
    assert_eq!(client.check(&world.list, bare(0, listed(60)), PATIENCE).await, matched("A1", 2));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_does_not_continue_the_file_is_no_answer() {
    // SPEC §9.3 BAD_ANSWER
    let mut world = World::new();
    world.import(&(0..50).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let chunk = Arc::new(|_: &'static str, mut chunk: pb::Chunk| {
        chunk.offset += 1;
        Ok(chunk)
    });
    let _middle = world.start_behind(&dir, Acts { chunk, ..Acts::default() }).await;
    let client = Client::open(&dir).unwrap();
    let refused = client.sync(&world.list, |_| {}).await.unwrap_err();
    assert!(matches!(refused, Error::BadAnswer { .. }), "{refused:?}");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_cut_goes_on_where_it_stopped_and_a_spoilt_part_is_thrown_away() {
    // SPEC §9.3
    let mut world = World::new();
    world.import(&(0..5_000).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let middle = world.start_behind(&dir, Acts::default()).await;
    let artifact = std::fs::read(world.agency_dir().join("lists/baseline/1.vml")).unwrap();
    let folder = dir.join("lists/baseline");
    std::fs::create_dir_all(&folder).unwrap();
    let part = folder.join("1.artifact.fetch");

    // What rotted here is not the agency's doing: it was accused of it.
    std::fs::write(&part, vec![7; artifact.len() / 2]).unwrap();
    let client = Client::open(&dir).unwrap();
    client.sync(&world.list, |_| {}).await.unwrap();
    assert!(!part.exists());
    assert_eq!(std::fs::read(folder.join("1.vml")).unwrap(), artifact);

    std::fs::remove_file(folder.join("1.vml")).unwrap();
    std::fs::write(&part, &artifact[..artifact.len() / 2]).unwrap();
    let bytes = |middle: &Middle| middle.heard.to_client().iter().map(Vec::len).sum::<usize>();
    let before = bytes(&middle);
    client.sync(&world.list, |_| {}).await.unwrap();
    assert!(bytes(&middle) - before < artifact.len() * 3 / 4, "the rest was fetched and not the whole");
    assert_eq!(std::fs::read(folder.join("1.vml")).unwrap(), artifact);
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronisation_outlives_connections_that_end_under_it() {
    // SPEC §9.6. Seen with a connection that was refused while the platform was not yet enrolled: its end took the next
    // call with it, and `veilmatch sync` said that the server was out of reach.
    let mut world = World::new();
    world.import(&(0..20_000).map(listed).collect::<Vec<_>>(), "A1");
    world.publish();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let lost = || Status::unavailable("the connection ended");
    let calls = Mutex::new(0);
    let manifest = Arc::new(move |note| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls == 1 { Err(lost()) } else { Ok(note) }
    });
    // Each stream brings one chunk: there are more of them than tries.
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&cuts);
    let chunk = Arc::new(move |_: &'static str, chunk: pb::Chunk| {
        let mut seen = seen.lock().unwrap();
        if chunk.offset == 0 || seen.contains(&chunk.offset) {
            return Ok(chunk);
        }
        seen.push(chunk.offset);
        Err(lost())
    });
    let _middle = world.start_behind(&dir, Acts { manifest, chunk, ..Acts::default() }).await;
    let client = Client::open(&dir).unwrap();
    client.sync(&world.list, |_| {}).await.unwrap();
    assert!(cuts.lock().unwrap().len() > 5, "{cuts:?}");
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    client.shutdown().await;
}
