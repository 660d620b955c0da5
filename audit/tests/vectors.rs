//! The vectors of SPEC §16 about logs and receipts: the files are what the command writes, and each says what it claims.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../examples/vectors/cases.rs"]
mod cases;

use std::{collections::BTreeMap, fs, path::Path};

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use veilmatch_audit::{
    Error,
    acknowledgement::Acknowledgement,
    canary::{Canary, CanaryOpening, Commitments},
    closing::{AnsweredFrame, Closing, Day},
    leaf::{self, Certificate, Leaf},
    opening::{Opening, verify_frame},
};
use veilmatch_protocol::{
    derive::{MatchSecret, Tag},
    frame::{FrameSize, RequestDigest, ResponseDigest},
    item::Item,
    manifest::Hash,
    note::Verifier,
    oprf::PublicKey,
    prepared::PreparedKey,
    receipt::Fault,
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
#[serde(tag = "type", rename_all = "snake_case")]
enum Case {
    Leaf(OneLeaf),
    Acknowledgement(Promise),
    Closing(Statement),
    Certificate(Vouched),
    Canary(Planted),
    Receipt(Box<Shown>),
    Opening(Line),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneLeaf {
    leaf: String,
    leaf_hash: Option<String>,
    request_public_key: Option<String>,
    public_key: Option<String>,
    tag: Option<String>,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promise {
    verifier_key: String,
    note: String,
    leaf: String,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    receipt_key: String,
    ack_key: String,
    note: String,
    frames: Option<Vec<Row>>,
    digest: Option<String>,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    req: String,
    resp: String,
    n: FrameSize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vouched {
    verifier_key: String,
    note: String,
    digest: Option<String>,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    canary_root: String,
    opening: String,
    canaries: Option<Vec<Entry>>,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    deadline: u64,
    salt: String,
    tag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    verifier_key: String,
    opening: String,
    #[serde(rename = "match")]
    matched: String,
    frame: String,
    query: String,
    manifest: String,
    label: String,
    secret: Option<String>,
    item: Option<String>,
    expect: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    opening: String,
    expect: String,
    why: String,
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// What became of a case: nothing, or the name that it was refused with; and what it says about that.
type Outcome = (Result<(), &'static str>, Option<String>, Option<String>);

fn run(text: &str) -> Outcome {
    match serde_json::from_str(text).unwrap() {
        Case::Leaf(case) => (case.check().map_err(|error| error.reason()), case.expect, case.why),
        Case::Acknowledgement(case) => (case.check().map_err(|error| error.reason()), case.expect, case.why),
        Case::Closing(case) => (case.check().map_err(|error| error.reason()), case.expect, case.why),
        Case::Certificate(case) => (case.check().map_err(|error| error.reason()), case.expect, case.why),
        Case::Canary(case) => (case.check().map_err(|error| error.reason()), case.expect, case.why),
        Case::Receipt(case) => (case.check().map_err(Fault::finding), case.expect, case.why),
        Case::Opening(case) => {
            let opened = Opening::decode(case.opening.as_bytes()).map(drop);
            (opened.map_err(|error| error.reason()), Some(case.expect), Some(case.why))
        }
    }
}

#[test]
fn accepted_vectors_are_accepted() {
    // SPEC §18.1, §18.2, §18.3, §18.4, §18.5, §18.6, §18.7, §19.2, §19.4
    for (path, text) in files("accept") {
        let (outcome, expect, why) = run(&text);
        assert_eq!((outcome, expect, why), (Ok(()), None, None), "{path}");
    }
}

#[test]
fn refused_vectors_are_refused_with_their_reason() {
    // SPEC §18.1, §18.2, §18.3, §18.4, §18.5, §18.6, §18.7, §19.1, §19.2, §19.4
    for (path, text) in files("reject") {
        let (outcome, expect, why) = run(&text);
        assert_eq!(outcome.err().map(str::to_owned), expect, "{path}");
        assert!(why.is_some_and(|why| !why.is_empty()), "{path}");
    }
}

impl OneLeaf {
    fn check(&self) -> Result<(), Error> {
        let bytes = self.leaf.as_bytes();
        let leaf = Leaf::decode(bytes)?;
        assert_eq!(self.leaf_hash.as_deref(), Some(&*hex::encode(leaf::hash(bytes))));
        match leaf {
            Leaf::Key(key) if key.old.is_some() => key.verify_cross()?,
            Leaf::Query(query) => {
                let key = self.request_public_key.as_deref().unwrap();
                let key = VerifyingKey::from_bytes(&unhex(key)).unwrap();
                query.verify_signature(&PreparedKey::new(key))?;
            }
            Leaf::Absent(absent) => {
                let key: [u8; 32] = unhex(self.public_key.as_deref().unwrap());
                let tag = absent.tag(&PublicKey::from_bytes(&key).unwrap())?;
                assert_eq!(tag, Tag(unhex(self.tag.as_deref().unwrap())));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Promise {
    fn check(&self) -> Result<(), Error> {
        let key = Verifier::parse(&self.verifier_key).unwrap();
        let Leaf::Query(leaf) = Leaf::decode(self.leaf.as_bytes())? else { panic!("a leaf of another log") };
        Acknowledgement::open(self.note.as_bytes(), &key)?.promises(self.leaf.as_bytes(), &leaf)
    }
}

impl Statement {
    fn check(&self) -> Result<(), Error> {
        let [receipt_key, ack_key] = [&self.receipt_key, &self.ack_key].map(|key| Verifier::parse(key).unwrap());
        let read = Closing::open_countersigned(self.note.as_bytes(), &receipt_key, &ack_key)?;
        let frame = |row: &Row| AnsweredFrame {
            req: RequestDigest(unhex(&row.req)),
            resp: ResponseDigest(unhex(&row.resp)),
            n: row.n,
        };
        let frames = self.frames.as_ref().unwrap().iter().map(frame).collect();
        let Closing { agency, platform, list, epoch, date, .. } = read.clone();
        assert_eq!(Closing::of(Day { agency, platform, list, epoch, date }, frames), read);
        assert_eq!(read.digest()?, Hash(unhex(self.digest.as_deref().unwrap())));
        Ok(())
    }
}

impl Vouched {
    fn check(&self) -> Result<(), Error> {
        let key = Verifier::parse(&self.verifier_key).unwrap();
        Certificate::open(self.note.as_bytes(), &key)?;
        assert_eq!(Certificate::digest(self.note.as_bytes()), Hash(unhex(self.digest.as_deref().unwrap())));
        Ok(())
    }
}

impl Planted {
    fn check(&self) -> Result<(), Error> {
        let root = Hash(unhex(&self.canary_root));
        let opening = CanaryOpening::decode(self.opening.as_bytes())?;
        opening.verify(&root)?;
        let canary = |entry: &Entry| Canary {
            deadline: entry.deadline,
            salt: Hash(unhex(&entry.salt)),
            tag: Tag(unhex(&entry.tag)),
        };
        let all: Vec<_> = self.canaries.as_ref().unwrap().iter().map(canary).collect();
        assert_eq!(Commitments::new(&all).root(), root);
        assert!(all.contains(&opening.canary()));
        Ok(())
    }
}

impl Shown {
    fn check(&self) -> Result<(), Fault> {
        let opening = Opening::decode(self.opening.as_bytes()).unwrap();
        let leaf = |text: &str| Leaf::decode(text.as_bytes()).unwrap();
        let (Leaf::Match(matched), Leaf::Frame(frame)) = (leaf(&self.matched), leaf(&self.frame)) else {
            panic!("leaves of another type")
        };
        let (Leaf::Query(query), Leaf::Manifest(manifest)) = (leaf(&self.query), leaf(&self.manifest)) else {
            panic!("leaves of another type")
        };
        let receipt = opening.receipt(&Verifier::parse(&self.verifier_key).unwrap())?;
        match &self.secret {
            Some(secret) => receipt.verify_secret(&MatchSecret::danger_from_bytes(unhex(secret)))?,
            None => opening.verify_secret(&receipt)?,
        }
        receipt.verify_manifest(&manifest)?;
        opening.verify_commitment(&receipt, &matched)?;
        verify_frame(&receipt, &frame, &query)?;
        receipt.verify_label(&hex::decode(&self.label).unwrap())?;
        let Some(item) = &self.item else { return Ok(()) };
        let item = Item::from_bytes(&hex::decode(item).unwrap()).unwrap();
        let element = opening.element.as_ref().unwrap();
        element.verify(receipt.receipt(), query.n, &query.req, &item)
    }
}
