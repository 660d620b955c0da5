//! The cases of `audit/vectors/`, made with this crate from fixed seeds.

#[path = "leaves.rs"]
mod leaves;
#[path = "receipts.rs"]
mod receipts;
#[path = "refused_leaves.rs"]
mod refused_leaves;
#[path = "statements.rs"]
mod statements;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest, Sha512};
use veilmatch_protocol::{
    manifest::{Hash, Timestamp},
    name::{AgencyName, ListId, PlatformId},
    note::Verifier,
};

/// One file of the vectors.
pub struct Case {
    /// Path below `audit/vectors/`.
    pub path: String,
    /// The file's text.
    pub text: String,
}

impl Case {
    fn new(path: impl Into<String>, value: &Value) -> Self {
        let text = serde_json::to_string_pretty(value).expect("a value is JSON") + "\n";
        Self { path: path.into(), text }
    }

    fn accepted(kind: &str, name: &str, mut members: Value) -> Self {
        members["type"] = kind.into();
        Self::new(format!("accept/{kind}_{name}.json"), &members)
    }

    fn refused(kind: &str, name: &str, mut members: Value, expect: &str, why: &str) -> Self {
        (members["type"], members["expect"], members["why"]) = (kind.into(), expect.into(), why.into());
        Self::new(format!("reject/{kind}_{name}.json"), &members)
    }
}

/// Every case.
pub fn all() -> Vec<Case> {
    leaves::all().into_iter().chain(refused_leaves::all()).chain(statements::all()).chain(receipts::all()).collect()
}

/// SHA-512 of a text and a number: fixed bytes that look random.
fn made<const N: usize>(text: &str, i: u64) -> [u8; N] {
    let digest = Sha512::new().chain_update(text).chain_update(i.to_be_bytes()).finalize();
    digest[..N].try_into().expect("at most 64")
}

fn hash(text: &str) -> Hash {
    Hash(made(text, 0))
}

fn agency() -> AgencyName {
    AgencyName::parse("agency.example").expect("fits the grammar")
}

fn platform() -> PlatformId {
    PlatformId::parse("platform.example").expect("fits the grammar")
}

fn list() -> ListId {
    ListId::parse("baseline").expect("fits the grammar")
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn signing_key(role: &str) -> SigningKey {
    SigningKey::from_bytes(&made(role, 0))
}

fn verifier(name: &str, role: &str) -> Verifier {
    Verifier::new(name, signing_key(role).verifying_key()).expect("a legal name")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is text")
}
