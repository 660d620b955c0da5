//! StopNCII: pages of its FetchHashes, as they were answered, one or several behind each other.
//!
//! ```text
//! {"count": 2, "nextPageToken": "…", "nextSetTimestamp": 1700000000, "hasMoreRecords": false, "hashRecords": [
//!   {"lastModtimestamp": 1700000000, "signalType": "VideoMD5", "hashValue": "<hex>", "hashStatus": "Active",
//!    "caseNumbers": {"<case>": "Active"}, "CSPFeedbacks": [{"feedbackValue": "…", "tags": […], "source": "…"}]},
//!   …]}
//! ```
//!
//! - `hashStatus` alone decides: Withdrawn and Deleted withdraw, Active and Received list, anything else is malformed.
//!   Received is the state of a hash from its submission on. StopNCII hands it out for matching, so it is listed; who wants
//!   the others alone says `--only hashStatus=Active`.
//! - The key is type and value. Hexadecimal values are brought to lower case, so that a withdrawal finds its entry.
//! - A withdrawal is taken even if its time cannot be read, and no condition keeps it out.
//! - The category is `stopncii:ncii`: intimate images shared without consent, the one thing that StopNCII lists. The
//!   status is not part of it, or each change of status would be a change of the published list.
//! - What platforms said about a hash is read past.

use std::borrow::Cow;

use veilmatch_protocol::item::Kind;

use crate::digest::Lengths;
use crate::format::{Input, Parse, Settings, same_name};
use crate::json::{Fields, Reader, Stop, Value, Window};
use crate::rows::{Listing, Place, Row, Says};
use crate::time::seconds;
use crate::{Category, Error, Quarantine};

/// The fields on which there can be conditions.
pub(super) const FIELDS: &[&str] = &[NAMES[TYPE], NAMES[STATUS]];

const NAMES: &[&str; 4] = &["signalType", "hashStatus", "hashValue", "lastModtimestamp"];
const TYPE: usize = 0;
const STATUS: usize = 1;
const VALUE: usize = 2;
const TIME: usize = 3;

/// The types that are known, as they are spelt in keys.
const SIGNALS: [&str; 6] = ["ImagePDQ", "VideoMD5", "VideoTMK", "Text", "URL", "Unknown"];

/// Between which brackets the input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Input,
    Page,
    Records,
}

/// Pages of records.
pub(super) struct Pages<'a> {
    window: Window<Input<'a>>,
    settings: Settings,
    level: Level,
    /// Whether nothing was read yet of the innermost bracket.
    first: bool,
    /// Whether the page has shown its records.
    shown: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn open(input: Input<'a>, settings: Settings) -> Self {
        Self { window: Window::new(input), settings, level: Level::Input, first: true, shown: false }
    }

    /// A member of a page.
    fn member(&mut self) -> Result<(), Error> {
        let records = self.window.short(|reader| Ok(reader.name()?.is("hashRecords")))?;
        if records && std::mem::replace(&mut self.shown, true) {
            return Err(self.window.broken("a page has hashRecords twice"));
        }
        if records && self.window.take(b'[')? {
            (self.level, self.first) = (Level::Records, true);
            return Ok(());
        }
        let null = self.window.short(|reader| Ok(matches!(reader.value()?, Value::Null)))?;
        if records && !null {
            return Err(self.window.broken("hashRecords is not an array"));
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Row, Error> {
        let place = self.window.place();
        let row = if self.window.peek()? == Some(b'{') {
            match self.window.whole(|reader| record(reader, place, &self.settings))? {
                Some(row) => row,
                None => {
                    self.window.skip_long()?;
                    Row::quarantined(place, Quarantine::LineTooLong)
                }
            }
        } else {
            self.window.short(|reader| reader.skip())?;
            Row::quarantined(place, Quarantine::Malformed)
        };
        self.window.count_row();
        Ok(row)
    }
}

impl Parse for Pages<'_> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            let first = std::mem::replace(&mut self.first, false);
            match self.level {
                Level::Input if self.window.peek()?.is_none() && self.shown => return Ok(None),
                Level::Input if self.window.take(b'{')? => {
                    (self.level, self.first, self.shown) = (Level::Page, true, false);
                }
                Level::Input => return Err(self.window.broken("a page is not an object")),
                Level::Page if self.window.goes_on(first, b'}')? => self.member()?,
                Level::Page if self.shown => self.level = Level::Input,
                Level::Page => return Err(self.window.broken("a page has no hashRecords")),
                Level::Records if self.window.goes_on(first, b']')? => return self.record().map(Some),
                Level::Records => self.level = Level::Page,
            }
        }
    }
}

/// Whether the beginning of an input is that of a page.
pub(super) fn looks_like_one(head: &[u8]) -> bool {
    let mut found = false;
    // The head ends somewhere within the page.
    let _ = Reader::new(head).members(|reader, name| {
        found |= name.is("hashRecords");
        reader.skip()
    });
    found
}

/// What `hashStatus` says.
enum Status {
    Listed,
    Withdrawn,
}

fn record(reader: &mut Reader<'_>, place: Place, settings: &Settings) -> Result<Row, Stop> {
    let mut fields = Fields::new(NAMES, NAMES.len());
    let mut case = None;
    reader.members(|reader, name| match fields.index(name) {
        Some(index) => fields.read(index, reader),
        None if name.is("caseNumbers") && reader.peek()? == b'{' => reader.members(|reader, number| {
            case = case.or(Some(number));
            reader.skip()
        }),
        None => reader.skip(),
    })?;
    let case = case.and_then(|case| Some(case.plain()?.into_owned()));
    Ok(row(&fields, case, place, settings).unwrap_or_else(|| Row::quarantined(place, Quarantine::Malformed)))
}

/// What a record says, or `None` if that cannot be told.
fn row(fields: &Fields<'_, 4>, case: Option<String>, place: Place, settings: &Settings) -> Option<Row> {
    let [signal, status, value] = [TYPE, STATUS, VALUE].map(|index| fields.scalar(index).ok().flatten());
    let (signal, status, value) = (signal?, status?, value?);
    let time = fields.scalar(TIME).map(|time| time.map(|time| seconds(&time)));
    let id = Some(key(&signal, &value));
    match status_of(&status)? {
        _ if fields.twice() => None,
        Status::Withdrawn => Some(Row { place, id, at: time.ok().flatten().flatten(), says: Says::Withdrawn }),
        Status::Listed => {
            let at = match time.ok()? {
                Some(time) => Some(time?),
                None => None,
            };
            let item = match kind_of(&signal) {
                Some(kind) => settings.item(value.as_bytes(), Some(kind), Lengths::Any),
                None => Err(Quarantine::UnsupportedKind),
            };
            let category = Some(Category::of("stopncii", "ncii"));
            let listing = Listing { digests: vec![item], category, reference: case, ..Listing::default() };
            let listing = settings.filter(listing, |field| {
                Some(Cow::Borrowed(if same_name(field, NAMES[TYPE]) { &*signal } else { &*status }))
            });
            Some(Row { place, id, at, says: Says::Listed(listing) })
        }
    }
}

fn status_of(status: &str) -> Option<Status> {
    let is = |name: &str| status.eq_ignore_ascii_case(name);
    if is("Withdrawn") || is("Deleted") {
        Some(Status::Withdrawn)
    } else if is("Active") || is("Received") {
        Some(Status::Listed)
    } else {
        None
    }
}

fn kind_of(signal: &str) -> Option<Kind> {
    signal.eq_ignore_ascii_case("VideoMD5").then_some(Kind::Md5)
}

fn key(signal: &str, value: &str) -> Vec<u8> {
    let signal = SIGNALS.into_iter().find(|known| signal.eq_ignore_ascii_case(known)).unwrap_or(signal);
    let hexadecimal = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = if hexadecimal { Cow::Owned(value.to_ascii_lowercase()) } else { Cow::Borrowed(value) };
    format!("{signal}/{value}").into_bytes()
}

#[cfg(test)]
mod tests;
