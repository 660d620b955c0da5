//! The agency's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilmatch_server::cli::main()
}
