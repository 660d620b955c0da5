//! Why a whole input was refused.

use thiserror::Error;

use crate::archive::Damage;
use crate::{Format, Place};

/// An input that is refused as a whole. A bad row is not an error: it is quarantined and reading goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read to its end.
    #[error("cannot read the list behind {place}")]
    Read {
        /// The row that could not be read to its end.
        place: Place,
        /// Why.
        source: std::io::Error,
    },
    /// The input is not what its format is written in: it ends too early, nests too deep, or has a value that is too long.
    #[error("the list is broken at {place}: {why}")]
    Broken {
        /// The row that could not be read to its end.
        place: Place,
        /// What is wrong with it, without anything of its content.
        why: String,
    },
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
    /// The input is compressed in a way that is not read, or an archive within an archive.
    #[error("the list is packed")]
    Packed,
    /// The archive unpacks to far more than any list does.
    #[error("the archive unpacks without end, behind {place}")]
    Bomb {
        /// The row that was being read.
        place: Place,
    },
    /// The file of the archive is encrypted.
    #[error("the file in the archive is encrypted")]
    Encrypted,
    /// The archive does not have exactly one file that is meant.
    #[error("the archive has {files} files, and one of them must be named: {}", .names.join(", "))]
    Member {
        /// How many files it has.
        files: u64,
        /// The names of the first 20, with control characters escaped.
        names: Vec<String>,
    },
    /// The two header lines of a hashdeep file are missing or name no columns we can use.
    #[error("the hashdeep header on line {line} is missing or names no digest column")]
    HashdeepHeader {
        /// The line that should have held it.
        line: u64,
    },
    /// A condition is not of the form `FIELD=VALUE,VALUE`.
    #[error("a condition has the form FIELD=VALUE,VALUE")]
    Condition,
    /// The format does not have a field that is named.
    #[error("the format {format} has no field {field}")]
    NoField {
        /// The format.
        format: Format,
        /// The field.
        field: String,
    },
    /// No column of a table is known to hold digests.
    #[error("no column of the list is known to hold digests")]
    NoDigestColumn,
    /// The list has categories and does not say before them which profile they are of.
    #[error("the list does not say before {place} which profile its categories are of")]
    NoProfile {
        /// The first row with a category.
        place: Place,
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
    Self::Read { .. } => "LIST_READ", "make the file readable, or fetch it again";
    Self::Broken { .. } => "LIST_BROKEN", "nothing was imported; fetch the file again, or ask its source";
    Self::Empty => "LIST_EMPTY", "look whether the file was written to its end";
    Self::UnknownFormat => "UNKNOWN_LIST_FORMAT", "say --format sums, sums-z, hashdeep, plain, icse, nsrl, csv, jsonl, stopncii, vics or ncmec, if it is one of them";
    Self::AmbiguousFormat(_) => "AMBIGUOUS_LIST_FORMAT", "choose with --format";
    Self::Checksums => "LIST_OF_CHECKSUMS", "make the list anew with `cksum -a sha256` or `sha256sum`";
    Self::Packed => "LIST_IS_PACKED", "unpack it; gzip and zip are read as they are, but not within one another";
    Self::Bomb { .. } => "LIST_BOMB", "nothing was imported; if it is a list after all, unpack it first";
    Self::Encrypted => "LIST_IS_ENCRYPTED", "unpack it with its password";
    Self::Member { .. } => "LIST_MEMBER", "name the file that is the list, by its path in the archive";
    Self::HashdeepHeader { .. } => "HASHDEEP_HEADER", "make the list anew with `hashdeep -c md5,sha256`";
    Self::Condition => "LIST_CONDITION", "say, for example, --only Baseline=yes or --only Category=1,2";
    Self::NoField { .. } => "LIST_NO_FIELD", "name a field that the format has, as it is spelt in the file";
    Self::NoDigestColumn => "LIST_NO_DIGEST_COLUMN", "say which column holds the digests, and of which kind they are";
    Self::NoProfile { .. } => "LIST_NO_PROFILE", "say --scheme vics-default, vics-us, vics-uk or vics-custom";
    Self::FormatName => "LIST_FORMAT_NAME", "say sums, sums-z, hashdeep, plain, icse, nsrl, csv, jsonl, stopncii, vics or ncmec";
    Self::Counts { .. } => "LIST_COUNTS", "nothing was imported; report this as a bug";
}

impl Error {
    /// Tells damage for what it is where a reader could only call it a failure to read.
    pub(crate) fn told(self) -> Self {
        let Self::Read { place, source } = self else { return self };
        match source.downcast::<Damage>() {
            Ok(Damage::Bomb) => Self::Bomb { place },
            Ok(Damage::Broken(why)) => Self::Broken { place, why: why.into() },
            Err(source) => Self::Read { place, source },
        }
    }
}

fn names(formats: &[Format]) -> String {
    let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
    names.join(", ")
}
