//! The command line of a platform.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilmatch_client::cli::main()
}
