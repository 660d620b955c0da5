//! Where a scan stands: read from the answers that it has written.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{Failure, Subject};
use crate::{cli::tally::Tally, output::Record};

/// Longest line that an answer can be: a path and what goes with it.
const MAX_LINE: u64 = 256 * 1_024;

/// How far a scan has come.
pub struct Cursor {
    /// The answers written.
    pub tally: Tally,
    /// The last of them.
    pub place: Place,
}

/// The last thing answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing yet.
    Start,
    /// A path.
    Path(PathBuf),
    /// A line.
    Line(u64),
}

impl Place {
    /// The line, or 0.
    pub fn line(&self) -> u64 {
        match self {
            Self::Line(line) => *line,
            _ => 0,
        }
    }

    /// Whether a scan of this can stand here.
    pub fn is_of(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Start, _) | (Self::Line(_), Subject::Hashes { .. }) => true,
            (Self::Path(path), Subject::Tree { root }) => path.starts_with(root),
            _ => false,
        }
    }
}

/// Reads a scan's file to its end and cuts off a last line that was not written whole, as a crash leaves it. The file is
/// then positioned at its end.
pub fn find(file: &mut File, out: &Path) -> Result<Cursor, Failure> {
    let wrap = |action| Failure::io(action, out);
    file.seek(SeekFrom::Start(0)).map_err(wrap("read"))?;
    let mut input = BufReader::with_capacity(256 * 1_024, &*file);
    let mut cursor = Cursor { tally: Tally::default(), place: Place::Start };
    let (mut line, mut whole, mut number) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(wrap("read"))?;
        if line.last() != Some(&b'\n') {
            if read as u64 == MAX_LINE {
                return Err(Failure::OutDamaged { out: out.to_owned(), line: number + 1 });
            }
            break;
        }
        number += 1;
        if !cursor.advance(&line) {
            return Err(Failure::OutDamaged { out: out.to_owned(), line: number });
        }
        whole += read as u64;
    }
    drop(input);
    file.set_len(whole).map_err(wrap("repair"))?;
    file.seek(SeekFrom::End(0)).map_err(wrap("read"))?;
    Ok(cursor)
}

impl Cursor {
    /// Takes one more line; `false` if it is none of a scan's.
    fn advance(&mut self, line: &[u8]) -> bool {
        let Ok(record) = serde_json::from_slice::<Record<'_>>(line) else { return false };
        self.place = match (record.path(), record.line()) {
            (Some(path), None) => Place::Path(path),
            (None, Some(line)) => Place::Line(line),
            _ => return false,
        };
        match (record.outcome.as_ref(), record.reason()) {
            ("match", None) => self.tally.count_match(record.is_weak_only()),
            ("no_match", None) => self.tally.no_match += 1,
            ("not_checked", Some(reason)) => self.tally.count_not_checked(reason),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> (Result<Cursor, Failure>, String) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let cursor = find(&mut file, Path::new("out"));
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut left = String::new();
        file.read_to_string(&mut left).unwrap();
        (cursor, left)
    }

    const TWO: &str = "{\"outcome\":\"match\",\"path\":\"/a\",\"list\":\"l\",\"version\":1,\"kind\":\"md5\",\"label_hex\":\"\"}\n\
                       {\"outcome\":\"not_checked\",\"path\":\"/b\",\"list\":\"l\",\"reason\":\"CHANGED\"}\n";

    #[test]
    fn a_scan_stands_after_its_last_whole_line() {
        for cut in 0..TWO.len() {
            let (cursor, left) = read(&TWO[..cut]);
            let whole = TWO[..cut].matches('\n').count();
            let cursor = cursor.unwrap();
            assert_eq!(left.matches('\n').count(), whole, "{cut}");
            assert_eq!(cursor.tally.total(), whole as u64);
            let place = if whole == 0 { Place::Start } else { Place::Path("/a".into()) };
            assert_eq!(cursor.place, place);
        }
        assert_eq!(read(TWO).0.unwrap().place, Place::Path("/b".into()));
        assert_eq!(read(TWO).0.unwrap().tally.to_string(), "1 match, 0 no match, 1 not checked (1 CHANGED)");
    }

    #[test]
    fn a_scan_that_goes_on_still_knows_its_matches_of_weak_kinds() {
        // SPEC §12.6
        let weak = TWO.replace("\"label_hex\":\"\"", "\"label_hex\":\"\",\"weak_only\":true");
        let tally = read(&(TWO.to_owned() + &weak)).0.unwrap().tally;
        assert_eq!((tally.matches, tally.weak_only), (2, 1));
    }

    #[test]
    fn a_whole_line_that_is_no_answer_is_damage() {
        for bad in ["\n", "{}\n", "{\"outcome\":\"match\"}\n", "{\"outcome\":\"clean\",\"path\":\"/a\"}\n", "\0\0\n"] {
            let (cursor, left) = read(&format!("{TWO}{bad}"));
            assert!(matches!(cursor, Err(Failure::OutDamaged { line: 3, .. })), "{bad:?}");
            assert!(left.ends_with(bad), "nothing is cut off");
        }
    }

    #[test]
    fn a_place_outside_what_is_scanned_is_of_another_scan() {
        let tree = Subject::Tree { root: "/a".into() };
        assert!(Place::Path("/a/b".into()).is_of(&tree) && Place::Start.is_of(&tree));
        assert!(!Place::Path("/ab".into()).is_of(&tree) && !Place::Line(1).is_of(&tree));
    }

    #[test]
    fn a_list_of_digests_goes_on_after_a_line() {
        let (cursor, _) =
            read("{\"outcome\":\"no_match\",\"line\":7,\"digests\":{\"md5\":\"00\"},\"list\":\"l\",\"version\":1}\n");
        assert_eq!(cursor.unwrap().place.line(), 7);
    }
}
