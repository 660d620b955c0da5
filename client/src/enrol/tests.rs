//! Enrolment against a small authority of our own.

use std::fs;

use ed25519_dalek::SigningKey;
use rcgen::{BasicConstraints, CertificateSigningRequestParams, IsCa, Issuer, SanType};
use serde_json::{Value, json};
use veilmatch_audit::policy::Policy;

use super::*;

struct World {
    dir: tempfile::TempDir,
    authority: (String, Issuer<'static, KeyPair>),
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), &PlatformId::parse("platform.example").unwrap(), "ops@platform.example").unwrap();
        Self { dir, authority: authority() }
    }

    fn request(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir.path().join("request.json")).unwrap()).unwrap()
    }

    fn certificate(&self, uri: &str, years_ago: i32) -> String {
        let request = self.request();
        let mut params = CertificateSigningRequestParams::from_pem(request["csr"].as_str().unwrap()).unwrap();
        params.params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.params.not_after = rcgen::date_time_ymd(2040 - years_ago, 1, 1);
        params.signed_by(&self.authority.1).unwrap().pem()
    }

    fn invitation(&self) -> Value {
        let key = SigningKey::from_bytes(&[3; 32]).verifying_key();
        let verifier = |name| Verifier::new(name, key).unwrap().to_string();
        json!({
            "type": "veilmatch/invitation/v1",
            "agency": "agency.example",
            "address": "127.0.0.1:1",
            "server_name": "localhost",
            "authority": self.authority.0,
            "certificate": self.certificate("veilmatch://agency.example/platform/platform.example", 0),
            "manifest_key": verifier("agency.example/veilmatch/manifest"),
            "query_log_key": verifier("agency.example/veilmatch/query"),
            "ack_key": verifier("agency.example/veilmatch/ack"),
            "witness_key": Witness::new("agency.example/veilmatch/witness", key).unwrap().to_string(),
            "lists": ["baseline"],
            "budget": { "elements": 1000, "frames": 10 },
        })
    }

    fn join(&self, invitation: &Value) -> Result<Invitation, Error> {
        let path = self.dir.path().join("in.json");
        fs::write(&path, invitation.to_string()).unwrap();
        join(self.dir.path(), &path)
    }
}

/// A platform's directory that has joined an agency whose server is not there.
pub(crate) fn joined() -> tempfile::TempDir {
    let world = World::new();
    world.join(&world.invitation()).unwrap();
    world.dir
}

#[test]
fn an_invitation_for_our_key_is_taken_over() {
    let world = World::new();
    let invitation = world.join(&world.invitation()).unwrap();
    assert_eq!(invitation.lists(), [ListId::parse("baseline").unwrap()]);
    assert_eq!(invitation.budget, Budget { elements: 1_000, frames: 10 });
    assert!(world.dir.path().join("invitation.json").is_file());
}

#[test]
fn a_platform_begins_with_a_policy_that_counts_itself_and_keeps_the_one_that_it_has() {
    // SPEC §17.5
    let world = World::new();
    world.join(&world.invitation()).unwrap();
    let path = world.dir.path().join("policy.txt");
    let policy = Policy::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    let witness = world.request()["witness_key"].as_str().unwrap().to_owned();
    assert_eq!(policy.witnesses().map(|site| site.key.to_string()).collect::<Vec<_>>(), [witness]);
    fs::write(&path, "quorum none\n").unwrap();
    world.join(&world.invitation()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "quorum none\n");
}

#[test]
fn each_wrong_field_is_refused_by_its_name_and_nothing_is_taken_over() {
    // SPEC §9.2. Keys of logs were taken over, and what they are for went unchecked.
    type Spoil = fn(&World, &mut Value);
    let cases: [(&str, Spoil); 15] = [
        ("unknown field", |_, v| v["secret"] = json!(1)),
        ("type", |_, v| v["type"] = json!("veilmatch/enrolment-request/v1")),
        ("agency", |_, v| v["agency"] = json!("Agency")),
        ("manifest_key", |_, v| v["agency"] = json!("other.example")),
        ("query_log_key", |_, v| v["query_log_key"] = v["manifest_key"].clone()),
        ("query_log_key", |_, v| v["query_log_key"] = json!("")),
        ("ack_key", |_, v| v["ack_key"] = v["manifest_key"].clone()),
        ("witness_key", |_, v| v["witness_key"] = json!("")),
        ("witness_key", |_, v| {
            let key = SigningKey::from_bytes(&[3; 32]).verifying_key();
            v["witness_key"] = json!(Verifier::new("agency.example/veilmatch/witness", key).unwrap().to_string());
        }),
        ("lists", |_, v| v["lists"] = json!([])),
        ("certificate: is for another key", |_, v| v["certificate"] = World::new().invitation()["certificate"].clone()),
        ("certificate: is for another platform", |w, v| {
            v["certificate"] = json!(w.certificate("veilmatch://agency.example/platform/other.example", 0));
        }),
        ("certificate: ", |_, v| v["authority"] = json!(authority().0)),
        ("certificate: ", |w, v| {
            v["certificate"] = json!(w.certificate("veilmatch://agency.example/platform/platform.example", 20));
        }),
        ("authority", |_, v| v["authority"] = json!("")),
    ];
    for (named, spoil) in cases {
        let world = World::new();
        let mut invitation = world.invitation();
        spoil(&world, &mut invitation);
        let Err(Error::Invitation { why, .. }) = world.join(&invitation) else { panic!("{named}: taken over") };
        assert!(why.contains(named), "{named}: {why}");
        assert!(!world.dir.path().join("invitation.json").exists());
    }
}

#[test]
fn a_renewed_invitation_is_taken_and_another_agency_s_is_not() {
    let world = World::new();
    world.join(&world.invitation()).unwrap();
    world.join(&world.invitation()).unwrap();
    let mut other = world.invitation();
    let key = SigningKey::from_bytes(&[4; 32]).verifying_key();
    other["manifest_key"] = json!(Verifier::new("agency.example/veilmatch/manifest", key).unwrap().to_string());
    let Err(Error::Invitation { why, .. }) = world.join(&other) else { panic!("taken over") };
    assert!(why.starts_with("manifest_key"), "{why}");
}

#[test]
fn a_request_is_signed_by_its_own_key_and_shows_no_private_one() {
    let world = World::new();
    let request = world.request();
    let text = |name: &str| request[name].as_str().unwrap();
    let key: [u8; 32] = STANDARD.decode(text("request_key")).unwrap().try_into().unwrap();
    let signature: [u8; 64] = STANDARD.decode(text("signature")).unwrap().try_into().unwrap();
    let message = signed_message(&[
        "veilmatch/v1/enrolment",
        text("platform"),
        text("csr"),
        text("contact"),
        text("match_log_key"),
        text("receipt_key"),
        text("witness_key"),
    ]);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature)).unwrap();
    assert!(!request.to_string().contains("PRIVATE KEY"));
}

#[test]
fn a_contact_that_does_not_fit_makes_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let platform = PlatformId::parse("platform.example").unwrap();
    for contact in ["a\nb", &"x".repeat(257)] {
        assert!(matches!(init(dir.path(), &platform, contact), Err(Error::Contact)));
    }
    assert!(!dir.path().join("config.toml").exists());
}
