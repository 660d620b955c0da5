//! The two programs as processes of their own: how long a command takes, how much processor time of it, and how much memory
//! it has at most.

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
    /// On all processors, in user code and in the system's. It says more than the time where others use the machine.
    pub processor: Duration,
    /// The most memory that was resident, in bytes.
    pub memory: u64,
    /// The most of it that was the process's own, and not of mapped files, as seen every few milliseconds.
    pub anonymous: u64,
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
        let before = processor_time("self", Of::Children).context("the system tells no processor time")?;
        let start = Instant::now();
        let mut child = self.start(arguments)?;
        let (mut memory, mut anonymous) = (0, 0);
        let ended = loop {
            memory = peak(child.id()).unwrap_or(memory);
            anonymous = status(child.id(), "RssAnon:").unwrap_or(0).max(anonymous);
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let matches = self.name == PLATFORM && ended.code() == Some(1);
        if !(ended.success() || matches) {
            bail!("{} ended with {ended}", self.name);
        }
        let time = start.elapsed();
        let processor = processor_time("self", Of::Children).unwrap_or(before).saturating_sub(before);
        Ok(Cost { time, processor, memory, anonymous })
    }

    /// Runs a command to its end; gives what it prints.
    pub fn output<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.arg0(self.name).arg("--dir").arg(&self.dir).args(arguments).output()?;
        if !output.status.success() {
            bail!("{} ended with {}", self.name, output.status);
        }
        Ok(output.stdout)
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

/// Whose processor time is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// The process's own.
    Itself,
    /// That of its children that have ended.
    Children,
}

/// The processor time that a process, or `self`, has taken; none if it is gone.
pub fn processor_time(process: &str, of: Of) -> Option<Duration> {
    // proc_pid_stat(5): a name in parentheses is the second field; 14 and 15 are user and system time in hundredths of a
    // second, 16 and 17 those of the children.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let first = match of {
        Of::Itself => 11,
        Of::Children => 13,
    };
    let ticks = fields.get(first..first + 2)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Duration::from_millis(10 * ticks))
}

/// The most memory that a process had resident, in bytes; none if it is gone.
pub fn peak(process: u32) -> Option<u64> {
    status(process, "VmHWM:")
}

fn status(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}
