//! `list import`, `retract`, `exclude`.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Seek},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use veilmatch_protocol::name::ListId;

use super::{Agency, editions::item};
use crate::{
    Error,
    import::{Digests, Excluded, ImportOptions, Intake, ListFile, OnImport, Portion, Withdrawal},
    state_dir::StateDir,
    store::{Change, Entries, Ledger},
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
        // So that it can be gone on with if it is killed.
        let remember = !options.dry_run;
        self.change(list, file, remember, options, now, |intake, ledger, file| intake.import(ledger, file, progress))
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
        self.change(list, file, false, options, now, |intake, ledger, file| intake.retract(ledger, file, progress))
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
        self.intake(list, options, now, |intake, ledger| intake.withdraw(ledger, keys, what, &mut |_, _, _| ()))
    }

    /// Withdraws digests from a source, or from all that claim them, or gives them back to it.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::UnknownSource`], [`Error::Argument`] for what is no digest, or none that such a
    /// source claims, [`Error::Busy`], [`Error::Store`].
    pub fn withdraw_digests(
        &mut self,
        list: &ListId,
        digests: &[String],
        what: Withdrawal,
        options: &ImportOptions,
        now: u64,
    ) -> Result<Change, Error> {
        let items = digests.iter().map(|digest| item(digest)).collect::<Result<_, _>>()?;
        self.intake(list, options, now, |intake, ledger| {
            intake.withdraw_digests(ledger, Digests::Named(items), what, &mut |_, _, _| ())
        })
    }

    /// The same with the digests of a file.
    ///
    /// # Errors
    /// As [`Self::withdraw_digests`], [`Error::HashList`], [`Error::Io`].
    pub fn withdraw_file(
        &mut self,
        list: &ListId,
        file: &Path,
        what: Withdrawal,
        options: &ImportOptions,
        now: u64,
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        self.change(list, file, false, options, now, |intake, ledger, file| {
            intake.withdraw_digests(ledger, Digests::Of(Box::new(file)), what, progress)
        })
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
        self.change(list, file, false, options, now, |intake, ledger, file| {
            intake.exclude(ledger, remove, file, progress)
        })
    }

    fn change<T>(
        &mut self,
        list: &ListId,
        file: &Path,
        remember: bool,
        options: &ImportOptions,
        now: u64,
        work: impl FnOnce(&Intake<'_>, Ledger<'_>, ListFile) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // A list that is not there is told before a pipe is waited for.
        self.store.list(list)?;
        // Whoever writes into a pipe may take its time. Others do not wait for it.
        let file = ListFile::open(open(&self.dir, file)?, file, options, remember)?;
        self.intake(list, options, now, |intake, ledger| work(intake, ledger, file))
    }

    // Under the lock of changes.
    fn intake<T>(
        &mut self,
        list: &ListId,
        options: &ImportOptions,
        now: u64,
        work: impl FnOnce(&Intake<'_>, Ledger<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let row = self.store.list(list)?;
        let _lock = self.dir.lock_changes()?;
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let intake = Intake {
            dir: &self.dir,
            list: &row,
            limits: &self.config.import,
            options,
            now,
            portion: Portion::default(),
        };
        work(&intake, entries.change(list, options.dry_run)?)
    }
}

fn open(dir: &StateDir, file: &Path) -> Result<File, Error> {
    let read = |error| Error::io("read", file)(error);
    if file == Path::new("-") {
        return spooled(dir, &mut io::stdin().lock()).map_err(read);
    }
    refuse_link(file)?;
    let mut opened = File::open(file).map_err(read)?;
    let kind = opened.metadata().map_err(read)?.file_type();
    if kind.is_block_device() || kind.is_char_device() && !opened.is_terminal() {
        // It may have no end.
        return Err(Error::argument("FILE", format!("{} is a device", file.display())));
    }
    // A folder fails where it is read, as a list that cannot be read.
    if kind.is_file() || kind.is_dir() { Ok(opened) } else { spooled(dir, &mut opened).map_err(read) }
}

// In a folder that others write into, a link can lead to any file that only the agency reads. What the shell hands over as
// /dev/fd/63 is a link, too.
fn refuse_link(file: &Path) -> Result<(), Error> {
    match fs::read_link(file) {
        Ok(target) if !file.starts_with("/dev") => {
            let why = format!("{} is a symbolic link; name what it leads to, {}", file.display(), target.display());
            Err(Error::argument("FILE", why))
        }
        _ => Ok(()),
    }
}

// What a pipe gives, in an unnamed file of the agency's own directory: it holds digests in clear.
fn spooled(dir: &StateDir, pipe: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(dir.root())?;
    io::copy(pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}
