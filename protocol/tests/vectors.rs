//! The vectors of SPEC §16: the files are what the command writes, and each says what it claims to say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/vectors/cases.rs"]
mod cases;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    path::Path,
};

use serde::Deserialize;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_protocol::{
    Error,
    artifact::{Artifact, DummySeed, Layout, Writer},
    codebook::CodeBook,
    delta::{self, Delta},
    derive::{EpochContext, Okm, Tag},
    frame::{self, BatchId, FrameContext, View},
    item::Item,
    label::{self, CodedLabel},
    manifest::{Chain, Manifest, SignedManifest, Timestamp},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    note::Verifier,
    oprf::{self, AdditiveBlind, Blind, Elements, Mode, Output, PublicKey, SecretKey},
};

fn files(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(folder);
    let entries = fs::read_dir(&root).expect("the vectors stand beside the crate");
    let files: BTreeMap<_, _> = entries
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (format!("{folder}/{name}"), fs::read_to_string(path).expect("text"))
        })
        .collect();
    assert!(!files.is_empty(), "{folder} has no vectors");
    files
}

#[test]
fn the_files_are_what_the_command_writes() {
    let mut made: BTreeMap<_, _> = cases::all().into_iter().map(|case| (case.path, case.text)).collect();
    for (path, text) in files("accept").into_iter().chain(files("reject")) {
        assert_eq!(made.remove(&path), Some(text), "{path}");
    }
    assert!(made.is_empty(), "not committed: {:?}", made.keys());
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Case {
    Derive(Derive),
    Frame(Box<Frame>),
    SeededFrame(Box<SeededFrame>),
    Answer(Answer),
    Elements(Request),
    List(Box<List>),
    Series(Box<Series>),
    Note(Note),
    Time(Time),
    Chain(Links),
    Link(Link),
    CodeBook(Book),
    CodedLabel(Coded),
    Artifact(Changed),
    Delta(Changed),
    Name(Name),
    Item(OneItem),
    PublicKey(OneKey),
    Label(Label),
    Signature(Signed),
    #[expect(dead_code, reason = "read by the tests of proto, which knows the message")]
    Request(serde_json::Value),
    #[expect(dead_code, reason = "read by the tests of the server, which knows the file")]
    Enrolment(serde_json::Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeededFrame {
    form: String,
    origin: String,
    list: String,
    epoch: u32,
    platform: String,
    batch: String,
    seed: String,
    public_key: String,
    n: u64,
    items_of: String,
    blinds_of: String,
    #[expect(dead_code, reason = "for implementers of a server; the proof bytes are compared by the command")]
    proof_random: String,
    blinded_sha256: String,
    evaluated_sha256: String,
    outputs_sha256: String,
    proof: String,
    element_root: String,
    req: String,
    resp: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    verifier_key: String,
    okm_of: String,
    labels_of: String,
    dummy_seed: String,
    versions: [Listed; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    note: String,
    entries: [u64; 2],
    dummies: [u64; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    verifier_key: String,
    note: String,
    now: u64,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Links {
    verifier_key: String,
    list: String,
    notes: Vec<String>,
    // After each note, the version that a client uses.
    used: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    of: String,
    name: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneItem {
    item: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneKey {
    public_key: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    okm: String,
    sealed_label: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    // Absent where no manifest would help.
    #[serde(default)]
    verifier_key: String,
    #[serde(default)]
    note: String,
    code_book: String,
    // Absent where it is accepted.
    #[serde(default)]
    expect: String,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coded {
    #[serde(default)]
    base: String,
    label: String,
    #[serde(default)]
    stronger_listed: bool,
    #[serde(default)]
    category_number: u16,
    #[serde(default)]
    source_number: u8,
    category: Option<serde_json::Value>,
    source: Option<String>,
    reference: Option<String>,
    // Absent where it is accepted.
    #[serde(default)]
    expect: String,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    public_key: String,
    message: String,
    signature: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    verifier_key: String,
    notes: [String; 2],
    artifact: String,
    delta: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    item: String,
    okm: String,
    // Its label in each version; none where it is not listed.
    labels: [Option<String>; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    verifier_key: String,
    note: String,
    // Absent where it is accepted.
    #[serde(default)]
    expect: String,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    base: String,
    after: usize,
    note: String,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    base: String,
    note: String,
    length: usize,
    patch: Vec<Patch>,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    at: usize,
    bytes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derive {
    list: String,
    epoch: u32,
    seed: String,
    public_key: String,
    item: String,
    output: String,
    okm: String,
    tag: String,
    label: String,
    sealed_label: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    origin: String,
    list: String,
    epoch: u32,
    platform: String,
    batch: String,
    public_key: String,
    blinded_elements: String,
    evaluated_elements: String,
    proof: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    exchange: Exchange,
    expect: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    form: String,
    exchange: Exchange,
    seed: String,
    items: Vec<String>,
    blinds: Vec<String>,
    #[expect(dead_code, reason = "for implementers of a server; the proof bytes are compared by the command")]
    proof_random: String,
    outputs: Vec<String>,
    element_root: String,
    req: String,
    resp: String,
    version: u32,
    view_size: u64,
    view_root: String,
    minute: u64,
    request_secret_key: String,
    request_public_key: String,
    signed_message: String,
    request_signature: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    blinded_elements: String,
    expect: String,
    why: String,
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hex")
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().expect("the field's length")
}

#[test]
fn every_accepted_vector_says_what_the_crate_computes() {
    for (path, text) in files("accept") {
        match serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")) {
            Case::Derive(case) => check_derivation(&path, &case),
            Case::Frame(case) => check_frame(&path, &case),
            Case::SeededFrame(case) => check_seeded_frame(&path, &case),
            Case::List(case) => check_list(&path, &case),
            Case::Series(case) => check_series(&path, &case),
            Case::Chain(case) => check_chain(&path, &case),
            Case::Note(case) => drop(verify(&case.verifier_key, &case.note).unwrap()),
            Case::CodeBook(case) => drop(opened_book(&case).unwrap()),
            Case::CodedLabel(case) => check_coded_label(&path, &case),
            Case::Enrolment(_) => {}
            _ => panic!("{path}: nothing to accept"),
        }
    }
}

#[test]
fn every_rejected_vector_is_rejected_with_its_reason() {
    for (path, text) in files("reject") {
        let (found, expect, why) = match serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}")) {
            Case::Elements(case) => (Elements::decode(&bytes(&case.blinded_elements)).err(), case.expect, case.why),
            Case::Answer(case) => (answer(&case.exchange).err(), case.expect, case.why),
            Case::Note(case) => (verify(&case.verifier_key, &case.note).err(), case.expect, case.why),
            Case::Time(case) => (timed(&case).err(), case.expect, case.why),
            Case::Link(case) => (linked(&case).err(), case.expect, case.why),
            Case::Name(case) => (named(&case).err(), case.expect, case.why),
            Case::Item(case) => (Item::from_bytes(&bytes(&case.item)).err(), case.expect, case.why),
            Case::PublicKey(case) => (PublicKey::from_bytes(&bytes(&case.public_key)).err(), case.expect, case.why),
            Case::Label(case) => {
                let key = Okm::danger_from_bytes(array(&case.okm)).label_key();
                (label::open(&key, &bytes(&case.sealed_label)).err(), case.expect, case.why)
            }
            Case::Signature(case) => {
                // The name is the server's, which verifies requests in this way.
                assert!(!verifies(&case) && case.expect == "BAD_SIGNATURE" && !case.why.is_empty(), "{path}");
                continue;
            }
            Case::Request(_) => continue,
            Case::CodeBook(case) => (opened_book(&case).err(), case.expect, case.why),
            Case::CodedLabel(case) => (CodedLabel::decode(&bytes(&case.label)).err(), case.expect, case.why),
            Case::Artifact(case) => (changed_artifact(&case).err(), case.expect, case.why),
            Case::Delta(case) => (changed_delta(&case).err(), case.expect, case.why),
            _ => panic!("{path}: nothing to reject"),
        };
        assert_eq!(found.map(|error| error.reason()), Some(expect.as_str()), "{path}");
        assert!(!why.is_empty(), "{path}");
    }
}

fn context(case: &Exchange) -> FrameContext {
    let agency = case.origin.strip_suffix("/veilmatch/manifest").expect("an origin");
    FrameContext {
        origin: Origin::of(&AgencyName::parse(agency).unwrap()),
        list: ListId::parse(&case.list).unwrap(),
        epoch: Epoch(case.epoch),
        platform: PlatformId::parse(&case.platform).unwrap(),
        batch: BatchId(array(&case.batch)),
    }
}

fn answer(case: &Exchange) -> Result<Elements, Error> {
    let blinded = Elements::decode(&bytes(&case.blinded_elements)).expect("the request is honest");
    let key = PublicKey::from_bytes(&bytes(&case.public_key)).expect("a key");
    frame::verify_answer(&context(case), &key, &blinded, &bytes(&case.evaluated_elements), &bytes(&case.proof))
}

fn verify(verifier_key: &str, note: &str) -> Result<SignedManifest, Error> {
    SignedManifest::verify(note.as_bytes(), &Verifier::parse(verifier_key).unwrap())
}

/// What a client does with a file that it has downloaded.
fn opened(file: Vec<u8>, manifest: &Manifest) -> Result<Artifact<Vec<u8>>, Error> {
    let expected = &manifest.artifact;
    if Sha256::digest(&file)[..] != expected.sha256.0 {
        return Err(Error::BadArtifact);
    }
    let artifact = Artifact::open(file, expected, Epoch(manifest.epoch))?;
    artifact.verify_records().map(|()| artifact)
}

fn applied(old: &Artifact<Vec<u8>>, file: Vec<u8>, manifest: &Manifest) -> Result<Vec<u8>, Error> {
    if manifest.delta.sha256.map(|sha256| sha256.0) != Some(Sha256::digest(&file).into()) {
        return Err(Error::BadDelta);
    }
    let delta = Delta::open(file, manifest)?;
    let out = Cursor::new(Vec::new());
    match delta::apply(old, &delta, Epoch(manifest.epoch), &manifest.artifact, out) {
        Ok(out) => Ok(out.into_inner()),
        // One too many for the writer is a wrong delta, too.
        Err(_) => Err(Error::BadDelta),
    }
}

fn read(path: &str) -> Case {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn base(path: &str) -> List {
    match read(path) {
        Case::List(list) => *list,
        _ => panic!("{path} is no list"),
    }
}

fn patched(file: &str, case: &Changed) -> Vec<u8> {
    let mut file = bytes(file);
    file.resize(case.length, 0);
    for patch in &case.patch {
        let bytes = bytes(&patch.bytes);
        file[patch.at..][..bytes.len()].copy_from_slice(&bytes);
    }
    file
}

fn changed_artifact(case: &Changed) -> Result<Artifact<Vec<u8>>, Error> {
    let base = base(&case.base);
    let signed = verify(&base.verifier_key, &case.note).unwrap();
    opened(patched(&base.artifact, case), signed.manifest())
}

fn changed_delta(case: &Changed) -> Result<Vec<u8>, Error> {
    let base = base(&case.base);
    let first = verify(&base.verifier_key, &base.notes[0]).unwrap();
    let second = verify(&base.verifier_key, &case.note).unwrap();
    followed("baseline", [&first, &second]);
    let old = opened(bytes(&base.artifact), first.manifest()).unwrap();
    applied(&old, patched(&base.delta, case), second.manifest())
}

fn check_list(path: &str, case: &List) {
    let [first, second] = [0, 1].map(|at| verify(&case.verifier_key, &case.notes[at]).unwrap());
    followed("baseline", [&first, &second]);
    let one = opened(bytes(&case.artifact), first.manifest()).unwrap();
    let two = opened(applied(&one, bytes(&case.delta), second.manifest()).unwrap(), second.manifest()).unwrap();
    assert!(!case.entries.is_empty(), "{path}");
    for Entry { item, okm, labels } in &case.entries {
        let okm = Okm::danger_from_bytes(array(okm));
        for (artifact, want) in [&one, &two].into_iter().zip(labels) {
            let found = artifact.lookup(&okm.tag()).unwrap();
            let label = found.map(|record| label::open(&okm.label_key(), record.sealed_label()).unwrap());
            assert_eq!(label.map(hex::encode), *want, "{path}: {item}");
        }
    }
}

fn followed<'a>(list: &str, links: impl IntoIterator<Item = &'a SignedManifest>) -> Chain {
    let mut chain = Chain::new(ListId::parse(list).unwrap());
    links.into_iter().for_each(|link| chain.extend(link.clone()).unwrap());
    chain
}

fn check_chain(path: &str, case: &Links) {
    let links: Vec<_> = case.notes.iter().map(|note| verify(&case.verifier_key, note).unwrap()).collect();
    assert_eq!(links.len(), case.used.len(), "{path}");
    for (n, used) in (1..).zip(&case.used) {
        let chain = followed(&case.list, &links[..n]);
        assert_eq!(chain.to_use().map(|link| link.manifest().version), Some(*used), "{path}: after {n}");
    }
}

fn linked(case: &Link) -> Result<(), Error> {
    let Case::Chain(base) = read(&case.base) else { panic!("{} is no chain", case.base) };
    let links: Vec<_> = base.notes[..case.after].iter().map(|note| verify(&base.verifier_key, note).unwrap()).collect();
    followed(&base.list, &links).extend(verify(&base.verifier_key, &case.note).unwrap())
}

fn timed(case: &Time) -> Result<(), Error> {
    let signed = verify(&case.verifier_key, &case.note).unwrap();
    signed.manifest().valid_at(Timestamp::from_unix(case.now))
}

fn named(case: &Name) -> Result<(), Error> {
    match case.of.as_str() {
        "agency" => AgencyName::parse(&case.name).map(drop),
        "platform" => PlatformId::parse(&case.name).map(drop),
        "list" => ListId::parse(&case.name).map(drop),
        other => panic!("nothing has a name of {other}"),
    }
}

/// What a client does with a code book that it has fetched.
fn opened_book(case: &Book) -> Result<CodeBook, Error> {
    if case.note.is_empty() {
        return CodeBook::from_bytes(case.code_book.as_bytes());
    }
    CodeBook::of(verify(&case.verifier_key, &case.note).unwrap().manifest(), case.code_book.as_bytes())
}

fn check_coded_label(path: &str, case: &Coded) {
    let Case::CodeBook(base) = read(&case.base) else { panic!("{} is no code book", case.base) };
    let book = opened_book(&base).unwrap();
    let label = bytes(&case.label);
    let read = CodedLabel::decode(&label).unwrap();
    assert_eq!(read.stronger_listed, case.stronger_listed, "{path}");
    assert_eq!((read.category, read.source), (case.category_number, case.source_number), "{path}");
    let category = book.category(read.category).map(|category| {
        serde_json::json!({ "scheme": category.scheme, "code": category.code, "action": category.action,
                            "text": category.text })
    });
    assert_eq!(category, case.category, "{path}");
    assert_eq!(book.source(read.source).map(|source| &source.name), case.source.as_ref(), "{path}");
    assert_eq!(read.reference, case.reference.as_deref(), "{path}");
}

/// As strict as SPEC §6.5 demands of every signature.
fn verifies(case: &Signed) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&array(&case.signature));
    ed25519_dalek::VerifyingKey::from_bytes(&array(&case.public_key))
        .is_ok_and(|key| key.verify_strict(&bytes(&case.message), &signature).is_ok())
}

fn made(text: &str, i: u64) -> [u8; 64] {
    Sha512::new().chain_update(text).chain_update(i.to_be_bytes()).finalize().into()
}

fn blinded(form: &str, items: &[Vec<u8>], blinds: &[[u8; 32]]) -> Elements {
    match form {
        "mul" => {
            let blinds: Vec<_> = blinds.iter().map(|blind| Blind::danger_from_bytes(*blind).unwrap()).collect();
            oprf::blind(Mode::Voprf, items, &blinds).unwrap()
        }
        "add" => {
            let blinds: Vec<_> = blinds.iter().map(|blind| AdditiveBlind::danger_from_bytes(*blind).unwrap()).collect();
            oprf::blind_additive_with(Mode::Voprf, items, &blinds).unwrap()
        }
        other => panic!("no form {other}"),
    }
}

fn unblinded(form: &str, items: &[Vec<u8>], blinds: &[[u8; 32]], key: &PublicKey, evaluated: &Elements) -> Vec<Output> {
    if form == "mul" {
        let blinds: Vec<_> = blinds.iter().map(|blind| Blind::danger_from_bytes(*blind).unwrap()).collect();
        return oprf::finalize(items, &blinds, evaluated);
    }
    let blinds: Vec<_> = blinds.iter().map(|blind| AdditiveBlind::danger_from_bytes(*blind).unwrap()).collect();
    oprf::finalize_additive(items, &blinds, key, evaluated).unwrap()
}

fn check_seeded_frame(path: &str, case: &SeededFrame) {
    let agency = case.origin.strip_suffix("/veilmatch/manifest").expect("an origin");
    let context = FrameContext {
        origin: Origin::of(&AgencyName::parse(agency).unwrap()),
        list: ListId::parse(&case.list).unwrap(),
        epoch: Epoch(case.epoch),
        platform: PlatformId::parse(&case.platform).unwrap(),
        batch: BatchId(array(&case.batch)),
    };
    let key = SecretKey::for_epoch(&array(&case.seed), &context.list, context.epoch).unwrap();
    assert_eq!(hex::encode(key.public().as_bytes()), case.public_key, "{path}");
    let item = |i: u64| {
        let digest = Sha256::new().chain_update(&case.items_of).chain_update(i.to_be_bytes()).finalize();
        [&[3], &digest[..]].concat()
    };
    let blind = |i: u64| oprf::Scalar::from_bytes_mod_order_wide(&made(&case.blinds_of, i)).to_bytes();
    let items: Vec<_> = (0..case.n).map(item).collect();
    let blinds: Vec<_> = (0..case.n).map(blind).collect();
    let blinded = blinded(&case.form, &items, &blinds);
    let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    assert_eq!(sha256(blinded.as_bytes()), case.blinded_sha256, "{path}");
    let evaluated = oprf::blind_evaluate(&key, &blinded);
    assert_eq!(sha256(evaluated.as_flattened()), case.evaluated_sha256, "{path}");
    let proof = bytes(&case.proof);
    let verified = frame::verify_answer(&context, key.public(), &blinded, evaluated.as_flattened(), &proof).unwrap();
    let outputs = unblinded(&case.form, &items, &blinds, key.public(), &verified);
    let outputs: Vec<u8> = outputs.iter().flat_map(|y| *y.danger_as_bytes()).collect();
    assert_eq!(sha256(&outputs), case.outputs_sha256, "{path}");
    let req = frame::request_digest(&context, blinded.encodings());
    assert_eq!(hex::encode(frame::element_root(blinded.encodings())), case.element_root, "{path}");
    assert_eq!(hex::encode(req.0), case.req, "{path}");
    let proof = oprf::Proof::from_bytes(&proof).unwrap();
    assert_eq!(hex::encode(frame::response_digest(&req, &evaluated, &proof).0), case.resp, "{path}");
}

fn check_series(path: &str, case: &Series) {
    let signed = [0, 1].map(|at: usize| verify(&case.verifier_key, &case.versions[at].note).unwrap());
    followed("baseline", &signed);
    let layout = Layout::new(signed[0].manifest().artifact.label_bytes as u8).unwrap();
    let records = [0, 1].map(|at: usize| {
        let [entries, dummies] = [case.versions[at].entries, case.versions[at].dummies].map(|[low, high]| low..high);
        let entry = |i: u64| {
            let okm = Okm::danger_from_bytes(made(&case.okm_of, i));
            let text = &made(&case.labels_of, i)[..layout.label_bytes().into()];
            [&okm.tag().0[..], &label::seal(&okm.label_key(), text).unwrap()].concat()
        };
        let dummy = |j: u64| DummySeed::new(array(&case.dummy_seed)).record(j, layout);
        entries.map(entry).chain(dummies.map(dummy)).collect::<BTreeSet<Vec<u8>>>()
    });
    let files = [0, 1].map(|at: usize| {
        let mut writer = Writer::new(Cursor::new(Vec::new()), layout, Epoch(1), records[at].len() as u64).unwrap();
        records[at].iter().for_each(|record| writer.push(record).unwrap());
        writer.finish().unwrap().0.into_inner()
    });
    let [one, two] = files.clone();
    let one = opened(one, signed[0].manifest()).unwrap_or_else(|error| panic!("{path}: {error}"));
    opened(two, signed[1].manifest()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let removed: Vec<Tag> =
        records[0].difference(&records[1]).map(|record| Tag(*record.first_chunk().unwrap())).collect();
    let added: Vec<&[u8]> = records[1].difference(&records[0]).map(Vec::as_slice).collect();
    let mut file = Vec::new();
    let span = delta::Span { epoch: Epoch(1), from: Version(1), to: Version(2) };
    delta::write(&mut file, layout, span, &removed, &added).unwrap();
    assert_eq!(applied(&one, file, signed[1].manifest()).unwrap(), files[1], "{path}");
}

fn check_derivation(path: &str, case: &Derive) {
    let list = ListId::parse(&case.list).unwrap();
    let key = SecretKey::for_epoch(&array(&case.seed), &list, Epoch(case.epoch)).unwrap();
    assert_eq!(hex::encode(key.public().as_bytes()), case.public_key, "{path}");
    let output = oprf::evaluate(Mode::Voprf, &key, &[bytes(&case.item)]).unwrap().remove(0);
    assert_eq!(hex::encode(output.danger_as_bytes()), case.output, "{path}");
    let okm = EpochContext { list, epoch: Epoch(case.epoch) }.okm(&output);
    assert_eq!(hex::encode(okm.danger_as_bytes()), case.okm, "{path}");
    assert_eq!(hex::encode(okm.tag().0), case.tag, "{path}");
    assert_eq!(hex::encode(label::open(&okm.label_key(), &bytes(&case.sealed_label)).unwrap()), case.label, "{path}");
}

fn check_frame(path: &str, case: &Frame) {
    let exchange = &case.exchange;
    let evaluated = answer(exchange).unwrap_or_else(|error| panic!("{path}: {error}"));
    let context = context(exchange);
    let key = SecretKey::for_epoch(&array(&case.seed), &context.list, context.epoch).unwrap();
    assert_eq!(hex::encode(key.public().as_bytes()), exchange.public_key, "{path}");

    let items: Vec<_> = case.items.iter().map(|item| bytes(item)).collect();
    let blinds: Vec<[u8; 32]> = case.blinds.iter().map(|blind| array(blind)).collect();
    let blinded = blinded(&case.form, &items, &blinds);
    assert_eq!(hex::encode(blinded.as_bytes()), exchange.blinded_elements, "{path}");
    let outputs = unblinded(&case.form, &items, &blinds, key.public(), &evaluated);
    assert!(outputs.iter().zip(&case.outputs).all(|(y, want)| hex::encode(y.danger_as_bytes()) == *want), "{path}");

    let req = frame::request_digest(&context, blinded.encodings());
    assert_eq!(hex::encode(frame::element_root(blinded.encodings())), case.element_root, "{path}");
    assert_eq!(hex::encode(req.0), case.req, "{path}");
    let proof = oprf::Proof::from_bytes(&bytes(&exchange.proof)).unwrap();
    assert_eq!(hex::encode(frame::response_digest(&req, evaluated.encodings(), &proof).0), case.resp, "{path}");

    let view = View { size: case.view_size, root: array(&case.view_root) };
    let message = frame::signed_message(&req, &view, Version(case.version), case.minute);
    assert_eq!(hex::encode(&message), case.signed_message, "{path}");
    let signing = ed25519_dalek::SigningKey::from_bytes(&array(&case.request_secret_key));
    assert_eq!(hex::encode(signing.verifying_key().to_bytes()), case.request_public_key, "{path}");
    let signature = ed25519_dalek::Signature::from_bytes(&array(&case.request_signature));
    signing.verifying_key().verify_strict(&message, &signature).unwrap();
}
