//! `key rotate` and `key retire`.

use veilmatch_protocol::{
    name::{Epoch, ListId},
    oprf::SecretKey,
};

use super::Agency;
use crate::{
    Error,
    keys::EpochSeeds,
    publish::{Occasion, OnProgress, Published, Publisher},
};

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The versions that were published: the old epoch's first.
    pub published: Vec<Published>,
    /// When the old epoch stops being served and its key is destroyed.
    pub old_retires_at: u64,
    /// Whether that is now, and the old key is gone: the configuration has no overlap.
    pub old_destroyed: bool,
}

impl Agency {
    /// Begins a new epoch with a key of its own, built from the whole list, and publishes it beside the old one. Without
    /// an overlap the old key is destroyed at once; a running server drops it when it next looks for changes.
    ///
    /// # Errors
    /// [`Error::EpochsOverlap`] while an older epoch is still served, [`Error::NothingPublished`], and those of
    /// [`Publisher::publish`].
    pub fn rotate(&mut self, list: &ListId, now: u64, progress: OnProgress<'_>) -> Result<Rotated, Error> {
        let _lock = self.dir.lock_changes()?;
        self.destroy_retired(list, now)?;
        let mut publisher = Publisher::new(&self.dir, &self.config, &mut self.store, progress)?;
        let published = publisher.publish(list, Occasion::Rotation, now)?;
        let old = self.store.epochs(list)?.into_iter().rev().nth(1);
        let old_retires_at = old.as_ref().and_then(|old| old.retire_at);
        let old_retires_at = old_retires_at.ok_or(Error::Internal("a rotation did not record the old epoch's end"))?;
        let old_destroyed = !self.destroy_retired(list, now)?.is_empty();
        Ok(Rotated { published, old_retires_at, old_destroyed })
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

    /// The evaluation key of an epoch; none if it is destroyed.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::Store`].
    pub(super) fn epoch_key(&self, list: &ListId, epoch: Epoch) -> Result<Option<SecretKey>, Error> {
        if self.store.epochs(list)?.iter().any(|row| row.epoch == epoch && row.destroyed_at.is_some()) {
            return Ok(None);
        }
        Ok(Some(EpochSeeds::read(&self.dir.epoch_seed(list, epoch))?.secret_key(list, epoch)?))
    }
}
