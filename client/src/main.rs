//! The command line of a platform.

use std::process::ExitCode;

// A scan allocates and frees blocks of results on many threads for hours: glibc's heaps grow with it, this one's do not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    veilmatch_client::cli::main()
}
