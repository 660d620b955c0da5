//! Enrolment: a platform's request file and the invitation that answers it (SPEC §9.2). No private key travels.

use std::{fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use veilmatch_audit::{
    cosignature::Witness,
    origin::{match_log_key, platform_witness_key, receipt_key},
};
use veilmatch_protocol::{name::PlatformId, note::Verifier};

use crate::{Error, authority::CertificateRequest, logs::PublicKeys};

/// Longest request file that is read.
const MAX_REQUEST: u64 = 64 * 1_024;

/// Type of an invitation.
pub const INVITATION: &str = "veilmatch/invitation/v1";

/// Longest contact.
const MAX_CONTACT: usize = 256;

/// A platform's request, checked: its sender holds the TLS key and the request key, and stands by the others.
pub struct EnrolmentRequest {
    /// The platform's name.
    pub platform: PlatformId,
    /// The certificate request for its TLS key.
    pub certificate: CertificateRequest,
    /// Its Ed25519 request key.
    pub request_key: [u8; 32],
    /// What its checkpoints, receipts and cosignatures are verified with.
    pub evidence_keys: EvidenceKeys,
    /// How to reach its people.
    pub contact: String,
}

/// The Ed25519 public keys behind a platform's evidence; their names follow from the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceKeys {
    /// Signs the checkpoints of its match log.
    pub match_log: [u8; 32],
    /// Signs its receipts and closing statements.
    pub receipt: [u8; 32],
    /// Cosigns the agency's checkpoints.
    pub witness: [u8; 32],
}

impl EvidenceKeys {
    /// What verifies the platform's receipts and closing statements.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the key is none.
    pub fn receipt_verifier(&self, platform: &PlatformId) -> Result<Verifier, Error> {
        Ok(Verifier::new(&receipt_key(platform), PublicKeys::decode(&self.receipt)?)?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    r#type: String,
    platform: String,
    csr: String,
    request_key: String,
    match_log_key: String,
    receipt_key: String,
    witness_key: String,
    contact: String,
    signature: String,
}

impl EnrolmentRequest {
    /// Reads and checks a request file.
    ///
    /// # Errors
    /// [`Error::EnrolmentRequest`] names the field, [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut text = String::new();
        let file = File::open(path).map_err(Error::io("read", path))?;
        file.take(MAX_REQUEST + 1).read_to_string(&mut text).map_err(Error::io("read", path))?;
        Self::parse(&text).map_err(|why| Error::EnrolmentRequest { path: path.to_owned(), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > MAX_REQUEST {
            return Err("is longer than 64 KiB".into());
        }
        let file: RequestFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if file.r#type != "veilmatch/enrolment-request/v1" {
            return Err("type: is not veilmatch/enrolment-request/v1".into());
        }
        let platform = PlatformId::parse(&file.platform).map_err(|error| format!("platform: {error}"))?;
        if file.contact.len() > MAX_CONTACT || file.contact.chars().any(char::is_control) {
            return Err("contact: is longer than 256 bytes or has control characters".into());
        }
        let request_key: [u8; 32] = base64_array(&file.request_key).ok_or("request_key: is not 32 bytes of base64")?;
        let signature: [u8; 64] = base64_array(&file.signature).ok_or("signature: is not 64 bytes of base64")?;
        let key = VerifyingKey::from_bytes(&request_key).map_err(|_| "request_key: is not an Ed25519 key")?;
        if key.is_weak() {
            return Err("request_key: is a key of small order".into());
        }
        let evidence_keys = EvidenceKeys {
            match_log: named_key("match_log_key", &file.match_log_key, &match_log_key(&platform))?,
            receipt: named_key("receipt_key", &file.receipt_key, &receipt_key(&platform))?,
            witness: witness_key(&file.witness_key, &platform_witness_key(&platform))?,
        };
        let EvidenceKeys { match_log, receipt, witness } = evidence_keys;
        let keys = [request_key, match_log, receipt, witness];
        if (1..keys.len()).any(|i| keys[..i].contains(&keys[i])) {
            return Err("request_key, match_log_key, receipt_key, witness_key: two of them are the same".into());
        }
        let message = signed_message(&[
            &file.platform,
            &file.csr,
            &file.contact,
            &file.match_log_key,
            &file.receipt_key,
            &file.witness_key,
        ]);
        key.verify_strict(&message, &Signature::from_bytes(&signature))
            .map_err(|_| "signature: does not verify under request_key; the file was altered")?;
        let certificate = CertificateRequest::parse(&file.csr).map_err(|why| format!("csr: {why}"))?;
        Ok(Self { platform, certificate, request_key, evidence_keys, contact: file.contact })
    }
}

/// What a request's signature covers: domain, platform, certificate request, contact and the three verifier keys, each
/// length-prefixed.
#[must_use]
pub fn signed_message(fields: &[&str; 6]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in ["veilmatch/v1/enrolment"].iter().chain(fields) {
        let len = u16::try_from(field.len()).expect("the file is at most 64 KiB, so no field reaches 65,536 bytes");
        message.extend_from_slice(&len.to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    message
}

fn named_key(member: &str, vkey: &str, name: &str) -> Result<[u8; 32], String> {
    let verifier = Verifier::parse(vkey).map_err(|_| format!("{member}: is not a verifier key"))?;
    usable(member, verifier.name() == name, verifier.key())
}

fn witness_key(vkey: &str, name: &str) -> Result<[u8; 32], String> {
    let witness = Witness::parse(vkey).map_err(|_| "witness_key: is not the verifier key of a witness")?;
    usable("witness_key", witness.name() == name, witness.key())
}

fn usable(member: &str, named: bool, key: &VerifyingKey) -> Result<[u8; 32], String> {
    match (named, key.is_weak()) {
        (false, _) => Err(format!("{member}: is named for somebody or something else")),
        (true, true) => Err(format!("{member}: is a key of small order")),
        (true, false) => Ok(key.to_bytes()),
    }
}

fn base64_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Everything that a platform needs to reach, check and use the server, in one file.
#[derive(Debug, Clone, Serialize)]
pub struct Invitation {
    /// `veilmatch/invitation/v1`.
    pub r#type: &'static str,
    /// The agency's name.
    pub agency: String,
    /// `HOST:PORT`.
    pub address: String,
    /// The name in the server's certificate.
    pub server_name: String,
    /// The authority that certifies the server, PEM.
    pub authority: String,
    /// The platform's certificate, PEM.
    pub certificate: String,
    /// The manifest log's key, as a C2SP verifier key.
    pub manifest_key: String,
    /// The query log's key.
    pub query_log_key: String,
    /// The acknowledgement key.
    pub ack_key: String,
    /// The key that the agency cosigns with.
    pub witness_key: String,
    /// The lists that the platform may ask.
    pub lists: Vec<String>,
    /// What it may ask of each list in a UTC day.
    pub budget: InvitedBudget,
}

/// A daily budget in an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InvitedBudget {
    /// Elements, dummies included.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

impl Invitation {
    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers always serialise") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use serde_json::{Value, json};

    fn request() -> Value {
        let tls = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&tls).unwrap().pem().unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let [match_log, receipt] = [("match", 8), ("receipt", 9)].map(|(role, seed)| {
            let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
            Verifier::new(&format!("platform.example/veilmatch/{role}"), key).unwrap().to_string()
        });
        let witness = SigningKey::from_bytes(&[10; 32]).verifying_key();
        let witness = Witness::new("platform.example/veilmatch/witness", witness).unwrap().to_string();
        let contact = "ops@platform.example";
        let message = signed_message(&["platform.example", &csr, contact, &match_log, &receipt, &witness]);
        let signature = key.sign(&message);
        json!({
            "type": "veilmatch/enrolment-request/v1",
            "platform": "platform.example",
            "csr": csr,
            "request_key": STANDARD.encode(key.verifying_key().as_bytes()),
            "match_log_key": match_log,
            "receipt_key": receipt,
            "witness_key": witness,
            "contact": contact,
            "signature": STANDARD.encode(signature.to_bytes()),
        })
    }

    #[test]
    fn a_request_is_read_with_both_keys() {
        let parsed = EnrolmentRequest::parse(&request().to_string()).unwrap();
        assert_eq!(parsed.platform.as_str(), "platform.example");
        assert_eq!(parsed.request_key, SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
    }

    #[test]
    fn the_specification_s_vector_is_read() {
        // SPEC §9.2, §16
        let case: Value = serde_json::from_str(include_str!("../../protocol/vectors/accept/enrolment.json")).unwrap();
        let parsed = EnrolmentRequest::parse(&case["request"].to_string()).unwrap();
        let text = |name: &str| case["request"][name].as_str().unwrap();
        let signed = ["platform", "csr", "contact", "match_log_key", "receipt_key", "witness_key"].map(text);
        let message = signed_message(&signed);
        assert_eq!(hex::encode(message), case["signed_message"].as_str().unwrap());
        assert_eq!(hex::encode(parsed.request_key), case["request_public_key"].as_str().unwrap());
    }

    #[test]
    fn every_altered_field_is_refused_by_its_name() {
        // SPEC §9.2
        let key = |seed| SigningKey::from_bytes(&[seed; 32]).verifying_key();
        let vkey = |name: &str, seed| Verifier::new(name, key(seed)).unwrap().to_string();
        let witness = |name: &str, seed| Witness::new(name, key(seed)).unwrap().to_string();
        let cases: [(&str, Value, &str); 17] = [
            ("type", json!("veilmatch/invitation/v1"), "type"),
            ("platform", json!("Platform"), "platform"),
            ("platform", json!("other.example"), "match_log_key"),
            ("contact", json!("someone else"), "signature"),
            ("contact", json!("a\nb"), "contact"),
            ("request_key", json!("AAAA"), "request_key"),
            ("csr", json!("x"), "signature"),
            ("match_log_key", json!(""), "match_log_key"),
            ("match_log_key", json!(vkey("other.example/veilmatch/match", 8)), "match_log_key"),
            ("match_log_key", json!(vkey("platform.example/veilmatch/match", 11)), "signature"),
            ("match_log_key", json!(vkey("platform.example/veilmatch/match", 9)), "request_key, match_log_key"),
            ("receipt_key", json!(""), "receipt_key"),
            ("receipt_key", json!(vkey("platform.example/veilmatch/match", 9)), "receipt_key"),
            ("receipt_key", json!(vkey("platform.example/veilmatch/receipt", 11)), "signature"),
            ("witness_key", json!(""), "witness_key"),
            ("witness_key", json!(vkey("platform.example/veilmatch/witness", 10)), "witness_key"),
            ("witness_key", json!(witness("platform.example/veilmatch/witness", 11)), "signature"),
        ];
        for (field, value, named) in cases {
            let mut altered = request();
            altered[field] = value;
            let why = EnrolmentRequest::parse(&altered.to_string()).err().unwrap();
            assert!(why.starts_with(named), "{field}: {why}");
        }
        let mut extra = request();
        extra["private_key"] = json!("");
        assert!(EnrolmentRequest::parse(&extra.to_string()).err().unwrap().contains("unknown field"));
        for field in request().as_object().unwrap().keys() {
            let mut short = request();
            short.as_object_mut().unwrap().remove(field);
            let why = EnrolmentRequest::parse(&short.to_string()).err().unwrap();
            assert!(why.contains("missing field") && why.contains(field), "{field}: {why}");
        }
        assert!(EnrolmentRequest::parse("{").is_err());
    }
}
