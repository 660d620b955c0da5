use super::*;

fn parse(args: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["veilmatch-server"], args].concat())
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn what_does_not_fit_a_grammar_is_a_mistake_of_usage() {
    let wrong: [&[&str]; 6] = [
        &["list", "create", "Not A Name"],
        &["list", "create", "base", "--kinds", "pdq"],
        &["list", "create", "base", "--label-bytes", "300"],
        &["list", "import", "base", "file", "--format", "nonsense"],
        &["init", "--agency", "agency.example"],
        &["client", "suspend"],
    ];
    for args in wrong {
        assert_eq!(parse(args).unwrap_err().exit_code(), 2, "{args:?}");
    }
    parse(&["--dir", "x", "list", "create", "base", "--kinds", "sha256,md5"]).unwrap();
    parse(&["list", "retract", "base", "-", "--dir", "x"]).unwrap();
}

#[test]
fn a_mistake_says_what_to_type_next() {
    let args = parse(&["--dir", "/absent", "list", "publish", "base"]).unwrap();
    let error = run(args).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Refused);
    assert!(error.hint().contains("--dir /absent init"));
}

#[test]
fn the_version_names_the_arithmetic_when_asked() {
    assert_eq!(run(parse(&["--version"]).unwrap()).unwrap(), "veilmatch-server 0.1.0\n");
    let verbose = run(parse(&["--version", "--verbose"]).unwrap()).unwrap();
    assert!(verbose.contains(veilmatch_ristretto::backend()), "{verbose}");
}

#[test]
fn a_session_from_init_to_publication_says_each_time_what_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("agency");
    let file = dir.path().join("sums.txt");
    let digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    std::fs::write(&file, format!("{digest}  one\nbad\n")).unwrap();
    let (root, file) = (root.to_str().unwrap(), file.to_str().unwrap());
    let session = |args: &[&str]| run(parse(&[&["--dir", root], args].concat()).unwrap()).unwrap();

    assert!(session(&["init", "--agency", "agency.example", "--address", "localhost:7443"]).contains("list create"));
    assert_eq!(session(&["list", "status"]), "no list; make one with `list create NAME`\n");
    assert!(session(&["list", "create", "base"]).contains("list import base FILE"));
    let imported = session(&["list", "import", "base", file, "--label", "A1"]);
    assert!(
        imported.starts_with("base: read 2 = accepted 1 + duplicate 0 + retracted 0 + quarantined 1\n"),
        "{imported}"
    );
    assert!(imported.contains("row 2 at byte 70: "), "{imported}");
    let published = session(&["list", "publish", "base"]);
    assert!(published.starts_with("base: version 1 (epoch 1): 1 entries in 1024 records"), "{published}");
    assert!(session(&["list", "publish", "base"]).contains("nothing has changed"));
    let status = session(&["list", "status", "base"]);
    assert!(status.contains("entries:   1\n") && status.contains("kinds:     md5, sha1, sha256"), "{status}");
    let json: serde_json::Value = serde_json::from_str(&session(&["list", "status", "--json"])).unwrap();
    assert_eq!((&json["version"], &json["entries"]), (&1.into(), &1.into()));
    assert!(session(&["client", "list"]).starts_with("no client"));
    assert!(session(&["key", "retire", "base"]).contains("no epoch's time is over"));
}

#[test]
fn what_a_command_commits_is_in_the_store_itself_unless_a_server_runs() {
    // Nobody moved the log but a running server that was asked: veilmatch.db alone, as a careless backup has it, was
    // empty after any number of commands.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("agency");
    let session = |args: &[&str]| run(parse(&[&["--dir", root.to_str().unwrap()], args].concat()).unwrap()).unwrap();
    let lists_in_the_file_alone = || {
        let copy = dir.path().join("copy.db");
        std::fs::copy(root.join("veilmatch.db"), &copy).unwrap();
        let store = crate::store::Store::open(&copy).unwrap();
        let lists = store.lists().unwrap().len();
        drop(store);
        for file in ["copy.db", "copy.db-wal", "copy.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(file));
        }
        lists
    };
    session(&["init", "--agency", "agency.example", "--address", "localhost:7443"]);
    session(&["list", "create", "one"]);
    assert_eq!(lists_in_the_file_alone(), 1);
    let serving = crate::state_dir::StateDir::open(&root).unwrap().lock_serving().unwrap();
    session(&["list", "create", "two"]);
    assert_eq!(lists_in_the_file_alone(), 1);
    drop(serving);
    session(&["list", "create", "three"]);
    assert_eq!(lists_in_the_file_alone(), 3);
}

#[test]
fn man_pages_and_completions_are_written() {
    let dir = tempfile::tempdir().unwrap();
    run(parse(&["man", dir.path().to_str().unwrap()]).unwrap()).unwrap();
    assert!(dir.path().join("veilmatch-server-list-publish.1").exists());
    assert!(run(parse(&["completions", "bash"]).unwrap()).unwrap().contains("veilmatch-server"));
}

#[test]
fn the_logs_are_shown_checked_and_handed_out_and_a_finding_ends_in_an_error() {
    let world = crate::world::World::published(10);
    let root = world.root();
    let log = |args: &[&str]| run(parse(&[&["--dir", root.to_str().unwrap(), "log"], args].concat()).unwrap());
    let status = log(&["status"]).unwrap();
    assert!(status.starts_with("agency.example/veilmatch/manifest: 1 leaves, 1 published\n"), "{status}");
    assert!(status.contains("not excluded"), "{status}");
    for check in [&["check"][..], &["check", "--full"]] {
        assert!(log(check).unwrap().contains("as signed"));
    }
    let out = world.path("export");
    let exported = log(&["export", "--log", "manifest", out.to_str().unwrap()]).unwrap();
    assert!(exported.starts_with("agency.example/veilmatch/manifest: 1 leaves in "), "{exported}");
    std::fs::write(root.join("logs/manifest/tile/0/000.p/1"), [0; 32]).unwrap();
    for check in [&["check"][..], &["check", "--full"]] {
        let found = log(check).unwrap_err();
        assert_eq!((found.reason(), Exit::of(&found)), ("LOG_FINDINGS", Exit::Failed));
    }
}
