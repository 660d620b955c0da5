//! Lists in archives: gzip and zip are read as they are, known by what they begin with and not by their names.
//!
//! Nothing is written and nothing is held but what the decompressor needs, whatever the archive says of itself.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder};

use crate::Error;
use crate::rows::Place;

mod zip;

/// An archive may always unpack to this much.
const FREE_BYTES: u64 = 64 << 20;
/// Beyond that, to at most so many times its own size: digests do not compress, and a list of them by 20 at best.
const MAX_EXPANSION: u64 = 250;
const GZIP: &[u8] = b"\x1f\x8b";
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// What is an archive, too, and is not read: bzip2, xz, zstd, 7z.
const OTHERS: [&[u8]; 4] = [b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"];

/// Opens a file for [`Rows`](crate::Rows): what is in it if it is an archive, else the file itself.
///
/// `member` chooses a file of a zip archive by its path in the archive, or by the last part of it if only one is named so.
/// An archive with one file needs no choice.
///
/// # Errors
/// [`Error::Read`], [`Error::Broken`] if the archive is damaged, [`Error::Member`] if it does not have exactly one such
/// file, [`Error::Encrypted`], [`Error::Packed`] if it is compressed in another way. Damage further on ends the rows with
/// [`Error::Broken`], and so does expansion without end, with [`Error::Bomb`].
pub fn open<'a>(
    mut source: impl Read + Seek + Send + 'a,
    member: Option<&str>,
) -> Result<Box<dyn BufRead + Send + 'a>, Error> {
    let mut head = Vec::new();
    source.by_ref().take(4).read_to_end(&mut head).map_err(cannot_read)?;
    source.rewind().map_err(cannot_read)?;
    if ZIP.iter().any(|magic| head.starts_with(magic)) { zip::open(source, member) } else { open_stream(source) }
}

/// Opens what cannot be sought in, such as a pipe: gzip is unpacked, anything else is read as it is. A zip archive has its
/// directory at its end, so [`Rows`](crate::Rows) refuses one from here.
///
/// # Errors
/// [`Error::Read`].
pub fn open_stream<'a>(source: impl Read + Send + 'a) -> Result<Box<dyn BufRead + Send + 'a>, Error> {
    let mut source = BufReader::new(source);
    let mut head = Vec::new();
    source.by_ref().take(GZIP.len() as u64).read_to_end(&mut head).map_err(cannot_read)?;
    let is_gzip = head == GZIP;
    let source = Cursor::new(head).chain(source);
    if !is_gzip {
        return Ok(Box::new(source));
    }
    let source = Counted::new(source);
    let read = Arc::clone(&source.read);
    let decoder = MultiGzDecoder::new(BufReader::new(source));
    Ok(Box::new(BufReader::new(Unpacked::new(decoder, read, None))))
}

/// Whether an input is an archive itself.
pub(crate) fn is_one(head: &[u8]) -> bool {
    let mut magics = OTHERS.into_iter().chain(ZIP).chain([GZIP]);
    magics.any(|magic| head.starts_with(magic))
}

/// What is wrong with an input, told through [`io::Error`] by the readers below a format.
#[derive(Debug)]
pub(crate) enum Damage {
    /// It unpacks without end.
    Bomb,
    /// It is not what it should be.
    Broken(&'static str),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bomb => "unpacks without end",
            Self::Broken(why) => why,
        })
    }
}

impl std::error::Error for Damage {}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> Self {
        Self::other(damage)
    }
}

fn cannot_read(source: io::Error) -> Error {
    Error::Read { place: Place::default(), source }
}

fn broken(why: &str) -> Error {
    Error::Broken { place: Place::default(), why: why.into() }
}

/// Counts what is read of the archive.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(source: R) -> Self {
        Self { source, read: Arc::default() }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buffer)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// What a directory says of a file.
struct Expected {
    size: u64,
    crc: u32,
}

/// Doubts what comes out of a decompressor: how much it is, and whether it is what the directory says.
struct Unpacked<R> {
    decoder: R,
    packed: Arc<AtomicU64>,
    size: u64,
    crc: Crc,
    expected: Option<Expected>,
}

impl<R> Unpacked<R> {
    fn new(decoder: R, packed: Arc<AtomicU64>, expected: Option<Expected>) -> Self {
        Self { decoder, packed, size: 0, crc: Crc::new(), expected }
    }

    fn doubt(&mut self, part: &[u8], at_end: bool) -> Result<(), Damage> {
        self.size += part.len() as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.size > FREE_BYTES && self.size > packed.saturating_mul(MAX_EXPANSION) {
            return Err(Damage::Bomb);
        }
        let Some(Expected { size, crc }) = self.expected else { return Ok(()) };
        self.crc.update(part);
        if self.size > size || at_end && self.size < size {
            return Err(Damage::Broken("a file of the archive does not have the size that the archive says"));
        }
        if at_end && self.crc.sum() != crc {
            return Err(Damage::Broken("a file of the archive does not have the checksum that the archive says"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.decoder.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Damage::Broken("the archive is cut off").into(),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => Damage::Broken("the archive is damaged").into(),
            _ => error,
        })?;
        self.doubt(&buffer[..len], len == 0 && !buffer.is_empty())?;
        Ok(len)
    }
}

#[cfg(test)]
mod tests;
