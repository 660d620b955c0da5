//! Lists: however an input is cut into reads, it gives the same rows, and every row is counted.

use std::io::{BufRead, BufReader, Read};

use serde::de::IgnoredAny;
use veilmatch_lists::{Counts, Error, Format, Names, Options, Row, Rows, Says};

/// What an input gave: its format and rows, and the error that ended them.
type Outcome = (Option<Format>, Vec<Row>, Option<String>);

/// Reads an input as a whole and in pieces.
pub fn read(bytes: &[u8], format: Option<Format>) {
    // Names are kept, so that they are compared as well.
    let options = Options { format, names: Names::Keep, ..Options::default() };
    let whole = outcome(bytes, &options);
    let (at, step) = cut(bytes);
    let (begin, end) = bytes.split_at(at);
    assert!(outcome(begin.chain(end), &options) == whole, "two pieces, cut at {at}");
    assert!(outcome(BufReader::with_capacity(step, bytes), &options) == whole, "pieces of {step}");
    check(bytes, &whole);
}

/// Where to cut, as the last bytes have it.
fn cut(bytes: &[u8]) -> (usize, usize) {
    let tail = bytes.iter().rev().take(3).fold(0, |tail, byte| tail << 8 | usize::from(*byte));
    (tail % (bytes.len() + 1), 1 + tail % 67)
}

fn outcome(input: impl BufRead + Send, options: &Options) -> Outcome {
    let mut rows = match Rows::open(input, options) {
        Ok(rows) => rows,
        Err(error) => return (None, Vec::new(), Some(said(&error))),
    };
    let (mut read, mut counts, mut ended) = (Vec::new(), Counts::default(), None);
    for row in &mut rows {
        match row {
            Ok(row) => {
                count(&row, &mut counts);
                read.push(row);
            }
            Err(error) => ended = Some(said(&error)),
        }
    }
    assert!(rows.next().is_none(), "a row behind the end");
    counts.close(rows.read()).expect("the counts add up");
    (Some(rows.format()), read, ended)
}

fn count(row: &Row, counts: &mut Counts) {
    assert!(row.weight() > 0, "a row that does not count");
    match &row.says {
        Says::Withdrawn => counts.retracted += 1,
        Says::Listed(listing) => {
            for digest in &listing.digests {
                match digest {
                    Ok(_) => counts.accepted += 1,
                    Err(reason) => counts.quarantine(*reason),
                }
            }
        }
    }
}

fn said(error: &Error) -> String {
    assert!(error.reason() != "LIST_COUNTS", "an importer's error from a reader");
    format!("{} {error}", error.reason())
}

/// What must hold of the rows of any input.
fn check(bytes: &[u8], (format, rows, error): &Outcome) {
    assert!(rows.is_sorted_by(|a, b| a.place < b.place), "rows do not follow each other");
    // UTF-16 is counted as UTF-8, in which two bytes of it are at most three.
    let end = if is_utf16(bytes) { bytes.len() * 3 / 2 + 3 } else { bytes.len() } as u64;
    assert!(rows.iter().all(|row| row.place.row > 0 && row.place.offset <= end), "a row behind the end");
    if *format == Some(Format::Vics) && error.is_none() && !is_utf16(bytes) {
        // What is taken as a whole is JSON, as another reader understands it.
        let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        assert!(serde_json::from_slice::<IgnoredAny>(json).is_ok(), "what is no JSON was read");
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}
