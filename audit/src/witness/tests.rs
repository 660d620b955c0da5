//! Tests of the witness's rule and of the texts.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use veilmatch_protocol::merkle::leaf_hash;

use super::*;
use crate::{
    cosignature::Cosigner,
    tree::{consistency_proof, root_at},
};

const ORIGIN: &str = "agency.example/veilmatch/manifest";

fn leaves(number: u64, seed: u8) -> Vec<Hash> {
    (0..number).map(|n| leaf_hash(&[seed, n as u8])).collect()
}

fn checkpoint_of(leaves: &[Hash]) -> Checkpoint {
    let size = leaves.len() as u64;
    Checkpoint { origin: ORIGIN.to_owned(), size, root: root_at(leaves, size).unwrap() }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn verifier(n: u8) -> Verifier {
    Verifier::new(ORIGIN, key(n).verifying_key()).unwrap()
}

fn request(old: u64, leaves: &[Hash]) -> AddCheckpoint {
    let checkpoint = checkpoint_of(leaves);
    let proof = consistency_proof(leaves, old, checkpoint.size).unwrap();
    AddCheckpoint { old_size: old, proof, note: checkpoint::sign(&checkpoint, &key(1)).unwrap().into_bytes() }
}

fn judged(request: &AddCheckpoint, last: Option<Checkpoint>) -> Result<Extension, Refusal> {
    let keys = [verifier(1), verifier(2)];
    judge(request, |origin| if origin == ORIGIN { &keys } else { &[] }, |_| Ok(last))
}

#[test]
fn a_request_is_written_as_c2sp_says() {
    let note = b"a\n2\nAA==\n\n\xe2\x80\x94 a AAAAAAA=\n".to_vec();
    let request = AddCheckpoint { old_size: 20, proof: vec![[0; 32], [1; 32]], note };
    let expected = "old 20\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\n\
                    a\n2\nAA==\n\n\u{2014} a AAAAAAA=\n";
    assert_eq!(request.encode(), expected.as_bytes());
    assert_eq!(AddCheckpoint::decode(expected.as_bytes()), Ok(request));
    let empty = AddCheckpoint { old_size: 0, proof: Vec::new(), note: b"x".to_vec() };
    assert_eq!(empty.encode(), b"old 0\n\nx");
    assert_eq!(AddCheckpoint::decode(b"old 0\n\nx"), Ok(empty));
}

#[test]
fn a_request_of_another_form_is_refused() {
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    for body in [
        String::new(),
        "old 1\n".to_owned(),
        "\n\nx".to_owned(),
        "1\n\nx".to_owned(),
        "old 01\n\nx".to_owned(),
        "old +1\n\nx".to_owned(),
        "old -1\n\nx".to_owned(),
        "old 18446744073709551616\n\nx".to_owned(),
        "old 1\r\n\r\nx".to_owned(),
        "old  1\n\nx".to_owned(),
        "old 1\nAAAA\n\nx".to_owned(),
        format!("old 1\n {hash}\nx"),
        format!("old 1\n{}\nx", hash.repeat(64)),
        format!("old 1\n\n{}", "x".repeat(MAX_REQUEST)),
    ] {
        assert_eq!(AddCheckpoint::decode(body.as_bytes()), Err(Refusal::Malformed), "{body:.80}");
    }
    let most = format!("old 1\n{}\nx", hash.repeat(63));
    assert_eq!(AddCheckpoint::decode(most.as_bytes()).unwrap().proof.len(), 63);
}

#[test]
fn a_checkpoint_that_extends_the_last_is_cosigned_and_no_other() {
    // SPEC §17.5
    let leaves = leaves(9, 0);
    let last = checkpoint_of(&leaves[..4]);
    assert_eq!(judged(&request(0, &leaves[..4]), None).unwrap().checkpoint(), &last);
    let next = judged(&request(4, &leaves), Some(last.clone())).unwrap();
    assert_eq!(next.checkpoint(), &checkpoint_of(&leaves));
    assert_eq!(judged(&request(4, &leaves[..4]), Some(last.clone())).unwrap().checkpoint(), &last);
    for (old, leaves, refusal) in [
        (0, &leaves[..], Refusal::Stale(4)),
        (5, &leaves[..], Refusal::Stale(4)),
        (3, &leaves[..3], Refusal::Stale(4)),
        (4, &leaves_of_a_fork(4)[..], Refusal::OtherRoot),
        (4, &leaves_of_a_fork(9)[..], Refusal::NotProven),
    ] {
        assert_eq!(judged(&request(old, leaves), Some(last.clone())), Err(refusal));
    }
}

fn leaves_of_a_fork(number: u64) -> Vec<Hash> {
    leaves(number, 1)
}

#[test]
fn an_old_size_above_the_checkpoint_is_malformed_and_a_proof_from_nothing_is_empty() {
    // SPEC §17.5
    let leaves = leaves(4, 0);
    let backwards = AddCheckpoint { old_size: 5, ..request(0, &leaves) };
    assert_eq!(judged(&backwards, None), Err(Refusal::Malformed));
    let proven = AddCheckpoint { proof: vec![[0; 32]], ..request(0, &leaves) };
    assert_eq!(judged(&proven, None), Err(Refusal::NotProven));
    let empty = request(0, &[]);
    assert_eq!(judged(&empty, None).unwrap().checkpoint().size, 0);
}

#[test]
fn signatures_are_looked_at_before_sizes() {
    // SPEC §17.5
    let leaves = leaves(4, 0);
    let signed = |n| {
        let note = checkpoint::sign(&checkpoint_of(&leaves), &key(n)).unwrap();
        AddCheckpoint { old_size: 3, proof: Vec::new(), note: note.into_bytes() }
    };
    assert_eq!(judged(&signed(9), None), Err(Refusal::NotSigned));
    assert_eq!(judged(&signed(1), None), Err(Refusal::Stale(0)));
    let other = Checkpoint { origin: "other.example/log".to_owned(), ..checkpoint_of(&leaves) };
    let other = AddCheckpoint { note: checkpoint::sign(&other, &key(1)).unwrap().into_bytes(), ..signed(1) };
    assert_eq!(judged(&other, None), Err(Refusal::UnknownLog));
    assert_eq!(judged(&AddCheckpoint { note: b"no note".to_vec(), ..signed(1) }, None), Err(Refusal::Malformed));
}

#[test]
fn what_is_kept_has_the_verified_lines_of_the_log_alone() {
    // SPEC §17.5
    let leaves = leaves(4, 0);
    let (one, two) = (request(0, &leaves), checkpoint::sign(&checkpoint_of(&leaves), &key(2)).unwrap());
    let second = two.rsplit_once("\n\n").unwrap().1;
    let own = str::from_utf8(&one.note).unwrap().to_owned() + second;
    let foreign = format!("{own}\u{2014} someone.example AAAAAAA=\n");
    let kept = judged(&AddCheckpoint { note: foreign.into_bytes(), ..one.clone() }, None).unwrap();
    assert_eq!(kept.note(), own);
    let failing = signature_line(ORIGIN, verifier(2).key_id(), &[0; 64]);
    let failing = [&one.note[..], failing.as_bytes()].concat();
    assert_eq!(judged(&AddCheckpoint { note: failing, ..one }, None), Err(Refusal::NotSigned));
}

#[test]
fn an_answer_gives_the_line_of_the_witness_that_was_asked() {
    let leaves = leaves(4, 0);
    let checkpoint = checkpoint_of(&leaves);
    let note = checkpoint::sign(&checkpoint, &key(1)).unwrap();
    let (cosigner, other) = (Cosigner::new("w.example", key(7)).unwrap(), Cosigner::new("v.example", key(8)).unwrap());
    let line = cosigner.cosign(&checkpoint, 100);
    let body = other.cosign(&checkpoint, 100) + &line;
    let answer = Answer::read(200, "text/plain", body.as_bytes()).unwrap();
    assert_eq!(answer.cosignature(&note, &cosigner.witness(), 130), Ok(line));
    assert_eq!(answer.cosignature(&note, &cosigner.witness(), 99), Err(Error::BadCheckpoint));
    let third = Cosigner::new("u.example", key(9)).unwrap();
    assert_eq!(answer.cosignature(&note, &third.witness(), 130), Err(Error::BadCheckpoint));
    let elsewhere = checkpoint::sign(&Checkpoint { size: 5, ..checkpoint }, &key(1)).unwrap();
    assert_eq!(answer.cosignature(&elsewhere, &cosigner.witness(), 130), Err(Error::BadCheckpoint));
}

#[test]
fn an_answer_is_what_its_status_calls_for() {
    assert_eq!(Answer::read(409, SIZE_TYPE, b"17\n"), Ok(Answer::Stale(17)));
    assert_eq!(Answer::read(409, "text/plain", b"another root\n"), Ok(Answer::Refused(409)));
    assert_eq!(Answer::read(422, "text/plain", b"whatever"), Ok(Answer::Refused(422)));
    for size in [&b"17"[..], b"017\n", b"+17\n", b"\n", b"17\n\n", b"99999999999999999999\n"] {
        assert_eq!(Answer::read(409, SIZE_TYPE, size), Err(Error::BadCheckpoint));
    }
    for body in [&b""[..], b"\n", b"no line\n", b"\xff\n"] {
        assert_eq!(Answer::read(200, "text/plain", body), Err(Error::BadCheckpoint));
    }
    assert_eq!(
        Answer::Stale(3).cosignature("", &Cosigner::new("w", key(7)).unwrap().witness(), 1),
        Err(Error::BadCheckpoint)
    );
}

#[test]
fn refusals_have_the_statuses_of_c2sp() {
    let all = [
        (Refusal::Malformed, 400),
        (Refusal::NotSigned, 403),
        (Refusal::UnknownLog, 404),
        (Refusal::Stale(12), 409),
        (Refusal::OtherRoot, 409),
        (Refusal::NotProven, 422),
    ];
    for (refusal, status) in all {
        assert_eq!(refusal.status(), status);
        assert!(refusal.text().ends_with('\n'));
    }
    assert_eq!(Refusal::Stale(12).text(), "12\n");
}

#[test]
fn a_log_is_found_by_the_hash_of_its_origin() {
    assert_eq!(
        checkpoint_path("example.com/behind-the-sofa"),
        format!("{}/checkpoint", hex::encode(Sha256::digest("example.com/behind-the-sofa")))
    );
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_like_that(body in "(old [0-9]{1,3}|[A-Z]{43}=|\n|x){1,8}") {
        if let Ok(request) = AddCheckpoint::decode(body.as_bytes()) {
            prop_assert_eq!(request.encode(), body.as_bytes());
        }
    }
}
