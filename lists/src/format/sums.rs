//! Sums: coreutils' `md5sum` … `sha512sum` and `cksum -a`, BSD's `md5 -r`, md5deep, `openssl dgst`.
//!
//! ```text
//! <hex>␣␣<name>            text          <hex>␣*<name>            binary; the name may begin with '*' itself
//! \<hex>␣␣<name>           the name has escapes: \\ backslash, \n line feed, \r carriage return
//! SHA256 (<name>) = <hex>  --tag; the name may contain ") = ", so the last one counts
//! SHA2-256(<name>)= <hex>  openssl dgst
//! ```
//!
//! An untagged line names no kind; these programs write cryptographic digests only, so its length does. The untagged
//! output of `b2sum` cannot be told from that of `sha512sum`: `b2sum --tag` can, and is set aside as unsupported.

use std::borrow::Cow;

use crate::Quarantine;
use crate::digest::{self, Lengths};
use crate::format::{ParseLine, Settings};
use crate::lines::Line;
use crate::rows::{Listing, Row};

/// Whether a line that begins with a backslash has an escaped name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    Read,
    /// Records end with NUL and hold names as they are.
    None,
}

/// One line taken apart: nothing is checked yet but its shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum<'a> {
    /// The algorithm, where the line names it.
    algorithm: Option<&'a [u8]>,
    pub(super) digest: &'a [u8],
    name: &'a [u8],
}

impl ParseLine for Escapes {
    fn parse(&mut self, line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row> {
        if content.starts_with(b"#") {
            return None;
        }
        Some(match listing(content, *self, settings) {
            Ok(listing) => Row::listing(line.place, listing),
            Err(reason) => Row::quarantined(line.place, reason),
        })
    }
}

fn listing(line: &[u8], escapes: Escapes, settings: &Settings) -> Result<Listing, Quarantine> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) if escapes == Escapes::Read => (true, rest),
        _ => (false, line),
    };
    let sum = Sum::of(line).ok_or(Quarantine::Malformed)?;
    let name = unescape(sum.name, escaped).ok_or(Quarantine::Malformed)?;
    let kind = sum.algorithm.map(digest::kind_named).transpose()?;
    let item = settings.item(sum.digest, kind, Lengths::Cryptographic);
    Ok(Listing { digests: vec![item], name: settings.name(&name), ..Listing::default() })
}

impl<'a> Sum<'a> {
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii_start();
        Self::tagged(line).or_else(|| Self::untagged(line))
    }

    fn untagged(line: &'a [u8]) -> Option<Self> {
        let space = line.iter().position(|byte| *byte == b' ')?;
        let (digest, rest) = (&line[..space], &line[space + 1..]);
        // BSD's reversed form has the one space only.
        let name = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"*")).unwrap_or(rest);
        (!name.is_empty()).then_some(Self { algorithm: None, digest, name })
    }

    fn tagged(line: &'a [u8]) -> Option<Self> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let (algorithm, after) = (&line[..open], &line[open + 1..]);
        let (algorithm, close) = match algorithm.strip_suffix(b" ") {
            Some(algorithm) => (algorithm, &b") = "[..]),
            None => (algorithm, &b")= "[..]),
        };
        if !algorithm.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(byte)) {
            return None;
        }
        let end = after.windows(close.len()).rposition(|window| window == close)?;
        // `openssl dgst` reading its standard input names nothing before the bracket in some versions.
        let algorithm = Some(algorithm).filter(|algorithm| !algorithm.is_empty());
        Some(Self { algorithm, digest: &after[end + close.len()..], name: &after[..end] })
    }
}

/// The name without its escapes, or `None` if one of them is unknown.
fn unescape(name: &[u8], escaped: bool) -> Option<Cow<'_, [u8]>> {
    if !escaped {
        return Some(Cow::Borrowed(name));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(Cow::Owned(plain))
}
