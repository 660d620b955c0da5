//! Openings, and the texts that keys sign: what is read is what would be written again.

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    acknowledgement::Acknowledgement, canary::CanaryOpening, closing::Closing, leaf::Certificate, opening::Opening,
};
use veilmatch_protocol::{
    note::{self, Verifier},
    receipt::SignedReceipt,
};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A note that the owner of a name signed, whatever it says.
fn signed(text: &str, name: &str) -> Option<(String, Verifier)> {
    let verifier = Verifier::new(name, key().verifying_key()).expect("this may be a name");
    Some((note::sign(text, name, &key()).ok()?, verifier))
}

/// A line that is handed on, or a text of a peer's with its signature.
pub fn read(bytes: &[u8]) {
    if let Ok(opening) = Opening::decode(bytes) {
        assert!(opening.encode().is_ok_and(|again| **again == *bytes), "another opening was read");
    }
    if let Ok(canary) = CanaryOpening::decode(bytes) {
        assert!(canary.encode().is_ok_and(|again| again == bytes), "another canary was read");
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some((note, verifier)) = signed(text, "agency.example/veilmatch/ack")
        && let Ok(said) = Acknowledgement::open(note.as_bytes(), &verifier)
    {
        assert!(said.sign(&key()).is_ok_and(|again| again == note), "another acknowledgement was read");
    }
    if let Some((note, verifier)) = signed(text, "platform.example/veilmatch/receipt") {
        if let Ok(statement) = Closing::open(note.as_bytes(), &verifier) {
            assert!(statement.sign(&key()).is_ok_and(|again| again == note), "another statement was read");
        }
        if let Ok(receipt) = SignedReceipt::open(note.as_bytes(), &verifier) {
            assert_eq!(receipt.note(), note.as_bytes(), "another receipt was read");
        }
    }
    if let Some((note, verifier)) = signed(text, "certifier.example/veilmatch/certifier")
        && let Ok(certificate) = Certificate::open(note.as_bytes(), &verifier)
    {
        let again = certificate.sign(verifier.name(), &key());
        assert!(again.is_ok_and(|again| again == note), "another certificate was read");
    }
}

/// Inputs to begin with: those of the vectors.
pub fn seeds() -> Vec<Vec<u8>> {
    let cases = [
        ("opening", include_str!("../../../audit/vectors/accept/receipt_mul.json")),
        ("opening", include_str!("../../../audit/vectors/accept/receipt_level_1.json")),
        ("opening", include_str!("../../../audit/vectors/accept/canary_2.json")),
        ("note", include_str!("../../../audit/vectors/accept/acknowledgement_query.json")),
        ("note", include_str!("../../../audit/vectors/accept/closing_one_frame.json")),
        ("note", include_str!("../../../audit/vectors/accept/certificate_recomputed.json")),
    ];
    let member = |(name, case): (&str, &str)| {
        let case: serde_json::Value = serde_json::from_str(case).expect("a vector is JSON");
        case[name].as_str().expect("a text").to_owned()
    };
    let mut seeds: Vec<_> = cases.map(member).to_vec();
    let opening: serde_json::Value = serde_json::from_str(&seeds[0]).expect("an opening is JSON");
    seeds.push(opening["receipt"].as_str().expect("a note").to_owned());
    // What a note says, where there is one: the target signs it.
    seeds
        .iter()
        .map(|seed| seed.rsplit_once("\n\n").map_or(seed.clone(), |(text, _)| format!("{text}\n")).into())
        .collect()
}
