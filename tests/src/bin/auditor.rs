//! `veilmatch-audit`, as a program of this package, so that tests can start and kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilmatch_audit::cli::main()
}
