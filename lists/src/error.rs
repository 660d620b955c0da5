//! Why a whole input was refused.

use thiserror::Error;

use crate::Format;

/// An input that is refused as a whole. A bad row is not an error: it is quarantined and reading goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read to its end.
    #[error("cannot read the list")]
    Read(#[from] std::io::Error),
    /// There is no row in the input.
    #[error("the list is empty")]
    Empty,
    /// No line at the beginning has the shape of a known format.
    #[error("the format of the list is not recognised")]
    UnknownFormat,
    /// The beginning fits several formats.
    #[error("the beginning of the list fits several formats: {}", names(.0))]
    AmbiguousFormat(Vec<Format>),
    /// The input is the output of `cksum` without `-a`: CRCs, which identify nothing.
    #[error("the list holds CRC checksums, not digests")]
    Checksums,
    /// The input is UTF-16.
    #[error("the list is UTF-16")]
    Utf16,
    /// The two header lines of a hashdeep file are missing or name no columns we can use.
    #[error("the hashdeep header on line {line} is missing or names no digest column")]
    HashdeepHeader {
        /// The line that should have held it.
        line: u64,
    },
    /// The format name is unknown.
    #[error("there is no such list format")]
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

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:pat => $name:literal, $hint:literal;)*) => {
        impl Error {
            /// Every reason with its hint, for docs/errors.md.
            pub const REASONS: &[(&str, &str)] = &[$(($name, $hint)),*];

            /// The stable name of this error, as in docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self { $($variant => $name,)* }
            }

            /// What to do next.
            #[must_use]
            pub fn hint(&self) -> &'static str {
                match self { $($variant => $hint,)* }
            }
        }
    };
}

reasons! {
    Self::Read(_) => "LIST_READ", "make the file readable, or fetch it again";
    Self::Empty => "LIST_EMPTY", "look whether the file was written to its end";
    Self::UnknownFormat => "UNKNOWN_LIST_FORMAT", "say --format sums, sums-z, hashdeep or plain, if it is one of them";
    Self::AmbiguousFormat(_) => "AMBIGUOUS_LIST_FORMAT", "choose with --format";
    Self::Checksums => "LIST_OF_CHECKSUMS", "make the list anew with `cksum -a sha256` or `sha256sum`";
    Self::Utf16 => "LIST_IS_UTF16", "convert it with `iconv -f UTF-16 -t UTF-8`";
    Self::HashdeepHeader { .. } => "HASHDEEP_HEADER", "make the list anew with `hashdeep -c md5,sha256`";
    Self::FormatName => "LIST_FORMAT_NAME", "say sums, sums-z, hashdeep or plain";
    Self::Counts { .. } => "LIST_COUNTS", "nothing was imported; report this as a bug";
}

fn names(formats: &[Format]) -> String {
    let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
    names.join(", ")
}
