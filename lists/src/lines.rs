//! Lines of bounded length.

use std::io::{BufRead, ErrorKind};

use crate::Error;
use crate::rows::Place;

/// Longest line that is read; a longer one is quarantined without being held. A path has at most 4,096 bytes, 8,192 when
/// escaped, so an honest line is far shorter.
pub const MAX_LINE_BYTES: usize = 65_536;

/// One line without its terminator, carriage return and byte order mark.
pub(crate) struct Line<'a> {
    /// Where it begins.
    pub place: Place,
    /// `None` if the line is longer than [`MAX_LINE_BYTES`].
    pub content: Option<&'a [u8]>,
}

/// Cuts an input into lines. Holds one line at a time.
pub(crate) struct Lines<R> {
    input: R,
    terminator: u8,
    next: Place,
    buffer: Vec<u8>,
}

impl<R> Lines<R> {
    pub(crate) fn new(input: R, terminator: u8) -> Self {
        Self { input, terminator, next: Place { row: 1, offset: 0 }, buffer: Vec::new() }
    }

    /// Counts as if the next line stood here.
    pub(crate) fn go_on(&mut self, at: Place) {
        self.next = at;
    }
}

impl<R: BufRead> Lines<R> {
    /// The next line, or `None` at the end. The last line needs no terminator.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, Error> {
        self.buffer.clear();
        let place = self.next;
        let (mut started, mut fits) = (false, true);
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { place, source }),
            };
            if available.is_empty() {
                if !started {
                    return Ok(None);
                }
                break;
            }
            started = true;
            let end = available.iter().position(|byte| *byte == self.terminator);
            let part = &available[..end.unwrap_or(available.len())];
            fits = fits && self.buffer.len() + part.len() <= MAX_LINE_BYTES;
            if fits {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.next.offset += used as u64;
            if end.is_some() {
                break;
            }
        }
        self.next.row += 1;
        let content = fits.then(|| bare(&self.buffer, place.row, self.terminator));
        Ok(Some(Line { place, content }))
    }
}

/// The line without what editors and Windows put around it.
pub(crate) fn bare(line: &[u8], number: u64, terminator: u8) -> &[u8] {
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    // A name that ends with a carriage return is escaped where lines end with a line feed, and is itself otherwise.
    if terminator == b'\n' { line.strip_suffix(b"\r").unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(input: &[u8], terminator: u8) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(input, terminator);
        let mut cut = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            cut.push((line.place.row, line.content.map(<[u8]>::to_vec)));
        }
        cut
    }

    #[test]
    fn the_last_line_needs_no_terminator() {
        assert_eq!(cut(b"a\nb", b'\n'), [(1, Some(b"a".to_vec())), (2, Some(b"b".to_vec()))]);
        assert_eq!(cut(b"a\nb\n", b'\n').len(), 2);
        assert_eq!(cut(b"", b'\n'), []);
    }

    #[test]
    fn a_byte_order_mark_is_taken_off_the_first_line_only() {
        let lines = cut(b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\r\n", b'\n');
        assert_eq!(lines, [(1, Some(b"a".to_vec())), (2, Some(b"\xef\xbb\xbfb".to_vec()))]);
    }

    #[test]
    fn a_line_of_the_greatest_length_is_read_and_a_longer_one_is_not_held() {
        let longest = vec![b'x'; MAX_LINE_BYTES];
        let input = [&longest[..], b"\n", &longest, b"x\nlast"].concat();
        let mut lines = Lines::new(std::io::BufReader::with_capacity(100, &input[..]), b'\n');
        assert_eq!(lines.next().unwrap().unwrap().content.map(<[u8]>::len), Some(MAX_LINE_BYTES));
        assert!(lines.next().unwrap().unwrap().content.is_none());
        assert_eq!(lines.next().unwrap().unwrap().content, Some(&b"last"[..]));
        assert!(lines.buffer.capacity() <= 2 * MAX_LINE_BYTES);
    }
}
