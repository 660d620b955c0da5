//! `list import`, `retract`, `exclude`, `canary`.

use std::{
    fs::File,
    io::{self, BufRead, IsTerminal, Read, Seek, SeekFrom},
    os::unix::fs::FileTypeExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use veilmatch_lists::archive;
use veilmatch_protocol::name::ListId;

use super::Agency;
use crate::{
    Error,
    import::{Excluded, ImportOptions, Intake, OnImport, Withdrawal},
    state_dir::StateDir,
    store::{Change, Entries},
};

impl Agency {
    /// Takes a file into a list: every row of it, or nothing. `-` reads standard input.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::HashList`], [`Error::Jump`], [`Error::LabelTooLong`], [`Error::Busy`],
    /// [`Error::Io`], [`Error::Store`].
    pub fn import(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        now: u64,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        self.change(list, file, options, now, |intake, entries, input| {
            intake.import(entries.change(list, options.dry_run)?, input, &refuse(file), progress)
        })
    }

    /// Takes the digests of a file out of a list. It leaves the platforms with the next publication.
    ///
    /// # Errors
    /// As [`Self::import`], [`Error::UnknownSource`].
    pub fn retract(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        now: u64,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        self.change(list, file, options, now, |intake, entries, input| {
            intake.retract(entries.change(list, options.dry_run)?, input, &refuse(file), progress)
        })
    }

    /// Withdraws records of a source by their keys, or gives them back to it.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::UnknownSource`], [`Error::Busy`], [`Error::Store`].
    pub fn withdraw(
        &mut self,
        list: &ListId,
        keys: &[String],
        what: Withdrawal,
        options: &ImportOptions,
        now: u64,
    ) -> Result<Change, Error> {
        let row = self.store.list(list)?;
        let _lock = self.dir.lock_changes()?;
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let intake = Intake {
            dir: &self.dir,
            list: &row,
            limits: &self.config.import,
            file: "",
            bytes: (0, &AtomicU64::new(0)),
            options,
            now,
        };
        intake.withdraw(entries.change(list, options.dry_run)?, keys, what, &mut |_, _, _| ())
    }

    /// Puts the digests of a file on the list's set of known files, or takes them off.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub fn exclude(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        remove: bool,
        now: u64,
        progress: OnImport<'_>,
    ) -> Result<Excluded, Error> {
        self.change(list, file, options, now, |intake, entries, input| {
            intake.exclude(entries.change(list, options.dry_run)?, remove, input, &refuse(file), progress)
        })
    }

    fn change<T>(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        now: u64,
        work: impl FnOnce(&Intake<'_>, &mut Entries, Box<dyn BufRead + Send>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let row = self.store.list(list)?;
        // Whoever writes into a pipe may take its time. Others do not wait for it.
        let opened = open(&self.dir, file)?;
        let all = opened.metadata().map_err(Error::io("read", file))?.len();
        let read = Arc::new(AtomicU64::new(0));
        let input = archive::open(Counted { file: opened, read: Arc::clone(&read) }, options.member.as_deref())
            .map_err(refuse(file))?;
        let _lock = self.dir.lock_changes()?;
        let name = file.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let intake = Intake {
            dir: &self.dir,
            list: &row,
            limits: &self.config.import,
            file: &name,
            bytes: (all, &read),
            options,
            now,
        };
        work(&intake, &mut entries, input)
    }
}

/// Counts what is read of a file.
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

fn refuse(file: &Path) -> impl Fn(veilmatch_lists::Error) -> Error + Sync + '_ {
    |source| Error::HashList { path: file.to_owned(), source }
}

fn open(dir: &StateDir, file: &Path) -> Result<File, Error> {
    let read = |error| Error::io("read", file)(error);
    if file == Path::new("-") {
        return spooled(dir, &mut io::stdin().lock()).map_err(read);
    }
    let mut opened = File::open(file).map_err(read)?;
    let kind = opened.metadata().map_err(read)?.file_type();
    if kind.is_block_device() || kind.is_char_device() && !opened.is_terminal() {
        // It may have no end.
        return Err(Error::argument("FILE", format!("{} is a device", file.display())));
    }
    // A folder fails where it is read, as a list that cannot be read.
    if kind.is_file() || kind.is_dir() { Ok(opened) } else { spooled(dir, &mut opened).map_err(read) }
}

// What a pipe gives, in an unnamed file of the agency's own directory: it holds digests in clear.
fn spooled(dir: &StateDir, pipe: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(dir.root())?;
    io::copy(pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}
