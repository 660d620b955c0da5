//! The private set intersection of Veilmatch: items, the verifiable oblivious PRF, frames and their proofs, the published
//! list and its manifest.
//!
//! Everything here is a function of its arguments. Nothing opens a file or a socket, reads a clock or draws randomness by
//! itself: generators, readers and writers are arguments. The normative text is `SPEC.md`.

pub mod artifact;
pub mod codebook;
pub mod delta;
pub mod derive;
pub mod frame;
pub mod item;
pub mod json;
pub mod label;
pub mod manifest;
pub mod merkle;
pub mod name;
pub mod note;
pub mod oprf;
pub mod prepared;
pub mod receipt;
pub mod sort;

mod encode;
mod error;

pub use error::Error;
