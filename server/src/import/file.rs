//! A list's file on its way in: its rows, whatever it is packed in, and how much of it was read.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use veilmatch_lists::{Format, Row, Rows, archive};

use super::{ImportOptions, ImportStage, OnImport};
use crate::Error;

/// The rows of a file. An error names the file.
pub(crate) struct ListFile {
    path: PathBuf,
    rows: Rows<'static>,
    bytes: Bytes,
}

impl ListFile {
    /// Recognises what the file is, unless that was said. `path` is what people call it.
    ///
    /// # Errors
    /// [`Error::HashList`], [`Error::Io`].
    pub(crate) fn open(file: File, path: &Path, options: &ImportOptions) -> Result<Self, Error> {
        let all = file.metadata().map_err(Error::io("read", path))?.len();
        let bytes = Bytes { all, read: Arc::default() };
        let counted = Counted { file, read: Arc::clone(&bytes.read) };
        let opened = archive::open(counted, options.member.as_deref());
        let rows = opened.and_then(|input| Rows::open(input, &options.reading));
        let rows = rows.map_err(|source| Error::HashList { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), rows, bytes })
    }

    /// What it is.
    pub(super) fn format(&self) -> Format {
        self.rows.format()
    }

    /// Its last name, `-` for standard input.
    pub(super) fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
    }

    /// How much of it was read, as it is read.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl Iterator for ListFile {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.map_err(|source| Error::HashList { path: self.path.clone(), source }))
    }
}

/// How many bytes of a file there are, and how many were read.
#[derive(Clone)]
pub(super) struct Bytes {
    all: u64,
    read: Arc<AtomicU64>,
}

impl Bytes {
    pub(super) fn report(&self, progress: OnImport<'_>) {
        progress(ImportStage::Read, self.read.load(Ordering::Relaxed).min(self.all), Some(self.all));
    }
}

// Counts what is read of a file.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to)?;
        self.read.store(at, Ordering::Relaxed);
        Ok(at)
    }
}
