//! hashdeep 1.0: a header of two lines that names the columns, then comma-separated lines without quotes.
//!
//! ```text
//! %%%% HASHDEEP-1.0
//! %%%% size,md5,sha256,filename
//! ## comment
//! 5,<md5>,<sha256>,a name, with commas
//! ```
//!
//! A line is a row with a digest for each digest column.

use veilmatch_protocol::item::Kind;

use crate::digest::{self, Lengths};
use crate::format::{Input, ParseLine, Settings};
use crate::lines::{Line, Lines};
use crate::rows::{Listing, Row};
use crate::{Error, Quarantine};

pub(super) const MAGIC: &[u8] = b"%%%% HASHDEEP-";
const PREFIX: &[u8] = b"%%%% ";

/// The digest columns between size and file name, each with its kind or the reason why it is set aside.
#[derive(Default)]
pub(super) struct Columns(Vec<Result<Kind, Quarantine>>);

impl Columns {
    fn of(line: &[u8]) -> Option<Self> {
        let names = line.strip_prefix(PREFIX)?.trim_ascii().strip_prefix(b"size,")?.strip_suffix(b",filename")?;
        Some(Self(names.split(|byte| *byte == b',').map(digest::kind_named).collect()))
    }

    fn row(&self, content: &[u8], settings: &Settings) -> Option<Listing> {
        // Commas beyond the columns belong to the file name.
        let fields: Vec<_> = content.splitn(self.0.len() + 2, |byte| *byte == b',').collect();
        let [size, digests @ .., name] = &fields[..] else { return None };
        let size = size.trim_ascii();
        if digests.len() != self.0.len() || size.is_empty() || !size.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digests = digests.iter().zip(&self.0);
        let item = |(digest, column): (&&[u8], &Result<Kind, Quarantine>)| {
            column.and_then(|kind| settings.item(digest, Some(kind), Lengths::Cryptographic))
        };
        Some(Listing { digests: digests.map(item).collect(), name: settings.name(name), ..Listing::default() })
    }
}

impl ParseLine for Columns {
    // A later header counts from its line on.
    const EACH_FOR_ITSELF: bool = false;

    fn header(&mut self, lines: &mut Lines<Input<'_>>) -> Result<(), Error> {
        let first = lines.next()?.and_then(|line| line.content);
        if !first.is_some_and(|line| line.starts_with(MAGIC)) {
            return Err(Error::HashdeepHeader { line: 1 });
        }
        let second = lines.next()?.and_then(|line| line.content);
        *self = second.and_then(Self::of).ok_or(Error::HashdeepHeader { line: 2 })?;
        Ok(())
    }

    fn parse(&mut self, line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row> {
        // Files that were joined end to end bring their header again.
        if content.starts_with(b"#") || content.starts_with(MAGIC) {
            return None;
        }
        if content.starts_with(PREFIX) {
            let columns = Self::of(content);
            let malformed = columns.is_none().then(|| Row::quarantined(line.place, Quarantine::Malformed));
            self.0 = columns.map_or_else(|| std::mem::take(&mut self.0), |columns| columns.0);
            return malformed;
        }
        Some(match self.row(content, settings) {
            Some(listing) => Row::listing(line.place, listing),
            None => Row::quarantined(line.place, Quarantine::Malformed),
        })
    }
}
