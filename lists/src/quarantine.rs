//! Why a row was set aside.

use std::fmt;

/// Why a row was quarantined. The row keeps its line number; its content is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Quarantine {
    /// The digest has a character that neither hexadecimal nor base64 has.
    BadHex,
    /// The digest has another length than its kind, or a length that no kind has.
    WrongLength,
    /// The length fits more than one kind and the row names none: the operator must say which.
    AmbiguousKind,
    /// The row names a kind that exact matching does not serve.
    UnsupportedKind,
    /// The digest of the empty file: it would match every empty upload.
    EmptyFileDigest,
    /// One byte repeated, such as all zeros: a placeholder, not a digest.
    ConstantDigest,
    /// The line is longer than 65,536 bytes, or the record of a document longer than 1 MiB.
    LineTooLong,
    /// The row does not have the shape of its format.
    Malformed,
    /// The row has no digest at all.
    NoDigest,
    /// The operator asked for other rows.
    FilteredOut,
    /// The digest is on the operator's set of known files.
    KnownFile,
    /// The list does not have this kind.
    KindNotInList,
    /// A later row of the same key in the same file says otherwise.
    Superseded,
}

impl Quarantine {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::BadHex,
        Self::WrongLength,
        Self::AmbiguousKind,
        Self::UnsupportedKind,
        Self::EmptyFileDigest,
        Self::ConstantDigest,
        Self::LineTooLong,
        Self::Malformed,
        Self::NoDigest,
        Self::FilteredOut,
        Self::KnownFile,
        Self::KindNotInList,
        Self::Superseded,
    ];

    /// The stable name of this reason, as in docs/errors.md.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadHex => "BAD_HEX",
            Self::WrongLength => "WRONG_LENGTH",
            Self::AmbiguousKind => "AMBIGUOUS_KIND",
            Self::UnsupportedKind => "UNSUPPORTED_KIND",
            Self::EmptyFileDigest => "EMPTY_FILE_DIGEST",
            Self::ConstantDigest => "CONSTANT_DIGEST",
            Self::LineTooLong => "LINE_TOO_LONG",
            Self::Malformed => "MALFORMED",
            Self::NoDigest => "NO_DIGEST",
            Self::FilteredOut => "FILTERED_OUT",
            Self::KnownFile => "KNOWN_FILE",
            Self::KindNotInList => "KIND_NOT_IN_LIST",
            Self::Superseded => "SUPERSEDED",
        }
    }

    /// What the operator can do about such rows.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::BadHex => "write the digest as hexadecimal or base64",
            Self::WrongLength => "MD5 has 32 hexadecimal digits, SHA-1 40, SHA-256 64, SHA-512 128",
            Self::AmbiguousKind => "say --kind md5 or --kind sha256, or begin each line with the kind",
            Self::UnsupportedKind => "exact matching serves md5, sha1, sha256 and sha512",
            Self::EmptyFileDigest => "the empty file is never listed; remove the row",
            Self::ConstantDigest => "the source wrote a placeholder; ask it for the digest",
            Self::LineTooLong => "no entry is this long; is it a list of this format?",
            Self::Malformed => "the row does not fit the format; is --format right?",
            Self::NoDigest => "the source knows the subject by something else than a digest; nothing to do",
            Self::FilteredOut => "--only asks for other rows; leave it out to take these, too",
            Self::KnownFile => "the digest is on the list's set of known files; ask the source about it",
            Self::KindNotInList => "the list was created without this kind; nothing to do",
            Self::Superseded => "if there are many, the key is none: look at --column id, or at the file's own keys",
        }
    }
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
