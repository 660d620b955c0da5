//! The stream of rows that callers read.

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

use veilmatch_protocol::item::{Item, Kind};

use crate::format::{HEAD_BYTES, Parser, Sink};
use crate::lines::{Line, Lines};
use crate::{Error, Format, Quarantine};

/// What the caller knows about an input and wants of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The format, or `None` to recognise it from the first bytes.
    pub format: Option<Format>,
    /// The kind of rows that do not name theirs, or `None` to go by length where a length has one meaning.
    pub kind: Option<Kind>,
    /// Whether names are kept.
    pub names: Names,
}

/// What happens to the names in a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// They are read past and never held: names in lists may be personal data.
    #[default]
    Drop,
    /// They are handed over, for output to the person whose files they name.
    Keep,
}

/// One digest of the input: taken, or set aside with a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A well-formed entry.
    Entry(Entry),
    /// A row that is set aside; reading goes on.
    Quarantined {
        /// Line in the input, counted from 1; record, where records end with NUL.
        line: u64,
        /// Why.
        reason: Quarantine,
    },
}

/// A well-formed entry. A line that holds digests of several kinds gives several entries with the same line.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line in the input, counted from 1; record, where records end with NUL.
    pub line: u64,
    /// Kind and digest.
    pub item: Item,
    /// The name beside the digest, unescaped, if [`Names::Keep`] was asked for and the format has names.
    pub name: Option<Vec<u8>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("line", &self.line).finish_non_exhaustive()
    }
}

/// Reads an input row by row. Memory is bounded by the longest line we accept, whatever the input holds.
pub struct Rows<R> {
    format: Format,
    lines: Lines<io::Chain<Cursor<Vec<u8>>, R>>,
    parser: Parser,
    sink: Sink,
    read: u64,
    ended: bool,
}

impl<R: BufRead> Rows<R> {
    /// Recognises the format, unless it is given, and reads what stands before the first row.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Counts`].
    pub fn open(mut input: R, options: &Options) -> Result<Self, Error> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        input.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let format = match options.format {
            Some(format) => format.admit(&head)?,
            None => Format::detect(&head)?,
        };
        let mut lines = Lines::new(Cursor::new(head).chain(input), format.terminator());
        let parser = Parser::open(format, &mut lines)?;
        let sink = Sink::new(options.kind, options.names);
        Ok(Self { format, lines, parser, sink, read: 0, ended: false })
    }
}

impl<R> Rows<R> {
    /// The format being read.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows given so far, for [`Counts::close`](crate::Counts::close).
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, Error>;

    /// The next row. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.sink.take() {
                self.read += 1;
                return Some(Ok(row));
            }
            if self.ended {
                return None;
            }
            match self.lines.next() {
                Ok(Some(Line { number, content })) => {
                    self.sink.line = number;
                    match content {
                        Some(content) => self.parser.parse(content, &mut self.sink),
                        None => self.sink.quarantine(Quarantine::LineTooLong),
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
    }
}

impl<R> fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("format", &self.format).field("read", &self.read).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
