mod logs;

use std::time::Duration;

use futures::{StreamExt, stream};
use tonic::{Code, Status};
use veilmatch_proto::{
    FrameAnswer, Reason, Refused,
    pb::{self, evaluate_stream_response::Outcome},
};
use veilmatch_protocol::{
    codebook::CodeBook,
    derive::EpochContext,
    frame::FrameSize,
    item::Kind,
    label,
    name::{Epoch, ListId, Version},
};

use crate::{
    admin::ClientTerms,
    budget::EPOCH_CAP,
    status::REQUEST_ID,
    store::{BudgetUse, FrameKey},
    tls::PeerIdentity,
    world::{Asked, Platform, World, item, random},
};

fn refusal(status: &Status) -> Refused {
    Refused::from_status(status).unwrap_or_else(|| panic!("no refusal of ours: {status:?}"))
}

fn reason(status: &Status) -> Reason {
    refusal(status).reason
}

fn world() -> (World, Platform) {
    let world = World::published(100);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    (world, platform)
}

fn used(world: &World, platform: &Platform) -> BudgetUse {
    world.store().budget_use(&platform.name, &world.list, world.now() / 86_400).unwrap()
}

#[tokio::test]
async fn a_listed_item_is_found_with_its_label_and_an_unlisted_one_is_not() {
    let (world, platform) = world();
    let served = world.serve();
    let items = [item(7), item(100_000), item(99)];
    let (asked, blinded) = platform.ask(&world, FrameSize::Sixteen, &items);
    let answer = served.evaluation(&platform).evaluate(asked.request()).await.unwrap().into_inner();

    let key = world.manifest(1).manifest().public_key();
    let answer = FrameAnswer::decode(answer, asked.frame.batch, FrameSize::Sixteen).unwrap();
    let verified = blinded.verify(&asked.context, &key, answer.evaluated.as_flattened(), &answer.proof).unwrap();
    let artifact = world.artifact(1);
    let context = EpochContext { list: world.list.clone(), epoch: Epoch(1) };
    let labels: Vec<Option<Vec<u8>>> = verified
        .finalize()
        .unwrap()
        .iter()
        .map(|evaluated| {
            let okm = context.okm(&evaluated.output);
            let record = artifact.lookup(&okm.tag()).unwrap()?;
            Some(label::open(&okm.label_key(), record.sealed_label()).unwrap())
        })
        .collect();
    // Category 1, of source 1.
    assert_eq!(labels, [Some(vec![0, 0, 1, 1]), None, Some(vec![0, 0, 1, 1])]);
    assert_eq!(used(&world, &platform), BudgetUse { elements: 16, frames: 1 });
}

#[tokio::test]
async fn a_retry_gets_the_same_bytes_and_costs_nothing_eight_times() {
    // SPEC §6.9
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let (asked, _) = platform.ask(&world, FrameSize::Four, &[item(1)]);
    let first = client.evaluate(asked.request()).await.unwrap().into_inner();
    // Long after the minute that the request was signed in.
    world.clock.advance(3_600);
    for _ in 0..8 {
        assert_eq!(client.evaluate(asked.request()).await.unwrap().into_inner(), first);
    }
    assert_eq!(used(&world, &platform), BudgetUse { elements: 4, frames: 1 });
    assert_eq!(reason(&client.evaluate(asked.request()).await.unwrap_err()), Reason::RetryLimit);
}

#[tokio::test]
async fn of_a_retry_the_request_digest_is_compared_and_its_signature_verified() {
    // SPEC §6.9
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let mut asked = platform.ask_anything(&world);
    let first = client.evaluate(asked.request()).await.unwrap().into_inner();
    asked.frame.minute += 60;
    asked.frame.view.root[0] ^= 1;
    asked.frame.version = Version(9);
    assert_eq!(reason(&client.evaluate(asked.request()).await.unwrap_err()), Reason::BadSignature);
    assert_eq!(client.evaluate(platform.sign(asked).request()).await.unwrap().into_inner(), first);
    assert_eq!(used(&world, &platform).frames, 1);
}

#[tokio::test]
async fn form_size_and_list_come_before_the_signature() {
    // SPEC §9.4, §9.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let mut request = platform.ask_anything(&world).request();
    request.request_signature = vec![0; 64];
    for (expected, spoil) in [
        (Reason::BadSignature, (|_| ()) as fn(&mut pb::EvaluateRequest)),
        (Reason::UnknownList, |request| request.list_id = "nowhere".into()),
        (Reason::FrameSize, |request| request.blinded_elements.truncate(0)),
        (Reason::BadRequest, |request| request.minute = 1 << 53),
    ] {
        // Each spoils one thing more, and an earlier step names its reason.
        spoil(&mut request);
        assert_eq!(reason(&client.evaluate(request.clone()).await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn an_answer_that_comes_out_otherwise_than_it_was_recorded_is_not_given() {
    // SPEC §6.9
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    client.evaluate(asked.request()).await.unwrap();
    let store = rusqlite::Connection::open(world.root().join("veilmatch.db")).unwrap();
    store.execute("UPDATE frame SET resp = zeroblob(32)", []).unwrap();
    let refused = client.evaluate(asked.request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::ResponseMismatch, Code::DataLoss));
}

#[tokio::test]
async fn a_frame_for_which_no_processor_is_free_is_told_when_to_come_again_and_costs_nothing() {
    // SPEC §9.6, §10
    let (world, platform) = world();
    let served = world.serve_overloaded();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    let refused = client.evaluate(asked.request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::Overloaded, Code::ResourceExhausted));
    assert!(refusal(&refused).retry_after.unwrap() >= Duration::from_millis(50));

    let mut answers = client.evaluate_stream(stream::iter([asked.request()])).await.unwrap().into_inner();
    let Some(Outcome::Refusal(refused)) = answers.next().await.unwrap().unwrap().outcome else { panic!("answered") };
    assert_eq!((refused.reason.as_str(), refused.batch_id), ("OVERLOADED", asked.frame.batch.0.to_vec()));
    assert!(refused.retry_after_ms >= 50);

    assert_eq!(world.store().count_frames().unwrap(), (0, 0));
    assert_eq!(used(&world, &platform), BudgetUse::default());
    // The same bytes are answered when there is room.
    world.serve().evaluation(&platform).evaluate(asked.request()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_in_work_at_midnight_are_each_charged_to_one_day() {
    // SPEC §9.6
    const EACH: u64 = 12;
    let world = World::published(10);
    let terms = ClientTerms { frames_per_day: Some(EACH), ..ClientTerms::default() };
    let platform = world.enrol("platform.example", &terms);
    let served = world.serve();
    let before = world.now() / 86_400;
    world.clock.advance(43_199);
    let ask = |asked: Asked| {
        let mut client = served.evaluation(&platform);
        tokio::spawn(async move { client.evaluate(asked.request()).await.map(drop) })
    };
    let frames: Vec<Asked> = (0..2 * EACH).map(|_| platform.ask(&world, FrameSize::Quarter, &[]).0).collect();
    let mut calls = Vec::new();
    for (number, asked) in frames.into_iter().enumerate() {
        if number == 8 {
            world.clock.advance(1);
        }
        calls.push(ask(asked));
    }
    let mut answered = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(()) => answered += 1,
            // OVERLOADED: more refusals than are recorded in a minute.
            Err(status) => assert!(matches!(reason(&status), Reason::BudgetExhausted | Reason::Overloaded)),
        }
    }
    world.clock.advance(60);
    let used = |day| world.store().budget_use(&platform.name, &world.list, day).unwrap();
    let (old, new) = (used(before), used(before + 1));
    assert!(old.frames <= EACH && new.frames <= EACH, "{old:?} {new:?}");
    assert_eq!(old.frames + new.frames, answered);
    assert_eq!(old.elements + new.elements, 256 * answered);
    // What is left of the new day is there, and not more.
    for _ in new.frames..EACH {
        served.evaluation(&platform).evaluate(platform.ask_anything(&world).request()).await.unwrap();
    }
    let spent = served.evaluation(&platform).evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
    assert_eq!(reason(&spent), Reason::BudgetExhausted);
}

#[tokio::test]
async fn what_an_answer_cost_that_cannot_be_repeated_is_given_back_once() {
    // SPEC §6.9, §9.6. The refund was missing: the platform had paid for an answer that nobody could give it.
    let world = World::published(10);
    let terms = ClientTerms { elements_per_day: Some(8), ..ClientTerms::default() };
    let platform = world.enrol("platform.example", &terms);
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let (lost, _) = platform.ask(&world, FrameSize::Four, &[item(1)]);
    client.evaluate(lost.request()).await.unwrap();
    client.evaluate(platform.ask(&world, FrameSize::Four, &[]).0.request()).await.unwrap();
    let store = rusqlite::Connection::open(world.root().join("veilmatch.db")).unwrap();
    store.execute("UPDATE frame SET resp = zeroblob(32) WHERE batch = ?1", [lost.frame.batch.0]).unwrap();
    for _ in 0..3 {
        let refused = client.evaluate(lost.request()).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::ResponseMismatch);
        assert_eq!(used(&world, &platform), BudgetUse { elements: 4, frames: 1 });
    }
    // And it can be asked again, by the running server's own count too.
    client.evaluate(platform.ask(&world, FrameSize::Four, &[]).0.request()).await.unwrap();
    let spent = client.evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
    assert_eq!(reason(&spent), Reason::BudgetExhausted);
}

#[tokio::test]
async fn an_answer_that_cannot_be_repeated_is_computed_again_once_only() {
    // SPEC §6.9. Such a retry was not counted: a platform with one frame of this kind had evaluations for nothing, as many
    // as it sent, for a day.
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    client.evaluate(asked.request()).await.unwrap();
    let store = rusqlite::Connection::open(world.root().join("veilmatch.db")).unwrap();
    let response: Vec<u8> = store.query_row("SELECT resp FROM frame", [], |row| row.get(0)).unwrap();
    store.execute("UPDATE frame SET resp = zeroblob(32)", []).unwrap();
    assert_eq!(reason(&client.evaluate(asked.request()).await.unwrap_err()), Reason::ResponseMismatch);
    let counted = || store.query_row("SELECT retries FROM frame", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(counted(), 1);
    // Who computed it again would now find it to be the same.
    store.execute("UPDATE frame SET resp = ?1", [response]).unwrap();
    for _ in 0..10 {
        assert_eq!(reason(&client.evaluate(asked.request()).await.unwrap_err()), Reason::ResponseMismatch);
    }
    assert_eq!((counted(), used(&world, &platform)), (1, BudgetUse::default()));
}

#[tokio::test]
async fn a_retry_after_a_day_is_refused() {
    // SPEC §6.9
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    client.evaluate(asked.request()).await.unwrap();
    world.clock.advance(86_400 + 60);
    assert_eq!(reason(&client.evaluate(asked.request()).await.unwrap_err()), Reason::RetryLimit);
}

#[tokio::test]
async fn a_retry_is_answered_by_a_server_that_was_started_anew() {
    let (world, platform) = world();
    let asked = platform.ask_anything(&world);
    let first = world.serve().evaluation(&platform).evaluate(asked.request()).await.unwrap().into_inner();
    let again = world.serve().evaluation(&platform).evaluate(asked.request()).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(used(&world, &platform).frames, 1);
}

#[tokio::test]
async fn a_batch_id_serves_one_frame_only() {
    // SPEC §6.9
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let asked = platform.ask_anything(&world);
    client.evaluate(asked.request()).await.unwrap();
    let mut other = platform.ask_anything(&world);
    other.frame.batch = asked.frame.batch;
    let refused = client.evaluate(platform.sign(other).request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::BatchReused, Code::AlreadyExists));
    assert_eq!(used(&world, &platform).frames, 1);
}

#[tokio::test]
async fn the_same_frame_twice_at_once_is_charged_once() {
    let (world, platform) = world();
    let served = world.serve();
    let (asked, _) = platform.ask(&world, FrameSize::Quarter, &[item(1)]);
    let calls = (0..8).map(|_| {
        let (mut client, request) = (served.evaluation(&platform), asked.request());
        async move { client.evaluate(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(used(&world, &platform), BudgetUse { elements: 256, frames: 1 });
    let evaluations = world.store().evaluations(&world.list, Epoch(1)).unwrap();
    assert_eq!(evaluations, 256);
}

type Spoil = fn(&mut Asked);

#[tokio::test]
async fn every_false_claim_is_refused_by_its_name_and_charges_nothing() {
    // SPEC §8.6, §8.7, §9.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let cases: [(Reason, Spoil); 11] = [
        (Reason::ClockSkew, |asked| asked.frame.minute += 11),
        (Reason::ClockSkew, |asked| asked.frame.minute -= 11),
        (Reason::UnknownView, |asked| asked.frame.view.root[0] ^= 1),
        (Reason::UnknownView, |asked| asked.frame.view.size = 2),
        (Reason::UnknownView, |asked| asked.frame.view.size = (1 << 53) - 1),
        (Reason::BadRequest, |asked| asked.frame.view.size = 1 << 53),
        (Reason::BadRequest, |asked| asked.frame.minute = u64::MAX),
        (Reason::UnknownView, |asked| asked.frame.version = Version(2)),
        (Reason::UnknownEpoch, |asked| asked.frame.epoch = Epoch(2)),
        (Reason::BadFrame, |asked| asked.frame.blinded[0] = [0; 32]),
        (Reason::BadFrame, |asked| asked.frame.blinded[0] = [0xff; 32]),
    ];
    for (expected, spoil) in cases {
        let mut asked = platform.ask_anything(&world);
        spoil(&mut asked);
        let refused = client.evaluate(platform.sign(asked).request()).await.unwrap_err();
        assert_eq!(reason(&refused), expected);
        world.clock.advance(60);
    }
    assert_eq!(used(&world, &platform), BudgetUse::default());
}

#[tokio::test]
async fn a_signature_over_anything_else_is_refused_and_leaves_no_record() {
    // SPEC §6.5, §9.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let cases: [Spoil; 6] = [
        |asked| asked.frame.signature[0] ^= 1,
        |asked| asked.frame.minute += 1,
        |asked| asked.frame.view.root[0] ^= 1,
        |asked| asked.frame.batch.0[0] ^= 1,
        |asked| asked.frame.blinded[0] = [1; 32],
        |asked| asked.frame.epoch = Epoch(9),
    ];
    for spoil in cases {
        let mut asked = platform.ask_anything(&world);
        spoil(&mut asked);
        let refused = client.evaluate(asked.request()).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::BadSignature);
    }
    assert_eq!(world.store().count_frames().unwrap(), (0, 0));
}

#[tokio::test]
async fn a_refused_frame_is_on_record_and_its_batch_id_is_not_spent() {
    // SPEC §9.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let mut late = platform.ask_anything(&world);
    late.frame.minute -= 11;
    let late = platform.sign(late);
    assert_eq!(reason(&client.evaluate(late.request()).await.unwrap_err()), Reason::ClockSkew);
    assert_eq!(world.store().count_frames().unwrap(), (0, 1));
    let mut now = late.clone();
    now.frame.minute += 11;
    client.evaluate(platform.sign(now).request()).await.unwrap();
    assert_eq!(world.store().count_frames().unwrap(), (1, 1));
}

#[tokio::test]
async fn a_flood_of_refused_frames_is_shed_with_a_time_to_wait() {
    // SPEC §9.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let mut refusals = Vec::new();
    for _ in 0..7 {
        let mut asked = platform.ask_anything(&world);
        asked.frame.view.root = random();
        refusals.push(refusal(&client.evaluate(platform.sign(asked).request()).await.unwrap_err()));
    }
    assert_eq!(refusals[..5], [Refused::from(Reason::UnknownView); 5]);
    let wait = Some(Duration::from_secs(60));
    assert_eq!(refusals[5..], [Refused { reason: Reason::Overloaded, retry_after: wait }; 2]);
    assert_eq!(world.store().count_frames().unwrap(), (0, 5));
}

#[tokio::test]
async fn a_spent_budget_says_when_to_come_back() {
    // SPEC §9.6
    let world = World::published(10);
    let terms = ClientTerms { elements_per_day: Some(20), ..ClientTerms::default() };
    let platform = world.enrol("small.example", &terms);
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let ask = |size| platform.ask(&world, size, &[]).0.request();
    client.evaluate(ask(FrameSize::Sixteen)).await.unwrap();
    client.evaluate(ask(FrameSize::Four)).await.unwrap();
    let refused = refusal(&client.evaluate(ask(FrameSize::One)).await.unwrap_err());
    assert_eq!(refused.reason, Reason::BudgetExhausted);
    assert_eq!(refused.retry_after, Some(Duration::from_secs(43_200)));
    let refused = client.evaluate(ask(FrameSize::Quarter)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::FrameExceedsBudget);
    assert_eq!(refused.code(), Code::FailedPrecondition);

    // A server that was started anew remembers; the next day is whole.
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    assert_eq!(reason(&client.evaluate(ask(FrameSize::One)).await.unwrap_err()), Reason::BudgetExhausted);
    world.clock.advance(43_200);
    client.evaluate(platform.ask(&world, FrameSize::Sixteen, &[]).0.request()).await.unwrap();
}

#[tokio::test]
async fn a_key_that_made_all_its_evaluations_answers_no_more_not_even_after_a_restart() {
    // SPEC §9.6
    let (world, platform) = world();
    let store = rusqlite::Connection::open(world.root().join("veilmatch.db")).unwrap();
    let almost = i64::try_from(EPOCH_CAP - 4).unwrap();
    store.execute("INSERT INTO evaluations (list, epoch, elements) VALUES ('base', 1, ?1)", [almost]).unwrap();
    let ask = |size| platform.ask(&world, size, &[]).0.request();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let refused = client.evaluate(ask(FrameSize::Sixteen)).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::EpochCap, Code::FailedPrecondition));
    client.evaluate(ask(FrameSize::Four)).await.unwrap();
    assert_eq!(reason(&client.evaluate(ask(FrameSize::One)).await.unwrap_err()), Reason::EpochCap);
    let refused = world.serve().evaluation(&platform).evaluate(ask(FrameSize::One)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::EpochCap);
    assert_eq!(world.store().evaluations(&world.list, Epoch(1)).unwrap(), EPOCH_CAP);
}

#[tokio::test]
async fn a_frame_that_finds_the_disk_full_is_neither_answered_nor_charged_and_is_answered_when_there_is_room() {
    // SPEC §9.7
    let (world, platform) = world();
    let mut answered = 0;
    let asked = {
        let served = world.serve_on_a_full_disk();
        let mut client = served.evaluation(&platform);
        loop {
            let asked = platform.ask_anything(&world);
            match client.evaluate(asked.request()).await {
                Ok(_) => answered += 1,
                Err(refused) => {
                    assert_eq!(refused.code(), Code::Unavailable);
                    let wait = Some(Duration::from_secs(1));
                    assert_eq!(refusal(&refused), Refused { reason: Reason::AuditUnavailable, retry_after: wait });
                    break asked;
                }
            }
        }
    };
    assert_eq!(used(&world, &platform), BudgetUse { elements: answered, frames: answered });
    world.serve().evaluation(&platform).evaluate(asked.request()).await.unwrap();
    assert_eq!(used(&world, &platform), BudgetUse { elements: answered + 1, frames: answered + 1 });
    assert_eq!(world.store().count_frames().unwrap(), (answered + 1, 0));
}

#[tokio::test]
async fn a_size_that_the_manifest_does_not_offer_is_refused_and_on_record() {
    // SPEC §6.1
    let world = World::new();
    let config = world.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let few = text.replace("# frame_sizes = [1, 4, 16, 256, 1024, 4096]", "frame_sizes = [4, 16]");
    std::fs::write(&config, few).unwrap();
    world.import(0..10, "A1");
    world.publish();
    assert_eq!(world.manifest(1).manifest().frame_sizes, [4, 16]);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let refused = client.evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::FrameSize, Code::InvalidArgument));
    client.evaluate(platform.ask(&world, FrameSize::Four, &[]).0.request()).await.unwrap();
    assert_eq!(world.store().count_frames().unwrap(), (1, 1));
}

#[tokio::test]
async fn only_an_enrolled_key_under_its_own_name_is_answered() {
    // SPEC §9.1
    let (world, platform) = world();
    let served = world.serve();
    let stranger = PeerIdentity { spki_sha256: [9; 32], ..platform.identity.clone() };
    let misnamed = PeerIdentity {
        uri_sans: vec!["veilmatch://agency.example/platform/other.example".into()],
        ..platform.identity.clone()
    };
    let nameless = PeerIdentity { uri_sans: Vec::new(), ..platform.identity.clone() };
    for identity in [None, Some(stranger), Some(misnamed), Some(nameless)] {
        let channel = served.connect(identity);
        let mut evaluation = pb::evaluation_client::EvaluationClient::new(channel.clone());
        let refused = evaluation.evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
        assert_eq!((reason(&refused), refused.code()), (Reason::UnknownClient, Code::Unauthenticated));
        let mut lists = pb::lists_client::ListsClient::new(channel);
        let request = pb::GetManifestRequest { list_id: "base".into(), version: 0 };
        assert_eq!(reason(&lists.get_manifest(request).await.unwrap_err()), Reason::UnknownClient);
    }
}

#[tokio::test]
async fn a_platform_asks_the_lists_that_it_was_invited_to() {
    let world = World::published(10);
    let second = veilmatch_protocol::name::ListId::parse("second").unwrap();
    world.agency().list_create(&second, 0, &[veilmatch_protocol::item::Kind::Md5], world.now()).unwrap();
    let terms = ClientTerms { lists: vec![second], ..ClientTerms::default() };
    let platform = world.enrol("platform.example", &terms);
    let served = world.serve();
    let refused = served.evaluation(&platform).evaluate(platform.ask_anything(&world).request()).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::UnknownList);
}

#[tokio::test]
async fn a_suspension_takes_effect_while_the_server_runs_and_within_a_stream() {
    // SPEC §9.1
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let (frames, asked) = tokio::sync::mpsc::channel(1);
    frames.send(platform.ask_anything(&world).request()).await.unwrap();
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let mut answers = client.evaluate_stream(asked).await.unwrap().into_inner();
    assert!(matches!(answers.message().await.unwrap().unwrap().outcome, Some(Outcome::Answer(_))));
    client.evaluate(platform.ask_anything(&world).request()).await.unwrap();
    world.agency().client_suspend(&platform.name, false, world.now()).unwrap();
    let refused = loop {
        if let Err(refused) = client.evaluate(platform.ask_anything(&world).request()).await {
            break refused;
        }
    };
    assert_eq!((reason(&refused), refused.code()), (Reason::Suspended, Code::PermissionDenied));
    frames.send(platform.ask_anything(&world).request()).await.unwrap();
    let Some(Outcome::Refusal(refused)) = answers.message().await.unwrap().unwrap().outcome else { panic!("answered") };
    assert_eq!(Refused::from_pb(&refused).unwrap().reason, Reason::Suspended);
}

#[tokio::test]
async fn two_epochs_answer_while_they_overlap_and_then_the_old_one_is_gone() {
    // SPEC §6.9, §8.6, §8.7
    let (world, platform) = world();
    let served = world.serve();
    let mut client = served.evaluation(&platform);
    let old = platform.ask_anything(&world);
    world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
    let new = platform.ask_anything(&world);
    assert_eq!((old.frame.epoch, new.frame.epoch), (Epoch(1), Epoch(2)));
    // The running server learns of the new epoch within its poll.
    while client.evaluate(new.request()).await.is_err() {
        world.clock.advance(1);
    }
    client.evaluate(old.request()).await.unwrap();

    // Version 2 is the old epoch's, version 3 the new one's; who had seen version 1 only cannot name version 3. A minute
    // later, because refused frames are counted.
    world.clock.advance(60);
    let mut misplaced = platform.ask_anything(&world);
    misplaced.frame.version = Version(2);
    let refused = client.evaluate(platform.sign(misplaced).request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::UnknownVersion, Code::NotFound));
    let mut behind = platform.ask_anything(&world);
    behind.frame.view = old.frame.view;
    let refused = client.evaluate(platform.sign(behind).request()).await.unwrap_err();
    assert_eq!((reason(&refused), refused.code()), (Reason::UnknownView, Code::FailedPrecondition));

    let again = |asked: &Asked| {
        let mut asked = asked.clone();
        asked.frame.minute = world.now() / 60;
        asked.frame.batch.0 = random();
        platform.sign(asked)
    };
    world.clock.advance(167 * 3_600);
    let last = again(&old);
    client.evaluate(last.request()).await.unwrap();
    world.clock.advance(2 * 3_600);
    // Neither a new frame nor one that was answered before.
    for late in [again(&old), last] {
        let refused = client.evaluate(late.request()).await.unwrap_err();
        assert_eq!((reason(&refused), refused.code()), (Reason::EpochRetired, Code::FailedPrecondition));
    }
}

#[tokio::test]
async fn a_stream_answers_good_frames_and_names_bad_ones() {
    // SPEC §9.5
    let (world, platform) = world();
    let served = world.serve();
    let mut frames: Vec<Asked> = (0..10).map(|_| platform.ask(&world, FrameSize::Sixteen, &[]).0).collect();
    frames[3].frame.signature = [0; 64];
    let requests: Vec<_> = frames.iter().map(Asked::request).collect();
    let mut answers = served.evaluation(&platform).evaluate_stream(stream::iter(requests)).await.unwrap().into_inner();
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.outcome.unwrap() {
            Outcome::Answer(answer) => answered.push(answer.batch_id),
            Outcome::Refusal(refusal) => refused.push(refusal),
        }
    }
    assert_eq!(answered.len(), 9);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].batch_id, frames[3].frame.batch.0);
    assert_eq!(refused[0].reason, "BAD_SIGNATURE");
    // SPEC §9.5
    assert!(refused[0].request_id.len() == 16 && refused[0].request_id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(used(&world, &platform), BudgetUse { elements: 9 * 16, frames: 9 });
    for asked in frames.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, asked)| asked) {
        let key = FrameKey {
            platform: platform.name.clone(),
            list: world.list.clone(),
            epoch: asked.frame.epoch,
            batch: asked.frame.batch,
        };
        assert!(world.store().answered(&key).unwrap().is_some());
    }
}

#[tokio::test]
async fn a_watcher_gets_the_newest_version_at_once_and_each_later_one() {
    let (world, platform) = world();
    let served = world.serve();
    let request = pb::WatchVersionsRequest { list_id: "base".into() };
    let mut versions = served.lists(&platform).watch_versions(request).await.unwrap().into_inner();
    assert_eq!(versions.message().await.unwrap().unwrap().note, world.manifest(1).note());
    for version in 2..4 {
        world.retract([version]);
        world.publish();
        assert_eq!(versions.message().await.unwrap().unwrap().note, world.manifest(version).note());
    }
    served.draining.cancel();
    assert_eq!(reason(&versions.message().await.unwrap_err()), Reason::NotServing);
}

#[tokio::test]
async fn manifests_are_given_one_by_one_and_in_order() {
    let (world, platform) = world();
    for number in 0..3 {
        world.retract([number]);
        world.publish();
    }
    let served = world.serve();
    let mut lists = served.lists(&platform);
    let get = |version| pb::GetManifestRequest { list_id: "base".into(), version };
    let all = |after_version| pb::ListManifestsRequest { list_id: "base".into(), after_version };
    let chain = lists.list_manifests(all(0)).await.unwrap().into_inner().manifests;
    assert_eq!(chain.len(), 4);
    assert_eq!(lists.list_manifests(all(2)).await.unwrap().into_inner().manifests, chain[2..]);
    assert!(lists.list_manifests(all(9)).await.unwrap().into_inner().manifests.is_empty());
    assert_eq!(lists.get_manifest(get(0)).await.unwrap().into_inner(), chain[3]);
    assert_eq!(lists.get_manifest(get(2)).await.unwrap().into_inner(), chain[1]);
    assert_eq!(reason(&lists.get_manifest(get(5)).await.unwrap_err()), Reason::UnknownVersion);
    let other = pb::GetManifestRequest { list_id: "other".into(), version: 0 };
    assert_eq!(reason(&lists.get_manifest(other).await.unwrap_err()), Reason::UnknownList);
}

#[tokio::test]
async fn a_broken_download_is_continued_from_where_it_stopped() {
    let world = World::published(5_000);
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let served = world.serve();
    let mut lists = served.lists(&platform);
    let fetch = |offset| pb::FetchRequest { list_id: "base".into(), version: 1, offset, ..Default::default() };
    let file = std::fs::read(world.artifact_path(1)).unwrap();
    for offset in [0, 1, 70_000, file.len()] {
        let mut chunks = lists.fetch_artifact(fetch(offset as u64)).await.unwrap().into_inner();
        let mut got = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.offset, (offset + got.len()) as u64);
            assert!((1..=65_536).contains(&chunk.data.len()));
            got.extend(chunk.data);
        }
        assert!(got == file[offset..], "offset {offset}");
    }
    let beyond = lists.fetch_artifact(fetch(file.len() as u64 + 1)).await.unwrap_err();
    assert_eq!((reason(&beyond), beyond.code()), (Reason::OffsetOutOfRange, Code::OutOfRange));
    let no_delta = lists.fetch_delta(fetch(0)).await.unwrap_err();
    assert_eq!(reason(&no_delta), Reason::UnknownVersion);
}

#[tokio::test]
async fn a_download_that_names_its_file_gets_that_file_and_no_other() {
    // SPEC §9.3. The request had an offset alone: continued after the agency had restored a backup and published the same
    // number again, a download joined pieces of two files, found the digest wrong and began anew.
    let world = World::published(1_500);
    world.retract([1]);
    world.publish();
    let platform = world.enrol("platform.example", &ClientTerms::default());
    let served = world.serve();
    let mut lists = served.lists(&platform);
    let manifest = world.manifest(2);
    let (artifact, delta) = (manifest.manifest().artifact.sha256.0, manifest.manifest().delta.sha256.unwrap().0);
    let fetch =
        |sha256: &[u8]| pb::FetchRequest { list_id: "base".into(), version: 2, offset: 1_000, sha256: sha256.to_vec() };
    lists.fetch_artifact(fetch(&artifact)).await.unwrap();
    lists.fetch_delta(fetch(&delta)).await.unwrap();
    for other in [fetch(&[0; 32]), fetch(&delta)] {
        assert_eq!(reason(&lists.fetch_artifact(other).await.unwrap_err()), Reason::UnknownVersion);
    }
    assert_eq!(reason(&lists.fetch_delta(fetch(&artifact)).await.unwrap_err()), Reason::UnknownVersion);
    assert_eq!(reason(&lists.fetch_artifact(fetch(&[0; 31])).await.unwrap_err()), Reason::BadRequest);
}

#[tokio::test]
async fn the_code_book_of_a_version_is_served_to_whom_its_list_is_open() {
    // SPEC §9.3
    let (world, platform) = world();
    // Its labels are too short for numbers.
    let short = ListId::parse("short").unwrap();
    world.agency().list_create(&short, 2, &[Kind::Sha256], world.now()).unwrap();
    world.agency().publish(&short, false, world.now(), &|_| ()).unwrap();
    let mut row = world.store().client(&platform.name).unwrap().unwrap();
    row.lists.push(short);
    world.store().put_client(&row).unwrap();
    let served = world.serve();
    let mut lists = served.lists(&platform);
    let of = |list: &str, version| pb::GetCodeBookRequest { list_id: list.into(), version };
    let book = lists.get_code_book(of("base", 1)).await.unwrap().into_inner().code_book;
    let book = CodeBook::of(world.manifest(1).manifest(), &book).unwrap();
    let (category, source) = (book.category(1).unwrap(), book.source(1).unwrap());
    assert_eq!((&*category.scheme, &*category.code, &*source.name), ("custom", "A1", "local"));
    let none = lists.get_code_book(of("short", 1)).await.unwrap_err();
    assert_eq!((reason(&none), none.code()), (Reason::NoCodeBook, Code::NotFound));
    for (request, expected) in [
        (of("base", 2), Reason::UnknownVersion),
        (of("base", 0), Reason::BadRequest),
        (of("other", 1), Reason::UnknownList),
        (of("Base", 1), Reason::BadRequest),
    ] {
        assert_eq!(reason(&lists.get_code_book(request).await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn a_code_book_that_is_gone_is_unknown_and_a_damaged_one_is_our_fault() {
    // SPEC §9.3, §10
    let (world, platform) = world();
    let served = world.serve();
    let fetch = async || {
        let request = pb::GetCodeBookRequest { list_id: "base".into(), version: 1 };
        served.lists(&platform).get_code_book(request).await.map(|_| ())
    };
    fetch().await.unwrap();
    std::fs::write(world.code_book_path(1), b"{}").unwrap();
    assert_eq!(reason(&fetch().await.unwrap_err()), Reason::Internal);
    std::fs::remove_file(world.code_book_path(1)).unwrap();
    assert_eq!(reason(&fetch().await.unwrap_err()), Reason::UnknownVersion);
}

#[tokio::test]
async fn a_file_that_is_not_as_it_was_published_is_our_fault_and_the_peer_hears_a_number_for_our_log() {
    // SPEC §10
    let (world, platform) = world();
    let served = world.serve();
    let path = world.artifact_path(1);
    let published = std::fs::read(&path).unwrap();
    let fetch = async || {
        let request = pb::FetchRequest { list_id: "base".into(), version: 1, ..Default::default() };
        served.lists(&platform).fetch_artifact(request).await.map(|_| ())
    };
    for length in [0, published.len() - 1] {
        std::fs::write(&path, &published[..length]).unwrap();
        let failed = fetch().await.unwrap_err();
        assert_eq!((reason(&failed), failed.code()), (Reason::Internal, Code::Internal));
        assert_eq!(failed.message(), Reason::Internal.message());
        let id = failed.metadata().get(REQUEST_ID).unwrap().to_str().unwrap();
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    }
    // A folder opens like a file.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(reason(&fetch().await.unwrap_err()), Reason::Internal);
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(reason(&fetch().await.unwrap_err()), Reason::UnknownVersion);
    std::fs::write(&path, published).unwrap();
    fetch().await.unwrap();
}
