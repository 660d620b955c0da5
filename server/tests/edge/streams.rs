//! The deadlines within a connection: messages, idle streams, slow readers, age.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use veilmatch_proto::Reason;

use crate::{
    client::{EVALUATE, EVALUATE_STREAM, ended, message},
    scripted::{ECHO, FLOOD, FLOOD_BYTES, HOLD},
    world::{PATIENCE, World},
};

const SHORT: u64 = 300;

#[tokio::test]
async fn a_message_in_a_trickle_meets_its_deadline() {
    let world = World::with(|limits| limits.message_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE).await;
    let began = Instant::now();
    let mut bytes = message(ECHO);
    let trickle = async {
        loop {
            // Never the last byte.
            let byte = bytes.split_to(usize::from(bytes.len() > 1));
            if call.send.send_data(byte, false).is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(SHORT / 10)).await;
        }
    };
    let response = call.response;
    let refused = async {
        let (head, body) = timeout(PATIENCE, response).await.unwrap().unwrap().into_parts();
        ended(head, body).await
    };
    let refused = tokio::select! {
        refused = refused => refused,
        () = trickle => panic!("the stream was reset without a word"),
    };
    assert_eq!(refused.reason(), Reason::DeadlineExceeded);
    assert!(began.elapsed().as_millis() >= SHORT.into());
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn a_call_without_a_message_ends_as_idle() {
    let world = World::with(|limits| limits.idle_stream_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    for path in [EVALUATE, EVALUATE_STREAM] {
        let call = client.begin(path).await;
        assert_eq!(call.ended().await.reason(), Reason::DeadlineExceeded, "{path}");
    }
}

#[tokio::test]
async fn a_stream_that_was_used_and_is_idle_ends_well() {
    let world = World::with(|limits| limits.idle_stream_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(ECHO), false);
    call.send(message(ECHO), false);
    assert_eq!(call.ended().await.answers(), 2);
}

#[tokio::test]
async fn a_stream_that_waits_for_the_server_is_not_idle() {
    let world = World::with(|limits| limits.idle_stream_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(HOLD), true);
    world.service.until_held().await;
    tokio::time::sleep(Duration::from_millis(2 * SHORT)).await;
    world.service.release();
    assert_eq!(call.ended().await.answers(), 1);
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_reset() {
    let world = World::with(|limits| limits.idle_stream_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(FLOOD), true);
    let (_, mut body, _) = call.head().await;
    let mut bytes = 0;
    let cut = loop {
        match timeout(PATIENCE, body.data()).await.expect("the stream stays open") {
            // Read, but never made room for.
            Some(Ok(data)) => bytes += data.len(),
            Some(Err(error)) => break error,
            None => panic!("the stream ended well"),
        }
    };
    assert_eq!(cut.reason(), Some(h2::Reason::CANCEL), "{cut}");
    assert!(bytes < 2 * FLOOD_BYTES, "{bytes}");
    // The connection itself has room again as soon as its peer says so.
    body.flow_control().release_capacity(bytes).unwrap();
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn an_old_stream_is_read_no_further_and_what_was_read_is_answered() {
    let world = World::with(|limits| limits.stream_age_ms = SHORT).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(HOLD), false);
    world.service.until_held().await;
    tokio::time::sleep(Duration::from_millis(SHORT)).await;
    call.send(message(ECHO), false);
    world.service.release();
    assert_eq!(call.ended().await.answers(), 1);
}

#[tokio::test]
async fn a_stream_that_only_the_server_speaks_on_ends_a_message_deadline_after_its_age() {
    let world = World::with(|limits| {
        limits.stream_age_ms = SHORT;
        limits.message_ms = SHORT;
    })
    .await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(HOLD), true);
    assert_eq!(call.ended().await.reason(), Reason::NotServing);
}
