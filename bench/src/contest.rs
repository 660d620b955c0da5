//! Programs that take turns, so that a noisy machine disturbs all of them alike.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

/// Name under which this program is one of those that it measures.
pub const OURS: &str = "veilmatch-bench-ours";

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Our library, with the back end that it chooses.
    Ours,
    /// Our library, told to use the portable back end.
    OursPortable,
    /// The baselines, built with the default flags.
    Baseline,
    /// The baselines, built for the processor at hand.
    BaselineNative,
}

/// The fastest and the slowest run of a task.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The fastest: the least disturbed.
    pub min: Duration,
    /// The slowest.
    pub max: Duration,
}

/// A running program.
struct Contestant {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    about: String,
}

impl Contestant {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = child.stdin.take().context("piped")?;
        let mut answers = BufReader::new(child.stdout.take().context("piped")?);
        let mut about = String::new();
        answers.read_line(&mut about)?;
        Ok(Self { child, questions, answers, about: about.trim().to_owned() })
    }

    fn time(&mut self, task: &str, items: usize) -> anyhow::Result<Duration> {
        writeln!(self.questions, "{task} {items}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let nanoseconds = answer.trim().parse().with_context(|| format!("a program did not run {task}"))?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It would end with our end of the pipe; nothing is lost if it does not wait for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All programs, running and idle.
pub struct Contest {
    ours: Contestant,
    ours_portable: Contestant,
    baseline: Contestant,
    baseline_native: Contestant,
}

impl Contest {
    /// Builds the baselines and starts everything.
    pub fn start() -> anyhow::Result<Self> {
        let ours = || -> anyhow::Result<Command> {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg0(OURS);
            Ok(command)
        };
        let mut portable = ours()?;
        portable.env("VEILMATCH_BACKEND", "portable");
        let mut default = ours()?;
        default.env_remove("VEILMATCH_BACKEND");
        Ok(Self {
            ours: Contestant::start(default)?,
            ours_portable: Contestant::start(portable)?,
            baseline: Contestant::start(built("baseline", None)?)?,
            baseline_native: Contestant::start(built("baseline-native", Some("-C target-cpu=native"))?)?,
        })
    }

    /// What runs, for the head of the report.
    pub fn about(&self) -> Vec<(Who, String)> {
        let native = format!("{}, built with -C target-cpu=native", self.baseline_native.about);
        vec![
            (Who::Ours, self.ours.about.clone()),
            (Who::OursPortable, self.ours_portable.about.clone()),
            (Who::Baseline, format!("{}, built with the default flags", self.baseline.about)),
            (Who::BaselineNative, native),
        ]
    }

    /// Whether ours is not the portable back end.
    pub fn is_vector(&self) -> bool {
        self.ours.about != self.ours_portable.about
    }

    /// Runs tasks of `items` items in turn, `rounds` times.
    pub fn measure<const N: usize>(
        &mut self,
        tasks: [(Who, &str); N],
        items: usize,
        rounds: u32,
    ) -> anyhow::Result<[Spread; N]> {
        let mut spreads = [Spread { min: Duration::MAX, max: Duration::ZERO }; N];
        for _ in 0..rounds {
            for (spread, (who, task)) in spreads.iter_mut().zip(tasks) {
                let took = self.contestant(who).time(task, items)?;
                spread.min = spread.min.min(took);
                spread.max = spread.max.max(took);
            }
        }
        Ok(spreads)
    }

    fn contestant(&mut self, who: Who) -> &mut Contestant {
        match who {
            Who::Ours => &mut self.ours,
            Who::OursPortable => &mut self.ours_portable,
            Who::Baseline => &mut self.baseline,
            Who::BaselineNative => &mut self.baseline_native,
        }
    }
}

/// Builds the baselines in a target folder of their own: other flags would build everything else anew each time.
fn built(folder: &str, flags: Option<&str>) -> anyhow::Result<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the workspace")?;
    ensure!(root.join("Cargo.lock").is_file(), "run this from the repository: the baselines are built there");
    let target = target_folder()?.join(folder);
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.args(["build", "--quiet", "--release", "--locked", "-p", "veilmatch-baseline", "--example", "baseline"]);
    cargo.arg("--target-dir").arg(&target).current_dir(root);
    if let Some(flags) = flags {
        cargo.env("RUSTFLAGS", flags);
    }
    if !cargo.status().context("cargo could not be started")?.success() {
        bail!("the baselines could not be built");
    }
    Ok(Command::new(target.join("release/examples/baseline")))
}

/// Where this program was built: `target` of `target/release/veilmatch-bench`.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    program.ancestors().nth(2).map(Path::to_owned).context("cargo builds programs two folders below its target folder")
}
