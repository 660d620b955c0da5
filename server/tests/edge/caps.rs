//! How many connections there may be.

use std::time::{Duration, Instant};

use veilmatch_proto::Reason;

use crate::{client::until_closed, scripted::ECHO, world::World};

#[tokio::test]
async fn beyond_the_total_a_connection_is_closed_at_once_and_there_is_room_again_later() {
    let world = World::with(|limits| limits.connections = 2).await;
    let leaf = world.enrol("platform.example");
    let mut first = world.connect(&leaf).await;
    let mut second = world.connect(&leaf).await;
    assert_eq!(first.evaluate(ECHO).await.echoed(), ECHO);
    assert_eq!(second.evaluate(ECHO).await.echoed(), ECHO);
    assert!(until_closed(world.tcp().await).await.0.is_empty());

    drop(second.h2);
    second.connection.await.unwrap().unwrap();
    let mut third = loop {
        // The server may still be closing the second.
        if let Ok(stream) = world.tls(world.authority.client_config(Some(&leaf))).await {
            break crate::client::Client::open(stream).await;
        }
    };
    assert_eq!(third.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn beyond_its_own_connections_a_certificate_is_told_to_wait_while_others_are_served() {
    let world = World::with(|limits| limits.connections_per_certificate = 1).await;
    let (greedy, other) = (world.enrol("greedy.example"), world.enrol("other.example"));
    let mut first = world.connect(&greedy).await;
    assert_eq!(first.evaluate(ECHO).await.echoed(), ECHO);
    let refused = world.connect(&greedy).await.evaluate(ECHO).await.refused();
    assert_eq!(refused.reason, Reason::Overloaded);
    assert!(refused.retry_after.is_some_and(|wait| wait >= Duration::from_secs(1)));
    assert_eq!(world.connect(&other).await.evaluate(ECHO).await.echoed(), ECHO);
    assert_eq!(first.evaluate(ECHO).await.echoed(), ECHO);
}

#[tokio::test]
async fn silent_peers_that_fill_the_handshakes_delay_others_no_longer_than_their_deadline() {
    const DEADLINE: u64 = 1_000;
    let world = World::with(|limits| {
        limits.connections_in_handshake = 2;
        limits.handshake_ms = DEADLINE;
    })
    .await;
    let leaf = world.enrol("platform.example");
    let began = Instant::now();
    let silent = [world.tcp().await, world.tcp().await];
    let mut client = world.connect(&leaf).await;
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
    assert!(began.elapsed().as_millis() >= DEADLINE.into(), "it waited for a place");
    for stream in silent {
        drop(until_closed(stream).await);
    }
}

#[tokio::test]
async fn who_is_known_takes_no_place_of_those_in_handshake() {
    let world = World::with(|limits| limits.connections_in_handshake = 1).await;
    let leaf = world.enrol("platform.example");
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(world.connect(&leaf).await);
    }
    for client in &mut clients {
        assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
    }
}
