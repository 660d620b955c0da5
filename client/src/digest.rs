//! Digests of a file: every wanted kind in one read, in constant memory.
//!
//! Take digests before a platform transcodes or recompresses what was uploaded: afterwards exact matching finds nothing.

use std::{
    fs::OpenOptions,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use md5::Md5;
use rustix::fs::OFlags;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_protocol::item::{Item, Kind};

/// Bytes read at a time: large enough for the disk, small enough for the cache.
const BUFFER: usize = 128 * 1_024;

/// Why a file has no digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is gone: moved or deleted since the folder was read.
    Vanished,
    /// It may not be read.
    Denied,
    /// Not a regular file: a link, socket, pipe or device.
    NotAFile,
    /// It changed while it was read.
    Changed,
    /// Reading failed.
    Failed,
}

impl Unreadable {
    /// Every cause.
    pub const ALL: [Self; 5] = [Self::Vanished, Self::Denied, Self::NotAFile, Self::Changed, Self::Failed];

    /// The stable name, as the reason of *not checked*.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Vanished => "VANISHED",
            Self::Denied => "DENIED",
            Self::NotAFile => "NOT_A_FILE",
            Self::Changed => "CHANGED",
            Self::Failed => "UNREADABLE",
        }
    }
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Vanished,
            std::io::ErrorKind::PermissionDenied => Self::Denied,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::NotAFile,
            // Opening a socket or a device without a driver.
            _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => Self::NotAFile,
            _ => Self::Failed,
        }
    }
}

/// The digests of a regular file, one per kind, in the order of `kinds`. A link is not followed.
///
/// # Errors
/// [`Unreadable`]: such a file is *not checked*.
pub fn of_file(path: &Path, kinds: &[Kind]) -> Result<Vec<Item>, Unreadable> {
    // NONBLOCK: opening a pipe must not wait for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let (items, read) = of_reader(&mut file, kinds)?;
    let after = file.metadata()?;
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| {
        (a.len(), a.mtime(), a.mtime_nsec()) == (b.len(), b.mtime(), b.mtime_nsec())
    };
    if read == before.len() && same(&before, &after) { Ok(items) } else { Err(Unreadable::Changed) }
}

/// The digests of what a reader gives until its end, and its length.
///
/// # Errors
/// What the reader reports.
pub fn of_reader(reader: &mut impl Read, kinds: &[Kind]) -> std::io::Result<(Vec<Item>, u64)> {
    let mut hashes: Vec<Hash> = kinds.iter().map(|&kind| Hash::new(kind)).collect();
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for hash in &mut hashes {
            hash.update(&buffer[..read]);
        }
        total += read as u64;
    }
    Ok((hashes.into_iter().map(Hash::finish).collect(), total))
}

enum Hash {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hash {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Md5 => Self::Md5(Md5::new()),
            Kind::Sha1 => Self::Sha1(Sha1::new()),
            Kind::Sha256 => Self::Sha256(Sha256::new()),
            Kind::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hash) => hash.update(bytes),
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> Item {
        let item = match self {
            Self::Md5(hash) => Item::new(Kind::Md5, &hash.finalize()),
            Self::Sha1(hash) => Item::new(Kind::Sha1, &hash.finalize()),
            Self::Sha256(hash) => Item::new(Kind::Sha256, &hash.finalize()),
            Self::Sha512(hash) => Item::new(Kind::Sha512, &hash.finalize()),
        };
        item.expect("a hash function gives its kind's length")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn all_kinds_of_a_known_text_come_from_one_read() {
        let (items, read) = of_reader(&mut &b"abc"[..], &Kind::ALL).unwrap();
        let digests: Vec<_> = items.iter().map(|item| hex::encode(item.digest())).collect();
        assert_eq!(read, 3);
        assert_eq!(digests[0], "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(digests[1], "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digests[2], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(digests[3].starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        let bytes: Vec<u8> = (0..3 * BUFFER + 17).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let item = &of_file(&path, &[Kind::Sha256]).unwrap()[0];
        assert_eq!(item.digest(), Sha256::digest(&bytes).as_slice());
    }

    #[test]
    fn what_is_not_a_readable_file_has_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(of_file(&at("gone"), &[Kind::Md5]), Err(Unreadable::Vanished));
        assert_eq!(of_file(dir.path(), &[Kind::Md5]), Err(Unreadable::NotAFile));
        fs::write(at("file"), b"x").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert_eq!(of_file(&at("link"), &[Kind::Md5]), Err(Unreadable::NotAFile));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(of_file(&at("socket"), &[Kind::Md5]), Err(Unreadable::NotAFile));
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0)).unwrap();
        // Root may read anything; then the mode stops nobody.
        let denied = of_file(&at("file"), &[Kind::Md5]);
        assert!(denied.is_ok() == rustix::process::geteuid().is_root() || denied == Err(Unreadable::Denied));
    }

    #[test]
    fn an_empty_file_has_digests_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("empty"), b"").unwrap();
        let items = of_file(&dir.path().join("empty"), &[Kind::Md5]).unwrap();
        assert_eq!(hex::encode(items[0].digest()), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
