//! Audits of a synthetic month: what holds has no finding, and what was done to it is found at its place.

#![allow(clippy::unwrap_used)]

mod clean;
mod dishonest;
mod mutations;
mod scenarios;
mod trees;
mod world;
