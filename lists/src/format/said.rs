//! What rows say, as text that tests can compare.

use std::io::{self, BufReader, Cursor, Read};

use crate::format::HEAD_BYTES;
use crate::rows::{Row, Rows, Says};
use crate::{Error, Options};

/// Each row as `place key @time: digests category (reference)`, and the error that ended them.
pub(super) fn said(input: &[u8], options: &Options) -> (Vec<String>, Option<Error>) {
    let mut said = Vec::new();
    let rows = match Rows::open(input, options) {
        Ok(rows) => rows,
        Err(error) => return (said, Some(error)),
    };
    for row in rows {
        match row {
            Ok(row) => said.push(line(&row)),
            Err(error) => return (said, Some(error)),
        }
    }
    (said, None)
}

/// The rows of an input that is read to its end.
pub(super) fn rows(input: &[u8], options: &Options) -> Vec<String> {
    let (said, error) = said(input, options);
    assert!(error.is_none(), "{error:?} behind {said:#?}");
    said
}

/// Why an input is refused.
pub(super) fn refused(input: &[u8], options: &Options) -> String {
    let error = said(input, options).1.expect("the input is refused");
    format!("{}: {error}", error.reason())
}

/// How many rows an input gives whose reader fails behind these bytes, and the error. `blank` fills the head, in which a
/// failure would be one of opening.
pub(super) fn fails_behind(input: &[u8], blank: &str, options: &Options) -> (usize, String) {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let input = Cursor::new(blank.repeat(HEAD_BYTES)).chain(input).chain(BufReader::new(Failing));
    let mut read = 0;
    for row in Rows::open(input, options).unwrap() {
        match row {
            Ok(_) => read += 1,
            Err(error) => return (read, format!("{}: {error}", error.reason())),
        }
    }
    panic!("the failure was not told");
}

fn line(row: &Row) -> String {
    let mut line = row.place.row.to_string();
    if let Some(id) = &row.id {
        line += &format!(" {}", String::from_utf8_lossy(id));
    }
    if let Some(at) = row.at {
        line += &format!(" @{at}");
    }
    match &row.says {
        Says::Withdrawn => line + ": withdrawn",
        Says::Listed(listing) => {
            line += ":";
            for digest in &listing.digests {
                line += &match digest {
                    Ok(item) => format!(" {} {}", item.kind().name(), hex::encode(&item.digest()[..4])),
                    Err(reason) => format!(" {reason}"),
                };
            }
            if let Some(category) = &listing.category {
                line += &format!(" {category}");
            }
            if let Some(reference) = &listing.reference {
                line += &format!(" ({reference})");
            }
            line
        }
    }
}
