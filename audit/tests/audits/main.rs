//! Audits of a synthetic month: what holds has no finding, and what was done to it is found at its place.
#![allow(missing_docs, reason = "tests: their names are sentences")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod clean;
mod command;
mod dishonest;
mod evidence;
mod mutations;
mod scenarios;
mod trees;
mod world;
