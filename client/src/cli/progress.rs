//! Progress of a check on stderr: how many, how fast, how long still.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use super::args::Telling;
use crate::walk::{Found, Identity, Walk};

/// Time between two lines where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Time between two drawings of a bar.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Shows how far a check has come, until it is dropped.
pub struct Progress {
    /// Counted up by the check.
    pub done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    shown: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows progress where it is wanted. `count` finds out, beside the check, how many there are; it returns early when
    /// it is told to.
    pub fn start(
        telling: Telling,
        before: u64,
        count: impl FnOnce(&AtomicBool) -> Option<u64> + Send + 'static,
    ) -> Self {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let terminal = std::io::stderr().is_terminal();
        if telling.quiet || !(terminal || telling.progress) {
            return Self { done, stop, bar: None, shown: None };
        }
        let total = Arc::new(AtomicU64::new(0));
        let (counted, told) = (Arc::clone(&total), Arc::clone(&stop));
        thread::spawn(move || {
            if let Some(count) = count(&told) {
                counted.store(count, Ordering::Relaxed);
            }
        });
        let (end, ended) = mpsc::channel();
        let seen = Arc::clone(&done);
        let bar = terminal.then(new_bar);
        let drawn = bar.clone();
        let show = move || {
            let (start, every) = (Instant::now(), if terminal { DRAW_EVERY } else { LINE_EVERY });
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let (done, total) = (seen.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                let line = line(done, before, total, start.elapsed());
                match &drawn {
                    Some(bar) => bar.set_message(line),
                    None => eprintln!("veilmatch: {line}"),
                }
            }
            if let Some(bar) = drawn {
                bar.finish_and_clear();
            }
        };
        Self { done, stop, bar, shown: Some((end, thread::spawn(show))) }
    }

    /// Prints to the same terminal without printing into the bar.
    pub fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some((end, shown)) = self.shown.take() {
            drop(end);
            // Waited for, so that nothing is drawn over what is printed next.
            let _ = shown.join();
        }
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("our own template is well-formed"));
    bar.enable_steady_tick(DRAW_EVERY);
    bar
}

/// `1,200 of 50,000 checked, 310/s, 3 minutes left`.
fn line(done: u64, before: u64, total: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let so_far = before + done;
    let mut line = match total {
        0 => format!("{} checked", HumanCount(so_far)),
        _ => format!("{} of {} checked", HumanCount(so_far), HumanCount(total.max(so_far))),
    };
    line.push_str(&format!(", {}/s", HumanCount(rate as u64)));
    if total > so_far && done > 0 {
        let left = Duration::from_secs_f64((total - so_far) as f64 / rate);
        line.push_str(&format!(", {} left", HumanDuration(left)));
    }
    line
}

/// How many lines a file has.
pub fn count_lines(path: &Path, stop: &AtomicBool) -> Option<u64> {
    let mut file = path.metadata().is_ok_and(|metadata| metadata.is_file()).then(|| File::open(path).ok())??;
    let (mut buffer, mut count) = (vec![0; 128 * 1_024], 0);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(count),
            _ if stop.load(Ordering::Relaxed) => return None,
            read => count += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
}

/// How many things walks of these paths find.
pub fn count_found(paths: &[PathBuf], own: &[Identity], stop: &AtomicBool) -> Option<u64> {
    let mut count = 0;
    for found in paths.iter().flat_map(|path| Walk::new(path, own.to_vec())) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        count += u64::from(!matches!(found, Found::Own(_)));
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_how_fast_and_how_long_still() {
        let ten = Duration::from_secs(10);
        assert_eq!(line(0, 0, 0, ten), "0 checked, 0/s");
        assert_eq!(line(2_000, 0, 0, ten), "2,000 checked, 200/s");
        assert_eq!(line(2_000, 1_000, 15_000, ten), "3,000 of 15,000 checked, 200/s, 60 seconds left");
        assert_eq!(line(2_000, 0, 1_000, ten), "2,000 of 2,000 checked, 200/s");
    }
}
