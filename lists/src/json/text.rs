//! Texts and other values, as they are written and as they are meant.

use std::borrow::Cow;

/// A text as it is written: between its quotes, with its escapes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

/// A value; what containers hold is read past.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(Text<'a>),
    /// The digits as they are written.
    Number(&'a [u8]),
    Bool(bool),
    Null,
    Container,
}

impl<'a> Value<'a> {
    /// What the value says as text: a text, the digits of a number, `true` or `false`, nothing for null. `None` if it is a
    /// container or not a proper text.
    #[inline]
    pub fn scalar(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => text.plain(),
            Self::Number(digits) => std::str::from_utf8(digits).ok().map(Cow::Borrowed),
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Null => Some(Cow::Borrowed("")),
            Self::Container => None,
        }
    }
}

impl<'a> Text<'a> {
    #[inline(always)]
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The text itself, or `None` if it is not UTF-8 or has half a surrogate pair.
    pub fn plain(self) -> Option<Cow<'a, str>> {
        let raw = std::str::from_utf8(self.raw).ok()?;
        if self.escaped { unescape(raw).map(Cow::Owned) } else { Some(Cow::Borrowed(raw)) }
    }

    /// Whether it is this word, but for case.
    #[inline(always)]
    pub fn is(self, word: &str) -> bool {
        // Most members of an object are not the one that is looked for, and show it by their length.
        if self.escaped {
            self.is_escaped(word)
        } else {
            self.raw.len() == word.len() && self.is_plain(word.as_bytes())
        }
    }

    /// Whether a bit of the lengths, counted from 0, is that of the text; always if it has escapes.
    #[inline(always)]
    pub fn may_have_length_among(self, lengths: u64) -> bool {
        self.escaped || (self.raw.len() < 64 && lengths >> self.raw.len() & 1 == 1)
    }

    #[inline(always)]
    fn is_plain(self, word: &[u8]) -> bool {
        let begin = |text: &[u8]| text.first().map(u8::to_ascii_lowercase);
        begin(self.raw) == begin(word) && (self.raw == word || self.raw.eq_ignore_ascii_case(word))
    }

    fn is_escaped(self, word: &str) -> bool {
        self.plain().is_some_and(|plain| plain.eq_ignore_ascii_case(word))
    }
}

/// The text without its escapes, whose form was checked.
fn unescape(raw: &str) -> Option<String> {
    let mut plain = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (escape, after) = after.split_at_checked(1)?;
        rest = after;
        plain.push(match escape {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (character, after) = unicode(rest)?;
                rest = after;
                character
            }
            itself => itself.chars().next()?,
        });
    }
    plain.push_str(rest);
    Some(plain)
}

/// The character of four hexadecimal digits or, outside the basic plane, of twice four with `\u` between them.
fn unicode(rest: &str) -> Option<(char, &str)> {
    let unit = |rest: &str| u32::from_str_radix(rest.get(..4)?, 16).ok();
    let high = unit(rest)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, &rest[4..]));
    }
    let low = rest[4..].strip_prefix("\\u").and_then(unit)?;
    let pair = char::decode_utf16([u16::try_from(high).ok()?, u16::try_from(low).ok()?]).next()?.ok()?;
    Some((pair, &rest[10..]))
}
