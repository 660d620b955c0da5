//! VICS: the JSON of Project VIC and CAID, versions 1.2, 1.3 and 2.0.
//!
//! ```text
//! {"@odata.context": "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media", "value": [
//!   {"MediaID": 1, "Category": 1, "MD5": "<hex>", "SHA1": "<hex>", "Series": "…", "MediaFiles": […], …}, …]}
//! ```
//!
//! - `#Cases` files hold cases in `value`, each with an array `Media`. What an element has decides, not the announcement:
//!   an element with an array `Media` is a case, any other one is a medium.
//! - Names of members are compared without case, and may stand in any order.
//! - A category is a number within a profile: the scheme is `vics-default`, `vics-us`, `vics-uk` or `vics-custom`. Versions
//!   1.2 and 1.3 know no profiles; theirs is `vics-default`. The profile stands in the metadata. If that stands behind the
//!   rows, it is found where the rest of the file is shorter than 1 MiB; otherwise the operator says
//!   [`Options::scheme`](crate::Options::scheme), or the first row with a category is an error.
//! - The key is `MediaID`; `DateUpdated` says nothing about validity. Names and paths of files are read past.
//! - Whether a file lists abuse or known software is the operator's word: the same form is used for both.

mod media;

use std::borrow::Cow;

use crate::format::{Input, Parse, Settings};
use crate::json::{Reader, Stop, Text, Value, Window};
use crate::rows::{Place, Row};
use crate::{Error, Quarantine};

pub(super) use media::FIELDS;
use media::Media;

/// Between which brackets the input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Value,
    Case,
    Media,
    End,
}

/// The rows of a VICS file.
pub(super) struct Vics<'a> {
    window: Window<Input<'a>>,
    settings: Settings,
    level: Level,
    /// Whether nothing was read yet of the innermost bracket.
    first: bool,
    /// Whether `value` was met.
    shown: bool,
    scheme: Option<Cow<'static, str>>,
    /// Whether the scheme is the operator's word.
    told: bool,
    /// Whether the scheme stands before `value`.
    named_before: bool,
    /// Where the first element of `value` begins.
    begin: Option<u64>,
}

impl<'a> Vics<'a> {
    pub(super) fn open(input: Input<'a>, settings: Settings) -> Result<Self, Error> {
        let mut window = Window::new(input);
        if !window.take(b'{')? {
            return Err(window.broken("a VICS file is an object"));
        }
        let (level, scheme) = (Level::Root, None);
        let (first, shown, told, named_before) = (true, false, false, false);
        Ok(Self { window, settings, level, first, shown, scheme, told, named_before, begin: None })
    }

    /// A member of the outermost object.
    fn member(&mut self) -> Result<(), Error> {
        enum Member {
            Metadata,
            Value,
            Other,
        }
        let member = self.window.short(|reader| {
            let name = reader.name()?;
            Ok(match name.is("value") {
                true => Member::Value,
                false if is_metadata(name) => Member::Metadata,
                false => Member::Other,
            })
        })?;
        match member {
            Member::Metadata => {
                let profile = self.window.short(|reader| reader.value().map(profile_of))?;
                self.name_profile(profile)
            }
            Member::Value => self.enter(),
            Member::Other => self.window.short(|reader| reader.skip()),
        }
    }

    fn name_profile(&mut self, profile: Option<&'static str>) -> Result<(), Error> {
        match (&self.scheme, profile) {
            (None, profile) => self.scheme = profile.map(Cow::Borrowed),
            (Some(scheme), Some(profile)) if scheme != profile => {
                let why =
                    if self.told { "the file names another profile than --scheme" } else { "two profiles are named" };
                return Err(self.window.broken(why));
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes into `value`.
    fn enter(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.shown, true) {
            return Err(self.window.broken("value is there twice"));
        }
        if self.window.peek()? != Some(b'[') {
            return Err(self.window.broken("value is not an array"));
        }
        self.named_before = self.scheme.is_some();
        if self.scheme.is_none() {
            self.scheme = self.window.look_ahead(profile_behind).flatten().map(Cow::Borrowed);
        }
        if let (None, Some(scheme)) = (&self.scheme, &self.settings.scheme) {
            (self.scheme, self.told) = (Some(Cow::Owned(scheme.clone())), true);
        }
        self.window.take(b'[')?;
        (self.level, self.first) = (Level::Value, true);
        Ok(())
    }

    /// A member of a case.
    fn case_member(&mut self) -> Result<(), Error> {
        let media = self.window.short(|reader| Ok(reader.name()?.is("Media")))?;
        if media && self.window.take(b'[')? {
            (self.level, self.first) = (Level::Media, true);
            return Ok(());
        }
        self.window.short(|reader| reader.skip())
    }

    /// An element of `value` or of a case: a medium, or `None` and the way into a case.
    fn element(&mut self) -> Result<Option<Row>, Error> {
        let place = self.window.place();
        self.begin = self.begin.or(Some(place.offset));
        if self.window.peek()? != Some(b'{') {
            self.window.short(|reader| reader.skip())?;
            self.window.count_row();
            return Ok(Some(Row::quarantined(place, Quarantine::Malformed)));
        }
        let may_be_case = self.level == Level::Value;
        let media = Media { place, settings: &self.settings, scheme: self.scheme.as_ref(), may_be_case };
        let mut case = false;
        let read = self.window.whole(|reader| media.read(reader).inspect_err(|stop| case = *stop == Stop::Enough))?;
        let row = match read {
            Some(Some(row)) => row,
            Some(None) => return Err(Error::NoProfile { place }),
            None if case => {
                self.window.take(b'{')?;
                (self.level, self.first) = (Level::Case, true);
                return Ok(None);
            }
            None => {
                self.window.skip_long()?;
                Row::quarantined(place, Quarantine::LineTooLong)
            }
        };
        self.window.count_row();
        Ok(Some(row))
    }

    fn end(&mut self) -> Result<(), Error> {
        if !self.shown {
            return Err(self.window.broken("there is no value"));
        }
        match self.window.peek()? {
            None => Ok(()),
            Some(_) => Err(self.window.broken("something follows the list")),
        }
    }
}

impl Parse for Vics<'_> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            let first = std::mem::replace(&mut self.first, false);
            match self.level {
                Level::Root if self.window.goes_on(first, b'}')? => self.member()?,
                Level::Root => self.level = Level::End,
                Level::Value | Level::Media if self.window.goes_on(first, b']')? => {
                    if let Some(row) = self.element()? {
                        return Ok(Some(row));
                    }
                }
                Level::Value => self.level = Level::Root,
                Level::Media => self.level = Level::Case,
                Level::Case if self.window.goes_on(first, b'}')? => self.case_member()?,
                Level::Case => self.level = Level::Value,
                Level::End => return self.end().map(|()| None),
            }
        }
    }

    // Within a case the brackets around it count, too.
    fn head(&self) -> Option<u64> {
        self.begin.filter(|_| self.named_before && self.level == Level::Value)
    }

    fn go_on(&mut self, head: u64, at: Place) {
        self.begin = Some(head);
        self.window.move_on(Place { row: 1, offset: head }, at);
    }
}

/// Whether the beginning of an input is that of a VICS file: its metadata, or the first medium or case.
pub(super) fn looks_like_one(head: &[u8]) -> bool {
    let mut found = false;
    // The head ends somewhere within the file.
    let _ = Reader::new(head).members(|reader, name| {
        let is_value = name.is("value") && reader.peek()? == b'[';
        if is_value {
            reader.elements(|reader| {
                reader.members(|reader, name| {
                    found |=
                        ["MediaID", "MediaFiles", "Media", "CaseID", "CaseNumber"].iter().any(|known| name.is(known));
                    reader.skip()
                })?;
                Err(Stop::Enough)
            })
        } else {
            let value = reader.value()?;
            found |= is_metadata(name) && profile_of(value).is_some();
            Ok(())
        }
    });
    found
}

fn is_metadata(name: Text<'_>) -> bool {
    name.is("@odata.context") || name.is("odata.metadata")
}

/// The scheme of the profile that a metadata address names.
fn profile_of(metadata: Value<'_>) -> Option<&'static str> {
    let address = metadata.scalar()?.to_ascii_lowercase();
    let (_, model) = address.split_once("projectvic/datamodels/")?;
    let (version, fragment) = model.split_once(".xml")?;
    if version.starts_with("1.") {
        return Some("vics-default");
    }
    match fragment.strip_prefix('/')?.split('/').next()? {
        "default" => Some("vics-default"),
        "us" => Some("vics-us"),
        "uk" => Some("vics-uk"),
        "custom" => Some("vics-custom"),
        _ => None,
    }
}

/// The profile that is named behind an array which begins here.
fn profile_behind(reader: &mut Reader<'_>) -> Result<Option<&'static str>, Stop> {
    let mut profile = None;
    reader.skip()?;
    while reader.goes_on(b'}')? {
        let metadata = is_metadata(reader.name()?);
        let value = reader.value()?;
        profile = profile.or(if metadata { profile_of(value) } else { None });
    }
    Ok(profile)
}

#[cfg(test)]
mod tests;
