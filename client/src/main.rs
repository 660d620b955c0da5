//! The command line of a platform.

fn main() {}
