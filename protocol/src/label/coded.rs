//! Labels that a code book explains: flags(1) ‖ category(2) ‖ source(1) ‖ reference(L − 4) (SPEC §7.7).

use crate::{Error, codebook::is_plain, item::Kind};

/// What stands before the reference.
pub const FIELDS_LEN: usize = 4;

/// The source lists the same content under a stronger kind, and so does this list.
const STRONGER_LISTED: u8 = 1;

/// What a label of a list with a code book says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodedLabel<'a> {
    /// Whether the list has the same content under a stronger kind, too. Said of entries of kinds for which collisions
    /// can be made only: [`may_be_planted`].
    pub stronger_listed: bool,
    /// Number of the category in the code book; 0 where none is said.
    pub category: u16,
    /// Number of the source in the code book; 0 where none is said.
    pub source: u8,
    /// What the source calls the entry, such as a case; `None` where it cannot be read.
    pub reference: Option<&'a str>,
}

impl<'a> CodedLabel<'a> {
    /// The label of a list whose labels have `label_bytes` bytes.
    ///
    /// # Errors
    /// [`Error::LabelLength`] if that is less than [`FIELDS_LEN`] or the reference does not fit, [`Error::Reference`] if
    /// it has a control character.
    pub fn encode(&self, label_bytes: u8) -> Result<Vec<u8>, Error> {
        let (length, reference) = (usize::from(label_bytes), self.reference.unwrap_or_default());
        if length < FIELDS_LEN || reference.len() > length - FIELDS_LEN {
            return Err(Error::LabelLength);
        }
        if !is_plain(reference) {
            return Err(Error::Reference);
        }
        let flags = if self.stronger_listed { STRONGER_LISTED } else { 0 };
        let mut label = vec![flags];
        label.extend(self.category.to_be_bytes());
        label.push(self.source);
        label.extend(reference.as_bytes());
        label.resize(length, 0);
        Ok(label)
    }

    /// Reads a label. What cannot be understood is left unknown: a match is one whatever its label says.
    ///
    /// # Errors
    /// [`Error::LabelLength`] below [`FIELDS_LEN`] bytes, which no list with a code book has.
    pub fn decode(label: &'a [u8]) -> Result<Self, Error> {
        let (&[flags, high, low, source], rest) = label.split_first_chunk().ok_or(Error::LabelLength)?;
        let end = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Ok(Self {
            stronger_listed: flags & STRONGER_LISTED != 0,
            category: u16::from_be_bytes([high, low]),
            source,
            reference: std::str::from_utf8(&rest[..end]).ok().filter(|text| is_plain(text)),
        })
    }
}

/// Whether collisions can be made for digests of this kind, so that somebody may have planted one.
#[must_use]
pub fn may_be_planted(kind: Kind) -> bool {
    matches!(kind, Kind::Md5 | Kind::Sha1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: CodedLabel<'static> =
        CodedLabel { stronger_listed: true, category: 0x0102, source: 3, reference: Some("case 7") };

    #[test]
    fn a_label_is_flags_category_source_and_a_padded_reference() {
        // SPEC §7.7
        let bytes = LABEL.encode(12).unwrap();
        assert_eq!(bytes, [&[1, 1, 2, 3][..], b"case 7", &[0, 0]].concat());
        assert_eq!(CodedLabel::decode(&bytes), Ok(LABEL));
        let nothing = CodedLabel { reference: Some(""), ..CodedLabel::default() };
        assert_eq!(CodedLabel::decode(&[0; 4]), Ok(nothing));
        assert_eq!(nothing.encode(4).unwrap(), [0; 4]);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        // SPEC §7.7
        assert_eq!(LABEL.encode(9), Err(Error::LabelLength));
        assert_eq!(CodedLabel::default().encode(3), Err(Error::LabelLength));
        for reference in ["a\0b", "a\n", "\u{9b}"] {
            let label = CodedLabel { reference: Some(reference), ..LABEL };
            assert_eq!(label.encode(20), Err(Error::Reference), "{reference:?}");
        }
        for len in 0..4 {
            assert_eq!(CodedLabel::decode(&vec![0; len]), Err(Error::LabelLength));
        }
    }

    #[test]
    fn other_flags_are_ignored_and_an_unreadable_reference_leaves_the_rest() {
        // SPEC §7.7
        let read = |label: &'static [u8]| CodedLabel::decode(label).unwrap();
        assert!(!read(&[0xfe, 0, 0, 0]).stronger_listed && read(&[0xff, 0, 0, 0]).stronger_listed);
        for reference in [&b"\xff"[..], b"a\0b", b"\n", "\u{9b}".as_bytes()] {
            let label = [&[1, 1, 2, 3], reference].concat();
            assert_eq!(CodedLabel::decode(&label), Ok(CodedLabel { reference: None, ..LABEL }), "{reference:?}");
        }
    }
}
