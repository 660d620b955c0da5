//! JSON Lines: an object per line. The operator says which members hold what, as for the columns of a table.
//!
//! ```text
//! {"id": 7, "sha256": "<hex>", "level": 2}
//! ```
//!
//! Members are texts, numbers or answers; null is absent, and nested values are read past unless they are asked for. No
//! header says which members there are, so a member that a line does not have is absent, and a condition on it fails.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Quarantine;
use crate::format::layout::{Layout, named_digests};
use crate::format::{ParseLine, Settings};
use crate::lines::Line;
use crate::rows::Row;

/// Objects, one per line.
pub(super) struct Jsonl;

impl ParseLine for Jsonl {
    fn parse(&mut self, line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row> {
        Some(match row(line, content, settings) {
            Some(row) => row,
            None => Row::quarantined(line.place, Quarantine::Malformed),
        })
    }
}

/// Whether a line is an object with a member that is named like a kind.
pub(super) fn looks_like_one(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
        && members(line).is_some_and(|members| !named_digests(&members.names).is_empty())
}

fn row(line: &Line<'_>, content: &[u8], settings: &Settings) -> Option<Row> {
    let Members { names, values } = members(content)?;
    let layout = Layout::mapped(&names, &settings.columns, settings.scheme.as_deref());
    let nested = |column: usize| values[column] == Value::Nested;
    if layout.is_ambiguous(&names, settings) || layout.columns().any(nested) {
        return None;
    }
    let cell = |column: usize| match &values[column] {
        Value::Text(text) => Some(text.as_bytes()),
        Value::Null | Value::Nested => None,
    };
    Some(layout.row(line.place, &names, cell, settings))
}

fn members(line: &[u8]) -> Option<Members<'_>> {
    let mut input = serde_json::Deserializer::from_slice(line);
    let members = input.deserialize_map(Collect).ok()?;
    input.end().ok()?;
    Some(members)
}

/// The members of an object in their order.
#[derive(Default)]
struct Members<'a> {
    names: Vec<String>,
    values: Vec<Value<'a>>,
}

#[derive(PartialEq, Eq)]
enum Value<'a> {
    /// A text, or a number or answer as it is written: a key may have more digits than a number type.
    Text(Cow<'a, str>),
    Null,
    Nested,
}

impl<'a> Value<'a> {
    fn of(raw: &'a RawValue) -> Option<Self> {
        let raw = raw.get();
        Some(match raw.as_bytes().first()? {
            b'"' => Self::Text(Cow::Owned(serde_json::from_str(raw).ok()?)),
            b'n' => Self::Null,
            b'{' | b'[' => Self::Nested,
            _ => Self::Text(Cow::Borrowed(raw)),
        })
    }
}

/// Collects members and not a map of them, in which the last of two with one name would hide the other.
struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
            members.names.push(name);
            members.values.push(Value::of(raw).ok_or_else(|| de::Error::custom("a text that is none"))?);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests;
