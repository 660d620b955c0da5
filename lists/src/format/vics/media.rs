//! One medium of a VICS file.

use std::borrow::Cow;

use veilmatch_protocol::item::{Item, Kind};

use crate::digest::{self, Lengths};
use crate::format::{Settings, same_name};
use crate::json::{Fields, Reader, Stop, Value};
use crate::rows::{Listing, Place, Row, Says};
use crate::{Category, Quarantine};

/// Members that are read: those that make a row, then those that only conditions ask for.
const NAMES: &[&str; 16] = &[
    "MD5",
    "SHA1",
    "PhotoDNA",
    "MediaID",
    "Category",
    "Series",
    "MediaSize",
    "DateUpdated",
    "MimeType",
    "VictimIdentified",
    "OffenderIdentified",
    "IsDistributed",
    "IsPrecategorized",
    "PrecategorizationSource",
    "IsSuspected",
    "Comments",
];
const MD5: usize = 0;
const SHA1: usize = 1;
const PHOTO_DNA: usize = 2;
const ID: usize = 3;
const CATEGORY: usize = 4;
const SERIES: usize = 5;
const OF_A_ROW: usize = 6;

/// The fields on which there can be conditions.
pub(in crate::format) const FIELDS: &[&str] = NAMES.split_at(ID).1;

type Members<'a> = Fields<'a, { NAMES.len() }>;
type Digests = Vec<Result<Item, Quarantine>>;

/// Reads a medium.
pub(super) struct Media<'s> {
    pub(super) place: Place,
    pub(super) settings: &'s Settings,
    pub(super) scheme: Option<&'s Cow<'static, str>>,
    /// Whether a case may stand here as well.
    pub(super) may_be_case: bool,
}

impl Media<'_> {
    /// The row, or `None` if it has a category of nobody knows what profile. Stops with [`Stop::Enough`] where this is a
    /// case with media in it.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Result<Option<Row>, Stop> {
        let among = if self.settings.only.is_empty() { OF_A_ROW } else { NAMES.len() };
        let mut members = Members::new(NAMES, among);
        let (mut alternatives, mut twice) = (None, false);
        reader.members(|reader, name| match members.index(name) {
            Some(index) => members.read(index, reader),
            None if name.is("AlternativeHashes") => {
                twice |= alternatives.replace(self.alternatives(reader)?).is_some();
                Ok(())
            }
            None if self.may_be_case && name.is("Media") && reader.peek()? == b'[' => Err(Stop::Enough),
            None => reader.skip(),
        })?;
        let malformed = || Row::quarantined(self.place, Quarantine::Malformed);
        if members.twice() || twice {
            return Ok(Some(malformed()));
        }
        if self.scheme.is_none() && members.scalar(CATEGORY) != Ok(None) {
            return Ok(None);
        }
        Ok(Some(self.row(&members, alternatives.unwrap_or_default()).unwrap_or_else(malformed)))
    }

    /// What the members say, or `None` if that cannot be told.
    fn row(&self, members: &Members<'_>, alternatives: Digests) -> Option<Row> {
        let [id, code, series] = [ID, CATEGORY, SERIES].map(|index| members.scalar(index));
        let (id, code, series) = (id.ok()?, code.ok()?, series.ok()?);
        let category = match (code, self.scheme) {
            (Some(code), Some(scheme)) => {
                Some(Category { scheme: scheme.clone(), code: code.parse::<i64>().ok()?.to_string() })
            }
            _ => None,
        };
        let digests = self.digests(members, alternatives);
        let listing = Listing { digests, category, reference: series.map(Cow::into_owned), ..Listing::default() };
        let listing = self.settings.filter(listing, |field| {
            let index = NAMES.iter().position(|name| same_name(name, field))?;
            members.scalar(index).ok().flatten()
        });
        let id = id.map(|id| id.into_owned().into_bytes());
        Some(Row { place: self.place, id, at: None, says: Says::Listed(listing) })
    }

    fn digests(&self, members: &Members<'_>, alternatives: Digests) -> Digests {
        let mut digests = Vec::with_capacity(3 + alternatives.len());
        for (index, kind) in [(MD5, Kind::Md5), (SHA1, Kind::Sha1)] {
            match members.scalar(index) {
                Ok(Some(text)) => digests.push(self.settings.item(text.as_bytes(), Some(kind), Lengths::Any)),
                Ok(None) => {}
                Err(_) => digests.push(Err(Quarantine::Malformed)),
            }
        }
        if members.scalar(PHOTO_DNA) != Ok(None) {
            digests.push(Err(Quarantine::UnsupportedKind));
        }
        digests.extend(alternatives);
        if digests.is_empty() {
            digests.push(Err(Quarantine::NoDigest));
        }
        digests
    }

    /// `AlternativeHashes`.
    fn alternatives(&self, reader: &mut Reader<'_>) -> Result<Digests, Stop> {
        let mut digests = Vec::new();
        if reader.peek()? == b'[' {
            reader.elements(|reader| {
                digests.extend(self.alternative(reader)?);
                Ok(())
            })?;
        } else if !matches!(reader.value()?, Value::Null) {
            digests.push(Err(Quarantine::Malformed));
        }
        Ok(digests)
    }

    /// An element of it, or `None` if its value is empty.
    fn alternative(&self, reader: &mut Reader<'_>) -> Result<Option<Result<Item, Quarantine>>, Stop> {
        if reader.peek()? != b'{' {
            reader.skip()?;
            return Ok(Some(Err(Quarantine::Malformed)));
        }
        let mut members = Fields::new(&["HashName", "HashValue"], 2);
        reader.members(|reader, name| match members.index(name) {
            Some(index) => members.read(index, reader),
            None => reader.skip(),
        })?;
        let (name, value) = match (members.scalar(0), members.scalar(1)) {
            (Ok(name), Ok(value)) if !members.twice() => (name, value),
            _ => return Ok(Some(Err(Quarantine::Malformed))),
        };
        let Some(value) = value else { return Ok(None) };
        let kind = name.map(|name| digest::kind_named(name.as_bytes())).transpose();
        Ok(Some(kind.and_then(|kind| self.settings.item(value.as_bytes(), kind, Lengths::Any))))
    }
}
