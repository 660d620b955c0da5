//! Measures Veilmatch against its baselines in one run and prints a table and JSON; how to read it is in
//! docs/benchmarks.md.

mod measure;
mod report;
mod stages;

use std::path::PathBuf;

use clap::Parser;

/// Measures the stages of Veilmatch, per item and on one core, beside what bare curve25519-dalek needs for them.
#[derive(Parser)]
#[command(name = "veilmatch-bench")]
struct Args {
    /// Rounds of every measurement; ours and the baseline take turns in each.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Items in one measurement.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=4096))]
    items: u32,
    /// Also writes the figures as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Ends with exit code 1 if a ratio is above its limit.
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let figures = stages::all(args.items as usize, args.rounds);
    let report = report::Report::new(figures, args.rounds);
    print!("{report}");
    if let Some(path) = args.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if args.check && !report.holds() {
        anyhow::bail!("a ratio is above its limit");
    }
    Ok(())
}
