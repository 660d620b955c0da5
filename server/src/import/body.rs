//! What rows say, in bytes: as they are sorted and as records are kept.
//!
//! ```text
//! said   category(2) ‖ flags(1) ‖ valid from(8) ‖ valid until(8) ‖ reference length(2) ‖ reference
//! body   said ‖ items, ascending, each once
//! ```
//! Integers are big-endian. Flags: 1 a stronger kind is known, 2 valid from counts, 4 valid until counts.

use veilmatch_protocol::item::{Item, Kind};

use crate::{Error, store::Said};

const SAID_BYTES: usize = 21;

/// Longest reference that is kept: no label shows more.
const MAX_REFERENCE: usize = 256;

pub(super) fn put_said(out: &mut Vec<u8>, said: &Said) {
    let flags =
        u8::from(said.stronger) | u8::from(said.valid_from.is_some()) << 1 | u8::from(said.valid_until.is_some()) << 2;
    let reference = crate::store::fitting(&said.reference, MAX_REFERENCE);
    out.extend_from_slice(&said.category.to_be_bytes());
    out.push(flags);
    out.extend_from_slice(&said.valid_from.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&said.valid_until.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&u16::try_from(reference.len()).expect("references are short").to_be_bytes());
    out.extend_from_slice(reference.as_bytes());
}

/// What [`put_said`] wrote, and what stands behind it.
pub(super) fn take_said(bytes: &[u8]) -> Result<(Said, &[u8]), Error> {
    let (fixed, rest) = bytes.split_first_chunk::<SAID_BYTES>().ok_or(BROKEN)?;
    let number = |at: usize| u64::from_be_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
    let length = usize::from(u16::from_be_bytes([fixed[19], fixed[20]]));
    let (reference, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
    let said = Said {
        category: u16::from_be_bytes([fixed[0], fixed[1]]),
        stronger: fixed[2] & 1 != 0,
        reference: String::from_utf8(reference.to_vec()).map_err(|_| BROKEN)?,
        valid_from: (fixed[2] & 2 != 0).then(|| number(3)),
        valid_until: (fixed[2] & 4 != 0).then(|| number(11)),
    };
    Ok((said, rest))
}

const BROKEN: Error = Error::Internal("a row that was written by an import cannot be read back");

/// A record's body. The items are sorted and each is taken once.
pub(super) fn body(said: &Said, items: &[Item]) -> Vec<u8> {
    let mut sorted: Vec<&Item> = items.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut out = Vec::new();
    put_said(&mut out, said);
    for item in sorted {
        out.extend_from_slice(item.as_bytes());
    }
    out
}

/// The claims of a record's body: each item with what is said of it.
pub(super) fn claims(body: &[u8]) -> Result<Vec<(Item, Said)>, Error> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let (said, mut rest) = take_said(body)?;
    let mut items = Vec::new();
    while let Some(kind) = rest.first() {
        let length = 1 + Kind::from_id(*kind)?.digest_len();
        let (item, after) = rest.split_at_checked(length).ok_or(BROKEN)?;
        items.push(Item::from_bytes(item)?);
        rest = after;
    }
    let strongest = items.iter().map(Item::kind).max_by_key(|kind| kind.id());
    let stronger = |item: &Item| strongest.is_some_and(|strongest| super::is_stronger(strongest, item.kind()));
    Ok(items.iter().map(|item| (item.clone(), Said { stronger: stronger(item), ..said.clone() })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gives_its_claims_back_with_what_is_stronger_in_it() {
        let md5 = Item::new(Kind::Md5, &[1; 16]).unwrap();
        let sha256 = Item::new(Kind::Sha256, &[2; 32]).unwrap();
        let said = Said { category: 7, reference: "case 12".into(), valid_until: Some(9), ..Said::default() };
        let read = claims(&body(&said, &[sha256.clone(), md5.clone(), sha256.clone()])).unwrap();
        assert_eq!(read, [(md5, Said { stronger: true, ..said.clone() }), (sha256, said)]);
        assert!(claims(b"").unwrap().is_empty());
        assert!(claims(b"cut").is_err());
    }
}
