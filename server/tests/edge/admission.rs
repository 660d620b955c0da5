//! Who is let in behind TLS, what they may call, and when they must go.

use http::Method;
use tonic::Code;
use veilmatch_proto::Reason;

use crate::{
    client::{EVALUATE, message, request},
    pki::uri,
    scripted::{ECHO, HOLD},
    world::World,
};

#[tokio::test]
async fn an_enrolled_platform_is_served_and_its_calls_carry_who_it_is() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut client = world.connect(&leaf).await;
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
    let callers = world.service.callers();
    let [(identity, peer)] = callers.as_slice() else { panic!("{callers:?}") };
    assert_eq!(identity.spki_sha256, leaf.spki_sha256());
    assert_eq!(identity.uri_sans, [uri("platform.example")]);
    assert_eq!(peer.platform.as_str(), "platform.example");
}

#[tokio::test]
async fn a_valid_certificate_that_is_not_enrolled_hears_so_and_is_closed() {
    // SPEC §9.1
    let world = World::start().await;
    let stranger = world.authority.client("stranger.example");
    let mut client = world.connect(&stranger).await;
    assert_eq!(client.evaluate(ECHO).await.reason(), Reason::UnknownClient);
    client.closed().await.unwrap();
    assert!(world.service.callers().is_empty());
}

#[tokio::test]
async fn a_refused_peer_that_asks_nothing_is_closed_as_well() {
    let world = World::with(|limits| limits.preface_ms = 300).await;
    let stranger = world.authority.client("stranger.example");
    let client = world.connect(&stranger).await;
    let h2 = client.h2.clone();
    drop(client.closed().await);
    assert!(h2.ready().await.is_err());
}

#[tokio::test]
async fn a_suspended_platform_is_told_in_its_open_calls_cut_and_not_let_in_again() {
    // SPEC §9.1
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut client = world.connect(&leaf).await;
    let mut call = client.begin(EVALUATE).await;
    call.send(message(HOLD), true);
    world.service.until_held().await;
    world.table.suspend(&leaf);
    assert_eq!(call.ended().await.reason(), Reason::Suspended);
    drop(client.closed().await);
    let mut again = world.connect(&leaf).await;
    assert_eq!(again.evaluate(ECHO).await.reason(), Reason::Suspended);
}

#[tokio::test]
async fn the_others_stay_when_one_is_suspended() {
    let world = World::start().await;
    let (bad, good) = (world.enrol("bad.example"), world.enrol("good.example"));
    let (bad_client, mut good_client) = (world.connect(&bad).await, world.connect(&good).await);
    world.table.suspend(&bad);
    drop(bad_client.closed().await);
    assert_eq!(good_client.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn a_method_that_is_not_open_looks_like_one_that_is_not_there() {
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    for path in
        ["/veilmatch.v1.Admin/Stop", "/veilmatch.v1.Evaluation/Other", "/", "/veilmatch.v1.Evaluation/Evaluate/"]
    {
        let mut call = client.begin(path).await;
        call.send(message(ECHO), true);
        assert_eq!(call.ended().await.status.code(), Code::Unimplemented, "{path}");
    }
    assert!(world.service.callers().is_empty());
}

#[tokio::test]
async fn anything_but_post_is_refused_and_connect_opens_no_tunnel() {
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut connect = request(Method::CONNECT, "");
    *connect.uri_mut() = "localhost:22".parse().unwrap();
    for request in [request(Method::GET, EVALUATE), request(Method::PUT, EVALUATE), connect] {
        let method = request.method().clone();
        let call = client.request(request).await.unwrap();
        let (head, _, _) = call.head().await;
        assert_eq!(head.status, http::StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}
