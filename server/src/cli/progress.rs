//! Progress on stderr: how much, how fast, how long still. Nothing is drawn where stderr is no terminal.

use std::{cell::Cell, fs, path::Path, sync::Mutex, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    import::ImportStage,
    publish::{Progress, Stage},
};

/// Progress of an import: of reading in bytes, then of what is to be done in steps with the time that is left.
pub(super) struct Import {
    bar: ProgressBar,
    file: String,
    stage: Cell<Option<ImportStage>>,
}

pub(super) fn import(file: &Path) -> Import {
    let bar = ProgressBar::new_spinner();
    // A small file is read before anybody looks.
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() > 1 << 20) {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    Import { bar, file: file.display().to_string(), stage: Cell::new(None) }
}

impl Import {
    pub(super) fn show(&self, stage: ImportStage, done: u64, total: Option<u64>) {
        match stage {
            ImportStage::Continue => return self.say(&continues(done, total.unwrap_or(0))),
            ImportStage::Discard(why) => {
                return self.say(&format!("what an import that was killed had read is thrown away: {why}"));
            }
            ImportStage::Read | ImportStage::Compare | ImportStage::Write => {}
        }
        if self.stage.replace(Some(stage)) != Some(stage) {
            self.begin(stage, total);
        }
        self.bar.set_position(done);
    }

    // Beside the bar, and where stderr is no terminal, too.
    fn say(&self, what: &str) {
        self.bar.suspend(|| eprintln!("veilmatch-server: {what}"));
    }

    fn begin(&self, stage: ImportStage, total: Option<u64>) {
        let what = match stage {
            ImportStage::Read | ImportStage::Continue | ImportStage::Discard(_) => format!("reading {}", self.file),
            ImportStage::Compare => "comparing with what is there".to_owned(),
            ImportStage::Write => "writing what is new".to_owned(),
        };
        self.bar.reset();
        match total {
            Some(total) if stage == ImportStage::Read => {
                self.bar.set_length(total);
                self.bar.set_style(style("{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"));
            }
            Some(total) => {
                self.bar.set_length(total);
                self.bar.set_style(style("{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left"));
            }
            None => self.bar.set_style(style("{spinner} {msg}: {human_pos}, {per_sec}")),
        }
        self.bar.set_message(what);
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn continues(done: u64, total: u64) -> String {
    let percent = (done.saturating_mul(100)).checked_div(total).unwrap_or(100);
    format!("continues at {percent} % of the file, where this import was killed")
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
