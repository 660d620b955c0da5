//! Files of a list's folder: written under a temporary name, flushed, renamed.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read},
    path::Path,
};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::{Error, state_dir::sync_dir};

/// Temporary files begin with this.
const TEMPORARY: &str = ".tmp-";

/// Buffer of readers and writers of whole lists.
const BUFFER: usize = 1 << 20;

/// A file that becomes visible under its name when it is complete.
pub(super) struct NewFile {
    file: NamedTempFile,
}

impl NewFile {
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let file =
            tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder).map_err(Error::io("write in", folder))?;
        Ok(Self { file })
    }

    pub(super) fn writer(&mut self) -> BufWriter<&mut File> {
        BufWriter::with_capacity(BUFFER, self.file.as_file_mut())
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    // The caller's writer was flushed. After this the file is on the disk under its name.
    pub(super) fn persist(self, path: &Path) -> Result<(), Error> {
        self.file.as_file().sync_all().map_err(Error::io("write", path))?;
        self.file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
        sync_dir(path.parent().expect("a file in a list's folder"))
    }
}

/// An unnamed file for a sorted run: it is gone when it is closed, however the process ends.
pub(super) fn spill(folder: &Path) -> Result<File, Error> {
    tempfile::tempfile_in(folder).map_err(Error::io("write in", folder))
}

/// Gives a published file a second name: the same bytes are offered under a later version.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), Error> {
    remove(to)?;
    let linked = fs::hard_link(from, to).or_else(|_| fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()));
    linked.map_err(Error::io("write", to))?;
    sync_dir(to.parent().expect("a file in a list's folder"))
}

pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// How long a file is, if it is there.
pub(super) fn length(path: &Path) -> Result<Option<u64>, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Removes what a killed publication left behind. The caller holds the lock of changes.
pub(super) fn remove_leftovers(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

pub(super) fn reader(path: &Path) -> Result<BufReader<File>, Error> {
    Ok(BufReader::with_capacity(BUFFER, File::open(path).map_err(Error::io("read", path))?))
}

pub(super) fn sha256_of(path: &Path) -> Result<[u8; 32], Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}
