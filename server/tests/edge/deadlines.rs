//! Peers that are silent before HTTP/2, or speak something else.

use std::time::Instant;

use tokio::io::AsyncWriteExt;

use crate::{client::until_closed, world::World};

const SHORT: u64 = 300;

#[tokio::test]
async fn a_silent_tcp_peer_is_closed_at_the_handshake_deadline() {
    let world = World::with(|limits| limits.handshake_ms = SHORT).await;
    let began = Instant::now();
    let stream = world.tcp().await;
    assert!(until_closed(stream).await.0.is_empty());
    assert!(began.elapsed().as_millis() >= SHORT.into());
}

#[tokio::test]
async fn a_peer_that_stops_within_the_handshake_is_closed_at_the_same_deadline() {
    let world = World::with(|limits| limits.handshake_ms = SHORT).await;
    let mut stream = world.tcp().await;
    // The head of a record of a ClientHello that never comes.
    stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    assert!(until_closed(stream).await.0.is_empty());
}

#[tokio::test]
async fn tls_without_a_preface_is_closed_at_the_preface_deadline() {
    let world = World::with(|limits| limits.preface_ms = SHORT).await;
    let leaf = world.enrol("platform.example");
    let mut stream = world.tls_as(&leaf).await;
    let began = Instant::now();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n").await.unwrap();
    drop(until_closed(stream).await);
    // The server's clock began a little before ours.
    assert!(began.elapsed().as_millis() >= u128::from(SHORT / 2));
}

#[tokio::test]
async fn http_1_is_refused_by_alpn() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut config = world.authority.client_config(Some(&leaf));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let refused = world.tls(config).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn a_peer_without_alpn_is_closed_unheard() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut config = world.authority.client_config(Some(&leaf));
    config.alpn_protocols = Vec::new();
    let mut stream = world.tls(config).await.unwrap();
    drop(stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await);
    assert!(until_closed(stream).await.0.is_empty());
}

#[tokio::test]
async fn http_1_under_the_name_of_http_2_is_closed_long_before_the_deadline() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut stream = world.tls_as(&leaf).await;
    let began = Instant::now();
    stream.write_all(b"GET /").await.unwrap();
    assert!(until_closed(stream).await.0.is_empty());
    assert!(began.elapsed().as_millis() < 4_000);
}

#[tokio::test]
async fn a_preface_and_then_silence_is_ended_by_keepalive() {
    let world = World::with(|limits| {
        limits.keepalive_interval_ms = SHORT;
        limits.keepalive_timeout_ms = SHORT;
    })
    .await;
    let leaf = world.enrol("platform.example");
    let mut stream = world.tls_as(&leaf).await;
    // The preface, and empty SETTINGS.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    drop(until_closed(stream).await);
}
