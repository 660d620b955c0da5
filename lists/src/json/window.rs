//! The part of a JSON input that is in memory, and the walk along the envelope.

use std::io::{self, ErrorKind, Read};

use super::reader::{MAX_DEPTH, Reader, Stop};
use crate::Error;
use crate::rows::Place;

/// Longest object, name or other value that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// How much is read at a time.
const STEP: usize = 128 << 10;

/// A bounded part of an input.
pub(crate) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    /// Whether the input has nothing beyond the window, and the reason if that is not its end.
    ended: bool,
    failed: Option<io::Error>,
    place: Place,
}

impl<R: Read> Window<R> {
    /// Takes the byte order mark off.
    pub fn new(input: R) -> Self {
        let place = Place { row: 1, offset: 0 };
        let mut window = Self { input, buffer: Vec::new(), start: 0, ended: false, failed: None, place };
        window.fill();
        if window.rest().starts_with(b"\xef\xbb\xbf") {
            window.consume(3);
        }
        window
    }

    /// Where the next row stands, once it is known that one comes.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Counts as if as much more had been read as lies between two places.
    pub fn move_on(&mut self, from: Place, to: Place) {
        self.place.row += to.row - from.row;
        self.place.offset += to.offset - from.offset;
    }

    /// Tells that a row was read.
    pub fn count_row(&mut self) {
        self.place.row += 1;
    }

    /// That the input is broken here.
    pub fn broken(&self, why: &str) -> Error {
        Error::Broken { place: self.place, why: why.into() }
    }

    /// The first byte of what comes next, or `None` at the end.
    pub fn peek(&mut self) -> Result<Option<u8>, Error> {
        loop {
            let blank = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            let blanks = self.rest().iter().take_while(blank).count();
            self.consume(blanks);
            if let Some(byte) = self.rest().first() {
                return Ok(Some(*byte));
            }
            if self.ended {
                return self.failed.take().map_or(Ok(None), |source| Err(Error::Read { place: self.place, source }));
            }
            self.fill();
        }
    }

    /// Whether this byte comes next; reads it if so.
    pub fn take(&mut self, byte: u8) -> Result<bool, Error> {
        let is = self.peek()? == Some(byte);
        self.consume(usize::from(is));
        Ok(is)
    }

    /// Whether something follows in a container whose end is `bracket`; reads the comma or the end.
    pub fn goes_on(&mut self, first: bool, bracket: u8) -> Result<bool, Error> {
        if self.take(bracket)? {
            return Ok(false);
        }
        match (first, self.peek()?) {
            (_, None) => Err(self.end()),
            (true, _) => Ok(true),
            (false, Some(b',')) => {
                self.consume(1);
                Ok(true)
            }
            (false, _) => Err(self.broken("neither a comma nor an end behind a value")),
        }
    }

    /// Reads something of bounded length: as a whole, or not at all and `None` if it is too long or `read` stops with
    /// [`Stop::Enough`]. `read` is called anew whenever more of the input has become visible.
    pub fn whole<T>(&mut self, mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Stop>) -> Result<Option<T>, Error> {
        loop {
            let mut reader = Reader::new(self.rest());
            match read(&mut reader) {
                Ok(read) => {
                    let used = reader.at();
                    self.consume(used);
                    return Ok(Some(read));
                }
                Err(Stop::Broken(why)) => return Err(self.broken(why)),
                Err(Stop::Short) if self.ended => return Err(self.end()),
                Err(Stop::Enough) => return Ok(None),
                Err(Stop::Short) if self.rest().len() >= MAX_BYTES => return Ok(None),
                Err(Stop::Short) => self.fill(),
            }
        }
    }

    /// As [`Self::whole`], for what has no business to be long.
    pub fn short<T>(&mut self, read: impl FnMut(&mut Reader<'_>) -> Result<T, Stop>) -> Result<T, Error> {
        self.whole(read)?.ok_or_else(|| self.broken("a value outside the rows is too long"))
    }

    /// Reads past a container that is too long to be looked at: brackets must match, the rest is not checked.
    pub fn skip_long(&mut self) -> Result<(), Error> {
        let (mut brackets, mut text, mut escape) = (Vec::new(), false, false);
        loop {
            let mut used = self.rest().len();
            for (index, byte) in self.rest().iter().enumerate() {
                match byte {
                    _ if escape => escape = false,
                    b'\\' if text => escape = true,
                    b'"' => text = !text,
                    _ if text => {}
                    b'{' | b'[' if brackets.len() == usize::from(MAX_DEPTH) => {
                        return Err(self.broken("values nest too deep"));
                    }
                    b'{' => brackets.push(b'}'),
                    b'[' => brackets.push(b']'),
                    b'}' | b']' if brackets.pop() != Some(*byte) => return Err(self.broken("brackets do not match")),
                    b'}' | b']' if brackets.is_empty() => {
                        used = index + 1;
                        break;
                    }
                    _ => {}
                }
            }
            self.consume(used);
            if brackets.is_empty() {
                return Ok(());
            }
            if self.ended {
                return Err(self.end());
            }
            self.fill();
        }
    }

    /// Looks at what comes next without reading it, as far as the longest value reaches.
    pub fn look_ahead<T>(&mut self, look: impl FnOnce(&mut Reader<'_>) -> Result<T, Stop>) -> Option<T> {
        while !self.ended && self.rest().len() < MAX_BYTES {
            self.fill();
        }
        look(&mut Reader::new(self.rest())).ok()
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn consume(&mut self, used: usize) {
        self.start += used;
        self.place.offset += used as u64;
    }

    /// Reads on, and lets go of what was consumed. Callers do not hold the most that may be held.
    fn fill(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut filled = self.buffer.len();
        self.buffer.resize(filled + STEP.min(MAX_BYTES - filled), 0);
        while filled < self.buffer.len() && !self.ended {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Told when the rows before it have been given.
                Err(error) => (self.ended, self.failed) = (true, Some(error)),
            }
        }
        self.buffer.truncate(filled);
    }

    /// That the input ends where it must not.
    fn end(&mut self) -> Error {
        match self.failed.take() {
            Some(source) => Error::Read { place: self.place, source },
            None => self.broken("the input ends in the middle"),
        }
    }
}

#[cfg(test)]
mod tests;
