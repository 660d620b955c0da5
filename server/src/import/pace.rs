//! Tells of long work now and then, and not at every step of it.

use super::{ImportStage, OnImport};

/// Steps between two reports.
const REPORT: u64 = 4_096;

/// How far a stage is.
pub(super) struct Pace<'a> {
    stage: ImportStage,
    done: u64,
    total: u64,
    progress: OnImport<'a>,
}

impl<'a> Pace<'a> {
    /// A stage of `total` steps.
    pub(super) fn new(stage: ImportStage, total: u64, progress: OnImport<'a>) -> Self {
        Self { stage, done: 0, total, progress }
    }

    /// So many steps more are done.
    pub(super) fn step(&mut self, steps: u64) {
        let before = self.done / REPORT;
        self.done += steps;
        if self.done / REPORT > before || self.done == self.total {
            (self.progress)(self.stage, self.done, Some(self.total));
        }
    }
}
