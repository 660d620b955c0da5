//! Logs that others can check (SPEC §17 to §21): RFC 6962 trees in C2SP's formats, leaves, cosignatures and policies, and
//! what an auditor finds in them. Values in, values out: no sockets, clock or randomness of its own. Files are behind the
//! feature `folder`.

pub mod acknowledgement;
pub mod canary;
pub mod case;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod closing;
pub mod cosignature;
pub mod date;
pub mod finding;
#[cfg(feature = "folder")]
pub mod folder;
pub mod leaf;
pub mod opening;
pub mod origin;
pub mod policy;
pub mod reconcile;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "source")]
pub mod source;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod witness;

mod error;

pub use error::Error;
