//! Published files against the manifests that name them, and certificates (M02, M05).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use veilmatch_protocol::{artifact::Artifact, codebook::CodeBook, delta::Delta, manifest::Hash, name::Epoch};

use super::{Agency, Artifacts, Terms};
use crate::{
    finding::{Code, Finding, Place},
    verify::Published,
};

pub(super) fn check(agency: &Agency, artifacts: &dyn Artifacts, terms: &Terms) -> Vec<Finding> {
    let (audited, manifests) = &agency.manifests;
    let mut findings = Vec::new();
    for version in manifests.versions.values() {
        let (list, number) = (version.manifest.list.as_str(), version.manifest.version);
        let place = |file| Place::version(&audited.origin, list, number, file);
        let leaf = Place::leaf(&audited.origin, version.index);
        if let Some(text) = artifacts.artifact(list, number).and_then(|bytes| bad_artifact(version, bytes)) {
            findings.push(Finding::new(Code::M02, place("artifact"), text).beside(leaf.clone()));
        }
        if let Some(bytes) = artifacts.delta(list, number).filter(|bytes| bad_delta(version, bytes)) {
            let text = format!("{} bytes that are not the delta that the manifest names", bytes.len());
            findings.push(Finding::new(Code::M02, place("delta"), text).beside(leaf.clone()));
        }
        if artifacts.code_book(list, number).is_some_and(|bytes| CodeBook::of(&version.manifest, bytes).is_err()) {
            let text = "the file is not the code book that the manifest names";
            findings.push(Finding::new(Code::M02, place("codes"), text).beside(leaf.clone()));
        }
        let certified = certifiers(agency, version);
        if certified < terms.certificates {
            let text = format!("{certified} of {} certificates", terms.certificates);
            findings.push(Finding::new(Code::M05, place("certificates"), text).beside(leaf));
        }
    }
    findings.extend(listed_after_all(agency, artifacts));
    findings
}

fn bad_artifact(version: &Published, bytes: &[u8]) -> Option<&'static str> {
    let expected = &version.manifest.artifact;
    let Ok(artifact) = Artifact::open(bytes, expected, Epoch(version.manifest.epoch)) else {
        return Some("length, header, directory or root are not those of the manifest");
    };
    if artifact.verify_records().is_err() {
        return Some("its records do not hash to the directory, or are out of order");
    }
    (Hash(Sha256::digest(bytes).into()) != expected.sha256).then_some("its SHA-256 is not that of the manifest")
}

fn bad_delta(version: &Published, bytes: &[u8]) -> bool {
    let named = version.manifest.delta.sha256 == Some(Hash(Sha256::digest(bytes).into()));
    !named || Delta::open(bytes, &version.manifest).is_err()
}

/// How many known certifiers vouch for the version.
fn certifiers(agency: &Agency, version: &Published) -> usize {
    let named = |digest: &Hash| version.manifest.certs.contains(digest);
    let fits = agency
        .certificates
        .iter()
        .filter(|(_, digest, certificate)| named(digest) && certificate.is_of(&version.manifest));
    fits.map(|(certifier, _, _)| certifier).collect::<BTreeSet<_>>().len()
}

/// Items that were shown not to be listed are not.
fn listed_after_all(agency: &Agency, artifacts: &dyn Artifacts) -> Vec<Finding> {
    let (audited, manifests) = &agency.manifests;
    let listed = |(index, leaf): &(u64, crate::leaf::Absent)| {
        let version = manifests.version_of(leaf.list.as_str(), leaf.version.0)?;
        let tag = leaf.tag(&version.manifest.public_key()).ok()?;
        let bytes = artifacts.artifact(leaf.list.as_str(), leaf.version.0)?;
        let artifact = Artifact::open(bytes, &version.manifest.artifact, leaf.epoch).ok()?;
        let found = artifact.lookup(&tag).ok()?.is_some();
        let text = "the artifact has the item that the leaf shows to be absent";
        found.then(|| Finding::new(Code::M02, Place::leaf(&audited.origin, *index), text))
    };
    manifests.absent.iter().filter_map(listed).collect()
}
