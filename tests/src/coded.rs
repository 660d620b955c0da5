//! A version whose labels a code book explains, signed by the world's agency.

use std::{fs, io::Cursor};

use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    artifact::{DummySeed, Layout, Writer, padded_count},
    codebook::{Category, CodeBook, Source},
    derive::EpochContext,
    item::Item,
    label::{self, CodedLabel},
    manifest::{ArtifactRef, Hash, SignedManifest},
    merkle,
    name::{AgencyName, Epoch, Origin, Version},
    note::Verifier,
    oprf::{self, Mode},
};
use veilmatch_server::keys::{EpochSeeds, read_signing_key};

use crate::World;

/// Length of the labels.
pub const LABEL_BYTES: u8 = 12;

/// Categories 1 `custom:abc` and 2 `uk:A` to report, and source 1 `one`.
#[must_use]
pub fn code_book(world: &World) -> CodeBook {
    let category = |number, scheme: &str, code: &str, action: &str| {
        let [scheme, code, action] = [scheme, code, action].map(str::to_owned);
        Category { number, scheme, code, action, text: "synthetic".to_owned() }
    };
    let agency = AgencyName::parse("agency.example").unwrap();
    let categories = vec![category(1, "custom", "abc", ""), category(2, "uk", "A", "report")];
    CodeBook::new(&agency, &world.list, categories, vec![Source { number: 1, name: "one".to_owned() }]).unwrap()
}

/// Puts these entries in the place of version 1, which must be the only one, with this code book. The server must not run.
pub fn sign(world: &World, entries: &[(Item, CodedLabel<'_>)], book: &CodeBook) {
    let (file, artifact) = written(world, entries);
    let dir = world.agency().dir().clone();
    fs::write(dir.artifact(&world.list, Version(1)), file).unwrap();
    fs::write(dir.code_book(&world.list, Version(1)), book.to_bytes()).unwrap();

    let key = read_signing_key(&dir.manifest_key()).unwrap();
    let origin = Origin::of(&AgencyName::parse("agency.example").unwrap());
    let verifier = Verifier::new(origin.as_str(), key.verifying_key()).unwrap();
    let store = rusqlite::Connection::open(world.agency_dir().join("veilmatch.db")).unwrap();
    let note: Vec<u8> = store.query_row("SELECT note FROM manifest", [], |row| row.get(0)).unwrap();
    let mut manifest = SignedManifest::verify(&note, &verifier).unwrap().manifest().clone();
    (manifest.artifact, manifest.categories) = (artifact, Some(book.digest()));
    let signed = SignedManifest::sign(manifest, &key).unwrap();
    replace(world, &store, &signed);
}

/// Puts this manifest in the place of that of version 1, which must be the only one. The server must not run.
pub fn replace(world: &World, store: &rusqlite::Connection, signed: &SignedManifest) {
    let changed = (signed.note(), signed.view().root);
    assert_eq!(store.execute("UPDATE manifest SET note = ?1, leaf_hash = ?2", changed).unwrap(), 1);
    // The log as it is before its first checkpoint: the server signs and publishes it when it starts.
    assert_eq!(store.execute("UPDATE log_leaf SET leaf = ?1", [signed.leaf()]).unwrap(), 1);
    let unsigned =
        "UPDATE log SET head_size = 0, head_root = ?1, head_note = x'', published_size = 0, published_note = x''";
    assert_eq!(store.execute(unsigned, [merkle::root([])]).unwrap(), 1);
    store.execute_batch("DELETE FROM log_root; DELETE FROM log_hash;").unwrap();
    fs::remove_dir_all(world.agency().dir().logs()).unwrap();
}

fn written(world: &World, entries: &[(Item, CodedLabel<'_>)]) -> (Vec<u8>, ArtifactRef) {
    let layout = Layout::new(LABEL_BYTES).unwrap();
    let seeds = EpochSeeds::read(&world.agency().dir().epoch_seed(&world.list, Epoch(1))).unwrap();
    let key = seeds.secret_key(&world.list, Epoch(1)).unwrap();
    let context = EpochContext { list: world.list.clone(), epoch: Epoch(1) };
    let record = |(item, label): &(Item, CodedLabel<'_>)| {
        let okm = context.okm(&oprf::evaluate(Mode::Voprf, &key, &[item.as_bytes()]).unwrap()[0]);
        let sealed = label::seal(&okm.label_key(), &label.encode(LABEL_BYTES).unwrap()).unwrap();
        [&okm.tag().0[..], &sealed].concat()
    };
    let mut records: Vec<Vec<u8>> = entries.iter().map(record).collect();
    let dummies = padded_count(records.len() as u64) - records.len() as u64;
    records.extend((0..dummies).map(|index| DummySeed::new([7; 32]).record(index, layout)));
    records.sort();
    let out = Cursor::new(Vec::new());
    let mut writer = Writer::new(out, layout, Epoch(1), records.len() as u64).unwrap();
    records.iter().for_each(|record| writer.push(record).unwrap());
    let (out, summary) = writer.finish().unwrap();
    let file = out.into_inner();
    let sha256 = Hash(Sha256::digest(&file).into());
    (file, summary.into_ref(sha256.0))
}
