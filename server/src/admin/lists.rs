//! `list create`, `import`, `retract`, `publish`, `status`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::Path,
};

use veilmatch_lists::{Options, Row, Rows};
use veilmatch_protocol::{
    item::{Item, Kind},
    label::MAX_LABEL_LEN,
    name::{Epoch, ListId, Version},
};

use super::Agency;
use crate::{
    Error,
    clock::DAY,
    publish::{Occasion, OnProgress, Published, Publisher, destroy_epoch, new_epoch},
    state_dir::StateDir,
    store::{Change, ChangeKind, Entries, Import, ListRow, NewChange, PastChange, Tally},
};

/// Reason of a row whose kind the list does not have.
const KIND_NOT_IN_LIST: &str = "KIND_NOT_IN_LIST";

/// How a hash list is to be read.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Layout and kind, where the file does not tell.
    pub reading: Options,
    /// The label of every row, as text: it is padded with zeros to the list's length.
    pub label: String,
    /// Count, and change nothing.
    pub dry_run: bool,
}

/// One epoch in a list's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochStatus {
    /// Its number.
    pub epoch: Epoch,
    /// When it stops being served, if it is to.
    pub retire_at: Option<u64>,
    /// When its key was destroyed.
    pub destroyed_at: Option<u64>,
    /// Its newest version.
    pub newest: Option<Version>,
    /// Evaluations made under its key.
    pub evaluations: u64,
}

/// What there is to know about a list.
#[derive(Debug, Clone)]
pub struct ListStatus {
    /// Its row.
    pub row: ListRow,
    /// The newest version and until when it is valid.
    pub newest: Option<(Version, u64)>,
    /// Entries that the newest version has.
    pub published: u64,
    /// Entries that the next version adds.
    pub to_add: u64,
    /// Labels that it changes.
    pub to_relabel: u64,
    /// Entries that it takes out.
    pub to_remove: u64,
    /// Its epochs.
    pub epochs: Vec<EpochStatus>,
    /// The last changes, newest first.
    pub changes: Vec<PastChange>,
    /// Elements and frames that each client used today.
    pub used_today: Vec<(String, u64, u64)>,
}

impl Agency {
    /// Creates a list and the seeds of its first epoch.
    ///
    /// # Errors
    /// [`Error::ListExists`], [`Error::Argument`], [`Error::Busy`], [`Error::Io`], [`Error::Store`].
    pub fn list_create(&mut self, list: &ListId, label_bytes: u8, kinds: &[Kind], now: u64) -> Result<(), Error> {
        let _lock = self.dir.lock_changes()?;
        if usize::from(label_bytes) > MAX_LABEL_LEN {
            return Err(Error::argument("--label-bytes", format!("is 0 to {MAX_LABEL_LEN}")));
        }
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return Err(Error::argument("--kinds", "names no kind"));
        }
        let largest = self.config.publication.frame_sizes.last().copied().unwrap_or(0);
        if usize::try_from(largest).is_ok_and(|largest| largest < kinds.len()) {
            let why = format!("has more kinds than the largest frame ({largest}) has places");
            return Err(Error::argument("--kinds", why));
        }
        // Checked before the seeds are drawn: they would replace those of the existing list.
        if self.store.lists()?.iter().any(|row| row.list == *list) {
            return Err(Error::ListExists { list: list.to_string() });
        }
        let epoch = new_epoch(&self.dir, list, Epoch(1), now)?;
        self.store.create_list(&ListRow { list: list.clone(), label_bytes, kinds, created: now }, &epoch)
    }

    /// Takes a file into a list: every row of it, or nothing. `-` reads standard input.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::HashList`], [`Error::LabelTooLong`], [`Error::Busy`], [`Error::Io`],
    /// [`Error::Store`].
    pub fn import(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        now: u64,
        on_row: &mut dyn FnMut(u64),
    ) -> Result<Change, Error> {
        let row = self.store.list(list)?;
        let label = padded_label(&options.label, row.label_bytes)?;
        let intake = Intake { row: &row, kind: ChangeKind::Import, file, options, now };
        self.change(&intake, on_row, |import, item| import.add(item, &label).map(drop))
    }

    /// Takes the digests of a file out of a list. It leaves the platforms with the next publication.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub fn retract(
        &mut self,
        list: &ListId,
        file: &Path,
        options: &ImportOptions,
        now: u64,
        on_row: &mut dyn FnMut(u64),
    ) -> Result<Change, Error> {
        let row = self.store.list(list)?;
        let intake = Intake { row: &row, kind: ChangeKind::Retract, file, options, now };
        self.change(&intake, on_row, |import, item| import.retract(item).map(drop))
    }

    fn change(
        &mut self,
        intake: &Intake<'_>,
        on_row: &mut dyn FnMut(u64),
        mut take: impl FnMut(&mut Import<'_>, &Item) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let Intake { row, kind, file, options, now } = *intake;
        // Whoever writes into a pipe may take its time. Others do not wait for it.
        let source = open(&self.dir, file)?;
        let _lock = self.dir.lock_changes()?;
        let refuse = |source| Error::HashList { path: file.to_owned(), source };
        let mut rows = Rows::open(source, &options.reading).map_err(refuse)?;
        let published = self.store.newest_version(&row.list, None)?.map_or(0, |newest| newest.changes);
        let name = file.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let new = NewChange { list: &row.list, kind, source: &name, published, now, dry_run: options.dry_run };
        entries.change(&new, |import| {
            for next in &mut rows {
                match next.map_err(refuse)? {
                    Row::Entry(entry) if row.kinds.contains(&entry.item.kind()) => take(import, &entry.item)?,
                    Row::Entry(entry) => import.quarantine(entry.line, KIND_NOT_IN_LIST)?,
                    Row::Quarantined { line, reason } => import.quarantine(line, reason.reason())?,
                }
                on_row(import.tally().read);
            }
            let Tally { read, accepted, duplicate, quarantined, .. } = *import.tally();
            if read == rows.read() && read == accepted + duplicate + quarantined {
                Ok(())
            } else {
                Err(Error::Internal("the counts of an import do not add up; nothing was taken"))
            }
        })
    }

    /// Publishes what changed, after destroying the keys of epochs whose time is over. Gives the versions in order; none
    /// if there was nothing to publish.
    ///
    /// # Errors
    /// As [`Publisher::publish`], [`Error::Busy`].
    pub fn publish(
        &mut self,
        list: &ListId,
        force: bool,
        now: u64,
        progress: OnProgress<'_>,
    ) -> Result<Vec<Published>, Error> {
        let _lock = self.dir.lock_changes()?;
        self.destroy_retired(list, now)?;
        let occasion = if force { Occasion::Forced } else { Occasion::Asked };
        Publisher::new(&self.dir, &self.config, &mut self.store, progress)?.publish(list, occasion, now)
    }

    pub(super) fn destroy_retired(&mut self, list: &ListId, now: u64) -> Result<Vec<Epoch>, Error> {
        let mut destroyed = Vec::new();
        for epoch in self.store.epochs(list)? {
            if epoch.destroyed_at.is_none() && !epoch.is_served(now) {
                destroy_epoch(&self.dir, &mut self.store, &epoch, now)?;
                destroyed.push(epoch.epoch);
            }
        }
        Ok(destroyed)
    }

    /// The names of all lists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn lists(&self) -> Result<Vec<ListId>, Error> {
        Ok(self.store.lists()?.into_iter().map(|row| row.list).collect())
    }

    /// What there is to know about a list.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Store`].
    pub fn list_status(&self, list: &ListId, now: u64) -> Result<ListStatus, Error> {
        let row = self.store.list(list)?;
        let newest = self.store.newest_version(list, None)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        let [_, to_add, to_relabel, to_remove] = entries.count(list, newest.as_ref().map_or(0, |row| row.changes))?;
        let mut epochs = Vec::new();
        for epoch in self.store.epochs(list)? {
            epochs.push(EpochStatus {
                epoch: epoch.epoch,
                retire_at: epoch.retire_at,
                destroyed_at: epoch.destroyed_at,
                newest: self.store.newest_version(list, Some(epoch.epoch))?.map(|row| row.version),
                evaluations: self.store.evaluations(list, epoch.epoch)?,
            });
        }
        let mut used_today = Vec::new();
        for client in self.store.clients()? {
            let used = self.store.budget_use(&client.platform, list, now / DAY)?;
            if used.frames > 0 {
                used_today.push((client.platform.to_string(), used.elements, used.frames));
            }
        }
        Ok(ListStatus {
            row,
            published: newest.as_ref().map_or(0, |row| row.entries),
            newest: newest.map(|row| (row.version, row.not_after)),
            to_add,
            to_relabel,
            to_remove,
            epochs,
            changes: entries.changes(list, 10)?,
            used_today,
        })
    }
}

// A file on its way into a list, or out of it.
struct Intake<'a> {
    row: &'a ListRow,
    kind: ChangeKind,
    file: &'a Path,
    options: &'a ImportOptions,
    now: u64,
}

fn open(dir: &StateDir, file: &Path) -> Result<Box<dyn BufRead>, Error> {
    let read = |error| Error::io("read", file)(error);
    let opened = if file == Path::new("-") {
        spooled(dir, &mut io::stdin().lock()).map_err(read)?
    } else {
        let mut opened = File::open(file).map_err(read)?;
        let kind = opened.metadata().map_err(read)?.file_type();
        // A folder fails where it is read, as a list that cannot be read.
        if kind.is_file() || kind.is_dir() { opened } else { spooled(dir, &mut opened).map_err(read)? }
    };
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

// What a pipe gives, in an unnamed file of the agency's own directory: it holds digests in clear.
fn spooled(dir: &StateDir, pipe: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(dir.root())?;
    io::copy(pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}

// A label is text to the operator and bytes of one length to everybody else.
fn padded_label(label: &str, label_bytes: u8) -> Result<Vec<u8>, Error> {
    let mut bytes = label.as_bytes().to_vec();
    if bytes.len() > usize::from(label_bytes) {
        return Err(Error::LabelTooLong { given: bytes.len(), label_bytes });
    }
    bytes.resize(usize::from(label_bytes), 0);
    Ok(bytes)
}
