//! Logs: what is read of notes, tiles, leaves, policies and requests is what would be written again, and nothing but a key's
//! own signature moves a witness.

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    leaf::Leaf,
    policy::Policy,
    tile::{Growth, TilePath, decode_entries, encode_entries},
    tree::{consistency_proof, verify_consistency},
    witness::{AddCheckpoint, Answer, Refusal, judge},
};
use veilmatch_protocol::{
    merkle,
    note::{Note, Verifier, signature_line},
};

const ORIGIN: &str = "log.example/a";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn leaves(number: u8) -> Vec<[u8; 32]> {
    (0..number).map(|n| merkle::leaf_hash(&[n])).collect()
}

/// The log's checkpoint at this size.
fn checkpoint(size: u8) -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: size.into(), root: merkle::root(leaves(size)) }
}

fn signed(size: u8) -> String {
    checkpoint::sign(&checkpoint(size), &key()).expect("the origin may be a name")
}

/// A note, and a checkpoint in it.
pub fn note(bytes: &[u8]) {
    let Ok(note) = Note::parse(bytes) else { return };
    let lines: String = note.lines().iter().map(|line| signature_line(line.name, line.id, &line.signature)).collect();
    assert_eq!(format!("{}\n{lines}", note.text()).as_bytes(), bytes, "another note was read");
    if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
        assert_eq!(checkpoint.text(), note.text(), "another checkpoint was read");
    }
}

/// A path and the bundle there: the path up to the first newline.
pub fn bundle(bytes: &[u8]) {
    let split = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (path, bundle) = (&bytes[..split], bytes.get(split + 1..).unwrap_or_default());
    let Ok(path) = str::from_utf8(path) else { return };
    let Ok(parsed) = path.parse::<TilePath>() else { return };
    assert_eq!(parsed.to_string(), path, "another path was read");
    let width = parsed.tile().width;
    if let Ok(entries) = decode_entries(bundle, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert!(encode_entries(&entries).is_ok_and(|again| again == bundle), "another bundle was read");
        if width < 256 {
            let hashes: Vec<_> = entries.iter().map(|entry| merkle::leaf_hash(entry)).collect();
            let growth = Growth::resume(width.into(), vec![hashes.clone()], bundle.to_vec());
            assert_eq!(growth.expect("the entries have these hashes").root(), merkle::root(hashes));
        }
    }
}

/// A policy: whatever it says, nobody's cosignature meets it only if it asks for none.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(policy) = Policy::parse(text) else { return };
    let note = signed(3);
    let counted = policy.count(&Note::parse(note.as_bytes()).expect("it was signed so"), 1_000);
    let counted = counted.expect("there is no line of a witness");
    let none = text.lines().any(|line| line.split([' ', '\t']).filter(|word| !word.is_empty()).eq(["quorum", "none"]));
    assert_eq!((counted.met, counted.newest), (none, None));
}

/// A request to a witness that cosigned the log at five leaves, and the same bytes as a witness's answer.
pub fn witness(bytes: &[u8]) {
    for status in [200, 409] {
        let _ = Answer::read(status, "text/x.tlog.size", bytes);
    }
    let Ok(request) = AddCheckpoint::decode(bytes) else { return };
    assert_eq!(request.encode(), bytes, "another request was read");
    let known = [Verifier::new(ORIGIN, key().verifying_key()).expect("the origin may be a name")];
    let keys = |origin: &str| if origin == ORIGIN { &known[..] } else { &[] };
    let Ok(extension) = judge::<Refusal>(&request, keys, |_| Ok(Some(checkpoint(5)))) else { return };
    let (old, new) = (checkpoint(5), extension.checkpoint());
    assert!(checkpoint::open(extension.note().as_bytes(), ORIGIN, &known[0]).as_ref() == Ok(new));
    assert_eq!(verify_consistency(old.size, &old.root, new.size, &new.root, &request.proof), Ok(()));
}

/// A leaf.
pub fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert!(leaf.encode().is_ok_and(|again| again == bytes), "another leaf was read");
    }
}

/// Inputs to begin with: some of what is right, and what is nearly so.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let cosigner = Cosigner::new("w.example/b", SigningKey::from_bytes(&[2; 32])).expect("this may be a name");
    let cosigned = signed(5) + &cosigner.cosign(&checkpoint(5), 1_000);
    let request = |old: u8, new: u8| {
        let proof = consistency_proof(&leaves(new)[..], old.into(), new.into()).unwrap_or_default();
        AddCheckpoint { old_size: old.into(), proof, note: signed(new).into_bytes() }.encode()
    };
    let (log, own) = (Verifier::new(ORIGIN, key().verifying_key()), cosigner.witness());
    let log = log.expect("the origin may be a name");
    let policies = [
        "quorum none\n".to_owned(),
        format!("log {log} https://log.example/\nwitness w {own}\ngroup g any w\nquorum g\n"),
        format!("# one\nwitness w\t{own} https://w.example/\n quorum w\n"),
    ];
    let bundles = [
        [&b"tile/entries/000.p/2\n"[..], b"\0\x01a\0\x02bc"].concat(),
        [&b"tile/0/x001/234.p/1\n"[..], b"\0\x01a\0"].concat(),
        [&b"tile/entries/001\n"[..], &[0, 1, 7].repeat(256)].concat(),
    ];
    let leaves = [
        r#"{"nonce":"AAECAwQFBgcICQoLDA0ODw==","type":"veilmatch/pad/v1"}"#,
        r#"{"nonce":"AAECAwQFBgcICQoLDA0ODw==","type":"veilmatch/pad/v2"}"#,
        r#"{"batch":"AAECAwQFBgcICQoLDA0ODw==","c":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","nonce":"AAECAwQFBgcICQoLDA0ODw==","t":"2026-05-28T00:00:00Z","type":"veilmatch/match/v1"}"#,
        r#"{"basis":"request","indices":[1,2],"log":"platform.example/veilmatch/match/agency.example/2026h1","nonce":"AAECAwQFBgcICQoLDA0ODw==","t":"2026-05-28T00:00:00Z","type":"veilmatch/erase/v1"}"#,
    ];
    vec![
        ("notes", vec![signed(5).into_bytes(), cosigned.into_bytes()]),
        ("bundles", bundles.to_vec()),
        ("policies", policies.map(String::into_bytes).to_vec()),
        (
            "witness",
            vec![
                request(5, 9),
                request(5, 5),
                request(4, 9),
                b"9\n".to_vec(),
                cosigner.cosign(&checkpoint(5), 9).into_bytes(),
            ],
        ),
        ("leaves", leaves.map(|leaf| leaf.as_bytes().to_vec()).to_vec()),
    ]
}
