//! M01 to M07: the list, and who was shown it.

use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use veilmatch_audit::{
    finding::{Code, Place},
    leaf::{Adopt, Certificate, Leaf, Scope, Signature},
};
use veilmatch_protocol::{
    derive::Tag,
    frame::signed_message,
    manifest::{DeltaRef, Hash},
    name::{Epoch, Version},
};

use super::{MANIFEST, MATCH, MONTH, QUERY, find, leaf, leaves, only, put, text};
use crate::world::{World, at, list};

#[test]
fn m01_a_version_is_there_twice() {
    let index = MONTH.agency.manifest.leaves.len() as u64;
    let shown = MONTH.edited(|logs| {
        let leaves = &mut logs.get_mut(MANIFEST).unwrap().leaves;
        leaves.push(leaves.last().unwrap().clone());
    });
    only(&shown, Code::M01, &Place::leaf(MANIFEST, index));
}

#[test]
fn m01_a_version_is_left_out() {
    let index = MONTH.agency.manifest.leaves.len() as u64;
    let mut next = MONTH.agency.manifests[3].clone();
    next.version = 6;
    next.prev = Some(Hash(Sha256::digest(MONTH.agency.manifest.leaves.last().unwrap()).into()));
    let shown = MONTH.edited(|logs| logs.get_mut(MANIFEST).unwrap().leaves.push(next.encode().unwrap()));
    only(&shown, Code::M01, &Place::leaf(MANIFEST, index));
}

#[test]
fn m02_an_artifact_is_not_the_signed_one() {
    let mut shown = MONTH.shown();
    shown.files.artifacts.get_mut(&2).unwrap()[5_000] ^= 1;
    only(&shown, Code::M02, &Place::version(MANIFEST, "baseline", 2, "artifact"));
}

#[test]
fn m02_a_delta_is_not_the_signed_one() {
    let mut shown = MONTH.shown();
    shown.files.deltas.get_mut(&2).unwrap().pop();
    only(&shown, Code::M02, &Place::version(MANIFEST, "baseline", 2, "delta"));
}

#[test]
fn m03_a_platform_saw_another_root() {
    let index = find(MATCH, |leaf| matches!(leaf, Leaf::Adopt(adopt) if adopt.version == Version(2)));
    let Leaf::Adopt(adopt) = leaf(MATCH, index) else { unreachable!("found as one") };
    let mut view = adopt.view;
    view.root[0] ^= 1;
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Adopt(Adopt { view, ..adopt.clone() })));
    only(&shown, Code::M03, &Place::leaf(MATCH, index));
    // No signed query cites it: the agency is not named alone.
    let findings = shown.findings(&MONTH);
    assert!(findings[0].evidence.text.contains("the platform's word alone"), "{}", text(&findings));
    assert_eq!(findings[0].proves, veilmatch_audit::finding::Proves::OneSide);
}

#[test]
fn l03_a_size_on_the_platforms_word_alone_is_not_held_against_the_agency() {
    let index = find(MATCH, |leaf| matches!(leaf, Leaf::Adopt(adopt) if adopt.version == Version(2)));
    let Leaf::Adopt(adopt) = leaf(MATCH, index) else { unreachable!("found as one") };
    let view = veilmatch_protocol::frame::View { size: 1_000, ..adopt.view };
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Adopt(Adopt { view, ..adopt.clone() })));
    only(&shown, Code::L03, &Place::leaf(MATCH, index));
    let findings = shown.findings(&MONTH);
    assert_eq!(findings[0].proves, veilmatch_audit::finding::Proves::OneSide);
}

#[test]
fn m04_a_key_is_used_in_a_second_epoch() {
    let index = MONTH.agency.manifest.leaves.len() as u64;
    let mut next = MONTH.agency.manifests[3].clone();
    next.version = 5;
    next.epoch = 3;
    next.delta = DeltaRef::NONE;
    next.prev = Some(Hash(Sha256::digest(MONTH.agency.manifest.leaves.last().unwrap()).into()));
    let shown = MONTH.edited(|logs| logs.get_mut(MANIFEST).unwrap().leaves.push(next.encode().unwrap()));
    only(&shown, Code::M04, &Place::leaf(MANIFEST, index));
}

#[test]
fn m04_a_key_that_is_the_identity() {
    let index = MONTH.agency.manifest.leaves.len() as u64;
    let mut leaf: serde_json::Value = serde_json::from_slice(MONTH.agency.manifest.leaves.last().unwrap()).unwrap();
    leaf["oprf_key"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
    let leaf = serde_json_canonicalizer::to_vec(&leaf).unwrap();
    let shown = MONTH.edited(|logs| logs.get_mut(MANIFEST).unwrap().leaves.push(leaf));
    only(&shown, Code::M04, &Place::leaf(MANIFEST, index));
}

#[test]
fn m05_versions_without_the_certificates_that_were_agreed() {
    let mut shown = MONTH.shown();
    shown.terms.certificates = 1;
    // A certificate that no manifest names counts for nothing.
    let manifest = &MONTH.agency.manifests[0];
    let said = Certificate {
        agency: MONTH.agency.name.clone(),
        epoch: Epoch(1),
        key: manifest.oprf_key,
        list: list(),
        number: 0,
        root: manifest.artifact.root,
        scope: Scope::Attested,
        t: at("2026-10-01T00:00:00Z"),
        version: Version(1),
    };
    shown.certificates = vec![("certifier.example".into(), Hash([1; 32]), said)];
    assert_eq!(text(&MONTH.shown().findings(&MONTH)), "");
    let findings = shown.findings(&MONTH);
    assert!(findings.len() == 4 && findings.iter().all(|finding| finding.code == Code::M05), "{}", text(&findings));
    assert_eq!(findings[0].place, Place::version(MANIFEST, "baseline", 1, "certificates"));
}

#[test]
fn m06_a_frame_under_a_version_that_had_expired() {
    let late = at("2026-10-17T00:00:00Z");
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_some() && query.t > late));
    let Leaf::Query(mut query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let platform = MONTH.platforms.iter().find(|platform| platform.name == query.platform).unwrap();
    query.version = Version(1);
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(platform.request_key.sign(&message).to_bytes());
    let mut shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Query(query.clone())));
    let mine = shown.acks.get_mut(platform.name.as_str()).unwrap();
    mine.retain(|line| !String::from_utf8_lossy(line).contains(&batch_text(&query)));
    only(&shown, Code::M06, &Place::leaf(QUERY, index));
}

fn batch_text(query: &veilmatch_audit::leaf::Query) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(query.batch.0)
}

#[test]
fn m07_a_withdrawn_tag_is_matched_after_its_deadline() {
    // An entry that was matched in the first epoch after the 9th; in another world it was withdrawn on the 8th.
    let late = at("2026-10-10T00:00:00Z");
    let first_epoch = |tag: &Tag| (0..30).find(|&entry| MONTH.agency.tag(entry, 1) == *tag);
    let mut found = None;
    for platform in &MONTH.platforms {
        for (at, opening) in platform.openings.iter().enumerate() {
            let key = veilmatch_protocol::note::Verifier::new(
                &format!("{}/veilmatch/receipt", platform.name),
                platform.receipt_key.verifying_key(),
            );
            let signed = opening.receipt(&key.unwrap()).unwrap();
            if let Some(entry) = first_epoch(&signed.receipt().tag).filter(|_| signed.receipt().matched > late) {
                found = found.or(Some((platform.name.to_string(), at as u64 + 1, entry)));
            }
        }
    }
    let (platform, line, entry) = found.unwrap();
    let world = World::with_withdrawn(entry);
    let findings = world.shown().findings(&world);
    assert_eq!(findings.len(), 1, "{}", text(&findings));
    assert_eq!((findings[0].code, &findings[0].place), (Code::M07, &Place::line(&platform, "opening", line)));
    assert!(leaves(MANIFEST).iter().any(|leaf| matches!(leaf, Leaf::Withdraw(_))));
}
