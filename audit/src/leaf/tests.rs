//! Properties of every type of leaf.

mod random;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use veilmatch_protocol::{
    frame::{self, FrameContext, signed_message},
    item::{Item, Kind},
    name::{Epoch, ListId, Origin, PlatformId, Version},
    oprf::{self, Blind, Mode, SecretKey},
    prepared::PreparedKey,
};

use veilmatch_protocol::manifest::{Hash, Timestamp};

use super::*;
use random::{TYPES, leaf};

fn each(seed: u64) -> impl Iterator<Item = Leaf> {
    (0..TYPES).map(move |kind| leaf(kind, &mut StdRng::seed_from_u64(seed)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_decodes_to_itself(seed: u64) {
        // SPEC §18.1
        for leaf in each(seed) {
            let bytes = leaf.encode().unwrap();
            prop_assert!(bytes.len() <= MAX_LEAF_LEN && bytes.is_ascii());
            prop_assert_eq!(Leaf::decode(&bytes), Ok(leaf));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_mutated_byte_is_refused_or_is_exactly_another_leaf(seed: u64) {
        // SPEC §18.1
        let mut rng = StdRng::seed_from_u64(seed);
        for leaf in each(seed) {
            let bytes = leaf.encode().unwrap();
            for at in 0..bytes.len() {
                let mut mutated = bytes.clone();
                mutated[at] ^= rng.random_range(1..=255_u8);
                if let Ok(other) = Leaf::decode(&mutated) {
                    prop_assert_eq!(other.encode().unwrap(), mutated);
                    prop_assert_ne!(other, leaf.clone());
                }
                mutated = bytes.clone();
                mutated[at] = b"0123456789ABCZabcz+/=-\",:{}[] \n"[rng.random_range(0..30)];
                if mutated != bytes && let Ok(other) = Leaf::decode(&mutated) {
                    prop_assert_eq!(other.encode().unwrap(), mutated);
                }
            }
        }
    }

    #[test]
    fn a_cut_or_longer_leaf_is_refused(seed: u64) {
        // SPEC §18.1
        for leaf in each(seed) {
            let bytes = leaf.encode().unwrap();
            for len in 0..bytes.len() {
                prop_assert_eq!(Leaf::decode(&bytes[..len]), Err(Error::BadLeaf));
            }
            for more in [&b" "[..], b"\n", b"}", b"\0"] {
                prop_assert_eq!(Leaf::decode(&[&bytes[..], more].concat()), Err(Error::BadLeaf));
            }
        }
    }

    #[test]
    fn noise_is_refused_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        // SPEC §18.1
        prop_assert_eq!(Leaf::decode(&bytes), Err(Error::BadLeaf));
    }
}

/// Canonical bytes of an edited leaf.
fn edited(leaf: &Leaf, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&leaf.encode().unwrap()).unwrap();
    edit(value.as_object_mut().unwrap());
    serde_json_canonicalizer::to_vec(&value).unwrap()
}

fn refused(bytes: &[u8]) {
    assert_eq!(Leaf::decode(bytes), Err(Error::BadLeaf), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn a_member_more_or_less_is_refused_in_every_type() {
    // SPEC §18.1
    for leaf in each(1) {
        refused(&edited(&leaf, |members| drop(members.insert("more".to_owned(), json!(1)))));
        let value: Value = serde_json::from_slice(&leaf.encode().unwrap()).unwrap();
        for name in value.as_object().unwrap().keys() {
            refused(&edited(&leaf, |members| drop(members.remove(name))));
            refused(&edited(&leaf, |members| members[name] = Value::Null));
            refused(&edited(&leaf, |members| members[name] = json!([[1]])));
            refused(&edited(&leaf, |members| members[name] = json!(-1)));
            refused(&edited(&leaf, |members| members[name] = json!(1.5)));
            // The one text of a published version that names the software is bounded, and is free.
            if name != "software" {
                refused(&edited(&leaf, |members| members[name] = json!("free text")));
            }
        }
    }
}

#[test]
fn an_integer_of_two_to_the_53_is_refused_wherever_one_stands() {
    // SPEC §18.1
    let mut seen = 0;
    for leaf in each(2) {
        let value: Value = serde_json::from_slice(&leaf.encode().unwrap()).unwrap();
        for pointer in numbers(&value, String::new()) {
            let mut value = value.clone();
            *value.pointer_mut(&pointer).unwrap() = json!(1_u64 << 53);
            refused(&serde_json_canonicalizer::to_vec(&value).unwrap());
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} numbers");
}

/// JSON pointers of all numbers below a value.
fn numbers(value: &Value, at: String) -> Vec<String> {
    match value {
        Value::Number(_) => vec![at],
        Value::Array(values) => {
            values.iter().enumerate().flat_map(|(i, value)| numbers(value, format!("{at}/{i}"))).collect()
        }
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| numbers(value, format!("{at}/{name}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn base64_of_another_alphabet_padding_or_length_is_refused() {
    // SPEC §18.1
    for leaf in each(3).filter(|leaf| !matches!(leaf, Leaf::Manifest(_))) {
        let nonce = |text: &str| edited(&leaf, |members| members["nonce"] = json!(text));
        let good = STANDARD.encode([0xfb; 16]);
        assert!(Leaf::decode(&nonce(&good)).is_ok());
        for bad in [
            good.replace('+', "-"),
            good.trim_end_matches('=').to_owned(),
            good.replace("w==", "x=="),
            format!(" {good}"),
            STANDARD.encode([0; 15]),
            STANDARD.encode([0; 17]),
            String::new(),
        ] {
            refused(&nonce(&bad));
        }
    }
}

#[test]
fn an_unknown_type_and_another_spelling_are_refused() {
    // SPEC §18.1
    for leaf in each(4) {
        for kind in ["veilmatch/pad/v2", "veilmatch/other/v1", "", "veilmatch/Pad/v1"] {
            refused(&edited(&leaf, |members| members["type"] = json!(kind)));
        }
        let text = String::from_utf8(leaf.encode().unwrap()).unwrap();
        refused(text.replacen(':', ": ", 1).as_bytes());
        refused(text.replacen("\"type\":\"v", "\"type\":\"\\u0076", 1).as_bytes());
        refused(text.replacen('{', "{\"type\":\"veilmatch/pad/v1\",", 1).as_bytes());
    }
    refused(b"[\"veilmatch/pad/v1\",\"AAECAwQFBgcICQoLDA0ODw==\"]");
}

#[test]
fn a_leaf_has_16384_bytes_at_most() {
    // SPEC §18.1
    let erase = |n: u64| Erase {
        basis: "retention".to_owned(),
        indices: (0..n).map(|i| 1_000_000 + i).collect(),
        log: crate::origin::LogOrigin::parse("platform.example/veilmatch/match/agency.example/2026h2").unwrap(),
        nonce: Nonce([0; 16]),
        t: Timestamp::from_unix(0),
    };
    let len = |n| serde_json_canonicalizer::to_vec(&erase(n)).unwrap().len();
    let most = (1..4_000).rev().find(|&n| len(n) <= MAX_LEAF_LEN).unwrap();
    assert!(Leaf::decode(&erase(most).encode().unwrap()).is_ok());
    assert_eq!(erase(most + 1).encode(), Err(Error::BadLeaf));
    refused(&serde_json_canonicalizer::to_vec(&erase(most + 1)).unwrap());
}

#[test]
fn times_are_rounded_as_their_leaves_say() {
    // SPEC §18.1, §18.3, §18.5
    let at = |leaf: &Leaf, time: &str| Leaf::decode(&edited(leaf, |members| members["t"] = json!(time))).is_ok();
    for leaf in each(5) {
        let accepts = |times: [bool; 4]| {
            let all = ["2026-08-01T00:00:00Z", "2026-08-01T05:00:00Z", "2026-08-01T05:06:00Z", "2026-08-01T05:06:07Z"];
            assert_eq!(all.map(|time| at(&leaf, time)), times, "{leaf:?}");
        };
        match &leaf {
            Leaf::Query(_) => accepts([true, true, true, false]),
            Leaf::Frame(_) => accepts([true, true, false, false]),
            Leaf::Match(_) | Leaf::Action(_) | Leaf::Erase(_) => accepts([true, false, false, false]),
            Leaf::Adopt(_) | Leaf::Withdraw(_) | Leaf::Absent(_) | Leaf::Close(_) => accepts([true; 4]),
            // Its cross signature is over the time, and is verified on its own.
            Leaf::Key(_) => accepts([true; 4]),
            Leaf::Manifest(_) | Leaf::Day(_) | Leaf::Pad(_) => {}
        }
    }
}

#[test]
fn members_that_exclude_each_other_are_refused_together() {
    // SPEC §18.2, §18.3, §18.5
    let (hash, code) = (STANDARD.encode([1; 32]), json!("BUDGET_EXHAUSTED"));
    for leaf in (0..20).flat_map(each) {
        let with = |name: &str, value: Value| refused(&edited(&leaf, |members| members[name] = value));
        match &leaf {
            Leaf::Query(query) if query.status == QueryStatus::Ok => {
                with("code", code.clone());
                with("resp", json!(""));
                with("status", json!("refused"));
            }
            Leaf::Query(_) => {
                with("code", json!(""));
                with("code", json!("lower"));
                with("code", json!("A".repeat(33)));
                with("resp", json!(hash));
                with("n", json!(5));
                with("view", json!({ "root": hash, "size": 0 }));
                with("epoch", json!(0));
            }
            Leaf::Frame(frame) => {
                let (answered, refused) = (frame.status == FrameStatus::Answered, frame.status == FrameStatus::Refused);
                with("ack", if answered { json!("") } else { json!(hash) });
                with("resp", if answered { json!("") } else { json!(hash) });
                with("code", if refused { json!("") } else { code.clone() });
                with("status", json!("lost"));
            }
            Leaf::Key(key) => {
                with("lost_from", json!(key.lost_to + 1));
                with("role", if key.role == Role::Witness { json!("ack") } else { json!("witness") });
                with("cross", if key.cross.is_some() { json!("") } else { json!(STANDARD.encode([1; 64])) });
                with("key", json!(key.key.to_string().to_uppercase()));
            }
            Leaf::Erase(_) => {
                with("indices", json!([]));
                with("indices", json!([2, 1]));
                with("indices", json!([1, 1]));
                with("basis", json!("Free text"));
                with("log", json!(""));
                with("log", json!("agency.example/veilmatch/query/2026h2"));
            }
            Leaf::Action(_) => {
                with("log", json!(""));
                with("log", json!("agency.example/veilmatch/manifest"));
            }
            Leaf::Day(_) => {
                with("not_checked", json!({ "offline": 1 }));
                with("actions", json!({ "Blocked": 1 }));
                with("date", json!("2026-02-29"));
            }
            Leaf::Adopt(_) | Leaf::Withdraw(_) | Leaf::Absent(_) => with("version", json!(0)),
            _ => {}
        }
    }
}

#[test]
fn a_query_shows_that_the_platform_asked_it() {
    // SPEC §18.3
    let Leaf::Query(mut query) = leaf(4, &mut StdRng::seed_from_u64(6)) else { panic!("a query") };
    let key = SigningKey::from_bytes(&[3; 32]);
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(key.sign(&message).to_bytes());
    let asker = PreparedKey::new(key.verifying_key());
    assert_eq!(query.verify_signature(&asker), Ok(()));
    let other = PreparedKey::new(SigningKey::from_bytes(&[4; 32]).verifying_key());
    assert_eq!(query.verify_signature(&other), Err(Error::BadLeaf));
    let edits: [fn(&mut Query); 5] =
        [|q| q.req.0[0] ^= 1, |q| q.version.0 += 1, |q| q.minute += 1, |q| q.view.size += 1, |q| q.view.root[0] ^= 1];
    for edit in edits {
        let mut changed = query.clone();
        edit(&mut changed);
        assert_eq!(changed.verify_signature(&asker), Err(Error::BadLeaf));
    }
}

#[test]
fn only_the_holder_of_the_old_key_makes_a_key_change() {
    // SPEC §18.2
    let (old, new) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let named = |key: &SigningKey| VerifierKey::signer("agency.example/veilmatch/ack", key.verifying_key()).unwrap();
    let mut key = Key {
        cross: None,
        key: named(&new),
        lost_from: 0,
        lost_to: 0,
        nonce: Nonce([0; 16]),
        old: Some(named(&old)),
        previous: None,
        role: Role::Ack,
        t: Timestamp::from_unix(1_780_000_000),
    };
    assert_eq!(key.encode(), Err(Error::BadLeaf), "an old key without its signature");
    key.cross_sign(&old);
    assert!(key.encode().is_ok());
    assert_eq!(key.verify_cross(), Ok(()));
    let edits: [fn(&mut Key); 3] =
        [|k| k.role = Role::Receipt, |k| k.t = Timestamp::from_unix(0), |k| k.key = k.old.clone().unwrap()];
    for edit in edits {
        let mut changed = key.clone();
        edit(&mut changed);
        assert_eq!(changed.verify_cross(), Err(Error::BadLeaf));
    }
    let mut forged = key.clone();
    forged.cross_sign(&new);
    assert_eq!(forged.verify_cross(), Err(Error::BadLeaf));
    (key.old, key.cross) = (None, None);
    assert!(key.encode().is_ok());
    assert_eq!(key.verify_cross(), Err(Error::BadLeaf));
}

#[test]
fn everybody_computes_the_tag_of_an_item_that_is_shown_to_be_absent() {
    // SPEC §18.2
    let list = ListId::parse("baseline").unwrap();
    let key = SecretKey::for_epoch(&[6; 32], &list, Epoch(1)).unwrap();
    let item = Item::new(Kind::Sha256, &[7; 32]).unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    let blind = [Blind::danger_from_bytes(one).unwrap()];
    let blinded = oprf::blind(Mode::Voprf, &[item.as_bytes()], &blind).unwrap();
    let agency = veilmatch_protocol::name::AgencyName::parse("agency.example").unwrap();
    let context = FrameContext {
        origin: Origin::of(&agency),
        list: list.clone(),
        epoch: Epoch(1),
        platform: PlatformId::parse("agency.example").unwrap(),
        batch: frame::BatchId([0; 16]),
    };
    let answer = frame::answer(&context, &key, &blinded, &mut StdRng::seed_from_u64(1));
    let absent = Absent {
        agency,
        epoch: Epoch(1),
        evaluated: Hash(answer.evaluated[0]),
        item: item.clone(),
        list: list.clone(),
        nonce: Nonce([0; 16]),
        proof: Signature(answer.proof.to_bytes()),
        t: Timestamp::from_unix(0),
        version: Version(1),
    };
    let outputs = oprf::evaluate(Mode::Voprf, &key, &[item.as_bytes()]).unwrap();
    let context = veilmatch_protocol::derive::EpochContext { list: list.clone(), epoch: Epoch(1) };
    assert_eq!(absent.tag(key.public()), Ok(context.okm(&outputs[0]).tag()));
    let other_key = SecretKey::for_epoch(&[7; 32], &list, Epoch(1)).unwrap();
    assert_eq!(absent.tag(other_key.public()), Err(Error::BadLeaf));
    let other_item = Absent { item: Item::new(Kind::Sha256, &[8; 32]).unwrap(), ..absent.clone() };
    assert_eq!(other_item.tag(key.public()), Err(Error::BadLeaf));
    let other_element = Absent { evaluated: Hash([0; 32]), ..absent };
    assert_eq!(other_element.tag(key.public()), Err(Error::BadLeaf));
}

#[test]
fn a_certificate_is_read_under_its_certifiers_key_alone() {
    // SPEC §18.2
    let key = SigningKey::from_bytes(&[1; 32]);
    let name = "certifier.example/veilmatch/certifier";
    let verifier = veilmatch_protocol::note::Verifier::new(name, key.verifying_key()).unwrap();
    let certificate = Certificate {
        agency: veilmatch_protocol::name::AgencyName::parse("agency.example").unwrap(),
        epoch: Epoch(1),
        key: Hash([1; 32]),
        list: ListId::parse("baseline").unwrap(),
        number: 1_000_000,
        root: Hash([2; 32]),
        scope: Scope::Recomputed,
        t: Timestamp::from_unix(1_780_000_000),
        version: Version(2),
    };
    let note = certificate.sign(name, &key).unwrap();
    assert_eq!(Certificate::open(note.as_bytes(), &verifier), Ok(certificate.clone()));
    let other = SigningKey::from_bytes(&[2; 32]);
    let of_other = certificate.sign(name, &other).unwrap();
    assert_eq!(Certificate::open(of_other.as_bytes(), &verifier), Err(Error::BadLeaf));
    for at in 0..note.len() {
        let mut changed = note.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(Certificate::open(&changed, &verifier), Err(Error::BadLeaf), "byte {at}");
    }
    let impossible = Certificate { version: Version(0), ..certificate };
    assert_eq!(impossible.sign(name, &key), Err(Error::BadLeaf));
}

#[test]
fn verifier_keys_of_both_types_survive_their_text_and_no_other_is_one() {
    // SPEC §17.2
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
    for text in
        [VerifierKey::signer("a/b", key).unwrap(), VerifierKey::witness("a/b", key).unwrap()].map(|k| k.to_string())
    {
        let read = VerifierKey::parse(&text).unwrap();
        assert_eq!((read.name(), read.key(), read.to_string()), ("a/b", &key, text.clone()));
        for bad in [text.replace("a/b", "a/c"), text.replace('+', "-"), format!("{text} "), text.to_uppercase()] {
            assert_eq!(VerifierKey::parse(&bad), Err(Error::BadLeaf), "{bad}");
        }
    }
    let small_order = ed25519_dalek::VerifyingKey::from_bytes(&{
        let mut one = [0; 32];
        one[0] = 1;
        one
    });
    assert_eq!(VerifierKey::signer("a", small_order.unwrap()), Err(Error::BadLeaf));
    for name in ["", "a b", "a+b", "\u{e9}"] {
        assert_eq!(VerifierKey::signer(name, key), Err(Error::BadLeaf));
    }
}
