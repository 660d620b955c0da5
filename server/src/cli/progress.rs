//! Progress on stderr: how much, how fast, how long still. Nothing is drawn where stderr is no terminal.

use std::{fs, path::Path, sync::Mutex, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::publish::{Progress, Stage};

/// Rows between two drawings.
const EVERY: u64 = 4_096;

/// Progress of reading a hash list.
pub(super) struct Rows {
    bar: ProgressBar,
}

pub(super) fn rows(file: &Path) -> Rows {
    let bar = ProgressBar::new_spinner();
    bar.set_style(style("{spinner} reading {msg}: {human_pos} rows, {per_sec}"));
    bar.set_message(file.display().to_string());
    // A small file is read before anybody looks.
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() > 1 << 20) {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    Rows { bar }
}

impl Rows {
    pub(super) fn rows(&self, read: u64) {
        if read.is_multiple_of(EVERY) {
            self.bar.set_position(read);
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress of a publication: one bar for each epoch and stage, one after the other.
#[derive(Default)]
pub(super) struct Bars {
    current: Mutex<Option<(Progress, ProgressBar)>>,
}

impl Bars {
    pub(super) fn show(&self, progress: Progress) {
        let Ok(mut current) = self.current.lock() else { return };
        let same =
            current.as_ref().is_some_and(|(shown, _)| (shown.epoch, shown.stage) == (progress.epoch, progress.stage));
        if !same {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            *current = Some((progress, new_bar(&progress)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(progress.done);
        }
    }

    pub(super) fn clear(&self) {
        if let Ok(mut current) = self.current.lock()
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(progress: &Progress) -> ProgressBar {
    let what = match progress.stage {
        Stage::Evaluate => "evaluating entries",
        Stage::Write => "writing records",
    };
    let bar = ProgressBar::new(progress.total);
    bar.set_style(style("{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left"));
    bar.set_message(format!("epoch {}: {what}", progress.epoch.0));
    bar
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our own templates are well-formed")
}
