use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{artifact::Layout, oprf::SecretKey};

const AGENCY: &str = "agency.example";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn verifier_of(agency: &str, key: &SigningKey) -> Verifier {
    let origin = Origin::of(&AgencyName::parse(agency).unwrap());
    Verifier::new(origin.as_str(), key.verifying_key()).unwrap()
}

fn verifier() -> Verifier {
    verifier_of(AGENCY, &key())
}

/// A legal manifest of a version.
pub(crate) fn manifest(version: u32) -> Manifest {
    let list = ListId::parse("baseline").unwrap();
    let secret = SecretKey::for_epoch(&[6; 32], &list, Epoch(1)).unwrap();
    let layout = Layout::new(2).unwrap();
    Manifest::from(Publication {
        agency: AgencyName::parse(AGENCY).unwrap(),
        list,
        epoch: Epoch(1),
        version: Version(version),
        prev: (version > 1).then_some(Hash([version as u8; 32])),
        not_before: Timestamp::from_unix(1_780_000_000),
        not_after: Timestamp::from_unix(1_780_600_000),
        oprf_key: secret.public().clone(),
        artifact: ArtifactRef {
            format: 1,
            count: 1_024,
            label_bytes: 2,
            record_bytes: 22,
            shard_bits: 0,
            bytes: artifact::file_len(layout, 1_024),
            sha256: Hash([8; 32]),
            root: Hash([9; 32]),
        },
        delta: DeltaRef::NONE,
        kinds: vec![Kind::Sha256, Kind::Md5],
        categories: None,
        frame_sizes: FrameSize::ALL.to_vec(),
        quota: Quota { elements: 10_000_000, frames: 500_000 },
        canary_root: no_canaries(),
        software: "veilmatch-server 0.1.0".to_owned(),
    })
}

fn signed(manifest: Manifest) -> SignedManifest {
    SignedManifest::sign(manifest, &key()).unwrap()
}

/// A chain of versions with these epochs.
fn chain(epochs: &[u32]) -> Vec<SignedManifest> {
    let mut links: Vec<SignedManifest> = Vec::new();
    for &epoch in epochs {
        links.push(signed(next(&links, epoch)));
    }
    links
}

/// What the agency publishes next for this epoch.
fn next(links: &[SignedManifest], epoch: u32) -> Manifest {
    let mut next = manifest(links.len() as u32 + 1);
    (next.epoch, next.oprf_key) = (epoch, key_of(epoch));
    next.prev = links.last().map(SignedManifest::digest);
    let before = links.iter().rfind(|link| link.manifest().epoch == epoch);
    next.delta.from = before.map_or(0, |before| before.manifest().version);
    if next.delta.from > 0 {
        (next.delta.bytes, next.delta.sha256) = (4_096, Some(Hash([1; 32])));
    }
    next
}

fn key_of(epoch: u32) -> Hash {
    let secret = SecretKey::for_epoch(&[6; 32], &baseline(), Epoch(epoch)).unwrap();
    Hash(*secret.public().as_bytes())
}

fn baseline() -> ListId {
    ListId::parse("baseline").unwrap()
}

fn followed(links: &[SignedManifest]) -> Chain {
    let mut chain = Chain::new(baseline());
    links.iter().for_each(|link| chain.extend(link.clone()).unwrap());
    chain
}

#[test]
fn a_manifest_survives_its_note_byte_for_byte() {
    // SPEC §8.1, §8.3
    let signed = signed(manifest(1));
    let read = SignedManifest::verify(signed.note(), &verifier()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(Manifest::decode(read.leaf()).unwrap(), manifest(1));
    assert_eq!(read.manifest().kinds(), [Kind::Md5, Kind::Sha256], "ascending");
}

#[test]
fn a_note_under_another_key_or_of_another_agency_is_refused() {
    // SPEC §8.3
    let note = signed(manifest(1)).note().to_vec();
    let other_key = verifier_of(AGENCY, &SigningKey::from_bytes(&[7; 32]));
    assert_eq!(SignedManifest::verify(&note, &other_key), Err(Error::Note));
    assert_eq!(SignedManifest::verify(&note, &verifier_of("other.example", &key())), Err(Error::Note));
    // Signed in the pinned key's name, but about another agency.
    let mut foreign = manifest(1);
    foreign.agency = "other.example".to_owned();
    let text = String::from_utf8(foreign.encode().unwrap()).unwrap() + "\n";
    let note = note::sign(&text, verifier().name(), &key()).unwrap();
    assert_eq!(SignedManifest::verify(note.as_bytes(), &verifier()), Err(Error::Manifest));
}

#[test]
fn every_changed_byte_of_a_note_is_refused() {
    // SPEC §8.3
    let note = signed(manifest(1)).note().to_vec();
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert!(SignedManifest::verify(&changed, &verifier()).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_not_the_canonical_form_is_refused() {
    // SPEC §8.1
    let leaf = String::from_utf8(manifest(1).encode().unwrap()).unwrap();
    let twice = leaf.replacen("{\"agency\"", "{\"agency\":\"agency.example\",\"agency\"", 1);
    let last_first = format!("{{\"version\":1,{}", leaf.trim_start_matches('{').replace(",\"version\":1}", "}"));
    for changed in [
        leaf.replacen(':', ": ", 1),
        format!("{leaf}\n"),
        format!(" {leaf}"),
        leaf.replacen("\"version\":1", "\"version\":1.0", 1),
        leaf.replacen("\"version\":1", "\"version\":1e0", 1),
        leaf.replacen("\"version\":1", "\"version\":01", 1),
        leaf.replacen("\"version\":1", "\"version\":\"1\"", 1),
        leaf.replacen("\"version\":1", "\"version\":null", 1),
        leaf.replacen("agency.example", "agency\\u002eexample", 1),
        leaf.replacen("\"certs\":[]", "\"certs\":[],\"chain\":[]", 1),
        leaf.replacen("\"certs\":[],", "", 1),
        leaf.replacen("\"from\":0", "\"from\":0,\"more\":1", 1),
        twice,
        last_first,
        leaf[..leaf.len() - 1].to_owned(),
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        " ".repeat(MAX_LEAF_LEN + 1),
        "[".repeat(MAX_LEAF_LEN),
    ] {
        assert_ne!(changed, leaf);
        assert_eq!(Manifest::decode(changed.as_bytes()), Err(Error::Manifest), "{changed}");
    }
    assert_eq!(Manifest::decode(b"\xff"), Err(Error::Manifest));
}

/// The manifest with one member, named by a JSON pointer, set to another value, canonical all the same.
fn with(pointer: &str, value: Value) -> Result<Manifest, Error> {
    let mut object: Value = serde_json::from_slice(&manifest(2).encode().unwrap()).unwrap();
    *object.pointer_mut(pointer).unwrap_or_else(|| panic!("no member {pointer}")) = value;
    Manifest::decode(&serde_json_canonicalizer::to_vec(&object).unwrap())
}

/// An artifact of so many records in which everything else fits.
fn of_count(count: u64) -> Value {
    let mut artifact = serde_json::to_value(&manifest(2).artifact).unwrap();
    artifact["count"] = json!(count);
    artifact["shard_bits"] = json!(artifact::shard_bits(count));
    artifact["bytes"] = json!(artifact::file_len(Layout::new(2).unwrap(), count));
    artifact
}

#[test]
fn a_member_outside_its_limits_is_refused() {
    // SPEC §7.3, §8.2
    let hash = |byte: u8| json!(STANDARD.encode([byte; 32]));
    assert!(with("/software", json!("other 1")).is_ok());
    assert!(
        [1_024, 1_056, 2_016, 2_048, 5_120, 1_015_808].iter().all(|&count| with("/artifact", of_count(count)).is_ok())
    );
    for (pointer, value) in [
        ("/type", json!("veilmatch/manifest/v2")),
        ("/suite", json!("P256-SHA256")),
        ("/agency", json!("Agency")),
        ("/list", json!("")),
        ("/epoch", json!(0)),
        ("/epoch", json!(3)),
        ("/epoch", json!(4_294_967_296_u64)),
        ("/version", json!(0)),
        ("/version", json!(1)),
        ("/version", json!(-1)),
        ("/prev", json!("")),
        ("/prev", json!("AAAA")),
        ("/prev", json!(hash(1).as_str().unwrap().trim_end_matches('='))),
        ("/not_after", json!("2026-05-28T20:26:40Z")),
        ("/not_after", json!("2026-06-04T20:26:40+00:00")),
        ("/not_after", json!("2026-06-31T20:26:40Z")),
        ("/not_after", json!("2026-06-04T20:26:60Z")),
        ("/not_after", json!("2026-06-04t20:26:40z")),
        ("/oprf_key", hash(0)),
        ("/oprf_key", hash(0xff)),
        ("/artifact/format", json!(2)),
        ("/artifact/count", json!(1_025)),
        ("/artifact", of_count(0)),
        ("/artifact", of_count(1_000)),
        ("/artifact", of_count(1_025)),
        ("/artifact", of_count(5_000)),
        ("/artifact/count", json!(1_u64 << 48)),
        ("/artifact/label_bytes", json!(65)),
        ("/artifact/label_bytes", json!(3)),
        ("/artifact/record_bytes", json!(23)),
        ("/artifact/shard_bits", json!(1)),
        ("/artifact/bytes", json!(1)),
        ("/delta/from", json!(1)),
        ("/delta/sha256", hash(1)),
        ("/delta", json!({"added": 1, "bytes": 4_096, "from": 2, "removed": 1, "sha256": hash(1)})),
        ("/delta", json!({"added": 1, "bytes": 4_095, "from": 1, "removed": 1, "sha256": hash(1)})),
        ("/delta", json!({"added": 2_000, "bytes": 65_536, "from": 1, "removed": 1, "sha256": hash(1)})),
        ("/delta", json!({"added": 1, "bytes": 4_096, "from": 1, "removed": 1, "sha256": ""})),
        ("/kinds", json!([])),
        ("/kinds/0/bytes", json!(17)),
        ("/kinds/0/id", json!(2)),
        ("/kinds/0/name", json!("pdq")),
        ("/kinds/1", json!({"bytes": 16, "id": 1, "name": "md5"})),
        ("/frame_sizes", json!([])),
        ("/frame_sizes", json!([4, 1])),
        ("/frame_sizes", json!([4, 4])),
        ("/frame_sizes", json!([5])),
        ("/frame_sizes", json!([1])),
        ("/quota/elements", json!(1_u64 << 53)),
        ("/quota/frames", json!(1_u64 << 53)),
        ("/canary_root", json!("")),
        ("/categories", json!("x")),
        ("/categories", hash(1)),
        ("/certs", json!(["x"])),
        ("/certs", json!([""])),
        ("/certs", json!([hash(2), hash(1)])),
        ("/certs", json!([hash(1), hash(1)])),
        ("/certs", json!((1..=17).map(hash).collect::<Vec<_>>())),
        ("/policy", json!("x")),
        ("/software", json!("x".repeat(65))),
        ("/software", json!("\u{e9}")),
    ] {
        assert_eq!(with(pointer, value.clone()), Err(Error::Manifest), "{pointer} {value}");
    }
}

#[test]
fn canaries_certificates_and_a_policy_are_named_by_their_hashes() {
    // SPEC §8.2
    let mut manifest = manifest(1);
    assert_eq!((manifest.canary_root, manifest.policy), (no_canaries(), None));
    manifest.canary_root = Hash([1; 32]);
    manifest.certs = (1..=16).map(|i| Hash([i; 32])).collect();
    manifest.policy = Some(Hash([2; 32]));
    assert_eq!(Manifest::decode(&manifest.encode().unwrap()), Ok(manifest));
}

#[test]
fn a_manifest_names_a_code_book_only_where_labels_hold_its_numbers() {
    // SPEC §7.7, §8.2
    let with_labels_of = |label_bytes: u8| {
        let layout = Layout::new(label_bytes).unwrap();
        let mut manifest = manifest(1);
        manifest.categories = Some(Hash([1; 32]));
        manifest.artifact.label_bytes = label_bytes.into();
        manifest.artifact.record_bytes = layout.record_len() as u32;
        manifest.artifact.bytes = artifact::file_len(layout, 1_024);
        manifest.encode()
    };
    for label_bytes in 0..4 {
        assert_eq!(with_labels_of(label_bytes), Err(Error::Manifest), "{label_bytes}");
    }
    for label_bytes in [4, 5, 64] {
        assert!(with_labels_of(label_bytes).is_ok(), "{label_bytes}");
    }
}

#[test]
fn a_chain_goes_up_by_one_from_one() {
    // SPEC §8.4, §8.7
    let links = chain(&[1, 1, 2, 1, 2, 2, 3]);
    let mut before = None;
    for link in &links {
        link.follows(before).unwrap();
        before = Some(link);
    }
    assert_eq!(followed(&links).newest(), links.last());
    assert_eq!(links[1].follows(None), Err(Error::BrokenChain), "not the first");
    assert_eq!(links[2].follows(Some(&links[0])), Err(Error::BrokenChain), "one is left out");
    assert_eq!(links[0].follows(Some(&links[1])), Err(Error::StaleManifest));
    assert_eq!(links[1].follows(Some(&links[1])), Err(Error::StaleManifest));
}

#[test]
fn a_link_with_another_past_list_agency_or_a_far_epoch_is_refused() {
    // SPEC §8.4
    let links = chain(&[1, 1]);
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut next = links[1].manifest().clone();
        change(&mut next);
        assert_eq!(signed(next).follows(Some(&links[0])), Err(Error::BrokenChain));
    };
    refused(&|next| next.prev = Some(Hash([0; 32])));
    refused(&|next| next.list = "other".to_owned());
    refused(&|next| next.agency = "other.example".to_owned());
    let mut third = manifest(3);
    (third.prev, third.epoch) = (Some(links[1].digest()), 3);
    assert_eq!(signed(third).follows(Some(&links[1])), Err(Error::BrokenChain));
}

#[test]
fn what_an_epoch_has_stays_and_no_epoch_has_anothers_key() {
    // SPEC §7.2, §7.6, §8.4
    let links = chain(&[1, 2, 1, 2]);
    let refused = |epoch: u32, change: &dyn Fn(&mut Manifest)| {
        let mut changed = next(&links, epoch);
        change(&mut changed);
        let mut chain = followed(&links);
        assert_eq!(chain.extend(signed(changed)), Err(Error::BrokenChain));
        assert_eq!(chain.newest(), links.last(), "nothing changes");
    };
    refused(2, &|next| next.oprf_key = key_of(3));
    refused(2, &|next| next.oprf_key = key_of(1));
    refused(3, &|next| next.oprf_key = key_of(1));
    refused(2, &|next| next.kinds = vec![Kind::Md5.into()]);
    refused(2, &|next| {
        (next.artifact.label_bytes, next.artifact.record_bytes) = (0, 16);
        next.artifact.bytes = artifact::file_len(Layout::new(0).unwrap(), 1_024);
    });
    refused(2, &|next| next.delta.from = 1);
    refused(2, &|next| next.delta.from = 3);
    refused(3, &|next| next.delta = DeltaRef { from: 4, bytes: 4_096, sha256: Some(Hash([1; 32])), ..DeltaRef::NONE });
    for epoch in [1, 2, 3] {
        followed(&links).extend(signed(next(&links, epoch))).unwrap_or_else(|error| panic!("epoch {epoch}: {error}"));
    }
    let mut whole = next(&links, 2);
    whole.delta = DeltaRef::NONE;
    followed(&links).extend(signed(whole)).unwrap();
}

#[test]
fn an_epoch_does_not_come_back_once_the_next_but_one_has_begun() {
    // SPEC §8.4, §8.7
    let links = chain(&[1, 2, 3, 2]);
    assert_eq!(followed(&links).extend(signed(next(&links, 1))), Err(Error::BrokenChain));
    followed(&links).extend(signed(next(&links, 3))).unwrap();
}

#[test]
fn a_chain_begins_with_the_list_that_was_asked_for() {
    // SPEC §8.4
    let mut other = manifest(1);
    other.list = "other".to_owned();
    assert_eq!(Chain::new(baseline()).extend(signed(other)), Err(Error::BrokenChain));
}

#[test]
fn the_newest_version_of_the_highest_epoch_is_used_even_after_one_of_the_old_epoch() {
    // SPEC §8.7
    let links = chain(&[1, 1, 2, 1]);
    let version = |link: Option<&SignedManifest>| link.map(|link| link.manifest().version);
    let chain = followed(&links);
    assert_eq!((version(chain.newest()), version(chain.to_use())), (Some(4), Some(3)));
    // What is kept of a chain is taken up in any order.
    let chain = Chain::resume(baseline(), links.into_iter().rev());
    assert_eq!((version(chain.newest()), version(chain.to_use())), (Some(4), Some(3)));
}

#[test]
fn a_manifest_is_valid_from_its_first_second_to_its_last() {
    // SPEC §8.5
    let manifest = manifest(1);
    for (now, valid) in [(1_779_999_999, false), (1_780_000_000, true), (1_780_600_000, true), (1_780_600_001, false)] {
        let expected = if valid { Ok(()) } else { Err(Error::ManifestExpired) };
        assert_eq!(manifest.valid_at(Timestamp::from_unix(now)), expected, "{now}");
    }
}
