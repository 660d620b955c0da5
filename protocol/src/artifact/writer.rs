//! Writes an artifact in one pass over its records, in memory of one row per shard.

use std::io::{self, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::{HEADER_LEN, Layout, ROW_LEN, TAG_LEN, file_len, header, shard_bits, shard_of, tag_of};
use crate::{
    Error,
    derive::Tag,
    manifest::{ArtifactRef, Hash},
    merkle,
    name::Epoch,
};

/// What a manifest says of a finished file, all but its SHA-256, which takes a reading of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    layout: Layout,
    count: u64,
    /// Root over the shard hashes.
    pub root: [u8; 32],
}

impl Summary {
    /// The manifest's member, once the file's SHA-256 is known.
    #[must_use]
    pub fn into_ref(self, sha256: [u8; 32]) -> ArtifactRef {
        ArtifactRef {
            format: super::FORMAT.into(),
            count: self.count,
            label_bytes: self.layout.label_bytes.into(),
            record_bytes: u32::try_from(self.layout.record_len()).expect("at most 84"),
            shard_bits: shard_bits(self.count).into(),
            bytes: file_len(self.layout, self.count),
            sha256: Hash(sha256),
            root: Hash(self.root),
        }
    }
}

/// Takes records in ascending order and leaves a complete file behind when it is finished.
pub struct Writer<W> {
    out: W,
    layout: Layout,
    epoch: Epoch,
    count: u64,
    written: u64,
    last: Option<Tag>,
    shard_bits: u8,
    open_shard: Sha256,
    rows: Vec<(u64, [u8; 32])>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file at the start of `out` for exactly `count` records. Give it a buffered writer.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn new(mut out: W, layout: Layout, epoch: Epoch, count: u64) -> io::Result<Self> {
        let shard_bits = shard_bits(count);
        // The directory is known at the end; until then its place is zero, which no root fits.
        out.seek(SeekFrom::Start(0))?;
        io::copy(&mut io::Read::take(io::repeat(0), (HEADER_LEN + (ROW_LEN << shard_bits)) as u64), &mut out)?;
        Ok(Self {
            out,
            layout,
            epoch,
            count,
            written: 0,
            last: None,
            shard_bits,
            open_shard: new_shard(),
            rows: Vec::new(),
        })
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// [`Error::BadArtifact`] inside `InvalidData` if its length or order is wrong or it is one too many; what `out`
    /// reports.
    pub fn push(&mut self, record: &[u8]) -> io::Result<()> {
        if record.len() != self.layout.record_len() || self.written == self.count {
            return Err(Error::BadArtifact.into());
        }
        let tag = tag_of(record);
        if self.last.is_some_and(|last| last >= tag) {
            return Err(Error::BadArtifact.into());
        }
        self.close_shards_before(shard_of(&tag, self.shard_bits));
        self.open_shard.update(record);
        self.out.write_all(record)?;
        self.last = Some(tag);
        self.written += 1;
        Ok(())
    }

    /// Adds a whole shard whose hash is known, the next one in order.
    pub(crate) fn copy_shard(&mut self, shard: usize, records: &[u8], hash: &[u8; 32]) -> io::Result<()> {
        let added = (records.len() / self.layout.record_len()) as u64;
        if self.written + added > self.count {
            return Err(Error::BadArtifact.into());
        }
        self.close_shards_before(shard);
        self.out.write_all(records)?;
        self.written += added;
        if let Some(start) = records.len().checked_sub(self.layout.record_len()) {
            self.last = Some(Tag(records[start..][..TAG_LEN].try_into().expect("a record is at least a tag")));
        }
        self.rows.push((self.written, *hash));
        self.open_shard = new_shard();
        Ok(())
    }

    /// Completes the file: header and directory. Gives `out` back for the caller's flush and sync.
    ///
    /// # Errors
    /// [`Error::BadArtifact`] inside `InvalidData` if records are missing; what `out` reports.
    pub fn finish(mut self) -> io::Result<(W, Summary)> {
        if self.written != self.count {
            return Err(Error::BadArtifact.into());
        }
        self.close_shards_before(1 << self.shard_bits);
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.layout, self.epoch, self.count))?;
        for (end, hash) in &self.rows {
            self.out.write_all(&end.to_be_bytes())?;
            self.out.write_all(hash)?;
        }
        self.out.flush()?;
        let root = merkle::root(self.rows.iter().map(|(_, hash)| *hash));
        Ok((self.out, Summary { layout: self.layout, count: self.count, root }))
    }

    fn close_shards_before(&mut self, shard: usize) {
        while self.rows.len() < shard {
            let closed = std::mem::replace(&mut self.open_shard, new_shard());
            self.rows.push((self.written, closed.finalize().into()));
        }
    }
}

/// RFC 6962's leaf prefix; the shard's records follow.
fn new_shard() -> Sha256 {
    Sha256::new().chain_update([0])
}
