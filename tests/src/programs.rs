//! Both programs as processes of their own: started, asked, killed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tempfile::TempDir;
use veilmatch_audit::date::Date;
use veilmatch_protocol::manifest::Timestamp;

use crate::{PATIENCE, now};

/// Where a package's build puts its programs; for `env!("CARGO_BIN_EXE_…")` of a test.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// `veilmatch-server`.
    pub agency: &'static str,
    /// `veilmatch`.
    pub platform: &'static str,
}

/// An agency and a platform in two directories, through their programs only.
pub struct Pair {
    dir: TempDir,
    programs: Paths,
    address: SocketAddr,
    serving: Option<Child>,
}

impl Pair {
    /// An agency with an empty list `baseline` of SHA-256 digests, and nothing else.
    #[must_use]
    pub fn new(programs: Paths) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let pair = Self { dir, programs, address, serving: None };
        pair.agency(["init", "--agency", "agency.example", "--address", &address.to_string()]);
        pair.agency(["list", "create", "baseline", "--label-bytes", "4", "--kinds", "sha256"]);
        pair
    }

    /// A file or folder of the test's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the test's.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The agency's directory.
    #[must_use]
    pub fn agency_dir(&self) -> PathBuf {
        self.path("agency")
    }

    /// The platform's directory.
    #[must_use]
    pub fn platform_dir(&self) -> PathBuf {
        self.path("platform")
    }

    /// A command of the agency's program, not started.
    #[must_use]
    pub fn agency_command(&self) -> Command {
        let mut command = Command::new(self.programs.agency);
        command.arg("--dir").arg(self.agency_dir());
        command
    }

    /// A command of the platform's program, not started.
    #[must_use]
    pub fn platform_command(&self) -> Command {
        let mut command = Command::new(self.programs.platform);
        command.arg("--dir").arg(self.platform_dir());
        command
    }

    /// Runs the agency's program, which must succeed; gives what it printed.
    pub fn agency<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let output = self.agency_command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs the platform's program.
    pub fn platform<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        Ended::of(&self.platform_command().args(arguments).output().unwrap())
    }

    /// Imports `sha256sum` lines under a label and publishes.
    pub fn publish(&self, sums: &Path, label: &str) {
        self.agency([
            OsStr::new("list"),
            "import".as_ref(),
            "baseline".as_ref(),
            sums.as_os_str(),
            "--label".as_ref(),
            label.as_ref(),
        ]);
        self.agency(["list", "publish", "baseline"]);
    }

    /// Enrols the platform with a budget, and joins. The server need not run.
    pub fn enrol(&self, elements_per_day: &str) {
        let done = self.platform(["init", "--platform", "platform.example"]);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let (request, invitation) = (self.platform_dir().join("request.json"), self.path("invitation.json"));
        let add = ["client".as_ref(), "add".as_ref(), "--request".as_ref(), request.as_os_str(), "--out".as_ref()];
        let terms: [&OsStr; 3] = [invitation.as_os_str(), "--elements-per-day".as_ref(), elements_per_day.as_ref()];
        self.agency(add.into_iter().chain(terms));
        let done = self.platform([OsStr::new("join"), invitation.as_os_str()]);
        assert_eq!(done.code, Some(0), "{}", done.err);
    }

    /// Starts the agency's server and waits until it listens.
    pub fn serve(&mut self) {
        assert!(self.serving.is_none(), "serves already");
        let log = File::options().create(true).append(true).open(self.path("server.log")).unwrap();
        let serving = self.agency_command().arg("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.serving = Some(serving);
        eventually(|| TcpStream::connect(self.address).ok());
    }

    /// What `veilmatch-audit reconcile` says of today, from what both sides hand over.
    pub fn audit(&self, auditor: &str) -> Ended {
        let (bundle, today) = (self.path("bundle"), today());
        for log in ["manifest", "query"] {
            self.agency([
                "log".as_ref(),
                "export".as_ref(),
                "--log".as_ref(),
                log.as_ref(),
                self.path(log).as_os_str(),
            ]);
        }
        let export = ["log", "export", "--from", &today, "--to", &today, "--out"].map(OsStr::new);
        let done = self.platform(export.into_iter().chain([bundle.as_os_str()]));
        assert_eq!(done.code, Some(0), "{}", done.err);
        let party = Party { name: "platform.example", request: self.platform_dir().join("request.json"), bundle };
        reconciled(auditor, &self.path(""), &self.path("invitation.json"), &[party])
    }

    /// Kills the server as a loss of power would.
    pub fn kill_server(&mut self) {
        let mut serving = self.serving.take().unwrap();
        serving.kill().unwrap();
        serving.wait().unwrap();
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if self.serving.is_some() {
            self.kill_server();
        }
    }
}

/// A platform as an auditor knows it: its name, its request with its keys, and what it exported.
pub struct Party<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its request.
    pub request: PathBuf,
    /// The folder that it exported.
    pub bundle: PathBuf,
}

/// What `veilmatch-audit reconcile` says of today, from the agency's logs `manifest` and `query` in a folder and what platforms
/// handed over.
pub fn reconciled(auditor: &str, folder: &Path, invitation: &Path, platforms: &[Party<'_>]) -> Ended {
    let mut config = format!(
        "agency = \"agency.example\"\nstate = \"audited\"\n[manifest]\nlog = \"manifest\"\nkey = {}\n\
         [query]\nlogs = [\"query\"]\nkey = {}\nack_key = {}\n",
        member(invitation, "manifest_key"),
        member(invitation, "query_log_key"),
        member(invitation, "ack_key"),
    );
    for Party { name, request, bundle } in platforms {
        let logs = fs::read_dir(bundle.join("logs")).unwrap().map(|log| log.unwrap().path());
        config += &format!(
            "[[platform]]\nname = {name:?}\nlogs = {:?}\nmatch_key = {}\nreceipt_key = {}\nrequest_key = {}\n\
             acknowledgements = {:?}\nopenings = {:?}\n",
            logs.collect::<Vec<_>>(),
            member(request, "match_log_key"),
            member(request, "receipt_key"),
            member(request, "request_key"),
            bundle.join("acknowledgements.jsonl"),
            bundle.join("openings.jsonl"),
        );
    }
    let (path, today) = (folder.join("audit.toml"), today());
    fs::write(&path, config).unwrap();
    let mut command = Command::new(auditor);
    command.arg("reconcile").arg("--config").arg(path).args(["--from", &today, "--to", &today]);
    Ended::of(&command.output().unwrap())
}

/// A member of a JSON file, in quotes.
fn member(file: &Path, member: &str) -> String {
    let json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    json[member].to_string()
}

/// The day in UTC.
pub fn today() -> String {
    Date::of(Timestamp::from_unix(now())).to_string()
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said beside.
    pub err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Waits for a program to end.
pub fn ended(mut child: Child) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut out).unwrap();
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut err).unwrap();
    }
    Ended { code: child.wait().unwrap().code(), out: text(&out), err: text(&err) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A number of the environment, for longer runs of a test.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Moments to kill at, drawn from `VEILMATCH_KILL_SEED` or a fresh seed, which is printed: who gives it again gets the same.
pub fn moments() -> StdRng {
    let seed = setting("VEILMATCH_KILL_SEED", rand::random());
    eprintln!("VEILMATCH_KILL_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Looks again until there is something.
pub fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came about");
        std::thread::sleep(Duration::from_millis(2));
    }
}
