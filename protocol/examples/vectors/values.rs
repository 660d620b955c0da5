//! Single values that are refused, requests and signatures, and an enrolment.

use base64::{Engine, engine::general_purpose::STANDARD};
use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, traits::Identity};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use veilmatch_protocol::{derive::Okm, label};

use super::frames::items;
use super::{Case, made};

pub fn all() -> Vec<Case> {
    let mut cases = vec![enrolment()];
    cases.extend(names());
    cases.extend(refused_items());
    cases.extend(public_keys());
    cases.extend(labels());
    cases.extend(requests());
    cases.extend(signatures());
    cases
}

fn refused(kind: &str, name: &str, mut members: Value, expect: &str, why: &str) -> Case {
    (members["type"], members["expect"], members["why"]) = (kind.into(), expect.into(), why.into());
    Case::new(format!("reject/{kind}_{name}.json"), &members)
}

fn names() -> Vec<Case> {
    let long = "a".repeat(65);
    [
        ("empty", "list", "", "no character"),
        ("long", "platform", &long, "65 characters"),
        ("upper_case", "agency", "Agency.example", "a letter outside the alphabet"),
        ("underscore", "platform", "a_b", "only a list may have '_'"),
        ("underscore_first", "list", "_a", "does not begin with a letter or a digit"),
        ("hyphen_last", "agency", "agency-", "does not end with a letter or a digit"),
        ("separator", "list", "a/b", "a character outside the alphabet"),
    ]
    .into_iter()
    .map(|(name, of, text, why)| refused("name", name, json!({ "of": of, "name": text }), "BAD_NAME", why))
    .collect()
}

fn refused_items() -> Vec<Case> {
    let sha256 = items(3)[2].as_bytes().to_vec();
    let kind = |id: u8| [&[id], &sha256[1..]].concat();
    let (unsupported, length) = ("UNSUPPORTED_KIND", "BAD_DIGEST_LENGTH");
    [
        ("reserved", kind(5), unsupported, "kind 5 is reserved"),
        ("unknown", kind(7), unsupported, "kind 7 is unknown"),
        ("kind_zero", kind(0), unsupported, "kind 0 is unknown"),
        ("short", sha256[..32].to_vec(), length, "31 bytes for SHA-256"),
        ("long", [&sha256[..], &[0]].concat(), length, "33 bytes for SHA-256"),
        ("no_digest", vec![3], length, "no digest"),
    ]
    .into_iter()
    .map(|(name, item, expect, why)| refused("item", name, json!({ "item": hex::encode(item) }), expect, why))
    .collect()
}

fn public_keys() -> Vec<Case> {
    [("identity", [0; 32], "the identity"), ("not_canonical", [0xff; 32], "not a canonical encoding")]
        .into_iter()
        .map(|(name, key, why)| {
            refused("public_key", name, json!({ "public_key": hex::encode(key) }), "BAD_PUBLIC_KEY", why)
        })
        .collect()
}

fn labels() -> Vec<Case> {
    let okm: [u8; 64] = made("synthetic okm", 0);
    let sealed = label::seal(&Okm::danger_from_bytes(okm).label_key(), b"A1").expect("a legal length");
    [("nonce", 0, "the nonce is altered"), ("sealed", 4, "the sealed label is altered")]
        .into_iter()
        .map(|(name, at, why)| {
            let mut sealed = sealed.clone();
            sealed[at] ^= 1;
            let members = json!({ "okm": hex::encode(okm), "sealed_label": hex::encode(sealed) });
            refused("label", name, members, "LABEL_MISMATCH", why)
        })
        .collect()
}

/// Requests whose fields a server refuses before it looks at a signature.
fn requests() -> Vec<Case> {
    let honest = || {
        json!({
            "list_id": "baseline",
            "epoch": 1,
            "version": 3,
            "view": { "size": 3, "root": "11".repeat(32) },
            "batch_id": "22".repeat(16),
            "minute": 29_000_000,
            "blinded_elements": "33".repeat(4 * 32),
            "request_signature": "44".repeat(64),
        })
    };
    let two_to_53 = 1_u64 << 53;
    let (bad, size) = ("BAD_REQUEST", "FRAME_SIZE");
    [
        ("list", "list_id", json!("Baseline"), bad, "list_id is no name"),
        ("epoch", "epoch", json!(0), bad, "epoch 0"),
        ("version", "version", json!(0), bad, "version 0"),
        ("view", "view", Value::Null, bad, "no view"),
        ("view_root", "view", json!({ "size": 3, "root": "11".repeat(31) }), bad, "a root of 31 bytes"),
        ("view_size", "view", json!({ "size": two_to_53, "root": "11".repeat(32) }), bad, "2^53"),
        ("minute", "minute", json!(two_to_53), bad, "2^53"),
        ("batch", "batch_id", json!("22".repeat(17)), bad, "a batch id of 17 bytes"),
        ("signature", "request_signature", json!(""), bad, "no signature"),
        ("elements", "blinded_elements", json!("33".repeat(127)), bad, "no multiple of 32"),
        ("no_element", "blinded_elements", json!(""), size, "no element"),
        ("two_elements", "blinded_elements", json!("33".repeat(64)), size, "2 is no frame size"),
    ]
    .into_iter()
    .map(|(name, member, value, expect, why)| {
        let mut request = honest();
        request[member] = value;
        refused("request", name, json!({ "request": request }), expect, why)
    })
    .collect()
}

/// Signatures that a verifier of another strictness accepts (SPEC §6.5).
fn signatures() -> Vec<Case> {
    let message = b"a synthetic message";
    let scalar = |text: &str| Scalar::from_bytes_mod_order_wide(&made(text, 0));
    let (a, r) = (scalar("key"), scalar("nonce"));
    let torsion = EIGHT_TORSION[1];
    let signed = |key: EdwardsPoint, nonce: EdwardsPoint, s: &dyn Fn(Scalar) -> Scalar| {
        let (key, nonce) = (key.compress().to_bytes(), nonce.compress().to_bytes());
        let hash = Sha512::new().chain_update(nonce).chain_update(key).chain_update(message).finalize();
        (key, [nonce, s(Scalar::from_bytes_mod_order_wide(&hash.into())).to_bytes()].concat())
    };
    let (big_a, big_r) = (EdwardsPoint::mul_base(&a), EdwardsPoint::mul_base(&r));
    let mut not_reduced = signed(big_a, big_r, &|h| r + h * a);
    add_order(&mut not_reduced.1[32..]);
    [
        ("key_of_small_order", signed(EdwardsPoint::identity(), big_r, &|_| r), "the key is of small order"),
        ("nonce_of_small_order", signed(big_a, EdwardsPoint::identity(), &|h| h * a), "R is of small order"),
        ("cofactor", signed(big_a, big_r + torsion, &|h| r + h * a), "holds only if multiplied by the cofactor"),
        ("s_not_reduced", not_reduced, "S is not below the group's order"),
    ]
    .into_iter()
    .map(|(name, (key, signature), why)| {
        let members = json!({ "public_key": hex::encode(key), "message": hex::encode(message),
                              "signature": hex::encode(signature) });
        refused("signature", name, members, "BAD_SIGNATURE", why)
    })
    .collect()
}

/// Adds the group's order, −1 + 1 in little-endian bytes.
fn add_order(bytes: &mut [u8]) {
    let mut carry = 1_u16;
    for (byte, minus_one) in bytes.iter_mut().zip((-Scalar::ONE).to_bytes()) {
        carry += u16::from(*byte) + u16::from(minus_one);
        *byte = carry as u8;
        carry >>= 8;
    }
}

/// Made once, by a key that was then thrown away: ECDSA signatures are drawn at random.
const CSR: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIHVMH0CAQAwGzEZMBcGA1UEAwwQcGxhdGZvcm0uZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABPaKewLVQjO8CqD2qqo+uq4xB3Kh5iR3a9qc2pJrlOoq
WXAvlZFfgt4D/Hq2tjPSkIVgIq4VoFJwFDKwcTD5sEygADAKBggqhkjOPQQDAgNI
ADBFAiEA5Sk8BegBUI8sENa6PAVupM7iPL306fuM6mNk1yvKoSQCIHlibi/wOkoZ
QNdgzgK5y40B5MuWwjy9Z7PyEomcHmMh
-----END CERTIFICATE REQUEST-----
";

/// Type bytes of verifier keys (SPEC §8.3, §17.2).
const ED25519: u8 = 0x01;
const COSIGNATURE: u8 = 0x04;

fn verifier_key(name: &str, kind: u8, seed: [u8; 32]) -> String {
    let key = [&[kind][..], SigningKey::from_bytes(&seed).verifying_key().as_bytes()].concat();
    let id = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(&key).finalize();
    format!("{name}+{}+{}", hex::encode(&id[..4]), STANDARD.encode(key))
}

fn enrolment() -> Case {
    let (platform, contact) = ("platform.example", "ops@platform.example");
    let [match_log, receipt, witness] =
        [("match", ED25519, 0x44), ("receipt", ED25519, 0x45), ("witness", COSIGNATURE, 0x46)]
            .map(|(role, kind, seed)| verifier_key(&format!("{platform}/veilmatch/{role}"), kind, [seed; 32]));
    let mut message = Vec::new();
    for field in ["veilmatch/v1/enrolment", platform, CSR, contact, &match_log, &receipt, &witness] {
        message.extend_from_slice(&u16::try_from(field.len()).expect("short").to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    let key = SigningKey::from_bytes(&[0x43; 32]);
    let value = json!({
        "type": "enrolment",
        "request": {
            "type": "veilmatch/enrolment-request/v1",
            "platform": platform,
            "csr": CSR,
            "request_key": STANDARD.encode(key.verifying_key().as_bytes()),
            "match_log_key": match_log,
            "receipt_key": receipt,
            "witness_key": witness,
            "contact": contact,
            "signature": STANDARD.encode(key.sign(&message).to_bytes()),
        },
        "request_secret_key": hex::encode(key.to_bytes()),
        "request_public_key": hex::encode(key.verifying_key().as_bytes()),
        "signed_message": hex::encode(&message),
    });
    Case::new("accept/enrolment.json", &value)
}
