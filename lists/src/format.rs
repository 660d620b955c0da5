//! Formats: their names, how they are recognised, and the seam where another one fits in.
//!
//! A format is a file under `format/` with a type that implements [`Parse`], a variant of [`Format`], and a line in
//! [`Format::open`]. Formats of lines implement [`ParseLine`] and leave cutting to [`OfLines`].

mod csv;
mod detect;
mod hashdeep;
mod icse;
mod jsonl;
mod layout;
mod ncmec;
mod nsrl;
mod plain;
#[cfg(test)]
mod said;
mod stopncii;
mod sums;
mod table;
mod vics;

use std::borrow::Cow;
use std::io::BufRead;

use veilmatch_protocol::item::{Item, Kind};

use crate::digest::{self, Lengths};
use crate::format::table::Table;
use crate::lines::{Line, Lines, MAX_LINE_BYTES};
use crate::rows::{Listing, Place, Row};
use crate::{Columns, Condition, Error, Names, Options, Quarantine};

/// How much of an input is looked at to recognise its format.
pub(crate) const HEAD_BYTES: usize = MAX_LINE_BYTES;

/// What a format reads from.
pub(crate) type Input<'a> = Box<dyn BufRead + Send + 'a>;

/// Reads the rows of one format.
pub(crate) trait Parse {
    /// The next row, or `None` at the end of the input.
    fn next(&mut self) -> Result<Option<Row>, Error>;

    /// How many bytes stand before the rows. Read together with what comes from the last row on, they give that row and all
    /// behind it once more. `None` if something else that was read decides what rows say.
    fn head(&self) -> Option<u64> {
        None
    }

    /// Counts from here on as if everything before the row at `at` had been read, and not `head` bytes. Called before the
    /// first row.
    fn go_on(&mut self, _head: u64, _at: Place) {}
}

/// What the operator said that concerns every row.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    kind: Option<Kind>,
    names: Names,
    only: Vec<Condition>,
    columns: Columns,
    scheme: Option<String>,
}

impl Settings {
    pub(crate) fn of(options: &Options) -> Self {
        let Options { kind, names, ref only, ref columns, ref scheme, .. } = *options;
        Self { kind, names, only: only.clone(), columns: columns.clone(), scheme: scheme.clone() }
    }

    /// Checks when an input is opened that conditions are on fields which the format has. Case does not count.
    fn fields(&self, format: Format, known: &[impl AsRef<str>]) -> Result<(), Error> {
        let has = |field: &str| known.iter().any(|name| same_name(name.as_ref(), field));
        match self.only.iter().find(|condition| !has(&condition.field)) {
            Some(condition) => Err(Error::NoField { format, field: condition.field.clone() }),
            None => Ok(()),
        }
    }

    /// Whether a row fulfils every condition. `value` gives what the row has in a field, by the operator's spelling of it
    /// (compare with [`same_name`]); what the row does not have is empty.
    fn admits<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> bool {
        self.only.iter().all(|condition| condition.admits(&value(&condition.field).unwrap_or_default()))
    }

    /// The listing as it is if its row fulfils every condition, else with each digest set aside.
    fn filter<'v>(&self, mut listing: Listing, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> Listing {
        if !self.admits(value) {
            listing.digests.fill(Err(Quarantine::FilteredOut));
        }
        listing
    }

    /// One digest. `kind` is what the row itself says; the operator's word comes next, the length last.
    fn item(&self, text: &[u8], kind: Option<Kind>, lengths: Lengths) -> Result<Item, Quarantine> {
        digest::item(text, kind.or(self.kind), lengths)
    }

    /// The name, if names are kept.
    fn name(&self, name: &[u8]) -> Option<Vec<u8>> {
        (self.names == Names::Keep).then(|| name.to_vec())
    }
}

/// Whether two spellings name one field.
fn same_name(one: &str, other: &str) -> bool {
    lower(one).eq(lower(other))
}

/// The spelling that all of a field have in common.
fn lower(name: &str) -> impl Iterator<Item = char> {
    name.trim().chars().flat_map(char::to_lowercase)
}

/// Reads the lines of one format, with what its header said.
trait ParseLine {
    /// Whether a line says the same whatever stands before it.
    const EACH_FOR_ITSELF: bool = true;

    /// Reads what stands before the first row.
    fn header(&mut self, _lines: &mut Lines<Input<'_>>) -> Result<(), Error> {
        Ok(())
    }

    /// Reads one line that is not blank: a row, or none.
    fn parse(&mut self, line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row>;
}

/// A format whose rows are lines.
struct OfLines<'a, P> {
    lines: Lines<Input<'a>>,
    parser: P,
    settings: Settings,
}

impl<'a, P: ParseLine> OfLines<'a, P> {
    fn open(input: Input<'a>, terminator: u8, mut parser: P, settings: Settings) -> Result<Self, Error> {
        let mut lines = Lines::new(input, terminator);
        parser.header(&mut lines)?;
        Ok(Self { lines, parser, settings })
    }
}

impl<P: ParseLine> Parse for OfLines<'_, P> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        while let Some(line) = self.lines.next()? {
            let row = match line.content {
                Some(content) if content.trim_ascii().is_empty() => None,
                Some(content) => self.parser.parse(&line, content, &self.settings),
                None => Some(Row::quarantined(line.place, Quarantine::LineTooLong)),
            };
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    fn head(&self) -> Option<u64> {
        P::EACH_FOR_ITSELF.then_some(0)
    }

    fn go_on(&mut self, _head: u64, at: Place) {
        self.lines.go_on(at);
    }
}

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
    /// An export of ICSE, Baseline among it: a table with semicolons.
    Icse,
    /// The reference set of known files, RDS version 2: a table with commas.
    Nsrl,
    /// A table with a header and commas, semicolons or tabs.
    Csv,
    /// A JSON object per line.
    Jsonl,
    /// StopNCII, pages of its FetchHashes. Received hashes are listed like Active ones; all are of `stopncii:ncii`.
    Stopncii,
    /// Project VIC and CAID: VICS JSON 1.2, 1.3 and 2.0. Categories are of the profile that the file names; 1.2 and 1.3 know
    /// no profiles, and theirs are of `vics-default`.
    Vics,
    /// NCMEC hash sharing, version 2: pages of XML. What is behind a link is not fetched.
    Ncmec,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::Sums,
        Self::SumsZ,
        Self::Hashdeep,
        Self::Plain,
        Self::Icse,
        Self::Nsrl,
        Self::Csv,
        Self::Jsonl,
        Self::Stopncii,
        Self::Vics,
        Self::Ncmec,
    ];

    /// The name on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sums => "sums",
            Self::SumsZ => "sums-z",
            Self::Hashdeep => "hashdeep",
            Self::Plain => "plain",
            Self::Icse => "icse",
            Self::Nsrl => "nsrl",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Stopncii => "stopncii",
            Self::Vics => "vics",
            Self::Ncmec => "ncmec",
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
    /// [`Error::Empty`], [`Error::Packed`], [`Error::Checksums`], [`Error::UnknownFormat`], or
    /// [`Error::AmbiguousFormat`], which says between which formats the operator must choose.
    pub fn detect(head: &[u8]) -> Result<Self, Error> {
        detect::format(head)
    }

    /// Checks what can be checked of an input whose format is given.
    pub(crate) fn admit(self, head: &[u8]) -> Result<Self, Error> {
        detect::readable(head)?;
        Ok(self)
    }

    /// The fields on which there can be conditions, or `None` if only the input tells.
    fn fields(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Sums | Self::SumsZ | Self::Hashdeep | Self::Plain => Some(&[]),
            Self::Icse | Self::Nsrl | Self::Csv | Self::Jsonl => None,
            Self::Stopncii => Some(stopncii::FIELDS),
            Self::Vics => Some(vics::FIELDS),
            Self::Ncmec => Some(ncmec::FIELDS),
        }
    }

    /// Reads what stands before the first row.
    pub(crate) fn open<'a>(
        self,
        mut input: Input<'a>,
        settings: Settings,
    ) -> Result<Box<dyn Parse + Send + 'a>, Error> {
        if let Some(fields) = self.fields() {
            settings.fields(self, fields)?;
        }
        Ok(match self {
            Self::Sums => Box::new(OfLines::open(input, b'\n', sums::Escapes::Read, settings)?),
            Self::SumsZ => Box::new(OfLines::open(input, 0, sums::Escapes::None, settings)?),
            Self::Hashdeep => Box::new(OfLines::open(input, b'\n', hashdeep::Columns::default(), settings)?),
            Self::Plain => Box::new(OfLines::open(input, b'\n', plain::Plain, settings)?),
            Self::Icse => {
                Box::new(Table::open(self, input, icse::DELIMITER, settings, |names, _| icse::layout(names))?)
            }
            Self::Nsrl => {
                Box::new(Table::open(self, input, nsrl::DELIMITER, settings, |names, _| nsrl::layout(names))?)
            }
            Self::Csv => {
                let head = table::head(&mut input)?.to_vec();
                let delimiter = csv::delimiter(&head, &settings);
                Box::new(Table::open(self, input, delimiter, settings.clone(), csv::layout)?.if_cut_alike(|header| {
                    head.get(..header).is_some_and(|header| csv::delimiter(header, &settings) == delimiter)
                }))
            }
            Self::Jsonl => Box::new(OfLines::open(input, b'\n', jsonl::Jsonl, settings)?),
            Self::Stopncii => Box::new(stopncii::Pages::open(input, settings)),
            Self::Vics => Box::new(vics::Vics::open(input, settings)?),
            Self::Ncmec => Box::new(ncmec::Pages::open(input, settings)),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn only(conditions: &[&str]) -> Settings {
        let only = conditions.iter().map(|text| text.parse().unwrap()).collect();
        Settings::of(&Options { only, ..Options::default() })
    }

    #[test]
    fn conditions_are_on_fields_that_the_format_has() {
        let settings = only(&["category=1", "SERIES=a"]);
        assert!(settings.fields(Format::Plain, &["Category", "Series "]).is_ok());
        let error = settings.fields(Format::Plain, &["Category"]).unwrap_err();
        assert_eq!(error.to_string(), "the format plain has no field SERIES");
    }

    #[test]
    fn every_condition_must_hold_and_what_is_absent_is_empty() {
        let settings = only(&["category=1,2", "series=a,"]);
        let admits = |category: &'static str, series: Option<&'static str>| {
            settings.admits(|field| if field == "category" { Some(category.into()) } else { series.map(Cow::from) })
        };
        assert!(admits("2", Some("A")) && admits("1", None));
        assert!(!admits("3", Some("a")) && !admits("1", Some("b")));
        let listing = Listing { digests: vec![Err(Quarantine::BadHex); 2], ..Listing::default() };
        let filtered = settings.filter(listing.clone(), |_| None);
        assert_eq!(filtered.digests, [Err(Quarantine::FilteredOut), Err(Quarantine::FilteredOut)]);
        assert!(only(&[]).filter(listing.clone(), |_| None) == listing);
    }
}
