//! What the columns of a table mean, or the members of an object.

use std::borrow::Cow;

use veilmatch_protocol::item::Kind;

use crate::digest::{self, Lengths};
use crate::format::{Settings, lower, same_name};
use crate::options::yes_or_no;
use crate::rows::{Listing, Place, Row, Says};
use crate::time::seconds;
use crate::{Category, Columns, Quarantine};

/// Columns that [`digest::kind_named`] does not know and that hold digests all the same, which are set aside.
const NOT_EXACT: [&str; 3] = ["PhotoDNA", "PDNA", "PDQ"];

/// Which columns say what, each by its number from 0.
#[derive(Default)]
pub(super) struct Layout {
    /// Columns of digests, each with its kind if it has one, or the reason why it is set aside.
    pub digests: Vec<(usize, Result<Option<Kind>, Quarantine>)>,
    pub id: Option<usize>,
    pub category: Option<Categories>,
    pub reference: Option<usize>,
    pub valid_from: Option<usize>,
    pub valid_until: Option<usize>,
    pub name: Option<usize>,
}

/// Where the category comes from.
pub(super) enum Categories {
    /// From a column of codes in a scheme that the operator knows.
    Codes { column: usize, scheme: String },
    /// From the answer to a question with yes and no.
    Answer { column: usize, yes: Category, no: Category },
}

impl Layout {
    /// What the operator says of the columns with these names. What is not among them is left out.
    pub(super) fn mapped(names: &[impl AsRef<str>], columns: &Columns, scheme: Option<&str>) -> Self {
        let find = |column: &Option<String>| column.as_deref().and_then(|column| place_of(names, column));
        let codes = |column| Categories::Codes { column, scheme: scheme.unwrap_or("custom").to_owned() };
        Self {
            digests: if columns.digests.is_empty() { named_digests(names) } else { mapped_digests(names, columns) },
            id: find(&columns.id),
            category: find(&columns.code).map(codes),
            reference: find(&columns.reference),
            valid_from: find(&columns.valid_from),
            valid_until: find(&columns.valid_until),
            name: find(&columns.name),
        }
    }

    /// The columns that are read.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let category = match self.category {
            Some(Categories::Codes { column, .. } | Categories::Answer { column, .. }) => Some(column),
            None => None,
        };
        let others = [self.id, category, self.reference, self.valid_from, self.valid_until, self.name];
        self.digests.iter().map(|(column, _)| *column).chain(others.into_iter().flatten())
    }

    /// Whether a name is there twice that is asked for: which of the two is meant nobody can tell.
    pub(super) fn is_ambiguous(&self, names: &[impl AsRef<str>], settings: &Settings) -> bool {
        // Sorted, because a hostile row may have thousands that are all asked for.
        let mut sorted: Vec<String> = names.iter().map(|name| lower(name.as_ref()).collect()).collect();
        sorted.sort_unstable();
        let twice = |asked: &str| {
            let asked: String = lower(asked).collect();
            sorted.get(sorted.partition_point(|name| *name < asked) + 1) == Some(&asked)
        };
        let mut fields = settings.only.iter().map(|condition| &condition.field);
        self.columns().any(|column| twice(names[column].as_ref())) || fields.any(|field| twice(field))
    }

    /// One row. Columns are trimmed, and one that is empty or that the row does not reach is absent.
    pub(super) fn row<'v>(
        &self,
        place: Place,
        names: &[impl AsRef<str>],
        cell: impl Fn(usize) -> Option<&'v [u8]>,
        settings: &Settings,
    ) -> Row {
        let trimmed = |column: usize| cell(column).map(<[u8]>::trim_ascii).filter(|cell| !cell.is_empty());
        let listing = self.listing(trimmed, settings).map(|listing| Listing {
            name: self.name.and_then(&cell).and_then(|name| settings.name(name)),
            ..settings.filter(listing, |field| trimmed(place_of(names, field)?).map(text))
        });
        match listing {
            Ok(listing) => {
                let id = self.id.and_then(trimmed).map(<[u8]>::to_vec);
                Row { place, id, at: None, says: Says::Listed(listing) }
            }
            Err(reason) => Row::quarantined(place, reason),
        }
    }

    fn listing<'v>(
        &self,
        cell: impl Fn(usize) -> Option<&'v [u8]>,
        settings: &Settings,
    ) -> Result<Listing, Quarantine> {
        let item = |(column, declared): &(usize, Result<Option<Kind>, Quarantine>)| {
            let text = cell(*column)?;
            Some(declared.and_then(|kind| settings.item(text, kind, Lengths::Any)))
        };
        let mut digests: Vec<_> = self.digests.iter().filter_map(item).collect();
        if digests.is_empty() {
            digests.push(Err(Quarantine::NoDigest));
        }
        let cell = |column: Option<usize>| column.and_then(&cell).map(text);
        let time = |column| cell(column).map(|time| seconds(&time).ok_or(Quarantine::Malformed)).transpose();
        let category = match &self.category {
            None => None,
            Some(Categories::Codes { column, scheme }) => {
                let category = |code: Cow<'_, str>| Category { scheme: scheme.clone().into(), code: code.into_owned() };
                cell(Some(*column)).map(category)
            }
            Some(Categories::Answer { column, yes, no }) => match cell(Some(*column)) {
                None => Some(no.clone()),
                Some(answer) if yes_or_no(&answer).ok_or(Quarantine::Malformed)? => Some(yes.clone()),
                Some(_) => Some(no.clone()),
            },
        };
        Ok(Listing {
            digests,
            category,
            reference: cell(self.reference).map(Cow::into_owned),
            valid_from: time(self.valid_from)?,
            valid_until: time(self.valid_until)?,
            name: None,
        })
    }
}

/// The first column with this name.
pub(super) fn place_of(names: &[impl AsRef<str>], wanted: &str) -> Option<usize> {
    names.iter().position(|name| same_name(name.as_ref(), wanted))
}

/// The columns whose names are those of kinds.
pub(super) fn named_digests(names: &[impl AsRef<str>]) -> Vec<(usize, Result<Option<Kind>, Quarantine>)> {
    let declared = |(column, name): (usize, &_)| {
        let name: &str = AsRef::<str>::as_ref(name);
        let not_exact = NOT_EXACT.into_iter().any(|other| same_name(other, name));
        match digest::kind_named(name.trim().as_bytes()) {
            Ok(kind) => Some((column, Ok(Some(kind)))),
            Err(reason) => not_exact.then_some((column, Err(reason))),
        }
    };
    names.iter().enumerate().filter_map(declared).collect()
}

/// The columns that the operator names: of the kind that he says, else of that which the name says, else of any.
fn mapped_digests(names: &[impl AsRef<str>], columns: &Columns) -> Vec<(usize, Result<Option<Kind>, Quarantine>)> {
    let declared = |(name, kind): &(String, Option<Kind>)| {
        let kind = kind.or_else(|| digest::kind_named(name.trim().as_bytes()).ok());
        Some((place_of(names, name)?, Ok(kind)))
    };
    columns.digests.iter().filter_map(declared).collect()
}

/// UTF-8, or else ISO 8859-1, which any bytes are.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
