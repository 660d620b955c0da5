//! Why a whole input was refused.

use thiserror::Error;

use crate::Format;

/// An input that is refused as a whole. A bad row is not an error: it is quarantined and reading goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The reader failed; rows already given were good.
    #[error("cannot read the list")]
    Read(#[from] std::io::Error),
    /// There is no row in the input.
    #[error("the list is empty")]
    Empty,
    /// No line at the beginning has the shape of a known format.
    #[error("the format is not recognised; say --format {}", names(&Format::ALL))]
    UnknownFormat,
    /// The beginning fits several formats.
    #[error("the beginning fits several formats; say --format {}", names(.0))]
    AmbiguousFormat(Vec<Format>),
    /// The input is the output of `cksum` without `-a`: CRCs, which identify nothing.
    #[error("these are CRC checksums, not digests; make the list anew with `cksum -a sha256` or `sha256sum`")]
    Checksums,
    /// The input is UTF-16.
    #[error("the list is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`")]
    Utf16,
    /// The two header lines of a hashdeep file are missing or name no columns we can use.
    #[error("the hashdeep header on line {line} is missing or names no digest column")]
    HashdeepHeader {
        /// The line that should have held it.
        line: u64,
    },
    /// The format name is unknown.
    #[error("there is no such list format; say one of {}", names(&Format::ALL))]
    FormatName,
    /// The counts do not add up. This is a bug of ours, and the import must not be used.
    #[error("the counts do not add up: read {read}, accounted for {accounted}")]
    Counts {
        /// Rows the reader gave.
        read: u64,
        /// Rows the caller accounted for.
        accounted: u64,
    },
}

impl Error {
    /// The stable name of this error, as in docs/errors.md.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "LIST_READ",
            Self::Empty => "LIST_EMPTY",
            Self::UnknownFormat => "UNKNOWN_LIST_FORMAT",
            Self::AmbiguousFormat(_) => "AMBIGUOUS_LIST_FORMAT",
            Self::Checksums => "LIST_OF_CHECKSUMS",
            Self::Utf16 => "LIST_IS_UTF16",
            Self::HashdeepHeader { .. } => "HASHDEEP_HEADER",
            Self::FormatName => "LIST_FORMAT_NAME",
            Self::Counts { .. } => "LIST_COUNTS",
        }
    }
}

fn names(formats: &[Format]) -> String {
    let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
    names.join(" or ")
}
