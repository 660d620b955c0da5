//! What becomes of platforms when the agency's own directory is damaged, wrong or full.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};
use veilmatch_client::{Client, NotChecked, Outcome};
use veilmatch_protocol::{
    manifest::{Hash, SignedManifest},
    merkle,
    name::{AgencyName, Origin},
    note::Verifier,
};
use veilmatch_server::{admin::ClientTerms, keys::read_signing_key};
use veilmatch_tests::{
    PATIENCE, World, bare,
    coded::replace,
    listed, matched, now,
    programs::{Pair, Paths, ended},
    unlisted, until,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };
const PLATFORM: &str = "platform.example";

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_altered_on_the_agencys_disk_is_taken_by_nobody_until_it_is_restored() {
    // SPEC §7.1
    let world = World::serving(50).await;
    let client = Client::open(&world.enrol(PLATFORM, &ClientTerms::default())).unwrap();
    let path = world.agency_dir().join("lists/baseline/1.vml");
    let published = fs::read(&path).unwrap();
    let mut altered = published.clone();
    *altered.last_mut().unwrap() ^= 1;
    let longer = [&published[..], &[0; 100]].concat();
    // Another length is found by the server, other bytes by whoever fetches them.
    for (bad, reason) in [(&altered[..], "BAD_ARTIFACT"), (&published[..20_000], "INTERNAL"), (&longer, "INTERNAL")] {
        fs::write(&path, bad).unwrap();
        let refused = until(async || {
            let refused = client.sync(&world.list, |_| {}).await.unwrap_err();
            // The running server learns of an enrolment within its poll interval.
            (refused.reason() != "UNKNOWN_CLIENT").then_some(refused)
        })
        .await;
        assert_eq!(refused.reason(), reason, "{refused:?}");
        let outcome = client.check(&world.list, bare(0, listed(0)), PATIENCE).await;
        assert_eq!(outcome, Outcome::NotChecked(NotChecked::NoList));
    }
    // Nor does the agency build upon it.
    world.retract(&[listed(0)]);
    let refused = world.agency().publish(&world.list, false, now(), &|_| {}).unwrap_err();
    assert_eq!(refused.reason(), "DAMAGED", "{refused}");

    fs::write(&path, published).unwrap();
    client.sync(&world.list, |_| {}).await.unwrap();
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    assert_eq!(world.publish()[0].version.0, 2);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_not_the_entrys_is_no_match_and_no_miss_although_the_agency_signed_it() {
    // SPEC §7.5, §12.1 LABEL_MISMATCH
    let mut world = World::new();
    world.import(&[listed(0)], "A1");
    world.publish();
    sign_other_labels(&world);
    world.start().await;
    let client = world.platform(PLATFORM).await;
    match client.check(&world.list, bare(0, listed(0)), PATIENCE).await {
        Outcome::NotChecked(why) => assert_eq!(why.reason(), "LABEL_MISMATCH"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.check(&world.list, bare(1, unlisted(0)), PATIENCE).await, Outcome::NoMatch { version: 1 });
    client.shutdown().await;
}

/// Changes the sealed label of each record of version 1, and signs what came out as that version.
fn sign_other_labels(world: &World) {
    let path = world.agency_dir().join("lists/baseline/1.vml");
    let mut file = fs::read(&path).unwrap();
    // One shard: the header, one row of the directory, records of tag, nonce and four bytes of label (SPEC §7.1).
    let (head, records) = file.split_at_mut(32 + 40);
    for record in records.chunks_exact_mut(16 + 4 + 4) {
        record[23] ^= 1;
    }
    let root = merkle::leaf_hash(records);
    head[32 + 8..].copy_from_slice(&root);
    fs::write(&path, &file).unwrap();

    let key = read_signing_key(&world.agency_dir().join("keys/manifest-log.key")).unwrap();
    let origin = Origin::of(&AgencyName::parse("agency.example").unwrap());
    let verifier = Verifier::new(origin.as_str(), key.verifying_key()).unwrap();
    let store = rusqlite::Connection::open(world.agency_dir().join("veilmatch.db")).unwrap();
    let note: Vec<u8> = store.query_row("SELECT note FROM manifest", [], |row| row.get(0)).unwrap();
    let mut manifest = SignedManifest::verify(&note, &verifier).unwrap().manifest().clone();
    manifest.artifact.root = Hash(root);
    manifest.artifact.sha256 = Hash(Sha256::digest(&file).into());
    let signed = SignedManifest::sign(manifest, &key).unwrap();
    replace(world, &store, &signed);
}

#[test]
fn a_publication_that_finds_the_disk_full_leaves_the_version_before_and_can_be_repeated() {
    let pair = Pair::new(PROGRAMS);
    let sums = |entries: std::ops::Range<usize>| -> String {
        entries.map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect()
    };
    pair.publish(&pair.write("first.sha256", sums(0..10)), "A1");
    let more = pair.write("more.sha256", sums(10..20_000));
    pair.agency(["list", "import", "baseline", more.to_str().unwrap(), "--label", "B2"]);
    let folder = pair.agency_dir().join("lists/baseline");
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();

    // No file may grow beyond 256 KiB, as on a full disk: the artifact would have 480.
    let mut publish = Command::new("sh");
    publish.args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"", PROGRAMS.agency, "--dir"]);
    publish.arg(pair.agency_dir()).args(["list", "publish", "baseline"]);
    let full = ended(publish.stderr(Stdio::piped()).spawn().unwrap());
    assert_ne!(full.code, Some(0));
    assert!(full.err.contains("(IO)") && full.err.contains("nothing was half done"), "{}", full.err);
    assert_eq!(names(), before);
    let status = pair.agency(["list", "status", "baseline"]);
    assert!(status.contains("19990 to add"), "{status}");

    pair.agency(["list", "publish", "baseline"]);
    assert!(folder.join("2.vml").is_file());
    let status = pair.agency(["list", "status", "baseline"]);
    assert!(status.contains("0 to add"), "{status}");
}

#[tokio::test]
async fn a_key_of_the_platform_that_is_none_is_refused_with_its_file() {
    let world = World::new();
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    for key in fs::read_dir(dir.join("keys")).unwrap() {
        let path = key.unwrap().path();
        let good = fs::read(&path).unwrap();
        fs::write(&path, "no key").unwrap();
        let refused = Client::open(&dir).err().unwrap();
        assert_eq!(refused.reason(), "BAD_KEY_FILE", "{}: {refused}", path.display());
        assert!(refused.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{refused}");
        fs::write(&path, good).unwrap();
    }
}
