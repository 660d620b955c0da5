//! The platform's side of Veilmatch: holds the published list, asks in blinded frames, and answers *match*, *no match* or
//! *not checked*, never a silent "clean".
//!
//! The binary `veilmatch` stands on top of this library. A first use is in `examples/`.

pub mod cli;
pub mod config;
pub mod digest;
pub mod enrol;
pub mod matchlog;
pub mod output;
pub mod state_dir;
pub mod walk;

mod client;
mod connection;
mod error;
mod evidence;
#[cfg(test)]
mod fake;
mod frames;
mod held;
mod keeper;
mod keys;
mod label;
mod outcome;
mod random;
mod results;
mod store;
mod sync;
mod verdict;
mod watch;

pub use client::{Client, Destroyed, Forget, Found, HeldStatus, ListStatus, Rescan};
pub use error::Error;
pub use label::{Label, Meaning, Said};
pub use outcome::{NotChecked, Outcome, Subject};
pub use sync::{SyncProgress, SyncReport};
