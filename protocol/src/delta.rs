//! The difference between two versions of one epoch (SPEC §7.6).
//!
//! ```text
//! header 48 ‖ removed tags, ascending ‖ added records, ascending ‖ zeros up to a power of two, at least 4,096
//! ```

use std::{
    cmp::Ordering,
    io::{self, Seek, Write},
};

use crate::{
    Error,
    artifact::{Artifact, Layout, Summary, TAG_LEN, Writer, shard_of, tag_of},
    derive::Tag,
    manifest::{ArtifactRef, Manifest},
    name::{Epoch, Version},
};

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"VEILDEL1";

/// Format number of the file.
const FORMAT: u16 = 1;

/// Length of the header.
const HEADER_LEN: usize = 48;

/// Smallest file: sizes are padded to powers of two, so that the network does not learn how much changed.
const MIN_LEN: u64 = 4_096;

/// Length of the whole file, padding included.
#[must_use]
pub fn file_len(layout: Layout, removed: u64, added: u64) -> u64 {
    let removed = removed.saturating_mul(TAG_LEN as u64);
    let added = added.saturating_mul(layout.record_len() as u64);
    let content = removed.saturating_add(added).saturating_add(HEADER_LEN as u64);
    content.max(MIN_LEN).checked_next_power_of_two().unwrap_or(u64::MAX)
}

/// Between which versions a delta leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The epoch of both.
    pub epoch: Epoch,
    /// The earlier version.
    pub from: Version,
    /// The later version.
    pub to: Version,
}

/// Writes a delta.
///
/// # Errors
/// [`Error::BadDelta`] inside `InvalidData` if tags or records are not strictly ascending; what `out` reports.
pub fn write(mut out: impl Write, layout: Layout, span: Span, removed: &[Tag], added: &[&[u8]]) -> io::Result<()> {
    let legal = removed.is_sorted_by(|a, b| a < b)
        && added.iter().all(|record| record.len() == layout.record_len())
        && added.is_sorted_by(|a, b| tag_of(a) < tag_of(b));
    if !legal {
        return Err(Error::BadDelta.into());
    }
    let (removed_count, added_count) = (removed.len() as u64, added.len() as u64);
    out.write_all(&header(layout, span, removed_count, added_count))?;
    for tag in removed {
        out.write_all(&tag.0)?;
    }
    for record in added {
        out.write_all(record)?;
    }
    let content = HEADER_LEN + removed.len() * TAG_LEN + added.len() * layout.record_len();
    let padding = file_len(layout, removed_count, added_count) - content as u64;
    io::copy(&mut io::Read::take(io::repeat(0), padding), &mut out)?;
    out.flush()
}

/// A delta in memory or mapped, whose form was checked.
pub struct Delta<B> {
    bytes: B,
    layout: Layout,
    removed: usize,
    added: usize,
}

impl<B: AsRef<[u8]>> Delta<B> {
    /// Takes the file that a manifest names: header, lengths, order and padding are exactly as the manifest says.
    ///
    /// # Errors
    /// [`Error::BadDelta`].
    pub fn open(bytes: B, manifest: &Manifest) -> Result<Self, Error> {
        let expected = &manifest.delta;
        let layout = u8::try_from(manifest.artifact.label_bytes).map_err(|_| Error::BadDelta)?;
        let layout = Layout::new(layout).map_err(|_| Error::BadDelta)?;
        let span = Span { epoch: Epoch(manifest.epoch), from: Version(expected.from), to: Version(manifest.version) };
        let file = bytes.as_ref();
        let header = header(layout, span, expected.removed, expected.added);
        if file.len() as u64 != file_len(layout, expected.removed, expected.added) || file[..HEADER_LEN] != header {
            return Err(Error::BadDelta);
        }
        // The file's length bounds both numbers.
        let (removed, added) = (expected.removed as usize, expected.added as usize);
        let delta = Self { layout, removed, added, bytes };
        let padding = HEADER_LEN + removed * TAG_LEN + added * layout.record_len();
        let legal = delta.removed_tags().is_sorted_by(|a, b| a < b)
            && delta.added_records().map(tag_of).is_sorted_by(|a, b| a < b)
            && delta.bytes.as_ref()[padding..].iter().all(|&byte| byte == 0);
        if legal { Ok(delta) } else { Err(Error::BadDelta) }
    }

    /// Tags that are removed, ascending.
    pub fn removed_tags(&self) -> impl Iterator<Item = Tag> {
        let tags = &self.bytes.as_ref()[HEADER_LEN..][..self.removed * TAG_LEN];
        tags.chunks_exact(TAG_LEN).map(tag_of)
    }

    /// Records that are added, ascending by tag. A tag that is also removed is a new label.
    pub fn added_records(&self) -> impl Iterator<Item = &[u8]> {
        let start = HEADER_LEN + self.removed * TAG_LEN;
        let len = self.layout.record_len();
        self.bytes.as_ref()[start..][..self.added * len].chunks_exact(len)
    }
}

/// Writes the artifact that a delta makes of `old` to `out`, and checks that it is the expected one. Shards without a
/// change keep their bytes and hashes, after the one was compared with the other: the root is made of hashes, so it would
/// not show that a byte rotted on the disk.
///
/// # Errors
/// [`Error::BadArtifact`] inside `InvalidData` if a shard of `old` is not the signed one;
/// [`Error::BadDelta`] inside `InvalidData` if an absent tag is removed, a present one added, or count or root differ;
/// what `out` reports. What `out` holds then is to be thrown away.
pub fn apply<B: AsRef<[u8]>, D: AsRef<[u8]>, W: Write + Seek>(
    old: &Artifact<B>,
    delta: &Delta<D>,
    epoch: Epoch,
    expected: &ArtifactRef,
    out: W,
) -> io::Result<W> {
    if old.layout() != delta.layout {
        return Err(Error::BadDelta.into());
    }
    let mut writer = Writer::new(out, old.layout(), epoch, expected.count)?;
    let mut removed = delta.removed_tags().peekable();
    let mut added = delta.added_records().peekable();
    let same_shards = u32::from(old.shard_bits()) == expected.shard_bits;
    for shard in 0..old.shards() {
        let here = |tag: Tag| shard_of(&tag, old.shard_bits()) == shard;
        let touched = removed.peek().is_some_and(|tag| here(*tag)) || added.peek().is_some_and(|r| here(tag_of(r)));
        if same_shards && !touched {
            writer.copy_shard(shard, old.verified_shard(shard)?, old.row(shard).1)?;
            continue;
        }
        for record in old.shard_records(shard).chunks_exact(old.layout().record_len()) {
            let tag = tag_of(record);
            while let Some(earlier) = added.next_if(|added| tag_of(added) < tag) {
                writer.push(earlier)?;
            }
            match removed.peek().map(|removed| removed.cmp(&tag)) {
                Some(Ordering::Less) => return Err(Error::BadDelta.into()),
                Some(Ordering::Equal) => {
                    removed.next();
                }
                // A tag that stays and is added as well is met twice by the writer, which refuses it.
                _ => writer.push(record)?,
            }
        }
        while let Some(last) = added.next_if(|added| here(tag_of(added))) {
            writer.push(last)?;
        }
    }
    if removed.next().is_some() || added.next().is_some() {
        return Err(Error::BadDelta.into());
    }
    let (out, summary): (W, Summary) = writer.finish()?;
    if summary.root == expected.root.0 { Ok(out) } else { Err(Error::BadDelta.into()) }
}

fn header(layout: Layout, span: Span, removed: u64, added: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&FORMAT.to_be_bytes());
    header[10] = layout.label_bytes();
    header[12..16].copy_from_slice(&span.epoch.0.to_be_bytes());
    header[16..20].copy_from_slice(&span.from.0.to_be_bytes());
    header[20..24].copy_from_slice(&span.to.0.to_be_bytes());
    header[24..32].copy_from_slice(&removed.to_be_bytes());
    header[32..40].copy_from_slice(&added.to_be_bytes());
    header
}

#[cfg(test)]
mod tests;
