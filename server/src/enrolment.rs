//! Enrolment: a platform's request file and the invitation that answers it (SPEC §9.2). No private key travels.

use std::{fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use veilmatch_protocol::name::PlatformId;

use crate::{Error, authority::CertificateRequest};

/// Longest request file that is read.
const MAX_REQUEST: u64 = 64 * 1_024;

/// Type of an invitation.
pub const INVITATION: &str = "veilmatch/invitation/v1";

/// Longest contact.
const MAX_CONTACT: usize = 256;

/// A platform's request, checked: its sender holds both keys.
pub struct EnrolmentRequest {
    /// The platform's name.
    pub platform: PlatformId,
    /// The certificate request for its TLS key.
    pub certificate: CertificateRequest,
    /// Its Ed25519 request key.
    pub request_key: [u8; 32],
    /// How to reach its people.
    pub contact: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    r#type: String,
    platform: String,
    csr: String,
    request_key: String,
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
        let message = signed_message(&file.platform, &file.csr, &file.contact);
        key.verify_strict(&message, &Signature::from_bytes(&signature))
            .map_err(|_| "signature: does not verify under request_key; the file was altered")?;
        let certificate = CertificateRequest::parse(&file.csr).map_err(|why| format!("csr: {why}"))?;
        Ok(Self { platform, certificate, request_key, contact: file.contact })
    }
}

/// What a request's signature covers: domain, platform, certificate request and contact, each length-prefixed.
#[must_use]
pub fn signed_message(platform: &str, csr: &str, contact: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for field in ["veilmatch/v1/enrolment", platform, csr, contact] {
        let len = u16::try_from(field.len()).expect("the file is at most 64 KiB, so no field reaches 65,536 bytes");
        message.extend_from_slice(&len.to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    message
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
    /// The query log's key; empty until the log is served.
    pub query_log_key: String,
    /// The acknowledgement key; empty until the log is served.
    pub ack_key: String,
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
        let signature = key.sign(&signed_message("platform.example", &csr, "ops@platform.example"));
        json!({
            "type": "veilmatch/enrolment-request/v1",
            "platform": "platform.example",
            "csr": csr,
            "request_key": STANDARD.encode(key.verifying_key().as_bytes()),
            "contact": "ops@platform.example",
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
        let message = signed_message(text("platform"), text("csr"), text("contact"));
        assert_eq!(hex::encode(message), case["signed_message"].as_str().unwrap());
        assert_eq!(hex::encode(parsed.request_key), case["request_public_key"].as_str().unwrap());
    }

    #[test]
    fn every_altered_field_is_refused_by_its_name() {
        // SPEC §9.2
        let cases: [(&str, Value, &str); 7] = [
            ("type", json!("veilmatch/invitation/v1"), "type"),
            ("platform", json!("Platform"), "platform"),
            ("platform", json!("other.example"), "signature"),
            ("contact", json!("someone else"), "signature"),
            ("contact", json!("a\nb"), "contact"),
            ("request_key", json!("AAAA"), "request_key"),
            ("csr", json!("x"), "signature"),
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
