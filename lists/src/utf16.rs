//! UTF-16 becomes UTF-8 on its way to a format.

use std::io::{self, BufRead, Read};

use crate::archive::Damage;

/// How a byte order mark says that units are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// Reads UTF-16 as UTF-8. Holds what one buffer of its input becomes.
pub(crate) struct Utf16<R> {
    input: R,
    order: Order,
    /// The first byte of a unit that the input has cut.
    half: Option<u8>,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    decoded: Vec<u8>,
    used: usize,
    /// Told once the text before it is used up.
    damage: Option<&'static str>,
}

/// Length of a byte order mark.
pub(crate) const MARK_BYTES: usize = 2;

impl<R: BufRead> Utf16<R> {
    /// Reads what follows a byte order mark, or gives the input back if this is none.
    pub(crate) fn behind(mark: &[u8], input: R) -> Result<Self, R> {
        let order = match mark {
            b"\xff\xfe" => Order::Little,
            b"\xfe\xff" => Order::Big,
            _ => return Err(input),
        };
        Ok(Self { input, order, half: None, high: None, decoded: Vec::new(), used: 0, damage: None })
    }

    /// Decodes what the input has ready; `false` at its end.
    fn decode(&mut self) -> io::Result<bool> {
        self.used = 0;
        self.decoded.clear();
        let available = self.input.fill_buf()?;
        if available.is_empty() {
            let whole = self.half.is_none() && self.high.is_none();
            self.damage = (!whole).then_some("the text ends within a character");
            return Ok(false);
        }
        for byte in available {
            let Some(first) = self.half.take() else {
                self.half = Some(*byte);
                continue;
            };
            let unit = match self.order {
                Order::Little => u16::from_le_bytes([first, *byte]),
                Order::Big => u16::from_be_bytes([first, *byte]),
            };
            match character(&mut self.high, unit) {
                Ok(Some(character)) => self.decoded.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
                Ok(None) => {}
                Err(why) => {
                    self.damage = Some(why);
                    break;
                }
            }
        }
        let len = available.len();
        self.input.consume(len);
        Ok(true)
    }
}

/// The character that a unit ends, if it ends one.
fn character(high: &mut Option<u16>, unit: u16) -> Result<Option<char>, &'static str> {
    const UNPAIRED: &str = "the text has half of a character";
    match (high.take(), unit) {
        (None, 0xd800..=0xdbff) => {
            *high = Some(unit);
            Ok(None)
        }
        (Some(high), 0xdc00..=0xdfff) => {
            let code = 0x1_0000 + (u32::from(high - 0xd800) << 10) + u32::from(unit - 0xdc00);
            Ok(char::from_u32(code))
        }
        (None, _) => char::from_u32(unit.into()).map(Some).ok_or(UNPAIRED),
        (Some(_), _) => Err(UNPAIRED),
    }
}

impl<R: BufRead> BufRead for Utf16<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.decoded.len() && self.damage.is_none() {
            if !self.decode()? {
                break;
            }
        }
        match self.damage {
            Some(why) if self.used == self.decoded.len() => Err(Damage::Broken(why).into()),
            _ => Ok(&self.decoded[self.used..]),
        }
    }

    fn consume(&mut self, used: usize) {
        self.used = (self.used + used).min(self.decoded.len());
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}

#[cfg(test)]
mod tests;
