//! One answer with what it is about.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use crate::{NotChecked, Outcome};
use veilmatch_protocol::{item::Item, name::ListId};

/// What was checked.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file.
    Path(PathBuf),
    /// A line of a list of digests.
    Line {
        /// Counted from 1.
        number: u64,
        /// The name beside the digests, if there is one.
        name: Option<Vec<u8>>,
        /// Its digests; none, if the line could not be used.
        items: Vec<Item>,
    },
    /// Something that was checked earlier under this name.
    Name(Vec<u8>),
}

impl Origin {
    /// What a kept reference names: a path, or else something with a name.
    #[must_use]
    pub fn of_reference(reference: Vec<u8>) -> Self {
        if reference.starts_with(b"/") {
            Self::Path(OsString::from_vec(reference).into())
        } else {
            Self::Name(reference)
        }
    }
}

/// An answer as it is printed.
pub struct Answer<'a> {
    /// What was checked.
    pub origin: &'a Origin,
    /// Against which list.
    pub list: &'a ListId,
    /// What came out.
    pub outcome: &'a Outcome,
    /// More about a *not checked*, such as what the system said.
    pub detail: Option<&'a str>,
    /// In a rescan: whether the version before did not list it.
    pub new: Option<bool>,
}

impl Answer<'_> {
    /// The word for the outcome in the formats for programs.
    pub fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Match { .. } => "match",
            Outcome::NoMatch { .. } => "no_match",
            Outcome::NotChecked(_) => "not_checked",
        }
    }

    /// The version that answered.
    pub fn version(&self) -> Option<u32> {
        match self.outcome {
            Outcome::Match { version, .. } | Outcome::NoMatch { version } => Some(*version),
            Outcome::NotChecked(_) => None,
        }
    }

    /// Why it was not checked.
    pub fn not_checked(&self) -> Option<&NotChecked> {
        match self.outcome {
            Outcome::NotChecked(why) => Some(why),
            _ => None,
        }
    }

    /// More about a *not checked*: what the source said, or what the reason itself carries.
    pub fn full_detail(&self) -> Option<String> {
        self.detail.map(str::to_owned).or_else(|| match self.not_checked()? {
            NotChecked::KindMissing(kind) | NotChecked::KindNotListed(kind) => Some(kind.name().to_owned()),
            _ => None,
        })
    }

    /// Whole seconds after which it may be asked again.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self.not_checked()? {
            NotChecked::Refused { retry_after, .. } => retry_after.map(|wait| wait.as_millis().div_ceil(1_000) as u64),
            _ => None,
        }
    }
}
