use veilmatch_protocol::{
    frame::{FrameSize, RequestDigest, ResponseDigest, View},
    name::{Epoch, ListId, PlatformId, Version},
};

use super::*;
use crate::leaf::{Nonce, QueryStatus, Signature};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn verifier() -> Verifier {
    Verifier::new("agency.example/veilmatch/ack", key().verifying_key()).unwrap()
}

fn leaf() -> Query {
    Query {
        batch: BatchId([7; 16]),
        code: None,
        epoch: Epoch(1),
        list: ListId::parse("baseline").unwrap(),
        minute: 29_666_666,
        n: FrameSize::Four,
        nonce: Nonce([1; 16]),
        platform: PlatformId::parse("platform.example").unwrap(),
        req: RequestDigest([2; 32]),
        req_sig: Signature([3; 64]),
        resp: Some(ResponseDigest([4; 32])),
        status: QueryStatus::Ok,
        t: Timestamp::parse("2026-08-28T20:26:00Z").unwrap(),
        version: Version(2),
        view: View { size: 3, root: [5; 32] },
    }
}

fn acknowledgement() -> Acknowledgement {
    let origin = LogOrigin::parse("agency.example/veilmatch/query/2026h2").unwrap();
    Acknowledgement::of(origin, 1_234_567, &leaf()).unwrap()
}

#[test]
fn an_acknowledgement_is_read_as_it_was_made_and_promises_its_leaf() {
    // SPEC §18.4
    let note = acknowledgement().sign(&key()).unwrap();
    let read = Acknowledgement::open(note.as_bytes(), &verifier()).unwrap();
    assert_eq!(read, acknowledgement());
    assert_eq!(read.promises(&leaf().encode().unwrap(), &leaf()), Ok(()));
    let (text, _) = note.split_once("\n\n").unwrap();
    let lines: Vec<_> = text.split('\n').collect();
    assert_eq!(lines[..3], ["veilmatch/ack/v1", "agency.example/veilmatch/query/2026h2", "1234567"]);
    assert_eq!(lines[4..], ["BwcHBwcHBwcHBwcHBwcHBw==", "2026-08-28T20:26:00Z"]);
}

#[test]
fn every_changed_byte_is_refused() {
    // SPEC §18.4
    let note = acknowledgement().sign(&key()).unwrap().into_bytes();
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert_eq!(Acknowledgement::open(&changed, &verifier()), Err(Error::BadAcknowledgement), "byte {at}");
    }
}

#[test]
fn a_signed_text_of_another_form_is_refused() {
    // SPEC §18.4
    let open = |text: &str| {
        let note = note::sign(text, verifier().name(), &key()).unwrap();
        Acknowledgement::open(note.as_bytes(), &verifier())
    };
    let text = acknowledgement().text();
    assert_eq!(open(&text), Ok(acknowledgement()));
    let bad = [
        text.replace("ack/v1", "ack/v2"),
        text.replace("query/2026h2", "query/2026h1"),
        text.replace("query/2026h2", "query/2026h2.1"),
        text.replace("query/2026h2", "manifest"),
        text.replace("agency.example", "other.example"),
        text.replace("agency.example/veilmatch/query", "platform.example/veilmatch/match/agency.example"),
        text.replace("1234567", "01234567"),
        text.replace("1234567", "+1234567"),
        text.replace("1234567", "9007199254740992"),
        text.replace("1234567", ""),
        text.replace("BwcHBwcHBwcHBwcHBwcHBw==", "BwcHBwcHBwcHBwcHBwcHBw"),
        text.replace("BwcHBwcHBwcHBwcHBwcHBw==", "BwcHBwcHBwcHBwcHBwcH"),
        text.replace("20:26:00Z", "20:26:01Z"),
        text.replace("20:26:00Z", "20:26:00+00:00"),
        text.clone() + "more\n",
        text.replacen("veilmatch/ack/v1\n", "", 1),
        text.replace("\n2026-08", "\n\n2026-08"),
    ];
    for text in bad {
        assert_eq!(open(&text), Err(Error::BadAcknowledgement), "{text}");
    }
    let long = note::sign(&(text + &"x".repeat(MAX_LEN)), verifier().name(), &key());
    assert!(long.is_err(), "a text ends with a newline");
    let padded = format!("{}{}", acknowledgement().sign(&key()).unwrap(), "\u{2014} w AAAAAAA=\n".repeat(300));
    assert_eq!(Acknowledgement::open(padded.as_bytes(), &verifier()), Err(Error::BadAcknowledgement));
}

#[test]
fn another_leaf_is_not_what_was_promised() {
    // SPEC §18.4
    let promised = acknowledgement();
    let edits: [fn(&mut Query); 4] = [
        |q| q.nonce = Nonce([2; 16]),
        |q| q.batch = BatchId([8; 16]),
        |q| q.t = Timestamp::parse("2026-08-28T20:27:00Z").unwrap(),
        |q| q.resp = Some(ResponseDigest([5; 32])),
    ];
    for edit in edits {
        let mut other = leaf();
        edit(&mut other);
        assert_eq!(promised.promises(&other.encode().unwrap(), &other), Err(Error::BadAcknowledgement));
    }
}

#[test]
fn nothing_is_promised_in_another_log_or_another_half_year() {
    // SPEC §17.1, §18.4
    for origin in [
        "agency.example/veilmatch/manifest",
        "agency.example/veilmatch/query/2026h1",
        "platform.example/veilmatch/match/agency.example/2026h2",
    ] {
        let other = Acknowledgement { origin: LogOrigin::parse(origin).unwrap(), ..acknowledgement() };
        assert_eq!(other.sign(&key()), Err(Error::BadAcknowledgement), "{origin}");
    }
}
