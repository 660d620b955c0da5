//! How the server and its connections come to their end.

use std::{sync::atomic::Ordering, time::Instant};

use tokio::{net::TcpStream, time::timeout};
use veilmatch_proto::Reason;
use veilmatch_server::listener::Drained;

use crate::{
    client::{EVALUATE, EVALUATE_STREAM, message},
    scripted::{ECHO, HOLD},
    world::{PATIENCE, World},
};

const SHORT: u64 = 300;

#[tokio::test]
async fn draining_finishes_open_calls_and_takes_no_new_ones() {
    let world = World::with(|limits| limits.drain_notice_ms = SHORT).await;
    let leaf = world.enrol("platform.example");
    let mut client = world.connect(&leaf).await;
    let mut call = client.begin(EVALUATE).await;
    call.send(message(HOLD), true);
    world.service.until_held().await;
    assert!(world.serving.load(Ordering::SeqCst));

    world.request_stop();
    timeout(PATIENCE, world.leaving.cancelled()).await.unwrap();
    assert!(!world.serving.load(Ordering::SeqCst));
    client.refuses_new_calls().await;
    assert!(TcpStream::connect(world.address).await.is_err());

    world.service.release();
    assert_eq!(call.ended().await.echoed(), HOLD);
    client.closed().await.unwrap();
    assert_eq!(world.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn while_it_gives_notice_it_still_serves() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut first = world.connect(&leaf).await;
    assert_eq!(first.evaluate(ECHO).await.echoed(), ECHO);
    world.request_stop();
    while world.serving.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.connect(&leaf).await.evaluate(ECHO).await.echoed(), ECHO);
    assert_eq!(first.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_hears_so_and_is_cut() {
    let world = World::with(|limits| {
        limits.drain_notice_ms = 1;
        limits.drain_ms = SHORT;
    })
    .await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut unary = client.begin(EVALUATE).await;
    unary.send(message(HOLD), true);
    world.service.until_held().await;
    let mut stream = client.begin(EVALUATE_STREAM).await;
    stream.send(message(HOLD), true);
    world.service.until_held().await;
    let drained = tokio::spawn(world.stop());
    assert_eq!(unary.ended().await.reason(), Reason::NotServing);
    assert_eq!(stream.ended().await.reason(), Reason::NotServing);
    drop(client.closed().await);
    assert_eq!(drained.await.unwrap(), Drained { cut: 1 });
}

#[tokio::test]
async fn an_open_stream_of_frames_ends_well_at_the_drain_although_its_peer_would_go_on() {
    let world = World::with(|limits| limits.drain_notice_ms = 1).await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE_STREAM).await;
    call.send(message(HOLD), false);
    world.service.until_held().await;
    world.request_stop();
    timeout(PATIENCE, world.leaving.cancelled()).await.unwrap();
    world.service.release();
    assert_eq!(call.ended().await.answers(), 1);
    assert_eq!(world.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_peer_that_reads_nothing_cannot_hold_the_server() {
    let world = World::with(|limits| {
        limits.drain_notice_ms = 1;
        limits.drain_ms = SHORT;
    })
    .await;
    let silent = world.tcp().await;
    let leaf = world.enrol("platform.example");
    let mut client = world.connect(&leaf).await;
    client.evaluate(ECHO).await;
    // Nobody drives this connection any more, and it stays open.
    client.connection.abort();
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed().as_secs() < 5);
    drop(silent);
}

#[tokio::test]
async fn without_connections_the_end_comes_at_once() {
    let world = World::start().await;
    let began = Instant::now();
    assert_eq!(world.stop().await, Drained { cut: 0 });
    assert!(began.elapsed().as_secs() < 3);
}

#[tokio::test]
async fn an_old_connection_is_asked_to_leave_and_its_open_call_is_answered() {
    let world = World::with(|limits| limits.connection_age_ms = SHORT).await;
    let leaf = world.enrol("platform.example");
    let mut client = world.connect(&leaf).await;
    let mut call = client.begin(EVALUATE).await;
    call.send(message(HOLD), true);
    world.service.until_held().await;
    client.refuses_new_calls().await;
    world.service.release();
    assert_eq!(call.ended().await.echoed(), HOLD);
    client.closed().await.unwrap();
    assert_eq!(world.connect(&leaf).await.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn an_old_connection_that_does_not_leave_is_cut() {
    let world = World::with(|limits| {
        limits.connection_age_ms = SHORT;
        limits.connection_age_grace_ms = SHORT;
    })
    .await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    let mut call = client.begin(EVALUATE).await;
    call.send(message(HOLD), true);
    assert_eq!(call.ended().await.reason(), Reason::NotServing);
    drop(client.closed().await);
}
