//! Tables: delimiter-separated text with quotes and a header that names the columns.

use std::io::BufRead;

use crate::Error;
use crate::format::layout::{Layout, text};
use crate::format::{Format, Input, Parse, Settings};
use crate::records::{Fields, Record, Records};
use crate::rows::{Place, Row};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A table whose header has been read.
pub(super) struct Table<'a> {
    records: Records<Input<'a>>,
    names: Vec<String>,
    layout: Layout,
    settings: Settings,
    /// Length of what stands before the rows, if the header alone says how it is cut.
    header: Option<u64>,
}

impl<'a> Table<'a> {
    /// Reads the header; `layout` says what its columns mean.
    pub(super) fn open(
        format: Format,
        mut input: Input<'a>,
        delimiter: u8,
        settings: Settings,
        layout: impl FnOnce(&[String], &Settings) -> Result<Layout, Error>,
    ) -> Result<Self, Error> {
        let mut begin = Place { row: 1, offset: 0 };
        if head(&mut input)?.starts_with(BYTE_ORDER_MARK) {
            input.consume(BYTE_ORDER_MARK.len());
            begin.offset += BYTE_ORDER_MARK.len() as u64;
        }
        let mut records = Records::new(input, delimiter, begin);
        let Record { place, fields } = records.next()?.ok_or(Error::Empty)?;
        let broken = |why| Error::Broken { place, why };
        let names = names(fields.map_err(|reason| broken(format!("the header is {reason}")))?);
        settings.fields(format, &names)?;
        let layout = layout(&names, &settings)?;
        if layout.is_ambiguous(&names, &settings) {
            return Err(broken("the header has a column twice that is read".into()));
        }
        let header = Some(records.next_place().offset);
        Ok(Self { records, names, layout, settings, header })
    }

    /// Keeps to itself what stands before the rows if whoever sees no more would cut it in another way: `alike` says so.
    pub(super) fn if_cut_alike(mut self, alike: impl FnOnce(usize) -> bool) -> Self {
        self.header = self.header.filter(|header| usize::try_from(*header).is_ok_and(alike));
        self
    }
}

impl Parse for Table<'_> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        let Some(Record { place, fields }) = self.records.next()? else { return Ok(None) };
        Ok(Some(match fields {
            Ok(fields) => self.layout.row(place, &self.names, |column| fields.get(column), &self.settings),
            Err(reason) => Row::quarantined(place, reason),
        }))
    }

    fn head(&self) -> Option<u64> {
        self.header
    }

    fn go_on(&mut self, _head: u64, at: Place) {
        self.records.go_on(at);
    }
}

/// What is buffered of an input: at its beginning that is all that was looked at to recognise its format.
pub(super) fn head<'i>(input: &'i mut Input<'_>) -> Result<&'i [u8], Error> {
    input.fill_buf().map_err(|source| Error::Read { place: Place::default(), source })
}

/// The names in the header of a table that begins with `head`, were it cut at this delimiter.
pub(super) fn header(head: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let mut records = Records::new(head, delimiter, Place::default());
    records.next().ok().flatten()?.fields.ok().map(names)
}

fn names(fields: Fields<'_>) -> Vec<String> {
    fields.iter().map(|name| text(name).trim().to_owned()).collect()
}
