//! Manifests, artifacts and deltas: a list in two versions, and what a client refuses of each.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    artifact::{self, DummySeed, Layout, TAG_LEN, Writer, padded_count},
    delta,
    derive::{EpochContext, Okm, Tag},
    frame::FrameSize,
    item::{Item, Kind},
    label,
    manifest::{ArtifactRef, DeltaRef, Hash, Manifest, Publication, Quota, SignedManifest, Timestamp, no_canaries},
    name::{AgencyName, Epoch, Version},
    note::{self, Verifier},
    oprf::{self, Mode, SecretKey},
};

use super::frames::{SEED, context, items, key};
use super::{Case, codebooks, made};

/// The case that refused artifacts and deltas are changes of.
const BASE: &str = "accept/list.json";

/// The case that refused links come after.
const CHAIN: &str = "accept/chain.json";

const LABEL_BYTES: u8 = 2;

pub fn all() -> Vec<Case> {
    let list = List::new();
    let mut cases = vec![Case::new(BASE, &list.json())];
    let hundred = json!({ "type": "note", "verifier_key": verifier().to_string(),
                          "note": lines(&text(&list.manifests[0]), 100) });
    cases.push(Case::new("accept/note_100_lines.json", &hundred));
    let filled = json!({ "type": "note", "verifier_key": verifier().to_string(), "note": text(&filled(&list)) });
    cases.push(Case::new("accept/note_filled.json", &filled));
    cases.extend(list.refused_notes());
    cases.extend(out_of_time(&list.manifests[0]));
    cases.push(Case::new(CHAIN, &chain_json()));
    cases.extend(refused_links());
    cases.extend(list.refused_artifacts());
    cases.extend(list.refused_deltas());
    cases.extend(codebooks::all(list.manifests[0].manifest()));
    cases
}

/// A manifest with canaries, as many certificates as there may be, and a policy.
fn filled(list: &List) -> SignedManifest {
    let mut manifest = list.manifests[0].manifest().clone();
    manifest.canary_root = Hash(made("synthetic canaries", 0)[..32].try_into().expect("half of 64"));
    manifest.certs = (1..=16).map(|i| Hash([i; 32])).collect();
    manifest.policy = Some(Hash([0xf0; 32]));
    signed(manifest)
}

/// The member `certs` of certificates with these repeated bytes as digests.
fn certs(digests: impl IntoIterator<Item = u8>) -> String {
    let digests: Vec<_> = digests.into_iter().map(|byte| STANDARD.encode([byte; 32])).collect();
    format!("\"certs\":{}", json!(digests))
}

fn layout() -> Layout {
    Layout::new(LABEL_BYTES).expect("at most 64")
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[0x4b; 32])
}

pub fn verifier() -> Verifier {
    Verifier::new(context().origin.as_str(), signing_key().verifying_key()).expect("an origin is a name")
}

fn okm(item: &Item) -> Okm {
    let outputs = oprf::evaluate(Mode::Voprf, &key(), &[item.as_bytes()]).expect("no item maps to the identity");
    EpochContext { list: context().list, epoch: Epoch(1) }.okm(&outputs[0])
}

/// A version: records ascending, and the file that they make.
pub struct Built {
    records: Vec<Vec<u8>>,
    file: Vec<u8>,
    pub reference: ArtifactRef,
}

fn built(entries: &[(&Item, &[u8])]) -> Built {
    let mut records: Vec<Vec<u8>> = entries
        .iter()
        .map(|(item, text)| {
            let okm = okm(item);
            let sealed = label::seal(&okm.label_key(), text).expect("a legal length");
            [&okm.tag().0[..], &sealed].concat()
        })
        .collect();
    let dummies = padded_count(records.len() as u64) - records.len() as u64;
    records.extend((0..dummies).map(|index| DummySeed::new([0xd0; 32]).record(index, layout())));
    records.sort();
    file_of(records)
}

fn file_of(records: Vec<Vec<u8>>) -> Built {
    file_with(layout(), records)
}

pub fn file_with(layout: Layout, records: Vec<Vec<u8>>) -> Built {
    let mut writer = Writer::new(Cursor::new(Vec::new()), layout, Epoch(1), records.len() as u64).expect("memory");
    records.iter().for_each(|record| writer.push(record).expect("ascending"));
    let (out, summary) = writer.finish().expect("memory");
    let file = out.into_inner();
    let reference = summary.into_ref(Sha256::digest(&file).into());
    Built { records, file, reference }
}

pub fn manifest(version: u32, prev: Option<Hash>, artifact: ArtifactRef, delta: DeltaRef) -> Manifest {
    let start = 1_780_000_000 + u64::from(version) * 3_600;
    Manifest::from(Publication {
        agency: AgencyName::parse("agency.example").expect("fits the grammar"),
        list: context().list,
        epoch: Epoch(1),
        version: Version(version),
        prev,
        not_before: Timestamp::from_unix(start),
        not_after: Timestamp::from_unix(start + 604_800),
        oprf_key: key().public().clone(),
        artifact,
        delta,
        kinds: Kind::ALL.to_vec(),
        categories: None,
        frame_sizes: FrameSize::ALL.to_vec(),
        quota: Quota { elements: 10_000_000, frames: 500_000 },
        canary_root: no_canaries(),
        software: "vectors 1".to_owned(),
    })
}

pub fn signed(manifest: Manifest) -> SignedManifest {
    SignedManifest::sign(manifest, &signing_key()).expect("within its limits")
}

pub fn text(signed: &SignedManifest) -> String {
    String::from_utf8(signed.note().to_vec()).expect("a note is text")
}

struct List {
    entries: Vec<(Item, Option<&'static str>, Option<&'static str>)>,
    versions: [Built; 2],
    manifests: [SignedManifest; 2],
    delta: Vec<u8>,
}

impl List {
    fn new() -> Self {
        // Stays, stays, gets another label, leaves, comes, was never there.
        let labels: [(Option<&str>, Option<&str>); 6] = [
            (Some("A1"), Some("A1")),
            (Some("B2"), Some("B2")),
            (Some("A1"), Some("B2")),
            (Some("A1"), None),
            (None, Some("A1")),
            (None, None),
        ];
        let entries: Vec<_> = items(6).into_iter().zip(labels).map(|(item, (one, two))| (item, one, two)).collect();
        let of = |version: usize| {
            let labelled =
                entries.iter().filter_map(|(item, one, two)| Some((item, [*one, *two][version]?.as_bytes())));
            built(&labelled.collect::<Vec<_>>())
        };
        let versions = [of(0), of(1)];
        let (removed, added) = changes(&versions);
        let delta = delta_file(&removed, &added);
        let first = signed(manifest(1, None, versions[0].reference.clone(), DeltaRef::NONE));
        let second = second(&first, &versions[1], &delta, removed.len(), added.len());
        Self { entries, manifests: [first, signed(second)], versions, delta }
    }

    fn json(&self) -> Value {
        let label = |label: Option<&str>| label.map(hex::encode);
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|(item, one, two)| {
                let okm = okm(item);
                json!({ "item": hex::encode(item.as_bytes()), "okm": hex::encode(okm.danger_as_bytes()),
                        "labels": [label(*one), label(*two)] })
            })
            .collect();
        json!({
            "type": "list",
            "verifier_key": verifier().to_string(),
            "notes": [text(&self.manifests[0]), text(&self.manifests[1])],
            "artifact": hex::encode(&self.versions[0].file),
            "delta": hex::encode(&self.delta),
            "entries": entries,
        })
    }

    fn refused_notes(&self) -> Vec<Case> {
        let note = text(&self.manifests[0]);
        let lines = |n: usize| lines(&note, n);
        let leaf = String::from_utf8(self.manifests[0].leaf().to_vec()).expect("JSON is text");
        let sign = |leaf: &str| note::sign(&format!("{leaf}\n"), verifier().name(), &signing_key()).expect("a text");
        let changed = |from: &str, to: &str| {
            assert!(leaf.contains(from), "{from}");
            sign(&leaf.replacen(from, to, 1))
        };
        let foreign = SigningKey::from_bytes(&[0x4c; 32]);
        let own_name = note::sign(&format!("{leaf}\n"), verifier().name(), &foreign).expect("a text");
        let other_name = note::sign(&format!("{leaf}\n"), "other.example/veilmatch/manifest", &signing_key());
        let identity = "A".repeat(43) + "=";
        let bytes = artifact::file_len(layout(), 1_024);
        let count = leaf.replacen("\"count\":1024", "\"count\":1025", 1).replacen(
            &format!("\"bytes\":{bytes}"),
            &format!("\"bytes\":{}", artifact::file_len(layout(), 1_025)),
            1,
        );
        let count = sign(&count);
        let own_key =
            serde_json::from_str::<Value>(&leaf).expect("JSON")["oprf_key"].as_str().expect("text").to_owned();
        let no_root = STANDARD.encode(no_canaries().0);
        let cases = [
            (
                "altered",
                "BAD_NOTE",
                note.replacen("\"version\":1", "\"version\":2", 1),
                "the text is not what was signed",
            ),
            ("other_key", "BAD_NOTE", own_name, "signed by another key under the pinned key's name"),
            ("other_name", "BAD_NOTE", other_name.expect("a text"), "no line of the pinned key name"),
            ("unsigned", "BAD_NOTE", format!("{leaf}\n\n"), "no signature line"),
            ("no_newline", "BAD_NOTE", note.trim_end().to_owned(), "the last line does not end"),
            ("white_space", "BAD_MANIFEST", changed("\"version\":1", "\"version\": 1"), "not the canonical form"),
            (
                "member_more",
                "BAD_MANIFEST",
                changed("\"certs\":[]", "\"certs\":[],\"chain\":\"\""),
                "an unknown member",
            ),
            ("member_less", "BAD_MANIFEST", changed("\"certs\":[],", ""), "a member is left out"),
            ("member_twice", "BAD_MANIFEST", changed("\"certs\":[]", "\"certs\":[],\"certs\":[]"), "a member twice"),
            ("count", "BAD_MANIFEST", count, "a count that no number of entries is padded to"),
            ("canary_root", "BAD_MANIFEST", changed(&no_root, ""), "no root of canaries"),
            ("policy", "BAD_MANIFEST", changed("\"policy\":\"\"", "\"policy\":\"none\""), "a policy is no hash"),
            ("certs_order", "BAD_MANIFEST", changed("\"certs\":[]", &certs([2, 1])), "certificates are not ascending"),
            ("certs_twice", "BAD_MANIFEST", changed("\"certs\":[]", &certs([1, 1])), "a certificate twice"),
            ("certs_17", "BAD_MANIFEST", changed("\"certs\":[]", &certs(1..=17)), "17 certificates"),
            ("101_lines", "BAD_NOTE", lines(101), "101 signature lines"),
            ("fraction", "BAD_MANIFEST", changed("\"epoch\":1", "\"epoch\":1.0"), "a number with a fraction"),
            ("identity_key", "BAD_MANIFEST", changed(&own_key, &identity), "the public key is the identity"),
            (
                "offset_time",
                "BAD_MANIFEST",
                changed("Z\",\"not_before", "+00:00\",\"not_before"),
                "a time in another form",
            ),
            ("quota", "BAD_MANIFEST", changed("10000000", "9007199254740992"), "2^53 and more do not occur"),
            ("shard_bits", "BAD_MANIFEST", changed("\"shard_bits\":0", "\"shard_bits\":1"), "not those of the count"),
            ("frame_size", "BAD_MANIFEST", changed("[1,4,", "[1,5,"), "no size class"),
            ("kind", "BAD_MANIFEST", changed("\"bytes\":16", "\"bytes\":17"), "a kind of another length"),
            (
                "agency",
                "BAD_MANIFEST",
                changed("agency.example", "other.example"),
                "not the agency that the key is named for",
            ),
        ];
        let case = |(name, expect, note, why): (&str, &str, String, &str)| {
            let value = json!({ "type": "note", "verifier_key": verifier().to_string(), "note": note,
                                "expect": expect, "why": why });
            Case::new(format!("reject/note_{name}.json"), &value)
        };
        let of_code_books =
            codebooks::refused_leaves(&leaf).map(|(name, leaf, why)| (name, "BAD_MANIFEST", sign(&leaf), why));
        cases.into_iter().chain(of_code_books).map(case).collect()
    }

    fn refused_artifacts(&self) -> Vec<Case> {
        let file = &self.versions[0].file;
        let record = layout().record_len();
        let start = file.len() - 1_024 * record;
        let flipped = |at: usize| vec![(at, vec![file[at] ^ 1])];
        let pair = &file[start..start + 2 * record];
        let swapped = vec![(start, [&pair[record..], &pair[..record]].concat())];
        let end = vec![(32, 1_023_u64.to_be_bytes().to_vec())];
        let cases = [
            ("record", flipped(start + 5), file.len(), false, "a record is altered"),
            ("epoch", flipped(15), file.len(), true, "the header names another epoch"),
            ("magic", flipped(0), file.len(), true, "not an artifact's first bytes"),
            ("short", Vec::new(), file.len() - 1, true, "a byte is missing"),
            ("long", Vec::new(), file.len() + 1, true, "a byte too many"),
            ("order", swapped, file.len(), true, "two records are out of order, and shard hash and root say so"),
            ("directory", end, file.len(), true, "the last row does not count all records"),
        ];
        let case = |(name, patch, length, resigned, why): (&str, Patch, usize, bool, &str)| {
            let mut bytes = patched(file, &patch, length);
            let mut patch = patch;
            let mut reference = self.versions[0].reference.clone();
            if name == "order" {
                let hash: [u8; 32] = Sha256::new().chain_update([0]).chain_update(&bytes[start..]).finalize().into();
                patch.push((40, hash.to_vec()));
                bytes = patched(file, &patch, length);
                reference.root = Hash(hash);
            }
            reference.sha256 = Hash(Sha256::digest(&bytes).into());
            let note = signed(manifest(1, None, reference, DeltaRef::NONE));
            let note = if resigned { text(&note) } else { text(&self.manifests[0]) };
            let value = changed("artifact", note, &patch, length, "BAD_ARTIFACT", why);
            Case::new(format!("reject/artifact_{name}.json"), &value)
        };
        cases.into_iter().map(case).collect()
    }

    fn refused_deltas(&self) -> Vec<Case> {
        let (removed, added) = changes(&self.versions);
        let absent = Tag([0; 16]);
        let present =
            self.versions[0].records.iter().find(|record| !removed.iter().any(|tag| tag.0 == record[..TAG_LEN]));
        let present = present.expect("some records stay").clone();
        let sorted = |mut records: Vec<Vec<u8>>| {
            records.sort();
            records
        };
        let with = |removed: &[Tag], added: &[Vec<u8>]| (delta_file(removed, added), removed.len(), added.len());
        let plain = || (self.delta.clone(), removed.len(), added.len());
        let flip = |at: usize| {
            let (mut file, removed, added) = plain();
            file[at] ^= 1;
            (file, removed, added)
        };
        let mut out_of_order = plain();
        let (one, rest) = out_of_order.0[48..].split_at_mut(TAG_LEN);
        one.swap_with_slice(&mut rest[..TAG_LEN]);
        let cut = |length: usize| {
            let (mut file, removed, added) = plain();
            file.resize(length, 0);
            (file, removed, added)
        };
        let mut gone = vec![absent];
        gone.extend_from_slice(&removed);
        let cases = [
            ("altered", flip(60), false, "a removed tag is altered"),
            ("padding", flip(self.delta.len() - 1), true, "the padding is not zero"),
            ("from", flip(19), true, "the header leads from another version"),
            ("short", cut(self.delta.len() - 1), true, "a byte is missing"),
            ("order", out_of_order, true, "removed tags are out of order"),
            ("absent", with(&gone, &added), true, "a tag is removed that is absent"),
            (
                "present",
                with(&removed, &sorted([added.clone(), vec![present]].concat())),
                true,
                "a tag is added that is there",
            ),
            ("root", with(&removed[1..], &added[1..]), true, "the result is not the manifest's"),
        ];
        let case = |(name, (file, removed, added), resigned, why): (&str, (Vec<u8>, usize, usize), bool, &str)| {
            let next = signed(second(&self.manifests[0], &self.versions[1], &file, removed, added));
            let note = if resigned { text(&next) } else { text(&self.manifests[1]) };
            let patch = difference(&self.delta, &file);
            let value = changed("delta", note, &patch, file.len(), "BAD_DELTA", why);
            Case::new(format!("reject/delta_{name}.json"), &value)
        };
        cases.into_iter().map(case).collect()
    }
}

/// A note with `n` signature lines: its own and, before it, those of a key that nobody knows.
fn lines(note: &str, n: usize) -> String {
    let (text, own) = note.split_once("\n\n").expect("an empty line stands before the signatures");
    format!("{text}\n\n{}{own}", "\u{2014} w AAAAAAA=\n".repeat(n - 1))
}

fn out_of_time(signed: &SignedManifest) -> Vec<Case> {
    let manifest = signed.manifest();
    let early = ("early", manifest.not_before.unix() - 1, "a second before not_before");
    let late = ("late", manifest.not_after.unix() + 1, "a second after not_after");
    let case = |(name, now, why): (&str, u64, &str)| {
        let value = json!({ "type": "time", "verifier_key": verifier().to_string(), "note": text(signed), "now": now,
                            "expect": "EXPIRED", "why": why });
        Case::new(format!("reject/time_{name}.json"), &value)
    };
    [early, late].map(case).into()
}

/// Epochs of the chain's versions: two rotations, each with an overlap.
const EPOCHS: [u32; 8] = [1, 1, 2, 1, 2, 3, 2, 3];

fn chain() -> Vec<SignedManifest> {
    let mut links = Vec::new();
    for epoch in EPOCHS {
        links.push(signed(next_link(&links, epoch)));
    }
    links
}

/// What is published next for an epoch. The files that it names are not there: a chain is followed without them.
fn next_link(links: &[SignedManifest], epoch: u32) -> Manifest {
    let version = links.len() as u32 + 1;
    let digest = |what: &str| Hash(made(what, version.into())[..32].try_into().expect("32 of 64 bytes"));
    let artifact = ArtifactRef {
        format: 1,
        count: 1_024,
        label_bytes: LABEL_BYTES.into(),
        record_bytes: layout().record_len() as u32,
        shard_bits: 0,
        bytes: artifact::file_len(layout(), 1_024),
        sha256: digest("artifact"),
        root: digest("root"),
    };
    let before = links.iter().rfind(|link| link.manifest().epoch == epoch);
    let delta = before.map_or(DeltaRef::NONE, |before| delta_from(before.manifest().version, digest("delta")));
    let mut next = manifest(version, links.last().map(SignedManifest::digest), artifact, delta);
    (next.epoch, next.oprf_key) = (epoch, key_of(epoch));
    next
}

fn delta_from(from: u32, sha256: Hash) -> DeltaRef {
    DeltaRef { from, removed: 0, added: 0, bytes: delta::file_len(layout(), 0, 0), sha256: Some(sha256) }
}

fn key_of(epoch: u32) -> Hash {
    let key = SecretKey::for_epoch(&SEED, &context().list, Epoch(epoch)).expect("this seed gives a key");
    Hash(*key.public().as_bytes())
}

fn chain_json() -> Value {
    let links = chain();
    let used = [1, 2, 3, 3, 5, 6, 6, 8];
    json!({ "type": "chain", "verifier_key": verifier().to_string(), "list": context().list.as_str(),
            "notes": links.iter().map(text).collect::<Vec<_>>(), "used": used })
}

fn refused_links() -> Vec<Case> {
    let links = chain();
    let after = |n: usize, epoch: u32, change: &dyn Fn(&mut Manifest)| {
        let mut next = next_link(&links[..n], epoch);
        change(&mut next);
        (n, signed(next))
    };
    let (stale, broken) = ("STALE_MANIFEST", "BROKEN_CHAIN");
    let no_labels = |next: &mut Manifest| {
        let layout = Layout::new(0).expect("at most 64");
        (next.artifact.label_bytes, next.artifact.record_bytes) = (0, 16);
        next.artifact.bytes = artifact::file_len(layout, 1_024);
    };
    let cases = [
        ("stale", stale, (2, links[0].clone()), "older than the newest one verified"),
        ("again", stale, (2, links[1].clone()), "not newer than the newest one verified"),
        ("gap", broken, (1, links[2].clone()), "version 2 is left out"),
        ("past", broken, after(1, 1, &|m| m.prev = Some(Hash([7; 32]))), "prev is not the SHA-256 of the leaf before"),
        ("list", broken, after(1, 1, &|m| m.list = "other".to_owned()), "of another list"),
        ("first", broken, (0, links[1].clone()), "the first one is not version 1"),
        ("first_list", broken, after(0, 1, &|m| m.list = "other".to_owned()), "not the list that was asked for"),
        ("epoch", broken, after(2, 3, &|m| m.epoch = 3), "the epoch differs by more than 1"),
        ("epoch_back", broken, after(7, 1, &|_| ()), "epoch 1, although epoch 3 has begun"),
        ("key", broken, after(1, 1, &|m| m.oprf_key = key_of(9)), "another oprf_key than the epoch had"),
        ("key_again", broken, after(2, 2, &|m| m.oprf_key = key_of(1)), "a new epoch with the key of an earlier one"),
        ("labels", broken, after(3, 1, &no_labels), "another label length than the epoch had"),
        ("kinds", broken, after(3, 1, &|m| m.kinds.truncate(2)), "other kinds than the epoch had"),
        ("delta_over", broken, after(4, 1, &|m| m.delta.from = 2), "the delta is not from the epoch's last version"),
        ("delta_across", broken, after(4, 2, &|m| m.delta.from = 4), "the delta is from another epoch's version"),
        (
            "delta_first",
            broken,
            after(2, 2, &|m| m.delta = delta_from(2, Hash([7; 32]))),
            "the first version of an epoch has a delta",
        ),
    ];
    let case = |(name, expect, (after, note), why): (&str, &str, (usize, SignedManifest), &str)| {
        let value = json!({ "type": "link", "base": CHAIN, "after": after, "note": text(&note),
                            "expect": expect, "why": why });
        Case::new(format!("reject/link_{name}.json"), &value)
    };
    cases.into_iter().map(case).collect()
}

fn second(first: &SignedManifest, built: &Built, delta: &[u8], removed: usize, added: usize) -> Manifest {
    let (removed, added) = (removed as u64, added as u64);
    let sha256 = Some(Hash(Sha256::digest(delta).into()));
    let bytes = delta::file_len(layout(), removed, added);
    let delta = DeltaRef { from: 1, removed, added, bytes, sha256 };
    manifest(2, Some(first.digest()), built.reference.clone(), delta)
}

/// Tags to remove and records to add, both ascending.
pub fn changes(versions: &[Built; 2]) -> (Vec<Tag>, Vec<Vec<u8>>) {
    let [before, after] = versions;
    let tag = |record: &Vec<u8>| Tag(record[..TAG_LEN].try_into().expect("a record begins with its tag"));
    let removed = before.records.iter().filter(|record| !after.records.contains(record)).map(tag).collect();
    let added = after.records.iter().filter(|record| !before.records.contains(record)).cloned().collect();
    (removed, added)
}

fn delta_file(removed: &[Tag], added: &[Vec<u8>]) -> Vec<u8> {
    delta_with(layout(), removed, added)
}

pub fn delta_with(layout: Layout, removed: &[Tag], added: &[Vec<u8>]) -> Vec<u8> {
    let span = delta::Span { epoch: Epoch(1), from: Version(1), to: Version(2) };
    let added: Vec<&[u8]> = added.iter().map(Vec::as_slice).collect();
    let mut file = Vec::new();
    delta::write(&mut file, layout, span, removed, &added).expect("ascending");
    file
}

/// Bytes to put in the place of others: offset and bytes.
type Patch = Vec<(usize, Vec<u8>)>;

fn patched(file: &[u8], patch: &Patch, length: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    file.resize(length, 0);
    for (at, bytes) in patch {
        file[*at..][..bytes.len()].copy_from_slice(bytes);
    }
    file
}

/// One stretch from the first to the last byte that differs.
fn difference(from: &[u8], to: &[u8]) -> Patch {
    let differs = |at: &usize| from.get(*at).copied().unwrap_or(0) != to[*at];
    let Some(first) = (0..to.len()).find(differs) else { return Vec::new() };
    let last = (0..to.len()).rfind(differs).expect("there is a first");
    vec![(first, to[first..=last].to_vec())]
}

fn changed(kind: &str, note: String, patch: &Patch, length: usize, expect: &str, why: &str) -> Value {
    let patch: Vec<Value> = patch.iter().map(|(at, bytes)| json!({ "at": at, "bytes": hex::encode(bytes) })).collect();
    json!({ "type": kind, "base": BASE, "note": note, "length": length, "patch": patch, "expect": expect, "why": why })
}
