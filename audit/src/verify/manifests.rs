//! The leaves of a manifest log: the chain of each list, its keys, what was withdrawn (M01, M04, L08, T01).

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use veilmatch_protocol::manifest::{Hash, Manifest};

use super::{Read, keys};
use crate::{
    finding::{Code, Finding, Place},
    leaf::{Absent, Key, Leaf, Withdraw, hash},
};

/// An element that is certainly one, to tell a bad key from a bad leaf.
const A_KEY: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58, 0xe3, 0x0b,
    0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

/// Seconds that clocks of the two sides may be apart (SPEC §8.5).
pub(super) const SLACK: u64 = 600;

/// A version as the log has it.
#[derive(Debug, Clone)]
pub struct Published {
    /// Index of its leaf.
    pub index: u64,
    /// Leaf hash.
    pub leaf_hash: [u8; 32],
    /// What it says.
    pub manifest: Manifest,
    digest: [u8; 32],
}

/// What a manifest log says.
#[derive(Debug, Default)]
pub struct Manifests {
    origin: String,
    agency: String,
    now: u64,
    /// Versions by list and number.
    pub versions: BTreeMap<(String, u32), Published>,
    /// Withdrawals, with the index of the leaf.
    pub withdrawn: Vec<(u64, Withdraw)>,
    /// Items shown not to be listed, with the index of the leaf.
    pub absent: Vec<(u64, Absent)>,
    /// Key changes.
    pub keys: Vec<Key>,
    /// Versions that a leaf says were never published.
    skipped: BTreeSet<(String, u32)>,
    newest: BTreeMap<String, u32>,
}

impl Manifests {
    /// What the log `origin` of `agency` says, read at `now` (Unix seconds).
    #[must_use]
    pub fn new(origin: &str, agency: &str, now: u64) -> Self {
        Self { origin: origin.to_owned(), agency: agency.to_owned(), now, ..Self::default() }
    }

    /// The agency.
    #[must_use]
    pub fn agency(&self) -> &str {
        &self.agency
    }

    /// Takes the next leaf; gives what is wrong with it.
    pub fn take(&mut self, read: Read) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, read.index);
        let findings = match read.leaf {
            Some(Leaf::Manifest(manifest)) => self.version(read.index, &read.bytes, *manifest),
            Some(Leaf::Withdraw(leaf)) => self.withdraw(read.index, leaf),
            Some(Leaf::Absent(leaf)) => self.absent(read.index, leaf),
            Some(Leaf::Key(leaf)) => {
                let finding = keys::judge(&self.origin, read.index, &leaf);
                self.keys.push(leaf);
                finding.into_iter().collect()
            }
            Some(_) => vec![Finding::new(Code::L08, place, "a leaf of this type does not belong into a manifest log")],
            None if is_bad_key(&read.bytes) => {
                vec![Finding::new(Code::M04, place, "the list key is the identity or not canonical")]
            }
            None => vec![Finding::new(Code::L08, place, "the leaf cannot be read")],
        };
        findings.into_iter().map(|finding| finding.with("leaf.json", read.bytes.clone())).collect()
    }

    /// The version of a list.
    #[must_use]
    pub fn version_of(&self, list: &str, version: u32) -> Option<&Published> {
        self.versions.get(&(list.to_owned(), version))
    }

    fn version(&mut self, index: u64, bytes: &[u8], manifest: Manifest) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, index);
        let found = |code, text: String| Finding::new(code, place.clone(), text);
        let mut findings = Vec::new();
        if manifest.agency != self.agency {
            findings.push(found(Code::L08, "the manifest is of another agency".into()));
            return findings;
        }
        if let Some(text) = self.broken_link(&manifest) {
            findings.push(found(Code::M01, text));
        }
        if let Some(text) = self.bad_key(&manifest) {
            findings.push(found(Code::M04, text));
        }
        if manifest.not_before.unix() > self.now + SLACK * 144 {
            findings.push(found(Code::T01, "its validity begins more than a day after the audit".into()));
        }
        let newest = self.newest.entry(manifest.list.clone()).or_default();
        *newest = manifest.version.max(*newest);
        let digest = Sha256::digest(bytes).into();
        let key = (manifest.list.clone(), manifest.version);
        self.versions.entry(key).or_insert(Published { index, leaf_hash: hash(bytes), manifest, digest });
        findings
    }

    /// Why this is not the next link of its list.
    fn broken_link(&self, this: &Manifest) -> Option<String> {
        let newest = self.newest.get(&this.list).copied().unwrap_or(0);
        if this.version <= newest {
            let again = self.versions.contains_key(&(this.list.clone(), this.version));
            let what = if again { "is there twice" } else { "comes after a later one" };
            return Some(format!("version {} of {} {what}", this.version, this.list));
        }
        let mut expected = newest + 1;
        while self.skipped.contains(&(this.list.clone(), expected)) {
            expected += 1;
        }
        if this.version != expected {
            return Some(format!("version {} of {} follows {newest}", this.version, this.list));
        }
        let before = self.version_of(&this.list, newest);
        if this.prev != before.map(|before| Hash(before.digest)) {
            return Some(format!("`prev` of version {} is not the digest of version {newest}", this.version));
        }
        let before = before?;
        let highest = self.of_list(&this.list).map(|other| other.manifest.epoch).max().unwrap_or(0);
        let epoch_may_come = this.epoch.abs_diff(before.manifest.epoch) <= 1 && this.epoch.abs_diff(highest) <= 1;
        let last = self.of_list(&this.list).filter(|other| other.manifest.epoch == this.epoch).last();
        let from_fits = [0, last.map_or(0, |last| last.manifest.version)].contains(&this.delta.from);
        match (epoch_may_come, from_fits) {
            (false, _) => Some(format!("epoch {} cannot follow epoch {}", this.epoch, before.manifest.epoch)),
            (_, false) => Some(format!("its delta is from version {}, which is not the epoch's last", this.delta.from)),
            _ => None,
        }
    }

    fn bad_key(&self, this: &Manifest) -> Option<String> {
        let other = self.of_list(&this.list).find(|other| {
            let same_epoch = other.manifest.epoch == this.epoch;
            (other.manifest.oprf_key == this.oprf_key) != same_epoch
        })?;
        let (version, epoch) = (other.manifest.version, other.manifest.epoch);
        Some(if epoch == this.epoch {
            format!("epoch {epoch} has another key in version {version}")
        } else {
            format!("the key is that of epoch {epoch}")
        })
    }

    fn of_list<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a Published> {
        let (first, last) = ((list.to_owned(), 0), (list.to_owned(), u32::MAX));
        self.versions.range(first..=last).map(|(_, version)| version)
    }

    fn withdraw(&mut self, index: u64, leaf: Withdraw) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, index);
        let mut findings = Vec::new();
        if leaf.t.unix() > self.now + SLACK {
            findings.push(Finding::new(Code::T01, place, "the leaf is of the future"));
        }
        if leaf.tag.is_none() && self.version_of(leaf.list.as_str(), leaf.version.0).is_none() {
            self.skipped.insert((leaf.list.to_string(), leaf.version.0));
        }
        self.withdrawn.push((index, leaf));
        findings
    }

    fn absent(&mut self, index: u64, leaf: Absent) -> Vec<Finding> {
        let place = Place::leaf(&self.origin, index);
        let version = self.version_of(leaf.list.as_str(), leaf.version.0);
        let proven = version.is_some_and(|version| leaf.tag(&version.manifest.public_key()).is_ok());
        self.absent.push((index, leaf));
        if proven {
            return Vec::new();
        }
        vec![Finding::new(Code::M02, place, "the evaluation of the absent item is not proven under the version's key")]
    }
}

/// Whether a leaf would be a manifest if its key were one.
fn is_bad_key(bytes: &[u8]) -> bool {
    let Ok(mut leaf) = serde_json::from_slice::<serde_json::Value>(bytes) else { return false };
    let Some(key) = leaf.get_mut("oprf_key") else { return false };
    let canonical = key.as_str().is_some_and(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 32));
    *key = STANDARD.encode(A_KEY).into();
    let mended = serde_json_canonicalizer::to_vec(&leaf);
    canonical && mended.is_ok_and(|mended| mended.len() == bytes.len() && Manifest::decode(&mended).is_ok())
}
