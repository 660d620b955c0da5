//! The command line of an auditor.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilmatch_audit::cli::main()
}
