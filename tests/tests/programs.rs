//! What people meet who have nothing but the two programs: words, exit codes, files, signals, full disks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::symlink, net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use veilmatch_tests::{
    listed,
    programs::{Ended, Pair, Paths, ended, eventually},
    unlisted,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

/// A served list of `listed(0..n)` and of the content `listed content`, and a platform that has synchronised.
fn ready(n: usize) -> Pair {
    let mut pair = Pair::new(PROGRAMS);
    let mut sums: String = (0..n).map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect();
    sums.push_str(&format!("{}  name\n", hex::encode(Sha256::digest("listed content"))));
    let list = pair.write("list.sha256", sums);
    pair.publish(&list, "A1");
    pair.enrol("100000000");
    pair.serve();
    let synced = pair.platform(["sync"]);
    assert_eq!(synced.code, Some(0), "{}", synced.err);
    pair
}

fn signal(name: &str, child: &Child) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_command_explains_itself() {
    for (program, name, commands) in [
        (
            PROGRAMS.platform,
            "veilmatch",
            &["init", "join", "sync", "check", "scan", "rescan", "forget", "status", "run", "completions", "man"][..],
        ),
        (
            PROGRAMS.agency,
            "veilmatch-server",
            &[
                "init",
                "list create",
                "list import",
                "list retract",
                "list publish",
                "list status",
                "client add",
                "client list",
                "client suspend",
                "key rotate",
                "serve",
                "completions",
                "man",
            ][..],
        ),
    ] {
        for command in commands {
            let help = Command::new(program).args(command.split(' ')).arg("--help").output().unwrap();
            let text = String::from_utf8(help.stdout).unwrap();
            assert!(
                help.status.success() && text.contains(&format!("Usage: {name} {command}")),
                "{name} {command}: {text}"
            );
        }
        let script = Command::new(program).args(["completions", "bash"]).output().unwrap();
        assert!(script.status.success() && !script.stdout.is_empty());
        let pages = tempfile::tempdir().unwrap();
        assert!(Command::new(program).arg("man").arg(pages.path()).status().unwrap().success());
        assert!(pages.path().join(format!("{name}.1")).is_file());
    }
}

#[test]
fn each_first_step_that_is_missing_is_named() {
    let pair = Pair::new(PROGRAMS);
    let refused = |arguments: &[&str], code, reason: &str, hint: &str| {
        let ended = pair.platform(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(&format!("({reason})")), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(hint), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    };
    refused(&["check", "."], 70, "NOT_INITIALISED", "init --platform NAME");
    assert_eq!(pair.platform(["init", "--platform", "platform.example"]).code, Some(0));
    refused(&["init", "--platform", "platform.example"], 70, "ALREADY_INITIALISED", "--dir");
    refused(&["check", "."], 70, "NOT_JOINED", "join INVITATION");
    let broken = pair.write("broken.json", "{\"type\": 3}");
    refused(&["join", broken.to_str().unwrap()], 70, "BAD_INVITATION", "new invitation");
    fs::remove_dir_all(pair.platform_dir()).unwrap();

    pair.enrol("1000");
    refused(&["check", "."], 70, "NO_LIST", "sync");
    refused(&["sync"], 70, "UNREACHABLE", "nothing was counted as no match");
    refused(&["sync", "--list", "other"], 70, "UNKNOWN_LIST", "status");
    let ended = pair.platform(["check"]);
    assert_eq!(ended.code, Some(64), "{}", ended.err);
    assert_eq!(pair.platform(Vec::<String>::new()).code, Some(64));
}

#[test]
fn files_are_answered_each_for_itself_and_the_exit_code_says_the_worst() {
    let pair = ready(3);
    let uploads = pair.path("uploads");
    fs::create_dir(&uploads).unwrap();
    fs::write(uploads.join("clean"), "nothing to see").unwrap();
    let check = |paths: &[&Path]| {
        let mut arguments: Vec<std::ffi::OsString> = ["check", "--format", "jsonl"].map(Into::into).into();
        arguments.extend(paths.iter().map(|path| path.as_os_str().to_owned()));
        pair.platform(arguments)
    };
    let clean = check(&[&uploads]);
    assert_eq!((clean.code, lines(&clean.out).len()), (Some(0), 1), "{}", clean.err);

    fs::write(uploads.join("empty"), "").unwrap();
    symlink("clean", uploads.join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(uploads.join("pipe")).status().unwrap().success());
    let odd = check(&[&uploads, &pair.path("not there")]);
    assert_eq!(odd.code, Some(2), "{}", odd.err);
    let reasons: Vec<String> = lines(&odd.out)
        .iter()
        .filter_map(|line| line.get("reason"))
        .map(|reason| reason.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons, ["SYMLINK", "NOT_A_FILE", "VANISHED"]);
    assert!(odd.err.contains("2 no match, 3 not checked (1 NOT_A_FILE, 1 SYMLINK, 1 VANISHED)"), "{}", odd.err);

    fs::write(uploads.join("upload"), "listed content").unwrap();
    let found = check(&[&uploads]);
    assert_eq!(found.code, Some(1));
    let hit = lines(&found.out).into_iter().find(|line| line["outcome"] == "match").unwrap();
    assert_eq!((&hit["label"], &hit["kind"], &hit["version"]), (&"A1".into(), &"sha256".into(), &1.into()));
    assert_eq!(hit["path"], uploads.join("upload").to_str().unwrap());

    let table = pair.platform(["check".as_ref(), uploads.as_os_str()]);
    assert!(
        table.out.starts_with("OUTCOME") && table.out.contains("A1") && !table.out.contains("clean"),
        "{}",
        table.out
    );
    let csv = pair.platform(["check".as_ref(), "--format".as_ref(), "csv".as_ref(), uploads.as_os_str()]);
    assert_eq!(csv.out.lines().count(), 6, "a header and five answers: {}", csv.out);
}

#[test]
fn lines_that_are_no_digests_are_set_aside_counted_and_named() {
    let pair = ready(3);
    let digest = |n| hex::encode(listed(n).digest());
    let good = hex::encode(unlisted(0).digest());
    let text = format!("{}  a\nnot a digest  b\n{good}  c\n{}  d\n{}  e\n", digest(0), &good[..60], digest(0));
    let path = pair.write("hashes.sha256", text);
    let ended =
        pair.platform(["check".as_ref(), "--format".as_ref(), "jsonl".as_ref(), "--hashes".as_ref(), path.as_os_str()]);
    let answers = lines(&ended.out);
    let outcomes: Vec<&str> = answers.iter().map(|answer| answer["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["match", "not_checked", "no_match", "not_checked", "match"], "{}", ended.out);
    assert_eq!((&answers[1]["reason"], &answers[1]["line"]), (&"BAD_LINE".into(), &2.into()));
    assert!(ended.err.contains("5 = accepted 2 + duplicate 1 + retracted 0 + quarantined 2"), "{}", ended.err);

    for (name, text, reason) in [("none", "", "LIST_EMPTY"), ("prose", "this is\nno list\n", "UNKNOWN_LIST_FORMAT")] {
        let path = pair.write(name, text);
        let ended = pair.platform(["check".as_ref(), "--hashes".as_ref(), path.as_os_str()]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(70), ""));
        assert!(ended.err.contains(reason) && ended.err.contains(name), "{}", ended.err);
    }
}

#[test]
fn ctrl_c_ends_a_scan_in_order_and_the_same_command_goes_on() {
    let pair = ready(100);
    let hashes: String = (0..40_000).map(|n| format!("{}  name\n", hex::encode(unlisted(n).digest()))).collect();
    let path = pair.write("hashes.sha256", hashes);
    let out = pair.path("answers");
    let scan = || {
        let mut command = pair.platform_command();
        command.args(["scan", "--hashes"]).arg(&path).arg("--out").arg(&out);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let first = scan();
    eventually(|| fs::metadata(&out).ok().filter(|metadata| metadata.len() > 0));
    signal("-INT", &first);
    let first = ended(first);
    assert_eq!(first.code, Some(3), "{}", first.err);
    assert!(first.err.contains("go on with the same command"), "{}", first.err);
    let written = fs::read_to_string(&out).unwrap();
    assert!(written.ends_with('\n') && written.lines().count() < 40_000);

    let second = ended(scan());
    assert_eq!(second.code, Some(0), "{}", second.err);
    let whole = fs::read_to_string(&out).unwrap();
    assert!(whole.starts_with(&written) && whole.lines().count() == 40_000);
}

#[test]
fn a_running_platform_answers_on_its_socket_until_it_is_told_to_end() {
    let pair = ready(3);
    let run = pair.platform_command().arg("run").stderr(Stdio::piped()).spawn().unwrap();
    let socket = pair.platform_dir().join("veilmatch.sock");
    let mut stream = eventually(|| UnixStream::connect(&socket).ok());
    let file = pair.write("upload", "listed content");
    let requests = [
        json!({"id": 1, "digests": {"sha256": hex::encode(listed(0).digest())}}),
        json!({"id": "two", "digests": {"sha256": hex::encode(unlisted(0).digest())}, "name": "an upload"}),
        json!({"id": 3, "path": file}),
        json!({"id": 4, "path": "/not/there"}),
        json!({"id": 5, "digest": "?"}),
    ];
    for request in &requests {
        writeln!(stream, "{request}").unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let answers = lines(&text);
    let about = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answers.len(), requests.len(), "{text}");
    assert_eq!((&about(1.into())["outcome"], &about(1.into())["label"]), (&"match".into(), &"A1".into()));
    assert_eq!(
        (&about("two".into())["outcome"], &about("two".into())["name"]),
        (&"no_match".into(), &"an upload".into())
    );
    assert_eq!(about(3.into())["outcome"], "match");
    assert_eq!(about(4.into())["reason"], "VANISHED");
    assert_eq!(about(5.into())["reason"], "BAD_REQUEST");

    // The example for people with another language.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/check_socket.py");
    let said = Command::new("python3").arg(example).arg(&socket).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("match A1 {}\n", file.display()));

    // Another command finds the directory in use; status works beside it.
    let busy = pair.platform(["check".as_ref(), file.as_os_str()]);
    assert_eq!(busy.code, Some(70));
    assert!(busy.err.contains("(BUSY)"), "{}", busy.err);
    let status = pair.platform(["status", "--json"]);
    assert_eq!(lines(&status.out)[0]["in_use"], true, "{}", status.err);

    signal("-TERM", &run);
    let run = ended(run);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(!socket.exists());
}

/// A command under a limit for the length of files: what a full disk does to a database, without filling one.
fn limited(command: &Command, kib: u32) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2)]);
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

#[test]
fn a_full_disk_on_the_platform_ends_a_scan_that_then_goes_on() {
    let pair = ready(100);
    let hashes: String = (0..20_000).map(|n| format!("{}  name\n", hex::encode(unlisted(n).digest()))).collect();
    let path = pair.write("hashes.sha256", hashes);
    let mut scan = pair.platform_command();
    scan.args(["scan", "--quiet", "--hashes"]).arg(&path).arg("--out").arg(pair.path("answers"));
    let full = ended(limited(&scan, 1_500).stderr(Stdio::piped()).spawn().unwrap());
    assert!(matches!(full.code, Some(3 | 70)), "{:?} {}", full.code, full.err);
    assert!(
        full.err.contains("STORAGE") || full.err.contains("(IO)") || full.err.contains("(DATABASE)"),
        "{}",
        full.err
    );
    let whole = ended(scan.stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(whole.code, Some(0), "{}", whole.err);
    let answers = BufReader::new(fs::File::open(pair.path("answers")).unwrap()).lines();
    assert_eq!(answers.filter(|line| line.as_ref().unwrap().contains("\"no_match\"")).count(), 20_000);
}

#[test]
fn a_full_disk_keeps_no_half_of_a_list() {
    // What had been fetched of a list stayed when the disk was full, so that nothing else found room either.
    let mut pair = Pair::new(PROGRAMS);
    let sums: String = (0..30_000).map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect();
    let list = pair.write("list.sha256", sums);
    pair.publish(&list, "A1");
    pair.enrol("1000");
    pair.serve();
    let mut sync = pair.platform_command();
    sync.arg("sync");
    let full = ended(limited(&sync, 500).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(full.code, Some(70), "{}", full.err);
    assert!(full.err.contains("cannot write") && full.err.contains("(IO)"), "{}", full.err);
    // The code book came before, and is whole.
    let left = fs::read_dir(pair.platform_dir().join("lists/baseline")).unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<_> = left.filter(|path| path.extension().is_none_or(|of| of != "codebook")).collect();
    assert!(left.is_empty(), "half a file is in the way: {left:?}");
    assert_eq!(pair.platform(["sync"]).code, Some(0));
}

#[test]
fn a_full_disk_at_the_agency_changes_nothing_and_answers_nothing() {
    // SPEC §9.7
    let mut pair = ready(3);
    pair.kill_server();
    let sums: String = (0..40_000).map(|n| format!("{}  name\n", hex::encode(listed(n).digest()))).collect();
    let list = pair.write("more.sha256", sums);
    let mut import = pair.agency_command();
    import.args(["list", "import", "baseline"]).arg(&list).args(["--label", "B2"]);
    let full = ended(limited(&import, 512).stderr(Stdio::piped()).spawn().unwrap());
    assert_ne!(full.code, Some(0));
    assert!(full.err.contains("hint:"), "{}", full.err);
    let status = pair.agency(["list", "status", "baseline"]);
    assert!(status.contains("pending:   0 to add"), "{status}");
    assert!(pair.agency(import.get_args().skip(2)).contains("accepted 40000"));

    // A server that cannot record does not answer; one with room again does.
    let mut serve = pair.agency_command();
    serve.arg("serve");
    let size = fs::metadata(pair.agency_dir().join("veilmatch.db")).unwrap().len();
    let server = limited(&serve, u32::try_from(size / 1_024).unwrap() + 48).stderr(Stdio::piped()).spawn().unwrap();
    let hashes: String = (0..20_000).map(|n| format!("{}  name\n", hex::encode(unlisted(n).digest()))).collect();
    let path = pair.write("hashes.sha256", hashes);
    let config = pair.platform_dir().join("config.toml");
    let patient = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{patient}\npatience_s = 1\n")).unwrap();
    let mut scan = pair.platform_command();
    scan.args(["scan", "--quiet", "--hashes"]).arg(&path).arg("--out").arg(pair.path("answers"));
    let mut refused = None;
    for n in 0..200 {
        // One frame after another until the records do not fit any more.
        let check = pair.write("one", format!("{}  name\n", hex::encode(unlisted(100_000 + n).digest())));
        let ended = pair.platform(["check".as_ref(), "--hashes".as_ref(), check.as_os_str()]);
        if ended.code != Some(0) {
            refused = Some(ended);
            break;
        }
    }
    let refused = refused.expect("the limit is met");
    assert!(refused.err.contains("AUDIT_UNAVAILABLE") || refused.err.contains("OFFLINE"), "{}", refused.err);
    let stopped = ended(server);
    assert!(stopped.err.contains("(AUDIT_FAILED)"), "{}", stopped.err);
    fs::write(&config, patient).unwrap();
    pair.serve();
    assert_eq!(ended(scan.stderr(Stdio::piped()).spawn().unwrap()).code, Some(0));
}

/// The program must end with this code and name this reason.
fn assert_fails(ended: &Ended, code: i32, reason: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.err);
    assert!(ended.err.contains(&format!("({reason})")) && ended.err.contains("hint: "), "{reason}: {}", ended.err);
}

#[test]
fn a_file_that_is_not_the_scans_own_is_left_alone() {
    let pair = ready(3);
    let hashes = pair.write("hashes.sha256", format!("{}  name\n", hex::encode(unlisted(0).digest())));
    let folder = pair.path("uploads");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    let scan = |what: &Path, out: &str| {
        let mut command = pair.platform_command();
        command.args(["scan", "--quiet"]);
        if what == hashes {
            command.arg("--hashes");
        }
        ended(command.arg(what).arg("--out").arg(pair.path(out)).stderr(Stdio::piped()).spawn().unwrap())
    };
    let mine = pair.write("mine", "my own file\n");
    assert_fails(&scan(&hashes, "mine"), 70, "OUT_EXISTS");
    assert_eq!(fs::read_to_string(mine).unwrap(), "my own file\n");

    assert_eq!(scan(&hashes, "answers").code, Some(0));
    assert_fails(&scan(&folder, "answers"), 70, "OTHER_SCAN");
    fs::write(&hashes, format!("{}  name\n", hex::encode(unlisted(1).digest()))).unwrap();
    assert_fails(&scan(&hashes, "answers"), 70, "INPUT_CHANGED");

    assert_eq!(scan(&folder, "tree").code, Some(0));
    let tree = fs::read_to_string(pair.path("tree")).unwrap();
    fs::write(pair.path("tree"), format!("{tree}something else\n")).unwrap();
    assert_fails(&scan(&folder, "tree"), 70, "OUT_DAMAGED");
    fs::write(pair.path("tree"), tree).unwrap();
    for record in fs::read_dir(pair.platform_dir().join("scans")).unwrap() {
        fs::write(record.unwrap().path(), "{}").unwrap();
    }
    assert_fails(&scan(&folder, "tree"), 70, "SCAN_RECORD");
}

#[test]
fn what_the_machine_denies_is_named() {
    let pair = ready(3);
    let file = pair.write("upload", "listed content");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let check = pair.platform_command().arg("check").arg(&file).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let unprinted = ended(check);
    assert_eq!(unprinted.code, Some(70));
    assert!(unprinted.err.contains("(PRINT)"), "{}", unprinted.err);

    let mut without_files = Command::new("sh");
    without_files.args(["-c", "ulimit -n 4; exec \"$0\" \"$@\"", PROGRAMS.platform, "check"]).arg(&file);
    let ended_early = ended(without_files.stderr(Stdio::piped()).spawn().unwrap());
    assert!(ended_early.err.contains("(SYSTEM)"), "{}", ended_early.err);

    let homeless = Command::new(PROGRAMS.platform).arg("status").env_clear().stderr(Stdio::piped()).spawn().unwrap();
    assert_fails(&ended(homeless), 70, "NO_HOME");
}

#[test]
fn several_lists_must_be_told_apart() {
    let mut pair = Pair::new(PROGRAMS);
    pair.agency(["list", "create", "other", "--label-bytes", "0", "--kinds", "md5"]);
    let list = pair.write("list.sha256", format!("{}  name\n", hex::encode(listed(0).digest())));
    pair.publish(&list, "A1");
    pair.enrol("1000");
    pair.serve();
    let file = pair.write("upload", "content");
    let check = |list: &[&str]| pair.platform(["check"].iter().chain(list).copied().chain([file.to_str().unwrap()]));
    assert_fails(&check(&[]), 64, "WHICH_LIST");
    assert_fails(&pair.platform(["sync", "--list", "other"]), 70, "NOTHING_PUBLISHED");
    assert_eq!(pair.platform(["sync", "--list", "baseline"]).code, Some(0));
    assert_eq!(check(&["--list", "baseline"]).code, Some(0));
    assert_fails(&check(&["--list", "other"]), 70, "NO_LIST");
}

#[test]
fn a_configuration_with_an_unknown_key_and_a_contact_that_breaks_lines_are_refused() {
    let pair = Pair::new(PROGRAMS);
    let contact = ["init", "--platform", "platform.example", "--contact", "two\nlines"];
    assert_fails(&pair.platform(contact), 70, "BAD_CONTACT");
    assert_eq!(pair.platform(["init", "--platform", "platform.example"]).code, Some(0));
    for (dir, command) in [(pair.platform_dir(), pair.platform_command()), (pair.agency_dir(), pair.agency_command())] {
        let config = dir.join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("no_such_key = 3\n{text}")).unwrap();
        let status: &[&str] = if dir == pair.platform_dir() { &["status"] } else { &["list", "status"] };
        let mut command = command;
        let refused = ended(command.args(status).stderr(Stdio::piped()).spawn().unwrap());
        assert!(refused.err.contains("(BAD_CONFIG)") && refused.err.contains("no_such_key"), "{}", refused.err);
        assert_ne!(refused.code, Some(0));
    }
}

#[test]
fn a_socket_that_is_taken_and_a_file_in_its_place_stay() {
    let pair = ready(3);
    let run = |socket: &Path| {
        let mut command = pair.platform_command();
        ended(command.args(["run", "--socket"]).arg(socket).stderr(Stdio::piped()).spawn().unwrap())
    };
    let taken = pair.path("taken.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&taken).unwrap();
    assert_fails(&run(&taken), 70, "SOCKET_TAKEN");
    let file = pair.write("file", "mine");
    assert_fails(&run(&file), 70, "NOT_A_SOCKET");
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn what_the_agency_cannot_do_is_refused_by_name() {
    let mut pair = ready(3);
    let agency = |arguments: &[&str]| {
        let mut command = pair.agency_command();
        ended(command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    pair.agency(["list", "create", "empty", "--label-bytes", "0", "--kinds", "md5"]);
    assert_fails(&agency(&["key", "rotate", "empty"]), 3, "NOTHING_PUBLISHED");
    assert_fails(&agency(&["list", "create", "empty", "--label-bytes", "0", "--kinds", "md5"]), 3, "LIST_EXISTS");
    assert_fails(&agency(&["list", "status", "absent"]), 3, "UNKNOWN_LIST");
    let (garbage, out) = (pair.write("garbage", "no request"), pair.path("out"));
    let add = ["client", "add", "--request", garbage.to_str().unwrap(), "--out", out.to_str().unwrap()];
    assert_fails(&agency(&add), 3, "BAD_ENROLMENT_REQUEST");
    assert!(!out.exists());
    let import = |path: &Path| agency(&["list", "import", "baseline", path.to_str().unwrap(), "--label", "A1"]);
    assert_fails(&import(&pair.path("absent")), 1, "IO");
    assert_fails(&import(&pair.write("nothing", "")), 3, "BAD_HASH_LIST");
    let long = pair.path("list.sha256");
    assert_fails(
        &agency(&["list", "import", "baseline", long.to_str().unwrap(), "--label", &"x".repeat(65)]),
        3,
        "LABEL_TOO_LONG",
    );
    assert_fails(&agency(&["serve"]), 4, "ALREADY_SERVING");
    pair.kill_server();
    // An address of no machine of ours (RFC 5737).
    let mut serve = pair.agency_command();
    let served = ended(serve.args(["serve", "--listen", "192.0.2.1:1"]).stderr(Stdio::piped()).spawn().unwrap());
    assert_fails(&served, 1, "NETWORK");
}
