//! `veilmatch-audit witness` as others meet it: over loopback, killed, restarted, and asked by a log that forks.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::SigningKey;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Witness,
    policy::Policy,
    source::{Access, Site, Submitted},
    tree::{Hash, consistency_proof, root_at},
    witness::{AddCheckpoint, checkpoint_path},
};
use veilmatch_protocol::{merkle::leaf_hash, note::Verifier};

const ORIGIN: &str = "agency.example/veilmatch/query/2026h2";
const PROGRAM: &str = env!("CARGO_BIN_EXE_veilmatch-audit");

/// A folder with a key and a state; the running program, if it runs.
struct World {
    dir: TempDir,
    witness: Witness,
    running: Option<(Child, String)>,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let made =
            Command::new(PROGRAM).args(["witness", "--new-key", "w.example/one"]).arg(dir.path().join("key")).output();
        let made = String::from_utf8(made.unwrap().stdout).unwrap();
        Self { witness: Witness::parse(made.trim_end()).unwrap(), dir, running: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["witness", "--listen", "127.0.0.1:0", "--log", &log_key().to_string()]);
        command.arg("--key").arg(self.dir.path().join("key")).arg("--state").arg(self.dir.path().join("state"));
        command
    }

    fn start(self) -> Self {
        self.start_with(&[])
    }

    fn start_with(mut self, more: &[&Path]) -> Self {
        let mut child = self.command().args(more).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().split_once("listening on ").map(|(_, url)| url.to_owned()));
        // What it says later is read to its end, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        self.running = Some((child, url.unwrap()));
        self
    }

    fn url(&self) -> &str {
        &self.running.as_ref().unwrap().1
    }

    fn submit(&self, log: &Log, size: u64, known: u64) -> io::Result<Submitted> {
        let site = Site::new(self.url(), &Access::default())?;
        let proof = |old| Ok(consistency_proof(&log.0[..], old, size)?);
        site.submit(&log.note(size), size, known, proof, &self.witness, now() + 30)
    }

    /// Status, content type and body of an answer.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.url().trim_start_matches("http://")).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A witness that refuses a long body does not read it to its end.
        let _ = stream.write_all(body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), kind.to_owned(), body.to_owned())
    }

    fn add(&self, request: &AddCheckpoint) -> (u16, String, String) {
        self.send("POST", "/add-checkpoint", &request.encode())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Log(Vec<Hash>);

impl Log {
    /// A log whose leaves from the fifth on are those of this branch.
    fn new(branch: u8) -> Self {
        Self((0..40).map(|n| leaf_hash(&[n, if n < 4 { 0 } else { branch }])).collect())
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: root_at(&self.0[..], size).unwrap() }
    }

    fn note(&self, size: u64) -> String {
        checkpoint::sign(&self.checkpoint(size), &key(1)).unwrap()
    }

    fn request(&self, old_size: u64, size: u64) -> AddCheckpoint {
        let proof = consistency_proof(&self.0[..], old_size, size).unwrap();
        AddCheckpoint { old_size, proof, note: self.note(size).into_bytes() }
    }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn log_key() -> Verifier {
    Verifier::new(ORIGIN, key(1).verifying_key()).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn cosigned(submitted: io::Result<Submitted>) -> String {
    let Submitted::Cosigned(lines) = submitted.unwrap() else { panic!("not cosigned") };
    lines
}

#[test]
fn a_log_that_grows_is_cosigned_and_meets_a_policy() {
    // SPEC §17.5
    let (world, log) = (World::new().start(), Log::new(0));
    cosigned(world.submit(&log, 5, 0));
    let lines = cosigned(world.submit(&log, 12, 5));
    let policy = Policy::parse(&format!("log {}\nwitness w {}\nquorum w\n", log_key(), world.witness)).unwrap();
    let note = log.note(12) + &lines;
    let (opened, counted) = policy.open(note.as_bytes(), now()).unwrap();
    assert_eq!((opened, counted.met), (log.checkpoint(12), true));
    let (status, _, shown) = world.send("GET", &format!("/{}", checkpoint_path(ORIGIN)), b"");
    assert_eq!((status, shown), (200, note));
}

#[test]
fn a_submitter_that_does_not_know_the_witnesses_size_learns_it() {
    let (world, log) = (World::new().start(), Log::new(0));
    cosigned(world.submit(&log, 5, 0));
    cosigned(world.submit(&log, 9, 0));
    cosigned(world.submit(&log, 9, 3));
    assert_eq!(world.submit(&log, 8, 8).unwrap(), Submitted::Ahead(9));
    assert_eq!(world.submit(&Log::new(1), 9, 9).unwrap(), Submitted::Refused(409));
    assert_eq!(world.submit(&Log::new(1), 20, 9).unwrap(), Submitted::Refused(422));
}

#[test]
fn each_refusal_has_the_status_that_c2sp_gives_it() {
    // SPEC §17.5
    let (world, log, fork) = (World::new().start(), Log::new(0), Log::new(1));
    assert_eq!(world.add(&log.request(0, 8)).0, 200);
    assert_eq!(world.add(&log.request(5, 9)), (409, "text/x.tlog.size".to_owned(), "8\n".to_owned()));
    assert_eq!(world.add(&fork.request(8, 9)).0, 422);
    let (status, kind, _) = world.add(&fork.request(8, 8));
    assert_eq!((status, kind.as_str()), (409, "text/plain; charset=utf-8"));
    let unsigned = checkpoint::sign(&log.checkpoint(9), &key(7)).unwrap().into_bytes();
    assert_eq!(world.add(&AddCheckpoint { note: unsigned, ..log.request(8, 9) }).0, 403);
    let other = Checkpoint { origin: "other.example/log".to_owned(), ..log.checkpoint(9) };
    let other = checkpoint::sign(&other, &key(1)).unwrap().into_bytes();
    assert_eq!(world.add(&AddCheckpoint { note: other, ..log.request(8, 9) }).0, 404);
    assert_eq!(world.add(&AddCheckpoint { old_size: 10, ..log.request(8, 9) }).0, 400);
    assert_eq!(world.send("POST", "/add-checkpoint", b"old\n\n").0, 400);
    assert_eq!(world.send("POST", "/add-checkpoint", &[b'x'; 1 << 20]).0, 413);
    assert_eq!(world.send("GET", "/add-checkpoint", b"").0, 405);
    assert_eq!(world.send("DELETE", &format!("/{}", checkpoint_path(ORIGIN)), b"").0, 405);
    assert_eq!(world.send("GET", &format!("/{}", checkpoint_path("other.example/log")), b"").0, 404);
    assert_eq!(world.send("GET", "/../lock/checkpoint", b"").0, 404);
    assert_eq!(world.send("GET", "/", b"").0, 404);
    assert_eq!(world.add(&log.request(8, 9)).0, 200, "nothing of that moved the witness");
}

#[test]
fn of_two_branches_that_race_one_is_cosigned() {
    // SPEC §17.5
    let world = World::new().start();
    assert_eq!(world.add(&Log::new(0).request(0, 4)).0, 200);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racers: Vec<_> = (1..=12)
            .map(|branch| {
                scope.spawn({
                    let world = &world;
                    move || world.add(&Log::new(branch).request(4, 10)).0
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 11);
}

#[test]
fn a_witness_that_was_killed_or_stopped_goes_on_where_it_was() {
    let (mut world, log) = (World::new().start(), Log::new(0));
    cosigned(world.submit(&log, 6, 0));
    let (mut child, _) = world.running.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let mut world = world.start();
    assert_eq!(world.add(&Log::new(1).request(0, 7)).2, "6\n");
    cosigned(world.submit(&log, 7, 6));
    let (mut child, url) = world.running.take().unwrap();
    let idle = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    idle.shutdown(Shutdown::Both).ok();

    let world = world.start();
    assert_eq!(world.submit(&log, 6, 6).unwrap(), Submitted::Ahead(7));
}

#[test]
fn a_peer_that_says_half_a_request_hinders_no_other() {
    let (world, log) = (World::new().start(), Log::new(0));
    let halves: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(world.url().trim_start_matches("http://")).unwrap();
            stream.write_all(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 100\r\n\r\nold").unwrap();
            stream
        })
        .collect();
    cosigned(world.submit(&log, 5, 0));
    drop(halves);
}

#[test]
fn a_witness_speaks_https_with_its_files() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let world = World::new();
    let file = |name: &str, text: String| -> PathBuf {
        let path = world.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (chain, private) = (file("cert.pem", cert.pem()), file("key.pem", signing_key.serialize_pem()));
    let world = world.start_with(&[Path::new("--tls-cert"), &chain, Path::new("--tls-key"), &private]);
    let site = Site::new(world.url(), &Access { authorities: Some(chain), certificate: None }).unwrap();
    let log = Log::new(0);
    let proof = |old| Ok(consistency_proof(&log.0[..], old, 5)?);
    cosigned(site.submit(&log.note(5), 5, 0, proof, &world.witness, now() + 30));
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let world = World::new().start();
    let second = world.command().output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8(second.stderr).unwrap().contains("another witness has this state open"));
    let key = world.dir.path().join("key");
    let again = Command::new(PROGRAM).args(["witness", "--new-key", "w.example/one"]).arg(&key).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "a key is never written over");
    let no_log = Command::new(PROGRAM).args(["witness", "--state", "s", "--key"]).arg(&key).output().unwrap();
    assert_eq!(no_log.status.code(), Some(2));
    let policy = world.dir.path().join("policy");
    fs::write(&policy, "quorum none\n").unwrap();
    let no_log = Command::new(PROGRAM)
        .args(["witness", "--state", "s", "--key"])
        .arg(&key)
        .arg("--policy")
        .arg(&policy)
        .output();
    assert!(String::from_utf8(no_log.unwrap().stderr).unwrap().contains("has no line `log`"));
}
