//! What is compared with what, and what is promised.

use serde::Serialize;

use crate::contest::{Contest, Who};

/// One run's cost, microseconds per item on one core: the fastest round and the slowest.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    /// Who ran.
    pub who: Who,
    /// What ran.
    pub task: &'static str,
    /// The fastest round.
    pub us: f64,
    /// The slowest round.
    pub max_us: f64,
}

/// A task of ours beside a baseline.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What is done.
    pub stage: &'static str,
    /// Ours.
    pub ours: Cost,
    /// What it is measured against.
    pub baseline: Cost,
    /// What the baseline does.
    pub baseline_is: &'static str,
    /// The baseline's time divided by ours.
    pub times: f64,
    /// What `times` is at least.
    pub at_least: Option<f64>,
    /// Items per second and core that ours does at least.
    pub per_second: Option<u32>,
}

impl Figure {
    /// Whether what is promised holds.
    pub fn holds(&self) -> bool {
        self.at_least.is_none_or(|least| self.times >= least)
            && self.per_second.is_none_or(|least| 1e6 / self.ours.us >= f64::from(least))
    }
}

/// A row of the plan.
struct Plan {
    stage: &'static str,
    ours: (Who, &'static str),
    baseline: (Who, &'static str),
    baseline_is: &'static str,
    at_least: Option<f64>,
    per_second: Option<u32>,
}

const OBVIOUS: &str = "dalek, one element after the other";
const BEST: &str = "dalek for this processor, halves, batched encoding";
const BARE: &str = "the bare operations of dalek";

/// Without vector units: what the protocol around the arithmetic may cost.
const PORTABLE: [Plan; 3] = [
    portable("list build", "build", "bare-build", 1.0 / 1.6),
    portable("server: evaluate with proof", "server", "bare-server", 1.0 / 1.35),
    portable("client: blind, verify, finalize", "client", "bare-client", 1.0 / 1.4),
];

const fn portable(stage: &'static str, ours: &'static str, bare: &'static str, least: f64) -> Plan {
    Plan {
        stage,
        ours: (Who::OursPortable, ours),
        baseline: (Who::Baseline, bare),
        baseline_is: BARE,
        at_least: Some(least),
        per_second: None,
    }
}

/// With AVX-512 IFMA: the kernel by itself, then whole frames.
const VECTOR: [Plan; 12] = [
    kernel("decode, multiply by one scalar, encode", "evaluate", Who::Baseline, "evaluate-obvious", Some(5.2)),
    kernel("decode, multiply by one scalar, encode", "evaluate", Who::BaselineNative, "evaluate-best", Some(3.1)),
    kernel("64 uniform bytes to an element", "map", Who::Baseline, "map", Some(8.0)),
    kernel("64 uniform bytes to an element", "map", Who::BaselineNative, "map", None),
    // A scalar for each costs at most 12 % more than one for all.
    kernel("multiply each by its own scalar, encode", "multiply-each", Who::Ours, "multiply-shared", Some(1.0 / 1.12)),
    kernel("decode", "decode", Who::Ours, "evaluate", None),
    kernel("weighted sum, weights of 128 bits", "weighted-sum", Who::Ours, "evaluate", None),
    frame("server: evaluate with proof", "server", Who::Baseline, "voprf-server", 6.5, 105_000),
    frame("client: blind, verify, finalize, tag", "client", Who::Baseline, "voprf-client", 10.0, 75_000),
    frame("list build: entry to record", "build", Who::Baseline, "voprf-build", 4.3, 115_000),
    kernel("server: evaluate with proof", "server", Who::BaselineNative, "voprf-server", None),
    kernel("client: blind, verify, finalize, tag", "client", Who::BaselineNative, "voprf-client", None),
];

const fn kernel(
    stage: &'static str,
    ours: &'static str,
    who: Who,
    baseline: &'static str,
    at_least: Option<f64>,
) -> Plan {
    let baseline_is = match (who, baseline.as_bytes()[0]) {
        (Who::Ours, _) => "ours",
        (_, b'v') => "crate voprf for this processor",
        (Who::BaselineNative, _) => BEST,
        _ => OBVIOUS,
    };
    Plan { stage, ours: (Who::Ours, ours), baseline: (who, baseline), baseline_is, at_least, per_second: None }
}

const fn frame(
    stage: &'static str,
    ours: &'static str,
    who: Who,
    baseline: &'static str,
    at_least: f64,
    per_second: u32,
) -> Plan {
    Plan {
        stage,
        ours: (Who::Ours, ours),
        baseline: (who, baseline),
        baseline_is: "crate voprf",
        at_least: Some(at_least),
        per_second: Some(per_second),
    }
}

/// Every figure that this processor can give.
pub fn all(contest: &mut Contest, items: usize, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let vector = if contest.is_vector() { &VECTOR[..] } else { &[] };
    PORTABLE.iter().chain(vector).map(|plan| figure(contest, plan, items, rounds)).collect()
}

/// The cost of the bare operations behind list build, server and client, in seconds per item on one core.
pub fn bare(figures: &[Figure]) -> [f64; 3] {
    std::array::from_fn(|at| figures[at].baseline.us / 1e6)
}

fn figure(contest: &mut Contest, plan: &Plan, items: usize, rounds: u32) -> anyhow::Result<Figure> {
    let spreads = contest.measure([plan.ours, plan.baseline], items, rounds)?;
    let per_item = |time: std::time::Duration| time.as_secs_f64() * 1e6 / items as f64;
    let [ours, baseline] = [(plan.ours, spreads[0]), (plan.baseline, spreads[1])].map(|((who, task), spread)| Cost {
        who,
        task,
        us: per_item(spread.min),
        max_us: per_item(spread.max),
    });
    Ok(Figure {
        stage: plan.stage,
        ours,
        baseline,
        baseline_is: plan.baseline_is,
        times: baseline.us / ours.us,
        at_least: plan.at_least,
        per_second: plan.per_second,
    })
}
