//! Digests of files: every kind that is asked for, in one read, in bounded memory.
//!
//! Take digests before a platform transcodes or recompresses what was uploaded: afterwards exact matching finds nothing.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};
use sha2::digest::DynDigest;
use thiserror::Error;
use veilmatch_protocol::item::{Item, Kind};

/// Bytes read at a time: large enough for the disk, small enough for the processor's cache.
const BUFFER_BYTES: usize = 128 * 1_024;

/// Why a path gave no digests. The file is *not checked*, never *no match*.
#[derive(Debug, Error)]
pub enum Unread {
    /// It was there when its folder was listed and is gone now.
    #[error("the file is gone")]
    Vanished,
    /// It could not be opened or read.
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is a socket, a pipe or a device: nothing with an end that could be read.
    #[error("it is no file")]
    NotAFile,
    /// It is a symbolic link, which is not followed: its target is checked where it lies.
    #[error("it is a symbolic link")]
    Symlink,
    /// It changed while it was read, so the digests are of nothing that ever was.
    #[error("the file changed while it was read")]
    Changed,
}

impl Unread {
    /// Every reason with what to do about it, for docs/errors.md.
    pub const REASONS: [(&str, &str); 5] = [
        ("VANISHED", "nothing, if the file was removed on purpose"),
        ("UNREADABLE", "give the account that runs the check the right to read it, or look at the disk"),
        ("NOT_A_FILE", "nothing: sockets, pipes and devices have no content to check"),
        ("SYMLINK", "check the target, if it does not lie in the same folder"),
        ("CHANGED", "check it again when nobody writes to it"),
    ];

    /// The stable name, as in docs/errors.md.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Vanished => "VANISHED",
            Self::Unreadable(_) => "UNREADABLE",
            Self::NotAFile => "NOT_A_FILE",
            Self::Symlink => "SYMLINK",
            Self::Changed => "CHANGED",
        }
    }

    /// What the system said, where it said something.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Unreadable(error) => Some(error.to_string()),
            _ => None,
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A folder on the way that became a file is a path that vanished, too.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Vanished,
            _ if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Self::NotAFile,
            _ => Self::Unreadable(error),
        }
    }
}

/// Whether a path that is a symbolic link is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Somebody named this very path.
    Follow,
    /// The path was found in a folder.
    Refuse,
}

/// Computes digests of one file after the other; one per thread, with a buffer of its own.
pub struct Digester {
    kinds: Vec<Kind>,
    buffer: Box<[u8]>,
}

impl Digester {
    /// For these kinds.
    #[must_use]
    pub fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), buffer: vec![0; BUFFER_BYTES].into_boxed_slice() }
    }

    /// The digests of a regular file, one per kind, in the order of the kinds.
    ///
    /// # Errors
    /// [`Unread`] says why there are none.
    pub fn file(&mut self, path: &Path, links: Links) -> Result<Vec<Item>, Unread> {
        // Asked first, because opening a device can do something; asked again of the open file, because the path can
        // have changed in between.
        let before = if links == Links::Follow { path.metadata() } else { path.symlink_metadata() }?;
        regular(&before)?;
        let mut file = open(path, links)?;
        let before = file.metadata()?;
        regular(&before)?;
        let items = self.read(&mut file, before.len())?;
        let after = file.metadata()?;
        if state(&before) == state(&after) { Ok(items) } else { Err(Unread::Changed) }
    }

    /// Reads what should be `len` bytes. Stops at the first byte too many: a file that grows has no end.
    fn read(&mut self, input: &mut impl Read, len: u64) -> Result<Vec<Item>, Unread> {
        let mut hashers: Vec<(Kind, Box<dyn DynDigest>)> =
            self.kinds.iter().map(|&kind| (kind, hasher(kind))).collect();
        let mut total = 0;
        loop {
            let read = match input.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => &self.buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            total += read.len() as u64;
            if total > len {
                return Err(Unread::Changed);
            }
            for (_, hasher) in &mut hashers {
                hasher.update(read);
            }
        }
        if total < len {
            return Err(Unread::Changed);
        }
        let item = |(kind, hasher): (Kind, Box<dyn DynDigest>)| {
            Item::new(kind, &hasher.finalize()).expect("a hash function gives its kind's length")
        };
        Ok(hashers.into_iter().map(item).collect())
    }
}

fn hasher(kind: Kind) -> Box<dyn DynDigest> {
    match kind {
        Kind::Md5 => Box::new(md5::Md5::default()),
        Kind::Sha1 => Box::new(sha1::Sha1::default()),
        Kind::Sha256 => Box::new(sha2::Sha256::default()),
        Kind::Sha512 => Box::new(sha2::Sha512::default()),
    }
}

fn open(path: &Path, links: Links) -> Result<File, Unread> {
    // Without NONBLOCK, opening a pipe that took the file's place would wait for a writer.
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let looped = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if looped && links == Links::Refuse { Unread::Symlink } else { error.into() }
    })
}

fn regular(metadata: &Metadata) -> Result<(), Unread> {
    if metadata.is_symlink() {
        Err(Unread::Symlink)
    } else if metadata.is_file() {
        Ok(())
    } else {
        Err(Unread::NotAFile)
    }
}

/// What differs when somebody wrote to a file.
fn state(metadata: &Metadata) -> (u64, i64, i64) {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests;
