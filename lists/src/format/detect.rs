//! Which format an input has, by its first bytes. Where several are possible the operator is asked, never guessed for.

use std::collections::BTreeSet;

use crate::Error;
use crate::archive;
use crate::digest;
use crate::format::{Format, HEAD_BYTES, csv, hashdeep, icse, jsonl, ncmec, nsrl, plain, stopncii, sums, table, vics};
use crate::lines::bare;

pub(super) fn format(head: &[u8]) -> Result<Format, Error> {
    readable(head)?;
    let text = bare(head, 1, 0);
    if text.starts_with(hashdeep::MAGIC) {
        return Ok(Format::Hashdeep);
    }
    // These two are named by a header that no other table has by chance.
    if table::header(head, icse::DELIMITER).is_some_and(|names| icse::is_header(&names)) {
        return Ok(Format::Icse);
    }
    if table::header(head, nsrl::DELIMITER).is_some_and(|names| nsrl::is_header(&names)) {
        return Ok(Format::Nsrl);
    }
    if stopncii::looks_like_one(text) {
        return Ok(Format::Stopncii);
    }
    if vics::looks_like_one(text) {
        return Ok(Format::Vics);
    }
    if ncmec::looks_like_one(text) {
        return Ok(Format::Ncmec);
    }
    let mut found = BTreeSet::new();
    if let Some(end) = head.iter().position(|byte| *byte == 0) {
        // A name may hold line feeds where records end with NUL. If such a line looks like a sum itself, this may as well
        // be a list of lines with a stray NUL in it.
        let first = bare(&head[..end], 1, 0);
        let mut lines = first.split(|byte| *byte == b'\n');
        if lines.next().is_some_and(is_sum) {
            found.insert(Format::SumsZ);
            found.extend(lines.any(is_sum).then_some(Format::Sums));
        }
    } else {
        found.extend(whole_lines(head, b'\n').filter_map(format_of_line));
        found.extend(csv::is_table(head).then_some(Format::Csv));
        // The first line only: an array with an object per line ends with a line like those of this format.
        let first = whole_lines(head, b'\n').find(|line| !line.trim_ascii().is_empty());
        found.extend(first.is_some_and(jsonl::looks_like_one).then_some(Format::Jsonl));
    }
    let found: Vec<_> = found.into_iter().collect();
    match found[..] {
        [] => Err(Error::UnknownFormat),
        [format] => Ok(format),
        _ => Err(Error::AmbiguousFormat(found)),
    }
}

/// Refuses what no format can read: nothing at all, archives, CRC checksums.
pub(super) fn readable(head: &[u8]) -> Result<(), Error> {
    if archive::is_one(head) {
        return Err(Error::Packed);
    }
    if head.len() < HEAD_BYTES && bare(head, 1, 0).trim_ascii().is_empty() {
        return Err(Error::Empty);
    }
    let mut rows = whole_lines(head, b'\n').filter(|line| !line.trim_ascii().is_empty()).peekable();
    if rows.peek().is_some() && rows.all(is_checksum) {
        return Err(Error::Checksums);
    }
    Ok(())
}

/// The lines of the head; the last one is left out if the head may have cut it.
fn whole_lines(head: &[u8], terminator: u8) -> impl Iterator<Item = &[u8]> {
    let cut = head.len() >= HEAD_BYTES;
    let end = head.iter().rposition(|byte| *byte == terminator).filter(|_| cut).unwrap_or(head.len());
    let lines = head[..end].split(move |byte| *byte == terminator);
    lines.zip(1..).map(move |(line, number)| bare(line, number, terminator))
}

fn format_of_line(line: &[u8]) -> Option<Format> {
    if is_sum(line) {
        Some(Format::Sums)
    } else if plain::looks_like_one(line) {
        Some(Format::Plain)
    } else {
        None
    }
}

fn is_sum(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\\").unwrap_or(line);
    sums::Sum::of(line).is_some_and(|sum| digest::looks_like_one(sum.digest))
}

/// `cksum` and `sum` write decimal numbers: checksum, size or blocks, name.
fn is_checksum(line: &[u8]) -> bool {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let mut number = || fields.next().is_some_and(|field| field.len() <= 20 && field.iter().all(u8::is_ascii_digit));
    number() && number()
}
