//! Measures Veilmatch against its baselines in one run and prints a table and JSON; how to read it is in
//! docs/benchmarks.md.

mod bare;
mod contest;
mod figures;
mod frames;
mod lists;
mod ours;
mod plots;
mod process;
mod report;
mod restart;
mod whole;
mod writer;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

// As in the program of the platform, which this one also is.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the arithmetic and the stages of Veilmatch, per item and on one core, beside their baselines; with --whole also
/// the way from a list's file to a rescan, with both programs.
#[derive(Parser)]
#[command(name = "veilmatch-bench")]
struct Args {
    /// Rounds of every measurement; ours and the baseline take turns in each.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Items in one measurement.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=4096))]
    items: u32,
    /// Also goes the whole way, which takes minutes.
    #[arg(long)]
    whole: bool,
    /// Entries of the list and items of the scan on the whole way.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    size: u64,
    /// Draws cost against size, as SVG in this folder, instead; takes minutes.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["whole", "json", "check"])]
    plots: Option<PathBuf>,
    /// Largest list and query that is drawn.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..), requires = "plots")]
    largest: u64,
    /// Imports this VICS file instead, dry and durably, beside serde_json.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["whole", "json", "check", "plots"])]
    vics: Option<PathBuf>,
    /// Makes a list of so many entries instead, publishes it, and lets a platform follow a change.
    #[arg(long, value_name = "ENTRIES", conflicts_with_all = ["whole", "json", "check", "plots", "vics"])]
    scale: Option<u64>,
    /// Length of its labels.
    #[arg(long, default_value_t = 16, requires = "scale")]
    label_bytes: u8,
    /// Records frames from 64 callers for so long instead, and prints how many a second became durable.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["whole", "json", "check", "plots", "vics", "scale"])]
    writer: Option<u64>,
    /// Lets platforms check single items for so long instead, each with a frame of one element on its way.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["whole", "json", "check", "plots", "vics", "scale", "writer"],
        value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// How many platforms do.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..), requires = "frames")]
    platforms: u16,
    /// Starts a server with so many leaves in its query log instead, and prints how long it takes to answer.
    #[arg(long, value_name = "LEAVES", conflicts_with_all = ["whole", "json", "check", "plots", "vics", "scale", "writer", "frames"])]
    restart: Option<u64>,
    /// Folder for the files of --scale, --writer, --frames and --restart, which are removed at the end: 10^8 entries need some 30 GB.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Also writes the figures as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Ends with exit code 1 if something that is promised does not hold.
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    // This program also is those that it measures.
    if let Some(code) = process::role() {
        return Ok(code);
    }
    let args = Args::parse();
    if let Some(file) = args.vics {
        return lists::vics(&file).map(|()| ExitCode::SUCCESS);
    }
    if let Some(seconds) = args.writer {
        return writer::run(&args.folder, seconds).map(|()| ExitCode::SUCCESS);
    }
    if let Some(seconds) = args.frames {
        return frames::run(&args.folder, args.platforms.into(), seconds).map(|()| ExitCode::SUCCESS);
    }
    if let Some(leaves) = args.restart {
        return restart::run(&args.folder, leaves).map(|()| ExitCode::SUCCESS);
    }
    if let Some(entries) = args.scale {
        return lists::scale(&args.folder, entries, args.label_bytes).map(|()| ExitCode::SUCCESS);
    }
    let items = args.items as usize;
    let mut contest = contest::Contest::start()?;
    let figures = figures::all(&mut contest, items, args.rounds)?;
    if let Some(folder) = args.plots {
        plots::write(&folder, &mut contest, &figures, args.largest, args.rounds)?;
        return Ok(ExitCode::SUCCESS);
    }
    let steps = if args.whole { whole::run(args.size, &figures, contest.is_vector())? } else { Vec::new() };
    let report = report::Report::new(&contest, figures, steps, items, args.rounds);
    print!("{report}");
    if let Some(path) = args.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if args.check && !report.holds() {
        anyhow::bail!("something that is promised does not hold");
    }
    Ok(ExitCode::SUCCESS)
}
