//! Any table with a header: delimiters are commas, semicolons or tabs, and the operator says which columns hold what.
//!
//! Without a word on digests, columns that are named like a kind are taken: `md5`, `SHA-256`.

use crate::Error;
use crate::digest;
use crate::format::layout::{Layout, named_digests, place_of};
use crate::format::table::header;
use crate::format::{Format, Settings};

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Whether an input begins with a header that names a kind, and not with a row.
pub(super) fn is_table(head: &[u8]) -> bool {
    let digest = |name: &String| digest::looks_like_one(name.as_bytes());
    let fits = |names: Vec<String>| !named_digests(&names).is_empty() && !names.iter().any(digest);
    DELIMITERS.into_iter().filter_map(|delimiter| header(head, delimiter)).any(fits)
}

/// The delimiter that cuts the header into the names which are asked for; of several the one that cuts it most often.
pub(super) fn delimiter(head: &[u8], settings: &Settings) -> u8 {
    let value = |delimiter: &u8| {
        let names = header(head, *delimiter).unwrap_or_default();
        (layout(&names, settings).is_ok(), names.len())
    };
    // The last of equals wins, so the comma is tried last.
    DELIMITERS.into_iter().rev().max_by_key(value).expect("there are delimiters")
}

pub(super) fn layout(names: &[String], settings: &Settings) -> Result<Layout, Error> {
    if let Some(missing) = settings.columns.names().find(|column| place_of(names, column).is_none()) {
        return Err(Error::NoField { format: Format::Csv, field: missing.to_owned() });
    }
    let layout = Layout::mapped(names, &settings.columns, settings.scheme.as_deref());
    if layout.digests.is_empty() { Err(Error::NoDigestColumn) } else { Ok(layout) }
}

#[cfg(test)]
mod tests;
