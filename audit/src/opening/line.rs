//! The line that an opening is handed on as. Secrets are read in place and written to memory that is wiped.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    derive::MatchSecret,
    json,
    manifest::Hash,
    note::MAX_NOTE_LEN,
    receipt::{ElementOpening, OpenedBlind, Salt},
};
use zeroize::Zeroizing;

use super::Opening;
use crate::origin::LogOrigin;

/// Longest line that is read: a note, escaped, and some more.
pub const MAX_LINE_LEN: usize = 2 * MAX_NOTE_LEN + 4_096;

/// Most hashes of a path: those of the largest frame.
const MAX_PATH: usize = 12;

/// The members. Base64 has nothing to be escaped, so it is read in place, and no copy of a secret stays behind.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    blind: &'a str,
    element: &'a str,
    form: &'a str,
    #[serde(with = "json::integer")]
    index: u64,
    log: LogOrigin,
    path: Vec<Hash>,
    #[serde(borrow)]
    receipt: Cow<'a, str>,
    salt: &'a str,
    secret: &'a str,
    #[serde(rename = "type")]
    kind: Type,
}

#[derive(Serialize, Deserialize)]
enum Type {
    #[serde(rename = "veilmatch/opening/v1")]
    Opening,
}

pub(super) fn encode(opening: &Opening) -> Option<Zeroizing<Vec<u8>>> {
    let text = |bytes: &[u8]| Zeroizing::new(STANDARD.encode(bytes));
    let shown = opening.element.as_ref();
    let secret = opening.secret.as_ref().map(|secret| text(secret.danger_as_bytes()));
    let blind = shown.map(|shown| text(&shown.blind.danger_to_bytes()[..]));
    let element = shown.map(|shown| STANDARD.encode(shown.element));
    let salt = text(opening.salt.danger_as_bytes());
    let line = Line {
        blind: blind.as_ref().map_or("", |blind| blind.as_str()),
        element: element.as_deref().unwrap_or(""),
        form: shown.map_or("", |shown| shown.blind.form()),
        index: opening.index,
        log: opening.log.clone(),
        path: shown.map_or(Vec::new(), |shown| shown.path.iter().copied().map(Hash).collect()),
        receipt: Cow::Borrowed(&opening.receipt),
        salt: &salt,
        secret: secret.as_ref().map_or("", |secret| secret.as_str()),
        kind: Type::Opening,
    };
    let bytes = Zeroizing::new(json::encode(&line)?);
    let legal =
        matches!(opening.log, LogOrigin::Match(..)) && line.path.len() <= MAX_PATH && bytes.len() <= MAX_LINE_LEN;
    legal.then_some(bytes)
}

pub(super) fn decode(bytes: &[u8]) -> Option<Opening> {
    if bytes.len() > MAX_LINE_LEN {
        return None;
    }
    let line: Line<'_> = serde_json::from_slice(bytes).ok()?;
    let secret = if line.secret.is_empty() { None } else { Some(MatchSecret::danger_from_bytes(*read(line.secret)?)) };
    let opening = Opening {
        salt: Salt::danger_from_bytes(*read(line.salt)?),
        secret,
        element: read_element(&line)?,
        log: line.log,
        index: line.index,
        receipt: line.receipt.into_owned(),
    };
    // Writing it again refuses other spellings, and what belongs to level 2 without a form.
    (**encode(&opening)? == *bytes).then_some(opening)
}

/// `None` if what is there is malformed; nothing if level 2 is not shown.
fn read_element(line: &Line<'_>) -> Option<Option<ElementOpening>> {
    if line.form.is_empty() {
        return Some(None);
    }
    Some(Some(ElementOpening {
        blind: OpenedBlind::danger_from_bytes(line.form, *read(line.blind)?)?,
        element: *read(line.element)?,
        path: line.path.iter().map(|hash| hash.0).collect(),
    }))
}

fn read(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    // A length that does not fit is an error of the decoder's, or leaves a slice that is too short.
    let len = STANDARD.decode_slice(text, &mut bytes[..]).ok()?;
    (len == 32).then_some(bytes)
}
