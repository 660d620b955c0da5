//! `key rotate` and `key retire`.

use veilmatch_protocol::name::{Epoch, ListId};

use super::Agency;
use crate::{
    Error,
    publish::{Occasion, OnProgress, Published, Publisher},
};

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The versions that were published: the old epoch's first.
    pub published: Vec<Published>,
    /// When the old epoch stops being served and its key is destroyed.
    pub old_retires_at: u64,
}

impl Agency {
    /// Begins a new epoch with a key of its own, built from the whole list, and publishes it beside the old one.
    ///
    /// # Errors
    /// [`Error::EpochsOverlap`] while an older epoch is still served, [`Error::NothingPublished`], and those of
    /// [`Publisher::publish`].
    pub fn rotate(&mut self, list: &ListId, now: u64, progress: OnProgress<'_>) -> Result<Rotated, Error> {
        let _lock = self.dir.lock_changes()?;
        self.destroy_retired(list, now)?;
        let mut publisher = Publisher::new(&self.dir, &self.config, &mut self.store, progress)?;
        let published = publisher.publish(list, Occasion::Rotation, now)?;
        let retiring = self.store.epochs(list)?.into_iter().filter_map(|epoch| epoch.retire_at).max();
        Ok(Rotated { published, old_retires_at: retiring.unwrap_or(now) })
    }

    /// Destroys the keys of every epoch whose time is over. `publish` and `serve` do this by themselves.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Busy`], [`Error::Io`], [`Error::Store`].
    pub fn retire(&mut self, list: &ListId, now: u64) -> Result<Vec<Epoch>, Error> {
        let _lock = self.dir.lock_changes()?;
        self.store.list(list)?;
        self.destroy_retired(list, now)
    }
}
