//! The members of an object that a format asks for.

use std::borrow::Cow;

use super::{Reader, Stop, Text, Value};

/// Members by their place in a list of names. Case does not count.
pub(crate) struct Fields<'a, const N: usize> {
    names: &'static [&'static str],
    /// One bit for each length that a name among them has: most members of an object are not asked for.
    lengths: u64,
    values: [Option<Value<'a>>; N],
    twice: bool,
}

impl<'a, const N: usize> Fields<'a, N> {
    /// The first `among` of these names, none longer than 63 bytes.
    pub fn new(names: &'static [&'static str; N], among: usize) -> Self {
        let names = &names[..among];
        let lengths = names.iter().fold(0, |lengths, name| lengths | 1 << name.len());
        Self { names, lengths, values: [None; N], twice: false }
    }

    /// Which member this is.
    #[inline]
    pub fn index(&self, name: Text<'_>) -> Option<usize> {
        if name.may_have_length_among(self.lengths) { self.names.iter().position(|known| name.is(known)) } else { None }
    }

    /// Reads the value of a member.
    pub fn read(&mut self, index: usize, reader: &mut Reader<'a>) -> Result<(), Stop> {
        let value = reader.value()?;
        self.twice |= self.values[index].replace(value).is_some();
        Ok(())
    }

    /// Whether a member was there twice: then nobody knows what the object says.
    pub fn twice(&self) -> bool {
        self.twice
    }

    /// A member, unless it is absent or null.
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        self.values[index].filter(|value| !matches!(value, Value::Null))
    }

    /// What a member says, without blanks around it; nothing if it is absent, null or blank. An error if it is no scalar.
    pub fn scalar(&self, index: usize) -> Result<Option<Cow<'a, str>>, NoScalar> {
        let Some(value) = self.value(index) else { return Ok(None) };
        let trimmed = match value.scalar().ok_or(NoScalar)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        Ok(Some(trimmed).filter(|text| !text.is_empty()))
    }
}

/// A member is an object, an array or no proper text where the format has a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoScalar;
