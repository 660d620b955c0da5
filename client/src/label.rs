//! What the label of a match says (SPEC §7.7).

use std::sync::Arc;

use veilmatch_protocol::{
    codebook::{Category, CodeBook},
    label::CodedLabel,
};

/// The label of a match: the list's bytes and, where the list has a code book, what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    bytes: Vec<u8>,
    // Few answers have one, and all of them have room for it.
    meaning: Option<Box<Meaning>>,
}

/// What a label says by the code book of its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The category: a code says something together with its scheme only.
    pub category: Said<Category>,
    /// Name of the source that the entry comes from.
    pub source: Said<String>,
    /// What the source calls the entry, such as a case.
    pub reference: Said<String>,
    /// Whether the label says that the same content is listed under a stronger kind, too.
    pub stronger_listed: bool,
}

/// A part of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    /// The label says nothing.
    Nothing,
    /// It says something that cannot be interpreted: the match stands, and the label's bytes say what there is.
    Unknown,
    /// It says this.
    This(T),
}

impl<T> Said<T> {
    /// What is said and understood.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::This(this) => Some(this),
            Self::Nothing | Self::Unknown => None,
        }
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl Label {
    /// The label of a list with a code book; of which `book` is none where the one that was kept can be read no more.
    #[must_use]
    pub fn coded(bytes: Vec<u8>, book: Option<&Arc<CodeBook>>) -> Self {
        let meaning = Some(Box::new(Meaning::of(&bytes, book.map(Arc::as_ref))));
        Self { bytes, meaning }
    }

    /// The bytes as they were sealed: as many as the list's labels have.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they mean, where the list has a code book.
    #[must_use]
    pub fn meaning(&self) -> Option<&Meaning> {
        self.meaning.as_deref()
    }

    /// Its category, where it has one that the code book knows.
    #[must_use]
    pub fn category(&self) -> Option<&Category> {
        self.meaning()?.category.known()
    }

    /// The source's name, where it has one that the code book knows.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.meaning()?.source.known().map(String::as_str)
    }

    /// The reference, where it has one that can be read.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.meaning()?.reference.known().map(String::as_str)
    }
}

/// The label of a list without a code book.
impl From<Vec<u8>> for Label {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, meaning: None }
    }
}

impl AsRef<[u8]> for Label {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Meaning {
    /// Whether a part of the label could not be interpreted.
    #[must_use]
    pub fn is_in_part_unknown(&self) -> bool {
        self.category.is_unknown() || self.source.is_unknown() || self.reference.is_unknown()
    }

    fn of(label: &[u8], book: Option<&CodeBook>) -> Self {
        let Ok(read) = CodedLabel::decode(label) else {
            let (category, source, reference) = (Said::Unknown, Said::Unknown, Said::Unknown);
            return Self { category, source, reference, stronger_listed: false };
        };
        let category = book.and_then(|book| book.category(read.category));
        let source = book.and_then(|book| book.source(read.source));
        Self {
            category: said(read.category == 0, category.cloned()),
            source: said(read.source == 0, source.map(|source| source.name.clone())),
            reference: said(read.reference == Some(""), read.reference.map(str::to_owned)),
            stronger_listed: read.stronger_listed,
        }
    }
}

fn said<T>(nothing: bool, found: Option<T>) -> Said<T> {
    match found {
        _ if nothing => Said::Nothing,
        Some(this) => Said::This(this),
        None => Said::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    fn meaning(label: &[u8], book: Option<&Arc<CodeBook>>) -> Meaning {
        Label::coded(label.to_vec(), book).meaning().unwrap().clone()
    }

    #[test]
    fn a_label_is_read_by_its_code_book() {
        // SPEC §7.7
        let book = Arc::new(fake::code_book());
        let read = meaning(b"\x01\0\x02\x01case", Some(&book));
        assert_eq!(read.category.known().map(|of| (of.scheme.as_str(), of.code.as_str())), Some(("uk", "A")));
        assert_eq!((read.source.known().unwrap(), read.reference.known().unwrap()), (&"one".into(), &"case".into()));
        assert!(read.stronger_listed && !read.is_in_part_unknown());
        let nothing = meaning(b"\0\0\0\0\0\0\0\0", Some(&book));
        assert_eq!(
            (nothing.category, nothing.source, nothing.reference),
            (Said::Nothing, Said::Nothing, Said::Nothing)
        );
    }

    #[test]
    fn what_cannot_be_interpreted_is_unknown_each_part_by_itself() {
        // SPEC §7.7
        let book = Arc::new(fake::code_book());
        let read = meaning(b"\x01\0\x09\x01case", Some(&book));
        assert!(read.category.is_unknown() && read.source.known().is_some() && read.is_in_part_unknown());
        let read = meaning(b"\0\0\x02\x09\xff", Some(&book));
        assert!(read.category.known().is_some() && read.source.is_unknown() && read.reference.is_unknown());
        // Without a book the flag and the reference can be read all the same.
        let read = meaning(b"\x01\0\x02\x01case", None);
        assert!(read.category.is_unknown() && read.source.is_unknown() && read.stronger_listed);
        assert_eq!(read.reference.known().unwrap(), "case");
        assert!(meaning(b"\0\0\0", None).is_in_part_unknown());
    }
}
