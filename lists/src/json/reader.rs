//! Reads JSON that lies in memory, at least in part.

use super::text::{Text, Value};

/// How deep containers may nest.
pub(super) const MAX_DEPTH: u8 = 128;

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes end before the value does.
    Short,
    /// This is not JSON.
    Broken(&'static str),
    /// Whoever reads has seen enough, and will read it another way.
    Enough,
}

/// Reads values one after the other. What returns a value by way of memory costs more than reading it: hence the inlining.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// Where the next byte stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The first byte of what comes next.
    #[inline(always)]
    pub fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Ok(byte),
            }
        }
    }

    /// Reads an object. `each` is given the name of a member and must read its value.
    pub fn members(&mut self, mut each: impl FnMut(&mut Self, Text<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
        self.open(b'{')?;
        if !self.closes(b'}')? {
            loop {
                let name = self.name()?;
                each(self, name)?;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array. `each` must read one element.
    pub fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.open(b'[')?;
        if !self.closes(b']')? {
            loop {
                each(self)?;
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a value.
    #[inline(always)]
    pub fn value(&mut self) -> Result<Value<'a>, Stop> {
        match self.peek()? {
            b'"' => self.text().map(Value::Text),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            b'n' => self.word(b"null").map(|()| Value::Null),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            _ => self.skip().map(|()| Value::Container),
        }
    }

    /// Reads past a value. Most of a list is read past, so this calls nothing for what containers hold.
    pub fn skip(&mut self) -> Result<(), Stop> {
        // One bit for each open container, the innermost lowest: whether it is an object.
        let (mut objects, outside) = (0_u128, self.depth);
        loop {
            match self.peek()? {
                b'"' => drop(self.skip_text()?),
                b'{' => {
                    self.open(b'{')?;
                    objects = objects << 1 | 1;
                    if !self.closes(b'}')? {
                        self.skip_name()?;
                        continue;
                    }
                    (objects, self.depth) = (objects >> 1, self.depth - 1);
                }
                b'[' => {
                    self.open(b'[')?;
                    objects <<= 1;
                    if !self.closes(b']')? {
                        continue;
                    }
                    (objects, self.depth) = (objects >> 1, self.depth - 1);
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                b'-' | b'0'..=b'9' => drop(self.number()?),
                _ => return Err(Stop::Broken("a value is missing")),
            }
            while self.depth > outside {
                let object = objects & 1 == 1;
                if self.goes_on(if object { b'}' } else { b']' })? {
                    if object {
                        self.skip_name()?;
                    }
                    break;
                }
                (objects, self.depth) = (objects >> 1, self.depth - 1);
            }
            if self.depth == outside {
                return Ok(());
            }
        }
    }

    /// Reads the name of a member, and the colon.
    #[inline(always)]
    pub fn name(&mut self) -> Result<Text<'a>, Stop> {
        let name = self.text()?;
        if self.peek()? != b':' {
            return Err(Stop::Broken("a name without a value"));
        }
        self.at += 1;
        Ok(name)
    }

    #[inline(always)]
    fn skip_name(&mut self) -> Result<(), Stop> {
        self.name().map(drop)
    }

    #[inline(always)]
    fn open(&mut self, bracket: u8) -> Result<(), Stop> {
        if self.peek()? != bracket {
            return Err(Stop::Broken("another kind of value than the format has here"));
        }
        if self.depth == MAX_DEPTH {
            return Err(Stop::Broken("values nest too deep"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    /// Whether the container ends here.
    #[inline(always)]
    fn closes(&mut self, bracket: u8) -> Result<bool, Stop> {
        let closes = self.peek()? == bracket;
        self.at += usize::from(closes);
        Ok(closes)
    }

    /// Whether something follows in the container; reads the comma or the end.
    #[inline(always)]
    pub fn goes_on(&mut self, bracket: u8) -> Result<bool, Stop> {
        let byte = self.peek()?;
        if byte != b',' && byte != bracket {
            return Err(Stop::Broken("neither a comma nor an end behind a value"));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    #[inline(always)]
    fn text(&mut self) -> Result<Text<'a>, Stop> {
        if self.peek()? != b'"' {
            return Err(Stop::Broken("a text is missing"));
        }
        let start = self.at + 1;
        let escaped = self.skip_text()?;
        Ok(Text::new(&self.bytes[start..self.at - 1], escaped))
    }

    /// Reads past a text whose quote comes next. Whether it has escapes.
    #[inline(always)]
    fn skip_text(&mut self) -> Result<bool, Stop> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.skip_plain();
            match self.byte()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Stop::Broken("a control character in a text")),
            }
        }
        self.at += 1;
        Ok(escaped)
    }

    /// Goes to the next byte that means something inside a text: a quote, a backslash, a control character. Eight at a
    /// time, because texts are most of a list.
    #[inline(always)]
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        // The high bit of the lowest byte that is smaller than `bound` is set, and no bit below it.
        let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
        let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*chunk);
            let special = (below(word, 0x20) | is(word, b'"') | is(word, b'\\')) & HIGH;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
        while self.bytes.get(self.at).is_some_and(plain) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 2;
        match self.bytes.get(self.at - 1).ok_or(Stop::Short)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4).ok_or(Stop::Short)?;
                self.at += 4;
                let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
                hexadecimal.then_some(()).ok_or(Stop::Broken("an unknown escape"))
            }
            _ => Err(Stop::Broken("an unknown escape")),
        }
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { Stop::Short } else { Stop::Broken("an unknown word") })
    }

    #[inline(always)]
    fn number(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at;
        self.at += usize::from(self.bytes[start] == b'-');
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(Stop::Broken("a number with leading zeros"));
        }
        if self.byte()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte()?, b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.byte()?, b'+' | b'-'));
            self.digits()?;
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Reads at least one digit; gives how many.
    fn digits(&mut self) -> Result<usize, Stop> {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        // A number never ends an input: the container around it does.
        self.byte()?;
        if digits == 0 { Err(Stop::Broken("a number without digits")) } else { Ok(digits) }
    }

    #[inline(always)]
    fn byte(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Short)
    }
}

#[cfg(test)]
mod tests;
