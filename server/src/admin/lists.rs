//! `list create`, `publish`, `status`.

use veilmatch_protocol::{
    item::Kind,
    label::MAX_LABEL_LEN,
    name::{Epoch, ListId, Version},
};

use super::Agency;
use crate::{
    Error,
    clock::DAY,
    publish::{Occasion, OnProgress, Published, Publisher, destroy_epoch, new_epoch},
    store::{ChangeRow, Edition, Entries, ListRow, Rule, SourceRow},
};

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
    pub changes: Vec<ChangeRow>,
    /// Who says that entries are listed.
    pub sources: Vec<SourceRow>,
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
        self.store.create_list(
            &ListRow { list: list.clone(), label_bytes, kinds, created: now, rule: Rule::default() },
            &epoch,
        )
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
        let from = newest.as_ref().map_or(Edition::EMPTY, |newest| newest.edition);
        let to = entries.current(list, row.rule, now)?;
        let labels = entries.labels(list, row.label_bytes)?;
        let [to_add, to_relabel, to_remove] = entries.count(list, &from, &to, &labels)?;
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
            sources: entries.sources(list)?,
            used_today,
        })
    }
}
