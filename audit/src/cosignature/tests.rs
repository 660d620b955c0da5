//! Tests of cosignatures.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::checkpoint;

fn log_note() -> (Checkpoint, String) {
    let checkpoint = Checkpoint { origin: "agency.example/veilmatch/manifest".to_owned(), size: 2, root: [7; 32] };
    let note = checkpoint::sign(&checkpoint, &SigningKey::from_bytes(&[1; 32])).unwrap();
    (checkpoint, note)
}

fn cosigner() -> Cosigner {
    Cosigner::new("platform.example/veilmatch/witness", SigningKey::from_bytes(&[2; 32])).unwrap()
}

fn cosigned(note: &str, latest: u64) -> Result<Option<u64>, Error> {
    cosigner().witness().cosigned(&Note::parse(note.as_bytes()).unwrap(), latest)
}

#[test]
fn a_cosignature_covers_its_time_and_the_whole_text() {
    // SPEC §17.5
    let (checkpoint, note) = log_note();
    let line = cosigner().cosign(&checkpoint, 1_780_000_000);
    assert_eq!(cosigned(&format!("{note}{line}"), u64::MAX), Ok(Some(1_780_000_000)));
    let value = line.trim_end().rsplit(' ').next().unwrap();
    let bytes = STANDARD.decode(value).unwrap();
    assert_eq!(bytes.len(), 4 + 8 + 64);
    assert_eq!(bytes[..4], cosigner().witness().key_id());
    for at in 4..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let line = line.replace(value, &STANDARD.encode(changed));
        assert_eq!(cosigned(&format!("{note}{line}"), u64::MAX), Err(Error::BadCheckpoint), "{at}");
    }
    let other = Checkpoint { size: 3, ..checkpoint };
    let line = cosigner().cosign(&other, 1_780_000_000);
    assert_eq!(cosigned(&format!("{note}{line}"), u64::MAX), Err(Error::BadCheckpoint));
}

#[test]
fn the_signed_message_is_that_of_c2sp() {
    // SPEC §17.5
    let (checkpoint, _) = log_note();
    let root = STANDARD.encode([7; 32]);
    let expected = format!("cosignature/v1\ntime 1780000000\nagency.example/veilmatch/manifest\n2\n{root}\n");
    let line = cosigner().cosign(&checkpoint, 1_780_000_000);
    let bytes = STANDARD.decode(line.trim_end().rsplit(' ').next().unwrap()).unwrap();
    assert_eq!(bytes[4..12], 1_780_000_000_u64.to_be_bytes());
    let signature = Signature::from_slice(&bytes[12..]).unwrap();
    assert!(cosigner().witness().key().verify_strict(expected.as_bytes(), &signature).is_ok());
}

#[test]
fn the_newest_line_that_is_not_in_the_future_is_told() {
    // SPEC §17.5
    let (checkpoint, note) = log_note();
    let lines: String = [10, 30, 20].map(|time| cosigner().cosign(&checkpoint, time)).concat();
    assert_eq!(cosigned(&format!("{note}{lines}"), 40), Ok(Some(30)));
    assert_eq!(cosigned(&format!("{note}{lines}"), 25), Ok(Some(20)));
    assert_eq!(cosigned(&format!("{note}{lines}"), 9), Ok(None));
    assert_eq!(cosigned(&note, 40), Ok(None));
}

#[test]
fn a_time_beyond_what_c2sp_allows_is_refused() {
    let (checkpoint, note) = log_note();
    let line = cosigner().cosign(&checkpoint, MAX_TIME + 1);
    assert_eq!(cosigned(&format!("{note}{line}"), u64::MAX), Err(Error::BadCheckpoint));
}

#[test]
fn a_line_shorter_than_a_time_is_refused() {
    let (_, note) = log_note();
    let witness = cosigner().witness();
    let line = note::signature_line(witness.name(), witness.key_id(), &[0; 7]);
    assert_eq!(cosigned(&format!("{note}{line}"), u64::MAX), Err(Error::BadCheckpoint));
}

#[test]
fn lines_of_unknown_keys_and_of_other_types_are_not_looked_at() {
    // SPEC §17.5
    let (checkpoint, note) = log_note();
    let witness = cosigner().witness();
    // An ML-DSA-44 cosignature under the same name: another type, hence another id.
    let id = note::key_id(witness.name(), 0x06, &[9; 1_312]);
    let ml_dsa = note::signature_line(witness.name(), id, &[0; 8 + 2_420]);
    // A plain note signature of the same Ed25519 key.
    let plain = note::sign(&checkpoint.text(), witness.name(), &cosigner().key).unwrap();
    let plain = plain.rsplit_once("\n\n").unwrap().1;
    assert_eq!(cosigned(&format!("{note}{ml_dsa}{plain}"), u64::MAX), Ok(None));
    let line = cosigner().cosign(&checkpoint, 5);
    assert_eq!(cosigned(&format!("{note}{ml_dsa}{plain}{line}"), u64::MAX), Ok(Some(5)));
}

#[test]
fn a_witness_key_survives_its_text_and_another_type_is_refused() {
    let witness = cosigner().witness();
    assert_eq!(Witness::parse(&witness.to_string()).as_ref(), Ok(&witness));
    let plain = Verifier::new(witness.name(), *witness.key()).unwrap().to_string();
    assert_eq!(Witness::parse(&plain), Err(Error::BadCheckpoint));
    assert_eq!(Witness::parse(""), Err(Error::BadCheckpoint));
    assert!(Cosigner::new("two words", SigningKey::from_bytes(&[2; 32])).is_err());
}

#[test]
fn debugging_shows_no_key() {
    assert_eq!(format!("{:?}", cosigner()), "Cosigner { name: \"platform.example/veilmatch/witness\", .. }");
}
