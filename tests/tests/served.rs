//! The real server over the wire: health, reflection, the limits of messages, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use tokio::net::TcpStream;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Serving, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use veilmatch_proto::{
    MAX_EVALUATE_MESSAGE, Reason, Refused,
    pb::{self, evaluation_client::EvaluationClient, lists_client::ListsClient},
};
use veilmatch_server::{ServeOptions, Server, admin::ClientTerms};
use veilmatch_tests::{
    World,
    middle::channel,
    programs::{Pair, Paths, eventually},
    until,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };
const PLATFORM: &str = "platform.example";

/// A served list and a connection of an enrolled platform.
async fn connected() -> (World, Channel) {
    let world = World::serving(10).await;
    let channel = channel(&world.enrol(PLATFORM, &ClientTerms::default()), world.address());
    // The running server learns of an enrolment within its poll interval; until then it closes the connection.
    until(async || health(&channel, "").await.ok()).await;
    (world, channel)
}

async fn health(channel: &Channel, service: &str) -> Result<Serving, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_the_server_and_for_each_service_by_name() {
    // SPEC §9.6
    let (_world, channel) = connected().await;
    for service in ["", "veilmatch.v1.Lists", "veilmatch.v1.Evaluation"] {
        assert_eq!(health(&channel, service).await.unwrap(), Serving::Serving, "{service:?}");
    }
    assert_eq!(health(&channel, "veilmatch.v1.Other").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_says_at_once_that_it_does_not_serve() {
    // SPEC §9.6
    let (mut world, channel) = connected().await;
    let watched = HealthCheckRequest { service: String::new() };
    let mut watch = HealthClient::new(channel.clone()).watch(watched).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving::Serving);
    let stopping = tokio::spawn(async move {
        world.stop().await;
        world
    });
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving::NotServing);
    for service in ["", "veilmatch.v1.Lists", "veilmatch.v1.Evaluation"] {
        assert_eq!(health(&channel, service).await.unwrap(), Serving::NotServing, "{service:?}");
    }
    // Nobody is connected any more, so it need not wait.
    drop((watch, channel));
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_longer_than_their_service_takes_are_refused_before_they_are_read() {
    // SPEC §9.4, §9.6. Health and reflection took 4 MiB, a thousand times what they need, and hold it in memory.
    let mut world = World::serving(10).await;
    world.stop().await;
    world.options.reflection = true;
    world.start().await;
    let channel = channel(&world.enrol(PLATFORM, &ClientTerms::default()), world.address());
    until(async || health(&channel, "").await.ok()).await;
    let text = |bytes: usize| "x".repeat(bytes);

    assert_eq!(health(&channel, &text(4_000)).await.unwrap_err().code(), Code::NotFound);
    let refused = |status: Status| Refused::from_status(&status).map(|refused| refused.reason);
    assert_eq!(refused(health(&channel, &text(4_096)).await.unwrap_err()), Some(Reason::BadRequest));

    // A stream of reflection that is refused ends without a word.
    let is_read = async |bytes: usize| {
        let symbol = Some(MessageRequest::FileContainingSymbol(text(bytes)));
        let request = ServerReflectionRequest { host: String::new(), message_request: symbol };
        let mut client = ServerReflectionClient::new(channel.clone());
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await;
        match answers.unwrap().into_inner().message().await {
            Ok(answer) => answer.is_some(),
            Err(status) => status.code() == Code::NotFound,
        }
    };
    assert!(is_read(4_000).await);
    assert!(!is_read(4_096).await);

    let list = async |bytes: usize| {
        let request = pb::GetManifestRequest { list_id: text(bytes), version: 0 };
        ListsClient::new(channel.clone()).get_manifest(request).await.unwrap_err()
    };
    assert_eq!(refused(list(4_096).await), Some(Reason::BadRequest));

    // What is read is well-formed, and has a size that no frame has.
    let evaluate = async |elements: usize| {
        let request = pb::EvaluateRequest {
            list_id: "baseline".into(),
            epoch: 1,
            version: 1,
            view: Some(pb::View { size: 1, root: vec![0; 32] }),
            batch_id: vec![0; 16],
            minute: 1,
            blinded_elements: vec![0; 32 * elements],
            request_signature: vec![0; 64],
        };
        EvaluationClient::new(channel.clone()).evaluate(request).await.unwrap_err()
    };
    let largest = (MAX_EVALUATE_MESSAGE - 200) / 32;
    assert_eq!(refused(evaluate(largest).await), Some(Reason::FrameSize));
    assert_eq!(refused(evaluate(largest + 7).await), Some(Reason::BadRequest));
}

async fn described(channel: &Channel) -> Result<Vec<String>, Status> {
    let request =
        ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices("".into())) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
    match answers.message().await?.unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => Ok(list.service.into_iter().map(|of| of.name).collect()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_describes_itself_only_if_it_is_told_to() {
    // SPEC §9.6
    let (mut world, silent) = connected().await;
    assert_eq!(described(&silent).await.unwrap_err().code(), Code::Unimplemented);
    drop(silent);
    world.stop().await;
    world.options.reflection = true;
    world.start().await;
    let channel = channel(&world.platform_dir(PLATFORM), world.address());
    let services = described(&channel).await.unwrap();
    for name in ["veilmatch.v1.Lists", "veilmatch.v1.Evaluation"] {
        assert!(services.iter().any(|service| service == name), "{services:?}");
    }
}

#[tokio::test]
async fn an_embedded_server_that_is_dropped_accepts_nothing_and_frees_its_directory() {
    // Its task went on accepting for as long as the program ran, and the drop waited on the runtime for a thread that
    // may be publishing. One worker here: whatever blocked it would block the test.
    let world = World::new();
    world.publish();
    let options = || ServeOptions { listen: Some("127.0.0.1:0".parse().unwrap()), ..ServeOptions::default() };
    let running = Server::start(&world.agency_dir(), options()).await.unwrap();
    let address = running.local_addr();
    TcpStream::connect(address).await.unwrap();
    drop(running);
    until(async || TcpStream::connect(address).await.err()).await;
    Server::start(&world.agency_dir(), options()).await.unwrap().shutdown().await.unwrap();
}

#[test]
fn sigterm_turns_health_red_at_once_and_ends_the_program_well() {
    // SPEC §9.6
    let pair = Pair::new(PROGRAMS);
    pair.publish(&pair.write("empty.sha256", format!("{}  name\n", "00".repeat(32))), "A1");
    pair.enrol("1000");
    let mut serve = pair.agency_command().arg("serve").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(serve.stderr.take().unwrap()).lines().map(Result::unwrap);
    let listening = log.find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
    let address = listening.unwrap().parse().unwrap();
    // Read to its end, so that the program never waits for us.
    let log = std::thread::spawn(move || log.collect::<Vec<_>>());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let channel = channel(&pair.platform_dir(), address);
        assert_eq!(health(&channel, "").await.unwrap(), Serving::Serving);
        assert!(Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().unwrap().success());
        until(async || (health(&channel, "").await.unwrap() == Serving::NotServing).then_some(())).await;
    });
    drop(runtime);
    let status = eventually(|| serve.try_wait().unwrap());
    let log = log.join().unwrap().join("\n");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
}
