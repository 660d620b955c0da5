//! Tests of checkpoints.

use super::*;

const ORIGIN: &str = "agency.example/veilmatch/query/2026h2";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn verifier() -> Verifier {
    Verifier::new(ORIGIN, key().verifying_key()).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 1_000_000, root: [0x75; 32] }
}

#[test]
fn a_checkpoint_is_three_lines_and_opens_as_what_was_signed() {
    // SPEC §17.4
    let note = sign(&checkpoint(), &key()).unwrap();
    let text = "agency.example/veilmatch/query/2026h2\n1000000\ndXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXU=\n";
    assert!(note.starts_with(&format!("{text}\n\u{2014} {ORIGIN} ")));
    assert_eq!(open(note.as_bytes(), ORIGIN, &verifier()), Ok(checkpoint()));
    assert_eq!(claimed_origin(note.as_bytes()).as_deref(), Ok(ORIGIN));
}

#[test]
fn a_text_of_another_form_is_refused_though_the_log_signed_it() {
    // SPEC §17.4
    let root = "dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXU=";
    for text in [
        format!("{ORIGIN}\n1\n"),
        format!("{ORIGIN}\n1\n{root}\nextension\n"),
        format!("{ORIGIN}\n1\n{root}\n\n"),
        format!("{ORIGIN}\n01\n{root}\n"),
        format!("{ORIGIN}\n+1\n{root}\n"),
        format!("{ORIGIN}\n-1\n{root}\n"),
        format!("{ORIGIN}\n 1\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n1\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n1\n{}V=\n", root.trim_end_matches("U=")),
        format!("{ORIGIN}\n1\ndXV1\n"),
        format!("\n1\n{root}\n"),
        "{\"agency\":\"agency.example\"}\n".to_owned(),
    ] {
        let note = note::sign(&text, ORIGIN, &key()).unwrap();
        assert_eq!(open(note.as_bytes(), ORIGIN, &verifier()), Err(Error::BadCheckpoint), "{text:?}");
        assert!(claimed_origin(note.as_bytes()).is_err());
    }
}

#[test]
fn a_checkpoint_of_another_log_or_key_is_refused() {
    // SPEC §17.4
    let other = Checkpoint { origin: "agency.example/veilmatch/manifest".to_owned(), ..checkpoint() };
    let note = note::sign(&other.text(), ORIGIN, &key()).unwrap();
    assert_eq!(open(note.as_bytes(), ORIGIN, &verifier()), Err(Error::BadCheckpoint));
    let note = sign(&checkpoint(), &SigningKey::from_bytes(&[4; 32])).unwrap();
    assert_eq!(open(note.as_bytes(), ORIGIN, &verifier()), Err(Error::BadCheckpoint));
    let spaced = Checkpoint { origin: "two words".to_owned(), ..checkpoint() };
    assert_eq!(sign(&spaced, &key()), Err(Error::BadCheckpoint));
}

#[test]
fn every_changed_byte_is_refused() {
    // SPEC §17.4
    let note = sign(&checkpoint(), &key()).unwrap().into_bytes();
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert_eq!(open(&changed, ORIGIN, &verifier()), Err(Error::BadCheckpoint), "{at}");
    }
}
