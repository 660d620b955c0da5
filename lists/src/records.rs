//! Records of delimiter-separated text with quotes (RFC 4180), of bounded length.
//!
//! A quote opens at the beginning of a field only, `""` within it is a quote, and a record ends with a line feed outside
//! quotes. Text behind a closing quote is what a missing quote looks like, so such a record is set aside; a quote that
//! nothing closes within [`MAX_LINE_BYTES`] ends the reading, because nobody knows how many records it swallows.

use std::io::{BufRead, ErrorKind};

use crate::lines::MAX_LINE_BYTES;
use crate::rows::Place;
use crate::{Error, Quarantine};

/// One record that is not blank.
pub(crate) struct Record<'a> {
    /// Where it begins: its first line.
    pub place: Place,
    /// Its fields, or why there are none.
    pub fields: Result<Fields<'a>, Quarantine>,
}

/// The fields of a record without their quotes.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    /// The field with this number from 0, unless the record is too short.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.ends.len()).filter_map(move |index| self.get(index))
    }
}

/// Cuts an input into records. Holds one at a time.
pub(crate) struct Records<R> {
    input: R,
    cutter: Cutter,
}

impl<R: BufRead> Records<R> {
    /// `begin` is where the input stands: behind a byte order mark, if it had one.
    pub(crate) fn new(input: R, delimiter: u8, begin: Place) -> Self {
        let cutter = Cutter {
            delimiter,
            place: begin,
            at: begin,
            quote: begin,
            state: State::Start,
            quoted: false,
            fault: None,
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        Self { input, cutter }
    }

    /// Where what comes next begins.
    pub(crate) fn next_place(&self) -> Place {
        self.cutter.at
    }

    /// Counts as if the next record stood here.
    pub(crate) fn go_on(&mut self, at: Place) {
        self.cutter.at = at;
    }

    /// The next record, or `None` at the end. The last one needs no line feed.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        loop {
            if !self.cut()? {
                return Ok(None);
            }
            if !self.cutter.is_blank() {
                break;
            }
        }
        let Cutter { place, fault, ref bytes, ref ends, .. } = self.cutter;
        Ok(Some(Record { place, fields: fault.map_or(Ok(Fields { bytes, ends }), Err) }))
    }

    /// Reads up to the end of a record; `false` if there is none.
    fn cut(&mut self) -> Result<bool, Error> {
        self.cutter.begin();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { place: self.cutter.place, source }),
            };
            if available.is_empty() {
                return self.cutter.end();
            }
            let (used, ended) = self.cutter.take(available)?;
            self.input.consume(used);
            if ended {
                return Ok(true);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a field.
    Start,
    /// Within a field without quotes.
    Bare,
    /// Within quotes.
    Quoted,
    /// Behind a quote within quotes: it closes them unless another one follows.
    Quote,
    /// Behind blanks that follow a closing quote.
    Closed,
}

struct Cutter {
    delimiter: u8,
    /// Where the record begins.
    place: Place,
    /// Where the next byte stands.
    at: Place,
    /// Where the last quote was opened.
    quote: Place,
    state: State,
    /// Whether the record has a quoted field.
    quoted: bool,
    fault: Option<Quarantine>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cutter {
    fn begin(&mut self) {
        self.place = self.at;
        self.state = State::Start;
        self.quoted = false;
        self.fault = None;
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many bytes were used, and whether the record ended with them.
    fn take(&mut self, input: &[u8]) -> Result<(usize, bool), Error> {
        let mut used = 0;
        loop {
            used += self.run(&input[used..]);
            let Some(byte) = input.get(used) else { return Ok((used, false)) };
            used += 1;
            let ended = self.step(*byte);
            self.bound()?;
            if ended {
                return Ok((used, true));
            }
        }
    }

    /// Takes bytes that end nothing and reach no bound, all at once.
    fn run(&mut self, input: &[u8]) -> usize {
        let room = MAX_LINE_BYTES.saturating_sub((self.at.offset - self.place.offset) as usize);
        let input = &input[..input.len().min(room)];
        let end = match self.state {
            State::Bare => input.iter().position(|byte| *byte == self.delimiter || *byte == b'\n'),
            State::Quoted => input.iter().position(|byte| *byte == b'"' || *byte == b'\n'),
            State::Start | State::Quote | State::Closed => return 0,
        };
        let len = end.unwrap_or(input.len());
        if self.fault.is_none() {
            self.bytes.extend_from_slice(&input[..len]);
        }
        self.at.offset += len as u64;
        len
    }

    fn step(&mut self, byte: u8) -> bool {
        let here = self.at;
        self.at.offset += 1;
        self.at.row += u64::from(byte == b'\n');
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => self.hold(byte),
            (State::Quote, b'"') => {
                self.hold(byte);
                self.state = State::Quoted;
            }
            (State::Start, b'"') => {
                (self.quote, self.quoted) = (here, true);
                self.state = State::Quoted;
            }
            (_, b'\n') => {
                self.end_field();
                return true;
            }
            _ if byte == self.delimiter => {
                self.end_field();
                self.state = State::Start;
            }
            (State::Quote | State::Closed, b' ' | b'\t' | b'\r') => self.state = State::Closed,
            (State::Quote | State::Closed, _) => {
                self.fault = self.fault.or(Some(Quarantine::Malformed));
                self.state = State::Bare;
            }
            (State::Start | State::Bare, _) => {
                self.hold(byte);
                self.state = State::Bare;
            }
        }
        false
    }

    fn hold(&mut self, byte: u8) {
        if self.fault.is_none() {
            self.bytes.push(byte);
        }
    }

    /// What was set aside is not held, whatever its length.
    fn end_field(&mut self) {
        if self.fault.is_some() {
            return;
        }
        let start = self.ends.last().copied().unwrap_or(0);
        let at_line_feed = self.state == State::Bare && self.bytes[start..].ends_with(b"\r");
        if at_line_feed && self.at.row > self.place.row {
            self.bytes.pop();
        }
        self.ends.push(self.bytes.len());
    }

    fn bound(&mut self) -> Result<(), Error> {
        const MAX: u64 = MAX_LINE_BYTES as u64;
        if self.state == State::Quoted && self.at.offset - self.quote.offset > MAX {
            return Err(self.unclosed());
        }
        if self.at.offset - self.place.offset > MAX + 1 {
            self.fault = Some(Quarantine::LineTooLong);
        }
        Ok(())
    }

    /// Ends the last record, if there is one.
    fn end(&mut self) -> Result<bool, Error> {
        if self.state == State::Quoted {
            return Err(self.unclosed());
        }
        let begun = self.at.offset > self.place.offset;
        if begun {
            self.end_field();
        }
        Ok(begun)
    }

    fn unclosed(&self) -> Error {
        Error::Broken { place: self.quote, why: "a quote is opened here and not closed".into() }
    }

    fn is_blank(&self) -> bool {
        let blank = self.bytes.iter().all(u8::is_ascii_whitespace);
        blank && self.ends.len() == 1 && !self.quoted && self.fault.is_none()
    }
}

#[cfg(test)]
mod tests;
