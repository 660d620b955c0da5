//! One file of a zip archive.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

// The stable reader holds a record for every file that an archive claims to have; this one walks past them.
use zip::CompressionMethod;
use zip::read::{Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::{Counted, DeflateDecoder, Expected, Unpacked, broken, cannot_read};
use crate::Error;

/// How many names an error tells.
const MAX_NAMES: usize = 20;
const LOCAL_HEADER_BYTES: u64 = 30;

pub(super) fn open<'a>(
    mut source: impl Read + Seek + Send + 'a,
    member: Option<&str>,
) -> Result<Box<dyn BufRead + Send + 'a>, Error> {
    let chosen = choose(&mut source, member)?;
    if chosen.encrypted {
        return Err(Error::Encrypted);
    }
    seek_to_data(&mut source, chosen.header)?;
    let source = Counted::new(source.take(chosen.packed));
    let read = Arc::clone(&source.read);
    let expected = Some(Expected { size: chosen.size, crc: chosen.crc });
    match chosen.method {
        CompressionMethod::Stored => Ok(Box::new(BufReader::new(Unpacked::new(source, read, expected)))),
        CompressionMethod::Deflated => {
            let decoder = DeflateDecoder::new(BufReader::new(source));
            Ok(Box::new(BufReader::new(Unpacked::new(decoder, read, expected))))
        }
        _ => Err(Error::Packed),
    }
}

/// What the directory says of a file.
struct Member {
    header: u64,
    packed: u64,
    size: u64,
    crc: u32,
    method: CompressionMethod,
    encrypted: bool,
}

impl Member {
    fn of(entry: &ZipFileEntry<'_>) -> Self {
        Self {
            header: entry.header_start(),
            packed: entry.compressed_size(),
            size: entry.size(),
            crc: entry.crc32(),
            method: entry.compression(),
            encrypted: entry.encrypted(),
        }
    }
}

/// How well a file fits what is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    LastPart,
    Whole,
}

fn fit(name: &str, wanted: Option<&str>) -> Option<Fit> {
    let Some(wanted) = wanted else { return Some(Fit::Whole) };
    let last = name.rsplit(['/', '\\']).next();
    if name == wanted { Some(Fit::Whole) } else { (last == Some(wanted)).then_some(Fit::LastPart) }
}

/// The one file that fits best.
fn choose(source: &mut (impl Read + Seek), wanted: Option<&str>) -> Result<Member, Error> {
    let mut archive = ZipIterable::try_new(source, Config::default()).map_err(unreadable)?;
    let (mut files, mut names) = (0_u64, Vec::new());
    let mut best: Option<(Fit, Member)> = None;
    let mut rivals = false;
    for entry in archive.files().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().unwrap_or_else(|_| String::from_utf8_lossy(entry.name_raw()));
        files += 1;
        let before = best.as_ref().map(|(fit, _)| *fit);
        match fit(&name, wanted) {
            Some(fit) if before < Some(fit) => (best, rivals) = (Some((fit, Member::of(&entry))), false),
            fit => rivals |= fit.is_some() && fit == before,
        }
        if names.len() < MAX_NAMES {
            names.push(name.escape_debug().to_string());
        }
    }
    match best {
        _ if files == 0 => Err(Error::Empty),
        Some((_, member)) if !rivals => Ok(member),
        _ => Err(Error::Member { files, names }),
    }
}

/// The data begin behind a second header, whose length the directory does not tell.
fn seek_to_data(source: &mut (impl Read + Seek), header: u64) -> Result<(), Error> {
    let mut bytes = [0; LOCAL_HEADER_BYTES as usize];
    source.seek(SeekFrom::Start(header)).map_err(cannot_read)?;
    source.read_exact(&mut bytes).map_err(|error| unreadable(ZipError::Io(error)))?;
    if !bytes.starts_with(b"PK\x03\x04") {
        return Err(broken("the archive does not have a file where its directory says"));
    }
    let len = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let data = header.checked_add(LOCAL_HEADER_BYTES + len(26) + len(28));
    let data = data.ok_or_else(|| broken("the archive does not have a file where its directory says"))?;
    source.seek(SeekFrom::Start(data)).map_err(cannot_read)?;
    Ok(())
}

fn unreadable(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) if error.kind() != ErrorKind::UnexpectedEof => cannot_read(error),
        _ => broken("the archive has no directory that can be read"),
    }
}
