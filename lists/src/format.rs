//! Formats: their names, how they are recognised, and the seam where another one fits in.
//!
//! A format is a file under `format/` that turns one line into calls of [`Sink::digest`] and [`Sink::quarantine`], a
//! variant of [`Format`] and one of [`Parser`]. One call of the sink is one row, so the counts add up by construction.

mod detect;
mod hashdeep;
mod plain;
mod sums;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::BufRead;

use veilmatch_protocol::item::Kind;

use crate::digest::{self, Lengths};
use crate::lines::{Lines, MAX_LINE_BYTES};
use crate::rows::{Entry, Names, Row};
use crate::{Error, Quarantine};

/// How much of an input is looked at to recognise its format.
pub(crate) const HEAD_BYTES: usize = MAX_LINE_BYTES;

/// A list format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// `sha256sum` and its relatives, `--tag` lines and `openssl dgst` lines included.
    Sums,
    /// The same with records that end with NUL: `sha256sum -z`.
    SumsZ,
    /// `hashdeep` with its two header lines.
    Hashdeep,
    /// One digest per line, optionally after its kind.
    Plain,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Sums, Self::SumsZ, Self::Hashdeep, Self::Plain];

    /// The name on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sums => "sums",
            Self::SumsZ => "sums-z",
            Self::Hashdeep => "hashdeep",
            Self::Plain => "plain",
        }
    }

    /// The format with this name.
    ///
    /// # Errors
    /// [`Error::FormatName`] if there is none.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or(Error::FormatName)
    }

    /// Recognises the format of an input by its first bytes, at best 64 KiB of them.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Utf16`], [`Error::Checksums`], [`Error::UnknownFormat`], or
    /// [`Error::AmbiguousFormat`], which says between which formats the operator must choose.
    pub fn detect(head: &[u8]) -> Result<Self, Error> {
        detect::format(head)
    }

    /// Checks what can be checked of an input whose format is given.
    pub(crate) fn admit(self, head: &[u8]) -> Result<Self, Error> {
        detect::readable(head)?;
        Ok(self)
    }

    pub(crate) fn terminator(self) -> u8 {
        if self == Self::SumsZ { 0 } else { b'\n' }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::from_name(name)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the lines of one format, with what its header said.
pub(crate) enum Parser {
    Sums(sums::Escapes),
    Hashdeep(hashdeep::Columns),
    Plain,
}

impl Parser {
    /// Reads the header, if the format has one.
    pub(crate) fn open<R: BufRead>(format: Format, lines: &mut Lines<R>) -> Result<Self, Error> {
        Ok(match format {
            Format::Sums => Self::Sums(sums::Escapes::Read),
            Format::SumsZ => Self::Sums(sums::Escapes::None),
            Format::Hashdeep => Self::Hashdeep(hashdeep::Columns::open(lines)?),
            Format::Plain => Self::Plain,
        })
    }

    /// Reads one line: none, one or several rows.
    pub(crate) fn parse(&mut self, line: &[u8], sink: &mut Sink) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match self {
            Self::Sums(escapes) => sums::parse(line, *escapes, sink),
            Self::Hashdeep(columns) => columns.parse(line, sink),
            Self::Plain => plain::parse(line, sink),
        }
    }
}

/// Takes the rows of the line at hand.
pub(crate) struct Sink {
    /// The line at hand.
    pub line: u64,
    kind: Option<Kind>,
    names: Names,
    rows: VecDeque<Row>,
}

impl Sink {
    pub(crate) fn new(kind: Option<Kind>, names: Names) -> Self {
        Self { line: 0, kind, names, rows: VecDeque::new() }
    }

    /// One digest. `kind` is what the row itself says; the operator's word comes next, the length last.
    fn digest(&mut self, text: &[u8], kind: Option<Kind>, lengths: Lengths, name: Option<Cow<'_, [u8]>>) {
        let row = match digest::item(text, kind.or(self.kind), lengths) {
            Ok(item) => {
                let name = if self.names == Names::Keep { name.map(Cow::into_owned) } else { None };
                Row::Entry(Entry { line: self.line, item, name })
            }
            Err(reason) => Row::Quarantined { line: self.line, reason },
        };
        self.rows.push_back(row);
    }

    /// One row that is set aside.
    pub(crate) fn quarantine(&mut self, reason: Quarantine) {
        self.rows.push_back(Row::Quarantined { line: self.line, reason });
    }

    /// The next row of the line at hand.
    pub(crate) fn take(&mut self) -> Option<Row> {
        self.rows.pop_front()
    }
}
