//! Logs that others can check (SPEC §17 to §21): RFC 6962 trees in C2SP's formats, leaves, cosignatures and policies, and
//! what an auditor finds in them. Values in, values out: no sockets, clock or randomness of its own. Files are behind the
//! feature `folder`.

pub mod finding;

mod error;

pub use error::Error;
