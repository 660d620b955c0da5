//! Reads the hash lists of other tools: a stream of rows in, a stream of entries and quarantined rows out.
//!
//! Nothing is dropped without a count, memory does not grow with the input, and no file is opened here: the caller hands
//! over a [`BufRead`](std::io::BufRead), from [`archive::open`] if the list may be packed. UTF-16 is read like UTF-8.
//!
//! A source speaks of subjects, and a [`Row`] is what it says of one: its key, if it has one, and its digests. Tables and
//! JSON Lines are read under the mapping in [`Options::columns`], and conditions in [`Options::only`] set rows aside.
//!
//! ```
//! use veilmatch_lists::{Counts, Options, Rows, Says};
//!
//! let file = &b"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  one\nnot a digest\n"[..];
//! let mut rows = Rows::open(file, &Options::default())?;
//! let mut counts = Counts::default();
//! for row in &mut rows {
//!     let Says::Listed(listing) = row?.says else { continue };
//!     for digest in listing.digests {
//!         match digest {
//!             Ok(_) => counts.accepted += 1, // or `duplicate`, if the caller holds the item already
//!             Err(reason) => counts.quarantine(reason),
//!         }
//!     }
//! }
//! assert_eq!(counts.close(rows.read())?.to_string(), "read 2 = accepted 1 + duplicate 0 + retracted 0 + quarantined 1");
//! # Ok::<(), veilmatch_lists::Error>(())
//! ```

pub mod archive;
mod category;
mod counts;
mod digest;
mod error;
mod format;
mod json;
mod lines;
mod options;
mod quarantine;
mod records;
mod rows;
mod time;
mod utf16;
mod xml;

pub use category::Category;
pub use counts::{Closed, Counts};
pub use error::Error;
pub use format::Format;
pub use lines::MAX_LINE_BYTES;
pub use options::{Columns, Condition, Names, Options};
pub use quarantine::Quarantine;
pub use rows::{Listing, Place, Row, Rows, Says};
pub use time::seconds;
