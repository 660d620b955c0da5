//! The life of an entry, through both programs: from a source's file to a running platform's answer, and out again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Lines, Write},
    os::unix::net::UnixStream,
    process::{Child, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use veilmatch_tests::programs::{Pair, Paths, eventually};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

/// An agency with an empty list `abuse` of three kinds, a server, and a platform that runs.
struct Live {
    pair: Pair,
    run: Child,
    stream: UnixStream,
    answers: Lines<BufReader<UnixStream>>,
}

impl Live {
    fn new() -> Self {
        let mut pair = Pair::new(PROGRAMS);
        pair.agency(["list", "create", "abuse", "--label-bytes", "16"]);
        pair.agency(["list", "publish", "abuse"]);
        pair.agency(["list", "publish", "baseline"]);
        pair.enrol("1000000");
        pair.serve();
        assert_eq!(pair.platform(["sync"]).code, Some(0));
        let run = pair.platform_command().arg("run").stderr(Stdio::null()).spawn().unwrap();
        let socket = pair.platform_dir().join("veilmatch.sock");
        let stream = eventually(|| UnixStream::connect(&socket).ok());
        let answers = BufReader::new(stream.try_clone().unwrap()).lines();
        Self { pair, run, stream, answers }
    }

    /// Runs a command of the agency on the list; gives what it printed.
    fn list(&self, command: &str, arguments: &[&str]) -> String {
        self.pair.agency(["list", command, "abuse"].iter().chain(arguments))
    }

    /// Writes a file and takes it into the list.
    fn import(&self, name: &str, text: &str, arguments: &[&str]) -> String {
        let file = self.pair.write(name, text);
        let file = file.to_str().unwrap();
        self.list("import", &[&[file], arguments].concat())
    }

    fn publish(&self) {
        self.list("publish", &[]);
    }

    fn ask(&mut self, digests: &Value) -> Value {
        self.request(&json!({"id": 1, "list": "abuse", "digests": digests}))
    }

    fn request(&mut self, request: &Value) -> Value {
        writeln!(&self.stream, "{request}").unwrap();
        serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap()
    }

    /// Asks until the answer is this one.
    fn until(&mut self, digests: &Value, outcome: &str) -> Value {
        eventually(|| Some(self.ask(digests)).filter(|answer| answer["outcome"] == outcome))
    }

    fn version(&self) -> u64 {
        let status: Value = serde_json::from_str(&self.list("status", &["--json"])).unwrap();
        status["version"].as_u64().unwrap()
    }

    /// Waits until the platform has the version that was published last, and asks.
    fn now(&mut self, digests: &Value) -> Value {
        let version = self.version();
        eventually(|| Some(self.ask(digests)).filter(|answer| answer["version"].as_u64() == Some(version)))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn md5(number: u32) -> String {
    hex::encode(&Sha512::digest(format!("veilmatch md5 {number}"))[..16])
}

fn sha256(number: u32) -> String {
    hex::encode(&Sha512::digest(format!("veilmatch sha256 {number}"))[..32])
}

#[test]
fn a_tombstone_takes_the_entry_of_its_member_out() {
    let page = |rows: &str, count: u32| {
        format!(
            "<?xml version=\"1.0\"?>\n<queryResult xmlns=\"https://hashsharing.ncmec.org/hashsharing/v2\">\n\
             <images count=\"{count}\" maxTimestamp=\"2026-05-02T00:00:00Z\">{rows}</images></queryResult>\n"
        )
    };
    let image = |member, id, time, number| {
        format!(
            "<image><member id=\"{member}\">m</member><timestamp>{time}</timestamp><id>{id}</id>\
             <classification>A1</classification><fingerprints><md5>{}</md5></fingerprints></image>",
            md5(number)
        )
    };
    let gone = |member, id, time| {
        format!(
            "<deletedImage><member id=\"{member}\">m</member><id>{id}</id><timestamp>{time}</timestamp></deletedImage>"
        )
    };
    let mut live = Live::new();
    // Two members use the same id for other things.
    let rows = [image(42, "x", "2026-05-01T00:00:00Z", 1), image(43, "x", "2026-05-01T00:00:00Z", 2)].concat();
    let told = live.import("one.xml", &page(&rows, 2), &["--source", "ncmec"]);
    assert!(told.contains("read 2 = accepted 2 + duplicate 0 + retracted 0 + quarantined 0"), "{told}");
    live.publish();
    let answer = live.until(&json!({"md5": md5(1)}), "match");
    assert_eq!(
        (&answer["label"], &answer["scheme"], &answer["source"]),
        (&json!("ncmec:A1"), &json!("ncmec"), &json!("ncmec"))
    );

    // The tombstone of 44 comes before its entry, which is older and never listed.
    let rows = [gone(42, "x", "2026-05-02T00:00:00Z"), gone(44, "x", "2026-05-02T00:00:00Z")].concat();
    live.import("two.xml", &page(&rows, 2), &["--source", "ncmec"]);
    let told = live.import(
        "three.xml",
        &page(&image(44, "x", "2026-05-01T00:00:00Z", 3), 1),
        &["--source", "ncmec", "--publish"],
    );
    assert!(told.contains("retracted 1"), "{told}");
    live.until(&json!({"md5": md5(1)}), "no_match");
    assert_eq!(live.now(&json!({"md5": md5(2)}))["outcome"], "match");
    assert_eq!(live.now(&json!({"md5": md5(3)}))["outcome"], "no_match");
}

#[test]
fn a_withdrawn_status_takes_the_digest_out() {
    let page = |status, time| {
        json!({"count": 1, "nextPageToken": "", "nextSetTimestamp": time, "hasMoreRecords": false, "hashRecords": [{
            "lastModtimestamp": time, "signalType": "VideoMD5", "hashValue": md5(7), "hashStatus": status,
            "caseNumbers": {"case-1": status}, "CSPFeedbacks": []
        }]})
        .to_string()
    };
    let mut live = Live::new();
    live.import("one.json", &page("Active", 1_700_000_000), &["--source", "stopncii", "--publish"]);
    let answer = live.until(&json!({"md5": md5(7)}), "match");
    assert_eq!(answer["scheme"], "stopncii");
    live.import("two.json", &page("Withdrawn", 1_700_000_100), &["--source", "stopncii", "--publish"]);
    live.until(&json!({"md5": md5(7)}), "no_match");
    // The first page, given again, is older than what is known.
    live.import("one.json", &page("Active", 1_700_000_000), &["--source", "stopncii"]);
    assert!(live.list("publish", &[]).contains("nothing has changed"));
}

fn table(rows: &[(&str, u32)]) -> String {
    rows.iter().fold("id,md5,sha256\n".to_owned(), |text, (id, number)| {
        text + &format!("{id},{},{}\n", md5(*number), sha256(*number))
    })
}

const ID: [&str; 2] = ["--column", "id=id"];

#[test]
fn a_record_that_is_retracted_by_its_key_leaves_and_what_another_source_says_stays() {
    let mut live = Live::new();
    live.import(
        "one.csv",
        &table(&[("a", 1), ("b", 2)]),
        &[&ID[..], &["--source", "one", "--label", "first"]].concat(),
    );
    live.import(
        "two.csv",
        &table(&[("x", 2)]),
        &[&ID[..], &["--source", "two", "--category", "uk:B", "--publish"]].concat(),
    );
    assert_eq!(live.until(&json!({"sha256": sha256(2)}), "match")["label"], "first");
    live.list("retract", &["--source", "one", "--id", "a", "--id", "b", "--publish"]);
    live.until(&json!({"sha256": sha256(1)}), "no_match");
    let answer = live.now(&json!({"sha256": sha256(2)}));
    assert_eq!(
        (&answer["outcome"], &answer["label"], &answer["source"]),
        (&json!("match"), &json!("uk:B"), &json!("two"))
    );
}

#[test]
fn a_digest_that_is_withdrawn_leaves_and_its_source_does_not_bring_it_back() {
    let mut live = Live::new();
    // Rows without keys: there is no record to withdraw.
    let lines = (1..=3).map(|number| format!("sha256 {}\n", sha256(number))).collect::<String>();
    let feed = |live: &Live| live.import("feed.txt", &lines, &["--source", "feed"]);
    feed(&live);
    live.publish();
    live.until(&json!({"sha256": sha256(1)}), "match");
    let named = format!("sha256:{}", sha256(1));
    let dry = live.list("retract", &["--digest", &named, "--source", "feed", "--dry-run"]);
    assert!(dry.contains("retracted 1") && dry.contains("dry run"), "{dry}");
    let told = live.list("retract", &["--digest", &named, "--source", "feed", "--publish"]);
    assert!(told.contains("read 1 = accepted 0 + duplicate 0 + retracted 1 + quarantined 0"), "{told}");
    live.until(&json!({"sha256": sha256(1)}), "no_match");
    assert!(feed(&live).contains("read 3 = accepted 0 + duplicate 2 + retracted 1 + quarantined 0"));
    assert!(live.list("publish", &[]).contains("nothing has changed"));

    let many = live.pair.write("many.txt", format!("{named}\nsha256:{}\n", sha256(2)));
    let many = many.to_str().unwrap();
    live.list("retract", &["--digests", many, "--publish"]);
    assert_eq!(live.now(&json!({"sha256": sha256(2)}))["outcome"], "no_match");
    assert_eq!(live.now(&json!({"sha256": sha256(3)}))["outcome"], "match");

    let unknown = format!("sha256:{}", sha256(9));
    let command = ["list", "retract", "abuse", "--digest", &unknown];
    let refused = live.pair.agency_command().args(command).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains(&format!("no source claims {unknown}; nothing was changed")), "{told}");

    live.list("retract", &["--digests", many, "--source", "feed", "--undo"]);
    feed(&live);
    live.publish();
    live.until(&json!({"sha256": sha256(1)}), "match");
}

#[test]
fn a_platform_that_was_away_for_longer_than_deltas_reach_fetches_the_whole_file() {
    // SPEC §7.6
    let mut pair = Pair::new(PROGRAMS);
    let sums = |numbers: std::ops::Range<u32>| numbers.map(|n| format!("{}  n\n", sha256(n))).collect::<String>();
    let list = pair.write("list.txt", sums(0..100));
    pair.publish(&list, "A1");
    pair.enrol("1000000");
    let sync = |pair: &mut Pair| {
        pair.serve();
        let synced = pair.platform(["sync"]);
        assert_eq!(synced.code, Some(0), "{}", synced.err);
        synced.out
    };
    let retract = |pair: &Pair, number: u32| {
        let gone = pair.write("gone.txt", sums(number..number + 1));
        pair.agency(["list", "retract", "baseline", gone.to_str().unwrap(), "--publish"]);
    };
    sync(&mut pair);
    let asked = pair.write("asked.txt", sums(0..16));
    let matches = |pair: &Pair| {
        let check = ["check", "--format", "csv", "--hashes", asked.to_str().unwrap()];
        let answers = pair.platform(check).out;
        answers.lines().skip(1).filter(|line| !line.contains("no_match")).count()
    };
    assert_eq!(matches(&pair), 16);
    pair.kill_server();
    (0..12).for_each(|number| retract(&pair, number));
    let folder = pair.agency_dir().join("lists/baseline");
    let length = |name: String| std::fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
    let deltas: u64 = (2..=13).map(|version| length(format!("{version}.delta"))).sum();
    assert!(length("2.delta".into()) == 0 && deltas > 0 && deltas <= length("13.vml".into()), "{deltas}");
    let whole = sync(&mut pair);
    assert!(whole.contains("was version 1") && !whole.contains("as changes"), "{whole}");
    assert_eq!(matches(&pair), 4);
    // What is left of them leads on from there.
    pair.kill_server();
    retract(&pair, 12);
    assert!(sync(&mut pair).contains("fetched as changes"));
    assert_eq!(matches(&pair), 3);
}

#[test]
fn two_sources_dates_known_files_and_jumps_decide_what_is_listed() {
    let mut live = Live::new();
    let import = |live: &Live, name: &str, source: &str, rows: &[(&str, u32)], more: &[&str]| {
        live.import(name, &table(rows), &[&ID[..], &["--source", source], more].concat())
    };
    let listed = |live: &mut Live, number| live.now(&json!({"sha256": sha256(number)}))["outcome"] == "match";
    // Known files are set aside.
    let known = live.pair.write("known.txt", format!("sha256 {}\nmd5 {}\n", sha256(3), md5(3)));
    live.list("exclude", &[known.to_str().unwrap()]);
    let told = import(&live, "one.csv", "one", &[("a", 1), ("b", 2), ("c", 3)], &[]);
    assert!(told.contains("quarantined: 2 KNOWN_FILE"), "{told}");
    // Dates that have passed, and that have not come.
    import(&live, "past.csv", "past", &[("p", 4)], &["--valid-until", "2020-01-01"]);
    import(&live, "future.csv", "future", &[("f", 5)], &["--valid-from", "2999-01-01"]);
    live.publish();
    let found: Vec<bool> = (1..=5).map(|number| listed(&mut live, number)).collect();
    assert_eq!(found, [true, true, false, false, false]);
    // Two must vouch.
    import(&live, "two.csv", "two", &[("z", 2)], &[]);
    live.list("policy", &["--min-sources", "2"]);
    live.publish();
    assert_eq!((listed(&mut live, 1), listed(&mut live, 2)), (false, true));
    // A source that shrinks suddenly.
    let many: Vec<(String, u32)> = (100..1_200).map(|number| (number.to_string(), number)).collect();
    let rows = |count: usize| many[..count].iter().map(|(id, number)| (id.as_str(), *number)).collect::<Vec<_>>();
    import(&live, "many.csv", "many", &rows(1_100), &[]);
    let fewer = live.pair.write("fewer.csv", table(&rows(800)));
    let import = ["list", "import", "abuse", fewer.to_str().unwrap(), "--column", "id=id", "--source", "many"];
    let refused = live.pair.agency_command().args(import).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("(JUMP)"));
    live.pair.agency(import.iter().chain(&["--allow-jump"]));
}

#[test]
fn a_weak_match_without_the_stronger_one_is_told() {
    let mut live = Live::new();
    live.import(
        "one.csv",
        &table(&[("a", 1)]),
        &[&ID[..], &["--source", "one", "--label", "A1", "--publish"]].concat(),
    );
    let both = live.until(&json!({"md5": md5(1), "sha256": sha256(1)}), "match");
    assert!(both.get("weak_only").is_none(), "{both}");
    let planted = live.ask(&json!({"md5": md5(1), "sha256": sha256(2)}));
    assert_eq!((&planted["outcome"], &planted["weak_only"]), (&json!("match"), &json!(true)), "{planted}");
}

#[test]
fn canaries_are_matched_like_any_other_entry() {
    let mut live = Live::new();
    live.import("one.csv", &table(&[("a", 1)]), &[&ID[..], &["--source", "one", "--category", "uk:A"]].concat());
    let out = live.pair.path("canaries");
    let out = out.to_str().unwrap();
    let told = live.list(
        "canary",
        &["--platform", "p.example", "--as", "one", "--category", "uk:A", "--count", "3", "--out", out],
    );
    assert!(told.contains("9 digests"), "{told}");
    // A policy of two sources leaves them listed.
    live.list("policy", &["--min-sources", "2"]);
    live.publish();
    assert_eq!(live.now(&json!({"sha256": sha256(1)}))["outcome"], "no_match");
    for number in 1..=3 {
        let path = format!("{out}/canary-{number:05}.bin");
        let answer = live.request(&json!({"id": 1, "list": "abuse", "path": path}));
        let label = (&answer["outcome"], &answer["label"], &answer["source"]);
        assert_eq!(label, (&json!("match"), &json!("uk:A"), &json!("one")), "{answer}");
    }
}

#[test]
fn the_past_of_a_list_can_be_asked() {
    let live = Live::new();
    live.import(
        "one.csv",
        &table(&[("a", 1), ("b", 2)]),
        &[&ID[..], &["--source", "one", "--label", "A1", "--publish"]].concat(),
    );
    live.import(
        "two.csv",
        &table(&[("a", 1), ("c", 3)]),
        &[&ID[..], &["--source", "one", "--label", "A1", "--allow-jump"]].concat(),
    );
    let pending = live.list("diff", &[]);
    assert!(
        pending.contains("from version 2 to what is to be published: 2 added, 0 relabelled, 2 removed"),
        "{pending}"
    );
    live.publish();
    let diff = live.list("diff", &["--from", "2", "--to", "3", "--entries"]);
    assert!(
        diff.contains(&format!("+ sha256:{} ", sha256(3))) && diff.contains(&format!("- md5:{} ", md5(2))),
        "{diff}"
    );
    let history = live.list("history", &["--digest", &sha256(2)]);
    assert!(
        history.contains("source one record b, custom:A1: claimed by change 1")
            && history.contains("taken back by change 2"),
        "{history}"
    );
    assert_eq!(live.list("history", &[]).lines().count(), 4);
    let export = |version: &str| live.list("export", &["--out", "-", "--version", version]);
    assert_eq!((export("1").lines().count(), export("2").lines().count()), (1, 5));
    assert!(
        export("2").contains(&format!("sha256,{},custom,A1,,one,\n", sha256(2))) && !export("3").contains(&sha256(2))
    );
    assert!(live.list("compact", &[]).contains("0 withdrawn claims forgotten"));
}
