//! NIST's reference set of known files, RDS version 2: `NSRLFile.txt`.
//!
//! ```text
//! "SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"
//! ```
//!
//! Such a set is there to question a list with, not to be one: known is not harmless. Names are ISO 8859-1. A CRC is no
//! digest, so it is not counted.

use crate::Error;
use crate::format::Format;
use crate::format::layout::{Layout, named_digests, place_of};

pub(super) const DELIMITER: u8 = b',';
const NAMES: [&str; 8] =
    ["SHA-1", "MD5", "CRC32", "FileName", "FileSize", "ProductCode", "OpSystemCode", "SpecialCode"];

pub(super) fn is_header(names: &[String]) -> bool {
    missing(names).is_none()
}

pub(super) fn layout(names: &[String]) -> Result<Layout, Error> {
    match missing(names) {
        Some(field) => Err(Error::NoField { format: Format::Nsrl, field: field.to_owned() }),
        None => Ok(Layout { digests: named_digests(names), name: place_of(names, "FileName"), ..Layout::default() }),
    }
}

fn missing(names: &[String]) -> Option<&'static str> {
    NAMES.into_iter().find(|name| place_of(names, name).is_none())
}

#[cfg(test)]
mod tests;
