//! The command line of an auditor.

use std::process::ExitCode;

// A leaf is read into dozens of small pieces, a million times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    veilmatch_audit::cli::main()
}
