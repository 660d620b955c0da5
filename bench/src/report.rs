//! The table for people and the JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::whole::Step;

/// One stage, ours beside its baseline. Times are microseconds per item, the fastest round and the slowest.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What is measured.
    pub stage: &'static str,
    /// What the baseline does.
    pub baseline: &'static str,
    /// Ours, fastest round.
    pub ours_us: f64,
    /// Ours, slowest round.
    pub ours_max_us: f64,
    /// The baseline, fastest round.
    pub baseline_us: f64,
    /// The baseline, slowest round.
    pub baseline_max_us: f64,
    /// Ours divided by the baseline.
    pub ratio: f64,
    /// What the ratio may be at most.
    pub limit: f64,
}

/// All figures of a run, with what is needed to read them.
#[derive(Debug, Serialize)]
pub struct Report {
    back_end: &'static str,
    rounds: u32,
    figures: Vec<Figure>,
    whole: Vec<Step>,
}

impl Report {
    /// Takes the figures of `rounds` rounds, and the steps of the whole way.
    pub fn new(figures: Vec<Figure>, whole: Vec<Step>, rounds: u32) -> Self {
        Self { back_end: veilmatch_ristretto::backend(), rounds, figures, whole }
    }

    /// Whether every figure is within its limit.
    pub fn holds(&self) -> bool {
        self.figures.iter().all(|figure| figure.ratio <= figure.limit)
            && self.whole.iter().all(|step| step.holds != Some(false))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "back end: {}; {} rounds; µs per item on one core, fastest (slowest)", self.back_end, self.rounds)?;
        writeln!(f, "{:<34} {:>18} {:>18} {:>7} {:>7}", "stage", "ours", "baseline", "ratio", "limit")?;
        for figure in &self.figures {
            let time = |min: f64, max: f64| format!("{min:.2} ({max:.2})");
            writeln!(
                f,
                "{:<34} {:>18} {:>18} {:>7.2} {:>7.2}  {}",
                figure.stage,
                time(figure.ours_us, figure.ours_max_us),
                time(figure.baseline_us, figure.baseline_max_us),
                figure.ratio,
                figure.limit,
                figure.baseline,
            )?;
        }
        if self.whole.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<36} {:>10} {:>10} {:>8} {:>6}", "the whole way", "seconds", "MiB", "ratio", "holds")?;
        for step in &self.whole {
            let holds = step.holds.map_or("-", |holds| if holds { "yes" } else { "NO" });
            let Step { step, seconds, memory_mib, baseline, ratio, .. } = step;
            writeln!(f, "{step:<36} {seconds:>10.2} {memory_mib:>10.1} {ratio:>8.2} {holds:>6}  {baseline}")?;
        }
        Ok(())
    }
}
