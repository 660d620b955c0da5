//! An agency that shows two platforms two lists under one key, or one list under two keys: what witnesses prevent, and what an
//! auditor finds where there were none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use veilmatch_tests::{
    copy,
    programs::{Ended, Party, eventually, reconciled, today},
};

const AGENCY: &str = env!("CARGO_BIN_EXE_agency");
const PLATFORM: &str = env!("CARGO_BIN_EXE_platform");
const AUDITOR: &str = env!("CARGO_BIN_EXE_auditor");

/// A quarter of the digest that the agency lists and its copy does not.
const LISTED: &str = "0123456789abcdef";

/// In what the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differ {
    Lists,
    /// The keys of an epoch of one list.
    Keys,
}

/// An agency, a copy of it that signs as it does and differs, and a platform at each.
struct Split {
    dir: TempDir,
    running: Vec<Child>,
    differ: Differ,
}

impl Drop for Split {
    fn drop(&mut self) {
        for child in &mut self.running {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Split {
    fn new(differ: Differ) -> Self {
        let split = Self { dir: tempfile::tempdir().unwrap(), running: Vec::new(), differ };
        let [honest, twin] = [free_address(), free_address()];
        split.agency("agency", &["init", "--agency", "agency.example", "--address", &honest]);
        split.agency("agency", &["list", "create", "baseline", "--label-bytes", "4", "--kinds", "sha256"]);
        for platform in ["one", "two"] {
            split.enrol(platform);
        }
        if differ == Differ::Keys {
            split.import("agency", LISTED);
            split.agency("agency", &["list", "publish", "baseline"]);
        }
        copy(&split.path("agency"), &split.path("twin"));
        split.edit("twin/config.toml", &honest, &twin);
        split.edit("two/invitation.json", &honest, &twin);
        if differ == Differ::Lists {
            split.import("agency", LISTED);
            split.import("twin", "fedcba9876543210");
        }
        split
    }

    fn import(&self, agency: &str, quarter: &str) {
        let sums = self.path(&format!("{agency}.sha256"));
        fs::write(&sums, format!("{}  file\n", quarter.repeat(4))).unwrap();
        self.agency(agency, &["list", "import", "baseline", sums.to_str().unwrap()]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} does not say {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn run(&self, program: &str, dir: &str, arguments: &[&str]) -> Output {
        Command::new(program).arg("--dir").arg(self.path(dir)).args(arguments).output().unwrap()
    }

    fn agency(&self, dir: &str, arguments: &[&str]) {
        let output = self.run(AGENCY, dir, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn enrol(&self, platform: &str) {
        let done = self.run(PLATFORM, platform, &["init", "--platform", &format!("{platform}.example")]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let (request, invitation) = (self.path(platform).join("request.json"), self.path(&format!("{platform}.json")));
        let [request, invitation] = [&request, &invitation].map(|path| path.to_str().unwrap().to_owned());
        self.agency("agency", &["client", "add", "--request", &request, "--out", &invitation]);
        let done = self.run(PLATFORM, platform, &["join", &invitation]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    fn publish(&self, agency: &str) {
        match self.differ {
            Differ::Lists => self.agency(agency, &["list", "publish", "baseline"]),
            Differ::Keys => self.agency(agency, &["key", "rotate", "baseline"]),
        }
    }

    fn serve(&mut self, agency: &str) {
        let log = fs::File::create(self.path(&format!("{agency}.log"))).unwrap();
        let mut command = Command::new(AGENCY);
        command.arg("--dir").arg(self.path(agency)).arg("serve").stdout(Stdio::null()).stderr(log);
        self.running.push(command.spawn().unwrap());
    }

    fn member(&self, file: &str, member: &str) -> String {
        let json: Value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        json[member].as_str().unwrap().to_owned()
    }

    /// Starts five witnesses and writes the policy that four of them suffice.
    fn witnesses(&mut self) -> PathBuf {
        let log = self.member("one.json", "manifest_key");
        let mut policy = format!("log {log}\n");
        for n in 1..=5 {
            let (key, state) = (self.path(&format!("w{n}.key")), self.path(&format!("w{n}")));
            let name = format!("witness.example/{n}");
            let made = Command::new(AUDITOR).args(["witness", "--new-key", &name]).arg(&key).output().unwrap();
            assert!(made.status.success(), "{}", text(&made.stderr));
            let mut command = Command::new(AUDITOR);
            command.args(["witness", "--listen", "127.0.0.1:0", "--log", &log, "--key"]).arg(key);
            let mut witness = command.arg("--state").arg(state).stderr(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(witness.stderr.take().unwrap()).read_line(&mut line).unwrap();
            let url = line.trim().rsplit(' ').next().unwrap();
            writeln!(policy, "witness w{n} {} {url}", text(&made.stdout).trim()).unwrap();
            self.running.push(witness);
        }
        policy += "group four 4 w1 w2 w3 w4 w5\nquorum four\n";
        let path = self.path("policy.txt");
        fs::write(&path, policy).unwrap();
        path
    }

    fn check(&self, platform: &str) -> Output {
        fs::write(self.path("digests"), LISTED.repeat(4) + "\n").unwrap();
        let digests = self.path("digests");
        self.run(PLATFORM, platform, &["check", "--hashes", digests.to_str().unwrap(), "--kind", "sha256"])
    }

    /// Leaves of the query log: what was asked.
    fn frames(&self, agency: &str) -> u64 {
        let status = text(&self.run(AGENCY, agency, &["log", "status"]).stdout);
        let leaves = status.lines().filter(|line| line.contains("/query/")).filter_map(|line| line.split(": ").nth(1));
        leaves.map(|leaves| leaves.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

#[test]
fn two_lists_or_keys_are_refused_before_a_question_where_four_of_five_witnesses_count() {
    // SPEC §17.5, §17.6
    for (differ, twin_asks_witnesses) in [(Differ::Lists, false), (Differ::Keys, true)] {
        let mut split = Split::new(differ);
        let policy = split.witnesses();
        for platform in ["one", "two"] {
            fs::copy(&policy, split.path(platform).join("policy.txt")).unwrap();
        }
        split.edit("agency/config.toml", "# policy = \"\"", &format!("policy = {policy:?}"));
        split.publish("agency");
        split.serve("agency");
        eventually(|| split.run(PLATFORM, "one", &["sync"]).status.success().then_some(()));
        assert!(text(&split.check("one").stdout).contains("match"));

        split.publish("twin");
        if twin_asks_witnesses {
            split.edit("twin/config.toml", "# policy = \"\"", &format!("policy = {policy:?}"));
            split.serve("twin");
            // The witnesses show it another tree with its own signature: it does not serve.
            let halted =
                || fs::read_to_string(split.path("twin.log")).unwrap().contains("has seen another tree (LOG_HALTED)");
            eventually(|| halted().then_some(()));
        } else {
            split.serve("twin");
            let refused = eventually(|| {
                let ended = split.run(PLATFORM, "two", &["sync"]);
                Some(ended).filter(|ended| text(&ended.stderr).contains("UNPROVEN_LOG"))
            });
            assert!(!refused.status.success());
        }
        let asked = split.check("two");
        assert!(!asked.status.success() && !text(&asked.stdout).contains("match"), "{}", text(&asked.stdout));
        assert_eq!(split.frames("twin"), 0);
    }
}

#[test]
fn where_no_witness_is_in_common_the_views_of_two_platforms_show_two_lists_or_keys_afterwards() {
    // SPEC §8.6, §21.1
    for differ in [Differ::Lists, Differ::Keys] {
        let mut split = Split::new(differ);
        for (agency, platform) in [("agency", "one"), ("twin", "two")] {
            split.publish(agency);
            split.serve(agency);
            eventually(|| split.run(PLATFORM, platform, &["sync"]).status.success().then_some(()));
            split.check(platform);
            assert_eq!(split.frames(agency), 1);
            let done = split.run(PLATFORM, platform, &["log", "publish"]);
            assert!(done.status.success(), "{}", text(&done.stderr));
        }
        let found = split.audit();
        assert_eq!(found.code, Some(1), "{}", found.err);
        let found = found.out;
        assert!(found.contains("M03 critical"), "{found}");
        // The day is not over.
        assert!(!found.contains("Q06") && !found.contains("D01") && found.contains("not judged"), "{found}");
    }
}

impl Split {
    /// What an auditor finds who gets the agency's logs as it likes to show them, and both platforms'.
    fn audit(&self) -> Ended {
        for log in ["manifest", "query"] {
            self.agency("agency", &["log", "export", "--log", log, self.path(log).to_str().unwrap()]);
        }
        let today = today();
        let names = [("one", "one.example"), ("two", "two.example")];
        let platforms = names.map(|(platform, name)| {
            let bundle = self.path(&format!("bundle-{platform}"));
            let export = ["log", "export", "--from", &today, "--to", &today, "--out", bundle.to_str().unwrap()];
            let done = self.run(PLATFORM, platform, &export);
            assert!(done.status.success(), "{}", text(&done.stderr));
            Party { name, request: self.path(platform).join("request.json"), bundle }
        });
        reconciled(AUDITOR, &self.path(""), &self.path("one.json"), &platforms)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
