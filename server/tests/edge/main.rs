//! The network edge against good, slow and hostile peers: real TLS on loopback, each limit shortened where it is looked
//! at, and no waiting beyond it.
#![allow(missing_docs, reason = "tests: their names are sentences")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod caps;
mod client;
mod deadlines;
mod drain;
mod http2;
mod pki;
mod scripted;
mod streams;
mod tls;
mod world;
