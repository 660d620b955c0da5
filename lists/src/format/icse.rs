//! Exports of INTERPOL's ICSE database, its Baseline list among them.
//!
//! ```text
//! MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;Number of submissions;
//! File Available;Media Type;Baseline        all twelve in one line, in any order and case, others among them
//! ```
//!
//! A row is one image: its key is the image's id, its reference the series. Rows of which Baseline is yes have the
//! category `baseline:baseline`, all others `icse:listed`; `--only Baseline=yes` sets the others aside. PhotoDNA is of
//! an unsupported kind and is counted as such.
//!
//! ICSE writes a file once for each image that it is: consecutive rows with equal digests are one object. They stay rows,
//! because each has a key of its own by which it may vanish, and each is counted. Whoever takes them sees the digests of
//! the second row as duplicates, so the object is one entry, listed as long as one of its images is.

use crate::format::layout::{Categories, Layout, named_digests, place_of};
use crate::format::{Format, same_name};
use crate::{Category, Error};

pub(super) const DELIMITER: u8 = b';';
const NAMES: [&str; 12] = [
    "MD5",
    "SHA1",
    "PhotoDNA",
    "Image ID",
    "Is distributed",
    "Victim identified",
    "Offender identified",
    "Series name",
    "Number of submissions",
    "File Available",
    "Media Type",
    "Baseline",
];

pub(super) fn is_header(names: &[String]) -> bool {
    missing(names).is_none()
}

pub(super) fn layout(names: &[String]) -> Result<Layout, Error> {
    if let Some(field) = missing(names) {
        return Err(Error::NoField { format: Format::Icse, field: field.to_owned() });
    }
    let answer = |column| Categories::Answer {
        column,
        yes: Category::of("baseline", "baseline"),
        no: Category::of("icse", "listed"),
    };
    // Further columns are ignored, even of digests.
    let is_ours = |column: usize| NAMES[..3].iter().any(|name| same_name(name, &names[column]));
    Ok(Layout {
        digests: named_digests(names).into_iter().filter(|(column, _)| is_ours(*column)).collect(),
        id: place_of(names, "Image ID"),
        category: place_of(names, "Baseline").map(answer),
        reference: place_of(names, "Series name"),
        ..Layout::default()
    })
}

fn missing(names: &[String]) -> Option<&'static str> {
    NAMES.into_iter().find(|name| place_of(names, name).is_none())
}

#[cfg(test)]
mod tests;
