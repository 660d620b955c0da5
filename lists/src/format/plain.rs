//! One digest per line, optionally after the name of its kind: `sha256 <hex>`, `md5:<hex>`, `sha1,<hex>`, `<hex>`.

use veilmatch_protocol::item::Kind;

use crate::Quarantine;
use crate::digest::{self, Lengths};
use crate::format::{ParseLine, Settings};
use crate::lines::Line;
use crate::rows::{Listing, Row};

/// One digest per line.
pub(super) struct Plain;

impl ParseLine for Plain {
    fn parse(&mut self, line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row> {
        let content = content.trim_ascii();
        if content.starts_with(b"#") {
            return None;
        }
        let item = take_apart(content).and_then(|(kind, digest)| settings.item(digest, kind, Lengths::Any));
        Some(Row::listing(line.place, Listing { digests: vec![item], ..Listing::default() }))
    }
}

/// Whether a line has the shape of this format, whatever its kind.
pub(super) fn looks_like_one(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    match split(line) {
        Some((kind, digest)) => is_name(kind) && digest::looks_like_one(digest),
        None => digest::looks_like_one(line),
    }
}

fn take_apart(line: &[u8]) -> Result<(Option<Kind>, &[u8]), Quarantine> {
    match split(line) {
        Some((kind, digest)) if is_name(kind) => Ok((Some(digest::kind_named(kind)?), digest)),
        Some(_) => Err(Quarantine::Malformed),
        None => Ok((None, line)),
    }
}

/// Cuts the line behind its first word, unless only commas and blanks follow.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let separator = |byte: &u8| b" \t:,".contains(byte);
    let end = line.iter().position(separator)?;
    let rest = &line[end + 1..];
    let start = rest.iter().position(|byte| !separator(byte))?;
    Some((&line[..end], &rest[start..]))
}

/// Whether a word can be the name of a kind: a digest begins with a digit as often as not and is longer than any name.
fn is_name(word: &[u8]) -> bool {
    let tail = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_/".contains(byte);
    (1..=20).contains(&word.len()) && word[0].is_ascii_alphabetic() && word.iter().all(tail)
}
