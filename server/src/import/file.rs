//! A list's file on its way in: its rows, whatever it is packed in, and how much of it was read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use veilmatch_lists::{Format, Options, Place, Row, Rows, archive};

use super::{
    ImportOptions, ImportStage, OnImport,
    content::{self, Behind, Watch, Watched},
};
use crate::Error;

/// The rows of a file. An error names the file.
pub(crate) struct ListFile {
    path: PathBuf,
    // To be read from its beginning once more.
    file: File,
    reading: Options,
    member: Option<String>,
    rows: Rows<'static>,
    bytes: Bytes,
    // What was read of its content, if that is to be remembered.
    watch: Option<Watch>,
    last: Place,
}

/// How far a file was read: what of it must be there again, and where its reading goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upto {
    /// How much of its content, unpacked.
    bytes: u64,
    /// The digest of that, in hexadecimal.
    sha256: String,
    /// The last row; `None` at the end of the file.
    row: Option<UptoRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UptoRow {
    number: u64,
    offset: u64,
    /// How much at the beginning says how rows are read.
    head: u64,
    format: String,
}

impl Upto {
    pub(super) fn is_end(&self) -> bool {
        self.row.is_none()
    }
}

impl ListFile {
    /// Recognises what the file is, unless that was said. `path` is what people call it. `remember`: keep in mind what was
    /// read, so that another reading can go on.
    ///
    /// # Errors
    /// [`Error::HashList`], [`Error::Io`].
    pub(crate) fn open(file: File, path: &Path, options: &ImportOptions, remember: bool) -> Result<Self, Error> {
        let (reading, member) = (options.reading.clone(), options.member.clone());
        let input = Input::open(&file, path, member.as_deref(), remember)?;
        let (bytes, watch) = (input.bytes.clone(), input.watch.clone());
        let rows = Rows::open(input.buffered(), &reading);
        let rows = rows.map_err(|source| Error::HashList { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, reading, member, rows, bytes, watch, last: Place::default() })
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

    /// How far it was read, if another reading can go on behind the last row.
    pub(super) fn upto(&self) -> Option<Upto> {
        let seen = self.watch.as_ref()?.seen();
        let (head, Place { row, offset }) = (self.rows.head()?, self.last);
        // A row that ends with the file may be longer another time.
        if seen.ended || row == 0 || !content::is_near(head, offset, seen.bytes) {
            return None;
        }
        let row = UptoRow { number: row, offset, head, format: self.format().name().to_owned() };
        Some(Upto { bytes: seen.bytes, sha256: seen.sha256(), row: Some(row) })
    }

    /// The same, once there are no more rows.
    pub(super) fn end(&self) -> Option<Upto> {
        let seen = self.watch.as_ref()?.seen();
        Some(Upto { bytes: seen.bytes, sha256: seen.sha256(), row: None })
    }

    /// Goes on behind what was read another time, if that is there unchanged. Otherwise its first row comes next.
    pub(super) fn go_on(&mut self, upto: &Upto, progress: OnImport<'_>) -> Result<bool, Error> {
        // Whatever is wrong with the file is told where it is read from its beginning.
        if let Ok(true) = self.try_to_go_on(upto, progress) {
            return Ok(true);
        }
        let file = self.again()?;
        let options =
            ImportOptions { reading: self.reading.clone(), member: self.member.clone(), ..ImportOptions::default() };
        *self = Self::open(file, &self.path, &options, true)?;
        Ok(false)
    }

    fn try_to_go_on(&mut self, upto: &Upto, progress: OnImport<'_>) -> Result<bool, Error> {
        let file = self.again()?;
        let Input { content, bytes, watch } = Input::open(&file, &self.path, self.member.as_deref(), true)?;
        let Some(watch) = watch else { return Ok(false) };
        let (head, from) = upto.row.as_ref().map_or((0, upto.bytes), |row| (row.head, row.offset));
        if !content::is_near(head, from, upto.bytes) {
            return Ok(false);
        }
        let behind = content::skip(watch.over(content), head, from, upto.bytes, || bytes.report(progress));
        let Some(Behind { head, mut rest }) = behind.map_err(Error::io("read", &self.path))? else { return Ok(false) };
        if watch.seen().sha256() != upto.sha256 {
            return Ok(false);
        }
        (self.bytes, self.watch) = (bytes, Some(watch));
        let Some(row) = &upto.row else {
            return Ok(rest.fill_buf().map_err(Error::io("read", &self.path))?.is_empty());
        };
        let format: Format = row.format.parse().map_err(|source| self.told(source))?;
        let place = Place { row: row.number, offset: row.offset };
        let rows = Rows::resume(&head, rest, place, format, &self.reading);
        self.rows = rows.map_err(|source| self.told(source))?;
        // That row was the last.
        let known = self.next().transpose()?;
        Ok(known.is_some_and(|known| known.place.row == row.number))
    }

    fn again(&self) -> Result<File, Error> {
        let mut file = self.file.try_clone().map_err(Error::io("read", &self.path))?;
        file.rewind().map_err(Error::io("read", &self.path))?;
        Ok(file)
    }

    fn told(&self, source: veilmatch_lists::Error) -> Error {
        Error::HashList { path: self.path.clone(), source }
    }
}

impl Iterator for ListFile {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        if let Ok(row) = &row {
            self.last = row.place;
        }
        Some(row.map_err(|source| self.told(source)))
    }
}

/// What is read of a file once it is unpacked.
struct Input {
    content: Box<dyn BufRead + Send>,
    bytes: Bytes,
    watch: Option<Watch>,
}

impl Input {
    fn open(file: &File, path: &Path, member: Option<&str>, remember: bool) -> Result<Self, Error> {
        let file = file.try_clone().map_err(Error::io("read", path))?;
        let all = file.metadata().map_err(Error::io("read", path))?.len();
        let bytes = Bytes { all, read: Arc::default() };
        let counted = Counted { file, read: Arc::clone(&bytes.read) };
        let content = archive::open(counted, member);
        let content = content.map_err(|source| Error::HashList { path: path.to_owned(), source })?;
        Ok(Self { content, bytes, watch: remember.then(Watch::default) })
    }

    fn buffered(self) -> Box<dyn BufRead + Send> {
        match self.watch {
            Some(watch) => {
                let watched: Watched<_> = watch.over(self.content);
                Box::new(BufReader::with_capacity(1 << 17, watched))
            }
            None => self.content,
        }
    }
}

/// How many bytes of a file there are, and how many were read.
#[derive(Clone)]
pub(super) struct Bytes {
    all: u64,
    read: Arc<AtomicU64>,
}

impl Bytes {
    /// How much was read, and how much there is.
    pub(super) fn done(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed).min(self.all), self.all)
    }

    pub(super) fn report(&self, progress: OnImport<'_>) {
        let (done, all) = self.done();
        progress(ImportStage::Read, done, Some(all));
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
