//! The limits of HTTP/2.

use h2::Reason as Code;
use http::Method;
use hyper::body::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use veilmatch_proto::Reason;

use crate::{
    client::{EVALUATE, EVALUATE_STREAM, message, request, until_closed},
    scripted::{ECHO, HOLD},
    world::{PATIENCE, World},
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

// Each reset follows its request in the same bytes, so that the server has not looked at one when it is taken back.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let world = World::start().await;
    let mut stream = world.tls_as(&world.enrol("platform.example")).await;
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..200).step_by(2) {
        // HPACK's static table: `:method: POST`, `:scheme: https`, `:path: /`.
        flood.extend(frame(HEADERS, END_HEADERS, stream, &[0x83, 0x87, 0x84]));
        flood.extend(frame(RST_STREAM, 0, stream, &u32::from(Code::CANCEL).to_be_bytes()));
    }
    stream.write_all(&flood).await.unwrap();
    let (said, _) = until_closed(stream).await;
    let last_word = frames(&said).filter(|(kind, _)| *kind == GOAWAY).last();
    let (_, goaway) = last_word.expect("there is a GOAWAY");
    assert_eq!(goaway[4..8], u32::from(Code::ENHANCE_YOUR_CALM).to_be_bytes());
}

#[tokio::test]
async fn a_peer_whose_streams_we_must_reset_again_and_again_is_sent_away() {
    const RESETS: u32 = 5;
    let world = World::with(|limits| limits.local_resets = RESETS).await;
    let mut stream = world.tls_as(&world.enrol("platform.example")).await;
    let mut requests = PREFACE.to_vec();
    requests.extend(frame(SETTINGS, 0, 0, &[]));
    // A header of the connection in a request is malformed (RFC 9113, Section 8.2.2).
    let malformed = [&[0x83, 0x87, 0x84, 0, 10][..], b"connection", &[1], b"x"].concat();
    for stream in (1..200).step_by(2) {
        requests.extend(frame(HEADERS, END_HEADERS, stream, &malformed));
    }
    stream.write_all(&requests).await.unwrap();
    // The connection is cut when the peer has heard that, or has not for as long as it may be silent.
    let mut said = Vec::new();
    while !frames(&said).any(|(kind, _)| kind == GOAWAY) {
        let read = timeout(PATIENCE, stream.read_buf(&mut said)).await.expect("the peer is never told to go");
        assert!(read.unwrap() > 0, "closed without a word");
    }
    let resets = frames(&said).filter(|(kind, _)| *kind == RST_STREAM).count();
    assert!(resets <= RESETS as usize, "{resets}");
    let (_, goaway) = frames(&said).filter(|(kind, _)| *kind == GOAWAY).last().expect("there is a GOAWAY");
    assert_eq!(goaway[4..8], u32::from(Code::ENHANCE_YOUR_CALM).to_be_bytes());
}

#[tokio::test]
async fn a_frame_longer_than_the_limit_ends_the_connection() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    for (length, is_refused) in [(16_384, false), (16_385, true)] {
        let mut stream = world.tls_as(&leaf).await;
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        // Of a kind that nobody knows, which a peer ignores unless it is too long (RFC 9113, Section 4.1).
        bytes.extend(frame(0xee, 0, 0, &vec![0; length]));
        // A frame of DATA on a stream that is idle, so that the server ends the connection either way.
        bytes.extend(frame(0, 0, 1, &[]));
        stream.write_all(&bytes).await.unwrap();
        let (said, _) = until_closed(stream).await;
        let (_, goaway) = frames(&said).filter(|(kind, _)| *kind == GOAWAY).last().expect("there is a GOAWAY");
        let code = if is_refused { Code::FRAME_SIZE_ERROR } else { Code::PROTOCOL_ERROR };
        assert_eq!(goaway[4..8], u32::from(code).to_be_bytes(), "{length}");
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

// Kind and payload of each frame.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(9)?;
        let (payload, rest) = rest.split_at_checked(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize)?;
        bytes = rest;
        Some((head[3], payload))
    })
}

#[tokio::test]
async fn a_message_that_is_too_long_or_does_not_decode_is_a_bad_request() {
    // SPEC §9.4
    let world = World::start().await;
    let mut client = world.connect(&world.enrol("platform.example")).await;
    for bytes in [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]] {
        let mut call = client.begin(EVALUATE).await;
        call.send(Bytes::from_static(bytes), true);
        assert_eq!(call.ended().await.reason(), Reason::BadRequest);
    }
    assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
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
