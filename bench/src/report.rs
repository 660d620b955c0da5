//! The table for people and the JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::{
    contest::{Contest, Who},
    figures::Figure,
    whole::Step,
};

/// All figures of a run, with what is needed to read them.
#[derive(Debug, Serialize)]
pub struct Report {
    processor: String,
    programs: Vec<(Who, String)>,
    items: usize,
    rounds: u32,
    figures: Vec<Figure>,
    whole: Vec<Step>,
}

impl Report {
    /// Takes the figures of `rounds` rounds with `items` items, and the steps of the whole way.
    pub fn new(contest: &Contest, figures: Vec<Figure>, whole: Vec<Step>, items: usize, rounds: u32) -> Self {
        Self { processor: veilmatch_baseline::processor(), programs: contest.about(), items, rounds, figures, whole }
    }

    /// Whether everything that is promised holds.
    pub fn holds(&self) -> bool {
        self.figures.iter().all(Figure::holds) && self.whole.iter().all(|step| step.holds != Some(false))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "processor: {}", self.processor)?;
        for (who, about) in &self.programs {
            writeln!(f, "{:<16} {about}", format!("{who:?}:"))?;
        }
        writeln!(f, "{} items, {} rounds; µs per item on one core, fastest (slowest)\n", self.items, self.rounds)?;
        writeln!(
            f,
            "{:<40} {:>16} {:>18} {:>9} {:>7} {:>7} {:>9} {:>6}",
            "stage", "ours", "baseline", "items/s", "times", "least", "least/s", "holds"
        )?;
        for figure in &self.figures {
            let time = |us: f64, max_us: f64| format!("{us:.2} ({max_us:.2})");
            let promised = figure.at_least.is_some() || figure.per_second.is_some();
            writeln!(
                f,
                "{:<40} {:>16} {:>18} {:>9.0} {:>7.2} {:>7} {:>9} {:>6}  {}",
                figure.stage,
                time(figure.ours.us, figure.ours.max_us),
                time(figure.baseline.us, figure.baseline.max_us),
                1e6 / figure.ours.us,
                figure.times,
                figure.at_least.map_or_else(|| "-".to_owned(), |least| format!("{least:.2}")),
                figure.per_second.map_or_else(|| "-".to_owned(), |least| least.to_string()),
                word(promised.then(|| figure.holds())),
                figure.baseline_is,
            )?;
        }
        if self.whole.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<36} {:>10} {:>10} {:>10} {:>8} {:>6}",
            "the whole way", "seconds", "items/s", "MiB", "ratio", "holds"
        )?;
        for step in &self.whole {
            let Step { step, seconds, items, memory_mib, baseline, ratio, holds } = step;
            let rate = items.map_or_else(|| "-".to_owned(), |items| format!("{:.0}", items as f64 / seconds));
            let holds = word(*holds);
            writeln!(
                f,
                "{step:<36} {seconds:>10.2} {rate:>10} {memory_mib:>10.1} {ratio:>8.2} {holds:>6}  {baseline}"
            )?;
        }
        Ok(())
    }
}

fn word(holds: Option<bool>) -> &'static str {
    holds.map_or("-", |holds| if holds { "yes" } else { "NO" })
}
