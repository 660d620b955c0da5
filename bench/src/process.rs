//! The two programs as processes of their own: how long a command takes, and how much memory it has at most.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{contest::OURS, ours};

/// Time between two looks at a process's memory. What it has at most is kept by the system, so none is missed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Name under which this program is the agency's.
const AGENCY: &str = "veilmatch-server";

/// Name under which this program is the platform's.
const PLATFORM: &str = "veilmatch";

/// Runs one of the programs that are measured if this process was started under its name.
pub fn role() -> Option<ExitCode> {
    match std::env::args_os().next()?.to_str()? {
        AGENCY => Some(veilmatch_server::cli::main()),
        PLATFORM => Some(veilmatch_client::cli::main()),
        OURS => Some(ours::run()),
        _ => None,
    }
}

/// What a command cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From its start to its end.
    pub time: Duration,
    /// The most memory that was resident, in bytes.
    pub memory: u64,
}

/// One of the two programs, on its directory.
pub struct Program {
    name: &'static str,
    dir: PathBuf,
}

impl Program {
    /// The agency's.
    pub fn agency(dir: PathBuf) -> Self {
        Self { name: AGENCY, dir }
    }

    /// The platform's.
    pub fn platform(dir: PathBuf) -> Self {
        Self { name: PLATFORM, dir }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command to its end. Exit code 1 of the platform's program says that there are matches.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<Cost> {
        let start = Instant::now();
        let mut child = self.start(arguments)?;
        let mut memory = 0;
        let status = loop {
            memory = peak(child.id()).unwrap_or(memory);
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let matches = self.name == PLATFORM && status.code() == Some(1);
        if !(status.success() || matches) {
            bail!("{} ended with {status}", self.name);
        }
        Ok(Cost { time: start.elapsed(), memory })
    }

    /// Starts a command that does not end by itself.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0(self.name).arg("--dir").arg(&self.dir).args(arguments).stdout(Stdio::null());
        if self.name == AGENCY {
            command.stderr(Stdio::null());
        }
        command.spawn().with_context(|| format!("{} could not be started", self.name))
    }
}

/// The most memory that a process had resident, in bytes; none if it is gone.
pub fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}
