//! What rows look like in tests.

use std::io::{BufReader, Read};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use veilmatch_protocol::item::{Item, Kind};

use super::{Listing, Place, Row, Rows, Says};
use crate::{Format, Names, Options, Quarantine};

pub(crate) fn keep() -> Options {
    Options { names: Names::Keep, ..Options::default() }
}

pub(crate) fn as_format(format: Format) -> Options {
    Options { format: Some(format), ..keep() }
}

pub(crate) fn read(input: impl Read + Send, options: &Options) -> Vec<Row> {
    Rows::open(BufReader::new(input), options).unwrap().map(Result::unwrap).collect()
}

pub(crate) fn listing(row: &Row) -> &Listing {
    match &row.says {
        Says::Listed(listing) => listing,
        Says::Withdrawn => panic!("{row:?} is withdrawn"),
    }
}

pub(crate) fn names(rows: &[Row]) -> Vec<String> {
    let name = |row| listing(row).name.clone().map(|name| String::from_utf8(name).unwrap());
    rows.iter().filter_map(name).collect()
}

/// The rows without where they stand.
pub(crate) fn placeless(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|row| Row { place: Place::default(), ..row.clone() }).collect()
}

/// Lines, each with the kinds of its digests and, for those set aside, the reasons.
pub(crate) fn shape(rows: &[Row]) -> Vec<(u64, String)> {
    let word = |digest: &Result<Item, Quarantine>| match digest {
        Ok(item) => item.kind().name(),
        Err(reason) => reason.reason(),
    };
    let words = |row| listing(row).digests.iter().map(word).collect::<Vec<_>>().join(" ");
    rows.iter().map(|row| (row.place.row, words(row))).collect()
}

pub(crate) fn shaped(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(line, words)| (*line, (*words).to_owned())).collect()
}

/// All that the rows of a sample say but for names. `md5#3` is the MD5 of the third sample text.
pub(crate) fn told(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| told_of(row).join(" ")).collect()
}

fn told_of(row: &Row) -> Vec<String> {
    let mut words = vec![format!("{}:", row.place.row)];
    words.extend(row.id.as_ref().map(|id| format!("[{}]", String::from_utf8_lossy(id))));
    words.extend(row.at.map(|at| format!("at {at}")));
    let Says::Listed(listing) = &row.says else {
        words.push("withdrawn".into());
        return words;
    };
    words.extend(listing.digests.iter().map(|digest| match digest {
        Ok(item) => format!("{}#{}", item.kind().name(), number_of(item)),
        Err(reason) => reason.to_string(),
    }));
    words.extend(listing.category.as_ref().map(ToString::to_string));
    words.extend(listing.reference.as_ref().map(|reference| format!("{reference:?}")));
    words.extend(listing.valid_from.map(|from| format!("from {from}")));
    words.extend(listing.valid_until.map(|until| format!("until {until}")));
    words
}

fn number_of(item: &Item) -> u64 {
    let digest = |number: u64| sample(item.kind(), number);
    (0..100).find(|number| digest(*number) == item.digest()).expect("a sample's digest is of a sample text")
}

/// The digest of a sample text.
pub(crate) fn sample(kind: Kind, number: u64) -> Vec<u8> {
    let text = format!("veilmatch sample {number}");
    match kind {
        Kind::Md5 => Md5::digest(text).to_vec(),
        Kind::Sha1 => Sha1::digest(text).to_vec(),
        Kind::Sha256 => Sha256::digest(text).to_vec(),
        Kind::Sha512 => sha2::Sha512::digest(text).to_vec(),
    }
}
