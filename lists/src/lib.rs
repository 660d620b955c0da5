//! Reads the hash lists of other tools: a stream of rows in, a stream of entries and quarantined rows out.
//!
//! Nothing is dropped without a count, memory does not grow with the input, and nothing is opened here: the caller hands
//! over a [`BufRead`](std::io::BufRead).
//!
//! ```
//! use veilmatch_lists::{Counts, Options, Row, Rows};
//!
//! let file = &b"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  one\nnot a digest\n"[..];
//! let mut rows = Rows::open(file, &Options::default())?;
//! let mut counts = Counts::default();
//! for row in &mut rows {
//!     match row? {
//!         Row::Entry(_) => counts.accepted += 1, // or `duplicate`, if the caller holds the item already
//!         Row::Quarantined { reason, .. } => counts.quarantine(reason),
//!     }
//! }
//! assert_eq!(counts.close(rows.read())?.to_string(), "read 2 = accepted 1 + duplicate 0 + quarantined 1");
//! # Ok::<(), veilmatch_lists::Error>(())
//! ```

mod counts;
mod digest;
mod error;
mod format;
mod lines;
mod quarantine;
mod rows;

pub use counts::{Closed, Counts};
pub use error::Error;
pub use format::Format;
pub use lines::MAX_LINE_BYTES;
pub use quarantine::Quarantine;
pub use rows::{Entry, Names, Options, Row, Rows};
