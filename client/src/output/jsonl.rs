//! JSON Lines: one object per answer, absent members left out.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use crate::Outcome;
use serde::{Deserialize, Serialize};

use super::{Answer, Origin, printable_label};

/// A line of the output.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    /// `match`, `no_match` or `not_checked`.
    pub outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    digests: BTreeMap<Cow<'a, str>, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    weak_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl Record<'_> {
    /// The line of a list of digests.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Whether it is a match of weak kinds only.
    #[must_use]
    pub fn is_weak_only(&self) -> bool {
        self.weak_only
    }

    /// Why it was not checked.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The path, byte for byte as it was.
    pub fn path(&self) -> Option<PathBuf> {
        match (&self.path_hex, &self.path) {
            (Some(hex), _) => hex::decode(hex).ok().map(|bytes| OsString::from_vec(bytes).into()),
            (None, Some(path)) => Some(PathBuf::from(path.as_ref())),
            (None, None) => None,
        }
    }
}

/// An answer as a line's object.
pub fn record<'a>(answer: &Answer<'a>) -> Record<'a> {
    let mut record = Record { outcome: answer.word().into(), version: answer.version(), ..Record::default() };
    record.list = Some(answer.list.as_str().into());
    match answer.origin {
        Origin::Path(path) => (record.path, record.path_hex) = text(path.as_os_str().as_bytes()),
        Origin::Name(name) => (record.name, record.name_hex) = text(name),
        Origin::Line { number, name, items } => {
            record.line = Some(*number);
            if let Some(name) = name {
                (record.name, record.name_hex) = text(name);
            }
            record.digests = items.iter().map(|item| (item.kind().name().into(), hexadecimal(item.digest()))).collect();
        }
    }
    if let Outcome::Match { label, kind, weak_only, .. } = answer.outcome {
        record.kind = Some(kind.name().into());
        record.weak_only = *weak_only;
        record.label = printable_label(label);
        record.label_hex = Some(hex::encode(label));
        if let Some(category) = label.category() {
            record.scheme = Some(Cow::from(&category.scheme));
            record.code = Some(Cow::from(&category.code));
            record.action = Some(Cow::from(&category.action)).filter(|action| !action.is_empty());
        }
        record.source = label.source().map(Cow::from);
        record.reference = label.reference().map(Cow::from);
    }
    record.new = answer.new;
    record.reason = answer.not_checked().map(|why| why.reason().into());
    record.detail = answer.full_detail().map(Cow::from);
    record.retry_after_s = answer.retry_after_s();
    record
}

/// Text as it is; with the bytes in hexadecimal beside it, where they are not UTF-8.
fn text(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => (Some(text.into()), None),
        Cow::Owned(lossy) => (Some(lossy.into()), Some(hex::encode(bytes))),
    }
}

/// As `hex::encode`, which collects the digits one by one.
fn hexadecimal(digest: &[u8]) -> String {
    let mut digits = vec![0; 2 * digest.len()];
    hex::encode_to_slice(digest, &mut digits).expect("twice as long");
    String::from_utf8(digits).expect("digits are ASCII")
}

pub fn write(out: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
    // In one piece, so that a reader never sees half a line of a process that was stopped in between two writes.
    let mut line = serde_json::to_vec(&record(answer))?;
    line.push(b'\n');
    out.write_all(&line)
}
