//! What parties hand over beside their logs: JSON Lines, each line canonical and read strictly by itself.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    derive::Tag,
    item::Item,
    json,
    name::{Epoch, ListId, PlatformId, Version},
};

use crate::{canary::CanaryOpening, opening::Opening};

/// The lines of a file; those that cannot be read keep their number.
#[derive(Debug, Clone)]
pub struct Paper<T> {
    /// The lines, from 1.
    pub lines: Vec<Line<T>>,
}

/// A line of a file.
#[derive(Debug, Clone)]
pub struct Line<T> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
    /// What it says, if it can be read.
    pub said: Option<T>,
}

impl<T> Default for Paper<T> {
    fn default() -> Self {
        Self { lines: Vec::new() }
    }
}

impl<T> Paper<T> {
    /// The lines of `bytes`, each read by `read`.
    pub fn read(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Self {
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        let lines = if bytes.is_empty() { None } else { Some(lines) };
        let line = |(at, line): (usize, &[u8])| Line { number: at as u64 + 1, bytes: line.to_vec(), said: read(line) };
        Self { lines: lines.into_iter().flatten().enumerate().map(line).collect() }
    }
}

/// A line of acknowledgements: the note, with the exact bytes of the leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    #[serde(rename = "type")]
    kind: Type,
    /// The leaf, as it came with the answer.
    pub leaf: String,
    /// The acknowledgement.
    pub note: String,
}

/// The types of lines: a reader takes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Type {
    #[serde(rename = "veilmatch/acknowledged/v1")]
    Acknowledged,
    #[serde(rename = "veilmatch/planted/v1")]
    Planted,
    #[serde(rename = "veilmatch/item/v1")]
    Item,
}

impl Acknowledged {
    /// A leaf and its acknowledgement, as they came.
    #[must_use]
    pub fn new(leaf: String, note: String) -> Self {
        Self { kind: Type::Acknowledged, leaf, note }
    }

    /// Reads a line.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        json::decode(line).filter(|line: &Self| line.kind == Type::Acknowledged)
    }

    /// The line, without its newline; nothing if a text cannot be written.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        json::encode(self)
    }
}

/// A line of released receipts.
pub type Disclosed = Opening;

/// A line of canaries: whom one was planted at, under which version it was committed, and its opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryLine {
    #[serde(rename = "type")]
    kind: Type,
    /// The list.
    pub list: ListId,
    /// The opening of its commitment.
    pub opening: CanaryOpening,
    /// The platform.
    pub platform: PlatformId,
    /// The version whose manifest has the commitment.
    pub version: Version,
}

impl CanaryLine {
    /// A canary that was planted at a platform.
    #[must_use]
    pub fn new(platform: PlatformId, list: ListId, version: Version, opening: CanaryOpening) -> Self {
        Self { kind: Type::Planted, list, opening, platform, version }
    }

    /// Reads a line.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        json::decode(line).filter(|line: &Self| line.kind == Type::Planted)
    }

    /// The line, without its newline; nothing if a number is too large.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        json::encode(self)
    }
}

/// A line of the agency's own records: an entry with its item and label, for level 2 and for labels.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemLine {
    #[serde(rename = "type")]
    kind: Type,
    epoch: Epoch,
    #[serde(with = "json::bytes")]
    item: Vec<u8>,
    #[serde(with = "json::bytes")]
    label: Vec<u8>,
    list: ListId,
    tag: Tag,
}

/// The agency's own records by list, epoch and tag. Whoever reads them knows digests: for a sealed setting.
#[derive(Clone, Default)]
pub struct Items(HashMap<(ListId, u32, Tag), (Item, Vec<u8>)>);

impl Items {
    /// Reads the records; nothing if a line cannot be read.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let paper = Paper::read(bytes, |line| {
            let line = json::decode(line).filter(|line: &ItemLine| line.kind == Type::Item)?;
            let item = Item::from_bytes(&line.item).ok()?;
            Some(((line.list, line.epoch.0, line.tag), (item, line.label)))
        });
        paper.lines.into_iter().map(|line| line.said).collect::<Option<_>>().map(Self)
    }

    /// The item and label of an entry.
    #[must_use]
    pub fn of(&self, list: &ListId, epoch: Epoch, tag: Tag) -> Option<&(Item, Vec<u8>)> {
        self.0.get(&(list.clone(), epoch.0, tag))
    }

    /// A line for an entry, as [`Items::read`] takes it.
    #[must_use]
    pub fn line(list: &ListId, epoch: Epoch, tag: Tag, item: &Item, label: &[u8]) -> Option<Vec<u8>> {
        let (item, label) = (item.as_bytes().to_vec(), label.to_vec());
        json::encode(&ItemLine { kind: Type::Item, epoch, item, label, list: list.clone(), tag })
    }
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
