//! hashdeep 1.0: a header of two lines that names the columns, then comma-separated lines without quotes.
//!
//! ```text
//! %%%% HASHDEEP-1.0
//! %%%% size,md5,sha256,filename
//! ## comment
//! 5,<md5>,<sha256>,a name, with commas
//! ```
//!
//! Each digest column of a line is a row of its own.

use std::borrow::Cow;
use std::io::BufRead;

use veilmatch_protocol::item::Kind;

use crate::digest::{self, Lengths};
use crate::format::Sink;
use crate::lines::Lines;
use crate::{Error, Quarantine};

pub(super) const MAGIC: &[u8] = b"%%%% HASHDEEP-";
const PREFIX: &[u8] = b"%%%% ";

/// The digest columns between size and file name, each with its kind or the reason why it is set aside.
pub(crate) struct Columns(Vec<Result<Kind, Quarantine>>);

impl Columns {
    /// Reads the two header lines.
    pub(super) fn open<R: BufRead>(lines: &mut Lines<R>) -> Result<Self, Error> {
        let first = lines.next()?.and_then(|line| line.content);
        if !first.is_some_and(|line| line.starts_with(MAGIC)) {
            return Err(Error::HashdeepHeader { line: 1 });
        }
        let second = lines.next()?.and_then(|line| line.content);
        second.and_then(Self::of).ok_or(Error::HashdeepHeader { line: 2 })
    }

    fn of(line: &[u8]) -> Option<Self> {
        let names = line.strip_prefix(PREFIX)?.trim_ascii().strip_prefix(b"size,")?.strip_suffix(b",filename")?;
        Some(Self(names.split(|byte| *byte == b',').map(digest::kind_named).collect()))
    }

    /// Reads one line. Files that were joined end to end bring their header again.
    pub(super) fn parse(&mut self, line: &[u8], sink: &mut Sink) {
        if line.starts_with(b"#") || line.starts_with(MAGIC) {
            return;
        }
        if line.starts_with(PREFIX) {
            match Self::of(line) {
                Some(columns) => *self = columns,
                None => sink.quarantine(Quarantine::Malformed),
            }
            return;
        }
        // Commas beyond the columns belong to the file name.
        let fields: Vec<_> = line.splitn(self.0.len() + 2, |byte| *byte == b',').collect();
        let [size, digests @ .., name] = &fields[..] else {
            return sink.quarantine(Quarantine::Malformed);
        };
        let size = size.trim_ascii();
        if digests.len() != self.0.len() || size.is_empty() || !size.iter().all(u8::is_ascii_digit) {
            return sink.quarantine(Quarantine::Malformed);
        }
        for (digest, column) in digests.iter().zip(&self.0) {
            match column {
                Ok(kind) => sink.digest(digest, Some(*kind), Lengths::Cryptographic, Some(Cow::Borrowed(name))),
                Err(reason) => sink.quarantine(*reason),
            }
        }
    }
}
