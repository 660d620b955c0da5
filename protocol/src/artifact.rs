//! The published list as one file: sorted records in shards under a Merkle root (SPEC §7).
//!
//! ```text
//! header 32 ‖ directory 2^shard_bits × (end u64 ‖ shard hash 32) ‖ records, strictly ascending by tag
//! ```
//! The directory lets a client check the root without touching a record, and one shard without the others.

mod dummy;
mod records;
mod writer;

use std::{
    cmp,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{Error, derive::Tag, manifest::ArtifactRef, merkle, name::Epoch};

pub use dummy::{DummySeed, padded_count};
pub use records::records;
pub use writer::{Summary, Writer};

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"VEILMAT1";

/// Format number of the file.
const FORMAT: u16 = 1;

/// Length of the header.
const HEADER_LEN: usize = 32;

/// Length of a row of the directory.
const ROW_LEN: usize = 40;

/// Length of a tag, and of a record without a label.
pub const TAG_LEN: usize = 16;

/// Records per shard that are not exceeded on average.
const SHARD_RECORDS: u64 = 3_000;

/// Most leading bits that name a shard.
const MAX_SHARD_BITS: u8 = 20;

/// The shape of every record of a list: fixed by the length of its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    label_bytes: u8,
}

impl Layout {
    /// Records for labels of 0 to 64 bytes.
    ///
    /// # Errors
    /// [`Error::LabelLength`] above.
    pub fn new(label_bytes: u8) -> Result<Self, Error> {
        if usize::from(label_bytes) > crate::label::MAX_LABEL_LEN {
            return Err(Error::LabelLength);
        }
        Ok(Self { label_bytes })
    }

    /// Length of a label.
    #[must_use]
    pub fn label_bytes(self) -> u8 {
        self.label_bytes
    }

    /// Length of a record: tag, and with a label also nonce and sealed label.
    #[must_use]
    pub fn record_len(self) -> usize {
        match self.label_bytes {
            0 => TAG_LEN,
            label => TAG_LEN + crate::label::NONCE_LEN + usize::from(label),
        }
    }
}

/// log2 of the number of shards for that many records: the smallest with at most 3,000 records a shard on average.
#[must_use]
pub fn shard_bits(count: u64) -> u8 {
    (0..MAX_SHARD_BITS).find(|bits| count <= SHARD_RECORDS << bits).unwrap_or(MAX_SHARD_BITS)
}

/// Length of the whole file.
#[must_use]
pub fn file_len(layout: Layout, count: u64) -> u64 {
    let records = count.saturating_mul(layout.record_len() as u64);
    records.saturating_add((HEADER_LEN + (ROW_LEN << shard_bits(count))) as u64)
}

/// The tag that a record begins with.
pub(crate) fn tag_of(record: &[u8]) -> Tag {
    Tag(record[..TAG_LEN].try_into().expect("a record is at least a tag"))
}

/// The shard that a tag's leading bits name.
pub(crate) fn shard_of(tag: &Tag, shard_bits: u8) -> usize {
    let leading = u32::from_be_bytes(tag.0[..4].try_into().expect("four of sixteen"));
    // A shift by 32 is not defined, so no bits are a case of their own.
    if shard_bits == 0 { 0 } else { (leading >> (32 - u32::from(shard_bits))) as usize }
}

/// A published list in memory or mapped: what is looked up in.
pub struct Artifact<B> {
    bytes: B,
    layout: Layout,
    shard_bits: u8,
    count: u64,
    // Shards whose records were hashed since the file was opened.
    hashed: Box<[AtomicBool]>,
}

impl<B: AsRef<[u8]>> Artifact<B> {
    /// Takes a file whose header, length and directory are exactly what the manifest says, root included. No record is
    /// read: [`Self::verify_records`] is for after a download, and look-ups hash the shards that they need.
    ///
    /// # Errors
    /// [`Error::BadArtifact`].
    pub fn open(bytes: B, expected: &ArtifactRef, epoch: Epoch) -> Result<Self, Error> {
        let label_bytes = u8::try_from(expected.label_bytes).map_err(|_| Error::BadArtifact)?;
        let layout = Layout::new(label_bytes).map_err(|_| Error::BadArtifact)?;
        let shard_bits = shard_bits(expected.count);
        let hashed = (0..1_usize << shard_bits).map(|_| AtomicBool::new(false)).collect();
        let artifact = Self { layout, shard_bits, count: expected.count, bytes, hashed };
        let file = artifact.bytes.as_ref();
        let header = header(layout, epoch, expected.count);
        if file.len() as u64 != file_len(layout, expected.count) || file[..HEADER_LEN] != header {
            return Err(Error::BadArtifact);
        }
        let ends = (0..artifact.shards()).map(|shard| artifact.row(shard).0);
        let ascending = ends.clone().is_sorted() && ends.last() == Some(artifact.count);
        let root = merkle::root((0..artifact.shards()).map(|shard| *artifact.row(shard).1));
        if ascending && root == expected.root.0 { Ok(artifact) } else { Err(Error::BadArtifact) }
    }

    /// Reads every record: each shard's hash, ascending tags, each in the shard that its leading bits name.
    ///
    /// # Errors
    /// [`Error::BadArtifact`].
    pub fn verify_records(&self) -> Result<(), Error> {
        (0..self.shards()).try_for_each(|shard| self.verified_shard(shard).map(drop))
    }

    /// As [`Self::verify_records`], without the shards that were found good since the file was opened.
    ///
    /// # Errors
    /// [`Error::BadArtifact`].
    pub fn verify_rest(&self) -> Result<(), Error> {
        let rest = (0..self.shards()).filter(|&shard| !self.hashed[shard].load(Ordering::Relaxed));
        rest.map(|shard| self.verified_shard(shard)).try_for_each(|shard| shard.map(drop))
    }

    /// Begins look-ups that belong together, such as those of one frame.
    #[must_use]
    pub fn look_ups(&self) -> LookUps<'_, B> {
        LookUps { artifact: self, hashed: (0..self.shards().div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// A single look-up, as [`LookUps::find`].
    ///
    /// # Errors
    /// [`Error::BadArtifact`] if the shard is not the signed one.
    pub fn lookup(&self, tag: &Tag) -> Result<Option<Record<'_>>, Error> {
        self.look_ups().find(tag)
    }

    /// Number of records, dummies included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shape of its records.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Every record, ascending by tag.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.as_ref()[self.records_at()..].chunks_exact(self.layout.record_len())
    }

    pub(crate) fn shard_bits(&self) -> u8 {
        self.shard_bits
    }

    pub(crate) fn shards(&self) -> usize {
        1 << self.shard_bits
    }

    /// The end of a shard in records, as the directory has it, and its hash.
    pub(crate) fn row(&self, shard: usize) -> (u64, &[u8; 32]) {
        let row = &self.bytes.as_ref()[HEADER_LEN + shard * ROW_LEN..][..ROW_LEN];
        let (end, hash) = row.split_first_chunk::<8>().expect("a row begins with eight bytes");
        (u64::from_be_bytes(*end), hash.first_chunk().expect("a row ends with 32 bytes"))
    }

    pub(crate) fn shard_records(&self, shard: usize) -> &[u8] {
        let end_of = |shard: usize| self.row(shard).0.min(self.count);
        let start = if shard == 0 { 0 } else { end_of(shard - 1) };
        // A mapped file that changed under us may have ends that go back or beyond: then the shard is empty or cut, and
        // not the one that was signed.
        let end = end_of(shard).max(start);
        let at = |record: u64| self.records_at() + record as usize * self.layout.record_len();
        &self.bytes.as_ref()[at(start)..at(end)]
    }

    /// A shard's records, after hashing them and looking at every tag.
    pub(crate) fn verified_shard(&self, shard: usize) -> Result<&[u8], Error> {
        let records = self.shard_records(shard);
        let tags = || records.chunks_exact(self.layout.record_len()).map(tag_of);
        let legal = merkle::leaf_hash(records) == *self.row(shard).1
            && tags().is_sorted_by(|a, b| a < b)
            && tags().all(|tag| shard_of(&tag, self.shard_bits) == shard);
        self.hashed[shard].store(legal, Ordering::Relaxed);
        if legal { Ok(records) } else { Err(Error::BadArtifact) }
    }

    fn records_at(&self) -> usize {
        HEADER_LEN + (ROW_LEN << self.shard_bits)
    }
}

/// Look-ups that belong together. A shard is tens or hundreds of kilobytes: it is hashed once for all of them, however many
/// of its records they hit.
pub struct LookUps<'a, B> {
    artifact: &'a Artifact<B>,
    // One bit for each shard that was hashed for these look-ups and found good.
    hashed: Box<[AtomicU64]>,
}

impl<'a, B: AsRef<[u8]>> LookUps<'a, B> {
    /// The record of a tag, if it is listed. The first look into a shard since the file was opened hashes it, so that a
    /// rotten disk cannot hide an entry; the first hit of these look-ups hashes it again, so that none can be invented later.
    ///
    /// # Errors
    /// [`Error::BadArtifact`] if the shard is not the signed one.
    pub fn find(&self, tag: &Tag) -> Result<Option<Record<'a>>, Error> {
        let shard = shard_of(tag, self.artifact.shard_bits);
        if !self.artifact.hashed[shard].load(Ordering::Relaxed) {
            self.hash(shard)?;
        }
        let records = self.artifact.shard_records(shard);
        let len = self.artifact.layout.record_len();
        let (mut low, mut high) = (0, records.len() / len);
        // Tags are uniform, so a tag tells nearly where it stands, and few lines of memory are read: from there by growing
        // steps to a record on its other side, then by halves. Right for any order of tags that the shard may have.
        let (mut probe, mut step) = (expected_at(tag, self.artifact.shard_bits, high), 8);
        let (mut seen_less, mut seen_greater) = (false, false);
        while low < high {
            let at = if seen_less && seen_greater { low + (high - low) / 2 } else { probe.clamp(low, high - 1) };
            let record = &records[at * len..][..len];
            match record[..TAG_LEN].cmp(&tag.0) {
                cmp::Ordering::Less => (low, seen_less, probe) = (at + 1, true, at.saturating_add(step)),
                cmp::Ordering::Greater => (high, seen_greater, probe) = (at, true, at.saturating_sub(step)),
                cmp::Ordering::Equal => {
                    if self.hashed[shard / 64].load(Ordering::Relaxed) & bit(shard) == 0 {
                        self.hash(shard)?;
                    }
                    return Ok(Some(Record { bytes: record }));
                }
            }
            step *= 2;
        }
        Ok(None)
    }

    fn hash(&self, shard: usize) -> Result<(), Error> {
        self.artifact.verified_shard(shard)?;
        self.hashed[shard / 64].fetch_or(bit(shard), Ordering::Relaxed);
        Ok(())
    }
}

/// Where a tag stands among `records` uniform ones of its shard.
fn expected_at(tag: &Tag, shard_bits: u8, records: usize) -> usize {
    let leading = u64::from_be_bytes(*tag.0.first_chunk().expect("a tag has 16 bytes"));
    let within = leading << shard_bits;
    ((u128::from(within) * records as u128) >> 64) as usize
}

fn bit(shard: usize) -> u64 {
    1 << (shard % 64)
}

/// A record that is listed, from a shard that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Nonce and sealed label, or nothing in a list without labels; [`crate::label::open`] opens it.
    #[must_use]
    pub fn sealed_label(self) -> &'a [u8] {
        &self.bytes[TAG_LEN..]
    }
}

fn header(layout: Layout, epoch: Epoch, count: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&FORMAT.to_be_bytes());
    header[10] = layout.label_bytes;
    header[11] = shard_bits(count);
    header[12..16].copy_from_slice(&epoch.0.to_be_bytes());
    header[16..24].copy_from_slice(&count.to_be_bytes());
    header
}

#[cfg(test)]
mod tests;
