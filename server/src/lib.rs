//! The agency's side of Veilmatch: a store of lists, their publication, and the evaluation of blinded elements.
//!
//! The binary `veilmatch-server` is a page on top of this library.

pub mod admin;
pub mod authority;
pub mod budget;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cpu;
pub mod enrolment;
pub mod follow;
pub mod hardening;
pub mod import;
pub mod keys;
pub mod limits;
pub mod listener;
pub mod logs;
pub mod publish;
pub mod server;
pub mod service;
pub mod state_dir;
pub mod status;
pub mod store;
pub mod tls;

mod background;
mod error;
#[cfg(test)]
mod world;

pub use error::Error;
pub use server::{Running, ServeOptions, Server};
