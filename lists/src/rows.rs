//! The stream of rows that callers read.

use std::fmt;
use std::io::{BufRead, Cursor, Read};

use veilmatch_protocol::item::Item;

use crate::format::{HEAD_BYTES, Parse, Settings};
use crate::utf16::{self, Utf16};
use crate::{Category, Error, Format, Options, Quarantine};

/// Where a row stands in its input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from 1: the line; the record, where records end with NUL; elsewhere the row's number.
    pub row: u64,
    /// Bytes before it, of what is in an archive and not of the archive, and of UTF-8 where the input is UTF-16.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} at byte {}", self.row, self.offset)
    }
}

/// What a source says about one subject.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its key within its source. Without one, the digest is the key. A row replaces the earlier row of its key.
    pub id: Option<Vec<u8>>,
    /// When the source wrote it, in seconds since 1970: sources with times do not write in their order.
    pub at: Option<u64>,
    /// What it says.
    pub says: Says,
}

/// What a row says.
#[derive(Clone, PartialEq, Eq)]
pub enum Says {
    /// The subject is listed under these digests.
    Listed(Listing),
    /// The subject with this key is withdrawn.
    Withdrawn,
}

/// A listed subject.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its digests, each taken or set aside with a reason. There is at least one.
    pub digests: Vec<Result<Item, Quarantine>>,
    /// Its category.
    pub category: Option<Category>,
    /// The case or series that it belongs to.
    pub reference: Option<String>,
    /// The time from which it is listed, in seconds since 1970.
    pub valid_from: Option<u64>,
    /// The time from which it is not listed any more.
    pub valid_until: Option<u64>,
    /// The name beside the digests, unescaped, if [`Names::Keep`](crate::Names::Keep) was asked for and the format has names.
    pub name: Option<Vec<u8>>,
}

impl Row {
    /// A row that is set aside as a whole, as one digest.
    pub(crate) fn quarantined(place: Place, reason: Quarantine) -> Self {
        Self::listing(place, Listing { digests: vec![Err(reason)], ..Listing::default() })
    }

    /// A row without a key of its own.
    pub(crate) fn listing(place: Place, listing: Listing) -> Self {
        Self { place, id: None, at: None, says: Says::Listed(listing) }
    }

    /// How much the row counts: its digests, or one if it withdraws.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match &self.says {
            Says::Listed(listing) => listing.digests.len() as u64,
            Says::Withdrawn => 1,
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Reads an input row by row. Memory is bounded, whatever the input holds.
pub struct Rows<'a> {
    format: Format,
    parser: Box<dyn Parse + Send + 'a>,
    /// Whether places are those of the input.
    as_it_is: bool,
    read: u64,
    ended: bool,
}

impl<'a> Rows<'a> {
    /// Recognises the format, unless it is given, and reads what stands before the first row.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Counts`].
    pub fn open(mut input: impl BufRead + Send + 'a, options: &Options) -> Result<Self, Error> {
        let mark = head(&mut input, utf16::MARK_BYTES)?;
        match Utf16::behind(&mark, input) {
            Ok(input) => Self::open_text(input, options).map(|rows| Self { as_it_is: false, ..rows }),
            Err(input) => Self::open_text(Cursor::new(mark).chain(input), options),
        }
        .map_err(Error::told)
    }

    fn open_text(mut input: impl BufRead + Send + 'a, options: &Options) -> Result<Self, Error> {
        let head = head(&mut input, HEAD_BYTES)?;
        let format = match options.format {
            Some(format) => format.admit(&head)?,
            None => Format::detect(&head)?,
        };
        let input = Cursor::new(head).chain(input);
        let parser = format.open(Box::new(input), Settings::of(options))?;
        Ok(Self { format, parser, as_it_is: true, read: 0, ended: false })
    }

    /// Goes on with an input that was read up to some row: gives that row once more, and those behind it. `head` is as much
    /// of the input's beginning as [`Self::head`] said, `rest` what comes from that row's place `at` on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn resume(
        head: &[u8],
        rest: impl BufRead + Send + 'a,
        at: Place,
        format: Format,
        options: &Options,
    ) -> Result<Self, Error> {
        let input = Cursor::new(head.to_vec()).chain(rest);
        let mut parser = format.open(Box::new(input), Settings::of(options)).map_err(Error::told)?;
        parser.go_on(head.len() as u64, at);
        Ok(Self { format, parser, as_it_is: true, read: 0, ended: false })
    }

    /// How many bytes at the beginning of the input [`Self::resume`] needs to go on at the last row that was given; `None`
    /// if it cannot, because more than that decides what rows say.
    #[must_use]
    pub fn head(&self) -> Option<u64> {
        if self.as_it_is { self.parser.head() } else { None }
    }

    /// The format being read.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sum of the weights of the rows given so far by this reading, for [`Counts::close`](crate::Counts::close).
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }
}

fn head(input: &mut impl BufRead, len: usize) -> Result<Vec<u8>, Error> {
    let mut head = Vec::with_capacity(len);
    let read = input.take(len as u64).read_to_end(&mut head);
    read.map_err(|source| Error::Read { place: Place::default(), source })?;
    Ok(head)
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Error>;

    /// The next row. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.parser.next().map_err(Error::told).transpose();
        match &next {
            Some(Ok(row)) => self.read += row.weight(),
            Some(Err(_)) | None => self.ended = true,
        }
        next
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("format", &self.format).field("read", &self.read).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod shape;
#[cfg(test)]
mod tests;
