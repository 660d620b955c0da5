//! The code book: what the numbers in a version's labels stand for (SPEC §7.7).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Error,
    manifest::{Hash, Manifest},
    name::{AgencyName, ListId},
};

/// `type` of the object.
const TYPE: &str = "veilmatch/codebook/v1";

/// Longest code book in bytes.
pub const MAX_CODE_BOOK_LEN: usize = 1_024 * 1_024;

/// Longest code of a category in bytes.
pub const MAX_CODE_LEN: usize = 64;

/// Longest text of a category in bytes.
pub const MAX_TEXT_LEN: usize = 256;

/// The scheme of codes that an agency made up itself: people see these codes without their scheme.
pub const CUSTOM: &str = "custom";

/// Schemes whose codes mean the same wherever they stand.
pub const KNOWN_SCHEMES: [&str; 10] =
    ["baseline", "ncmec", "uk", "vics-default", "vics-us", "vics-uk", "vics-custom", "icse", "stopncii", CUSTOM];

/// Actions whose meaning SPEC §7.7 tells.
pub const KNOWN_ACTIONS: [&str; 4] = ["report", "review", "block", "preserve"];

/// What the numbers in the labels of a version stand for. The members of the JSON object; [`CodeBook::new`] and
/// [`CodeBook::from_bytes`] are the only ways in, and what they give has been checked as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeBook {
    agency: String,
    categories: Vec<Category>,
    list: String,
    sources: Vec<Source>,
    #[serde(rename = "type")]
    kind: String,
}

/// A category of entries. A code says something together with its scheme only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// What labels call it; not 0.
    pub number: u16,
    /// Whose code it is: of the grammar of [`is_scheme`].
    pub scheme: String,
    /// The code: 1 to 64 bytes without control characters.
    pub code: String,
    /// What the agency asks for, as the scheme in its grammar, or empty.
    pub action: String,
    /// What the code means, for people: at most 256 bytes without control characters.
    pub text: String,
}

/// Who an entry came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What labels call it; not 0.
    pub number: u8,
    /// Its name, of the grammar of a list's.
    pub name: String,
}

impl CodeBook {
    /// A code book of categories and sources in any order.
    ///
    /// # Errors
    /// [`Error::CodeBook`] if a member is outside its limits, a number, category or source occurs twice, or the whole is
    /// longer than [`MAX_CODE_BOOK_LEN`].
    pub fn new(
        agency: &AgencyName,
        list: &ListId,
        mut categories: Vec<Category>,
        mut sources: Vec<Source>,
    ) -> Result<Self, Error> {
        categories.sort_by_key(|category| category.number);
        sources.sort_by_key(|source| source.number);
        let (agency, list) = (agency.to_string(), list.to_string());
        let book = Self { agency, categories, list, sources, kind: TYPE.to_owned() };
        book.check()?;
        Ok(book)
    }

    /// Reads a code book: exactly the canonical bytes, no member more or less, every member within its limits.
    ///
    /// # Errors
    /// [`Error::CodeBook`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_CODE_BOOK_LEN {
            return Err(Error::CodeBook);
        }
        let book: Self = serde_json::from_slice(bytes).map_err(|_| Error::CodeBook)?;
        if book.check()? == bytes { Ok(book) } else { Err(Error::CodeBook) }
    }

    /// Reads the code book of the version that a manifest is about.
    ///
    /// # Errors
    /// [`Error::CodeBook`] if it is not the one that the manifest names, or of another agency or list.
    pub fn of(manifest: &Manifest, bytes: &[u8]) -> Result<Self, Error> {
        if manifest.categories != Some(digest(bytes)) {
            return Err(Error::CodeBook);
        }
        let book = Self::from_bytes(bytes)?;
        if book.agency == manifest.agency && book.list == manifest.list { Ok(book) } else { Err(Error::CodeBook) }
    }

    /// Canonical JSON (RFC 8785) without a newline.
    ///
    /// # Panics
    /// Never: it was encoded once when it was checked.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).expect("texts and small numbers")
    }

    /// SHA-256 of the canonical bytes: what manifests name.
    #[must_use]
    pub fn digest(&self) -> Hash {
        digest(&self.to_bytes())
    }

    /// The agency that wrote it.
    #[must_use]
    pub fn agency(&self) -> &str {
        &self.agency
    }

    /// The list that it is about.
    #[must_use]
    pub fn list(&self) -> &str {
        &self.list
    }

    /// Its categories, ascending by number.
    #[must_use]
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// Its sources, ascending by number.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The category with this number.
    #[must_use]
    pub fn category(&self, number: u16) -> Option<&Category> {
        let at = self.categories.binary_search_by_key(&number, |category| category.number).ok()?;
        self.categories.get(at)
    }

    /// The source with this number.
    #[must_use]
    pub fn source(&self, number: u8) -> Option<&Source> {
        let at = self.sources.binary_search_by_key(&number, |source| source.number).ok()?;
        self.sources.get(at)
    }

    /// Gives the canonical bytes, which are part of what is checked.
    fn check(&self) -> Result<Vec<u8>, Error> {
        let names = AgencyName::parse(&self.agency).is_ok() && ListId::parse(&self.list).is_ok() && self.kind == TYPE;
        let categories = self.categories.iter().all(Category::is_legal)
            && self.categories.is_sorted_by(|a, b| a.number < b.number)
            && each_once(self.categories.iter().map(|of| (&of.scheme, &of.code, &of.action)).collect());
        let sources = self.sources.iter().all(Source::is_legal)
            && self.sources.is_sorted_by(|a, b| a.number < b.number)
            && each_once(self.sources.iter().map(|source| &source.name).collect());
        let bytes = serde_json_canonicalizer::to_vec(self).map_err(|_| Error::CodeBook)?;
        let short = bytes.len() <= MAX_CODE_BOOK_LEN;
        if names && categories && sources && short { Ok(bytes) } else { Err(Error::CodeBook) }
    }
}

impl Category {
    /// Whether every member is within its limits.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.number > 0
            && is_scheme(&self.scheme)
            && is_code(&self.code)
            && (self.action.is_empty() || is_scheme(&self.action))
            && self.text.len() <= MAX_TEXT_LEN
            && is_plain(&self.text)
    }
}

impl Source {
    /// Whether every member is within its limits.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        self.number > 0 && ListId::parse(&self.name).is_ok()
    }
}

/// The grammar of schemes and actions: 1 to 32 of a–z, 0–9 and '-', a letter or a digit at both ends.
#[must_use]
pub fn is_scheme(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 32
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| edge(Some(byte)) || *byte == b'-')
}

/// The grammar of codes: 1 to 64 bytes without control characters.
#[must_use]
pub fn is_code(text: &str) -> bool {
    (1..=MAX_CODE_LEN).contains(&text.len()) && is_plain(text)
}

/// No control characters: U+0000 to U+001F, U+007F to U+009F.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn each_once<T: Ord>(mut values: Vec<T>) -> bool {
    values.sort_unstable();
    values.is_sorted_by(|a, b| a < b)
}

fn digest(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests;
