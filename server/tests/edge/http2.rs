//! The limits of HTTP/2.

use h2::Reason as Code;
use http::Method;
use hyper::body::Bytes;

use crate::{
    client::{Call, EVALUATE, EVALUATE_STREAM, message, request},
    scripted::{ECHO, HOLD},
    world::World,
};

#[tokio::test]
async fn a_header_list_that_is_too_large_is_refused_and_the_connection_lives() {
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut large = request(Method::POST, EVALUATE);
    large.headers_mut().insert("x-large", "a".repeat(9_000).parse().unwrap());
    let call = client.request(large).await.unwrap();
    let (head, _, _) = call.head().await;
    assert_eq!(head.status, http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn the_peer_is_told_how_many_streams_it_may_open() {
    let world = World::with(|limits| limits.streams_per_connection = 3).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    client.evaluate(ECHO).await;
    assert_eq!(client.h2.current_max_send_streams(), 3);
    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut call = client.begin(EVALUATE).await;
        call.send(message(HOLD), true);
        world.service.until_held().await;
        calls.push(call);
    }
    // h2's client keeps a fourth back; it goes when one of the three has ended.
    let mut fourth = client.begin(EVALUATE).await;
    fourth.send(message(ECHO), true);
    assert_eq!(world.service.callers().len(), 4);
    for _ in 0..3 {
        world.service.release();
        tokio::task::yield_now().await;
    }
    assert_eq!(fourth.ended().await.echoed(), ECHO);
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let ended = loop {
        match client.request(request(Method::POST, EVALUATE)).await {
            Ok(Call { mut send, .. }) => send.send_reset(Code::CANCEL),
            Err(error) => break error,
        }
    };
    assert_eq!(ended.reason(), Some(Code::ENHANCE_YOUR_CALM), "{ended}");
}

#[tokio::test]
async fn a_length_that_no_message_has_ends_the_call_without_waiting_for_it() {
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), false);
    let status = call.ended().await.status;
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
}
