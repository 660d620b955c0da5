//! The chain of a list's manifests, across its epochs (SPEC §8.4).

use std::collections::BTreeMap;

use super::SignedManifest;
use crate::{Error, name::ListId};

/// What a client has verified of one list's chain, as far as the next link depends on it: the newest manifest of each
/// epoch, however long the chain is.
#[derive(Debug, Clone)]
pub struct Chain {
    list: ListId,
    newest_of_epoch: BTreeMap<u32, SignedManifest>,
}

impl Chain {
    /// A chain of which nothing is known yet.
    #[must_use]
    pub fn new(list: ListId) -> Self {
        Self { list, newest_of_epoch: BTreeMap::new() }
    }

    /// The chain that was followed before: `verified` has at least the newest manifest of each epoch, in any order.
    #[must_use]
    pub fn resume(list: ListId, verified: impl IntoIterator<Item = SignedManifest>) -> Self {
        let mut chain = Self::new(list);
        for link in verified {
            chain.keep(link);
        }
        chain
    }

    /// The newest manifest, whatever its epoch.
    #[must_use]
    pub fn newest(&self) -> Option<&SignedManifest> {
        self.newest_of_epoch.values().max_by_key(|link| link.manifest().version)
    }

    /// The manifest to use: the newest of the newest epoch.
    #[must_use]
    pub fn to_use(&self) -> Option<&SignedManifest> {
        self.newest_of_epoch.values().next_back()
    }

    /// Takes the next link.
    ///
    /// # Errors
    /// [`Error::StaleManifest`] if it is not newer; [`Error::BrokenChain`] if it is of another list, leaves a version
    /// out, has another `prev` or agency, an epoch that is not to come now, another key, label length or kinds than its
    /// epoch, another epoch's key, or a delta from another version than its epoch's last. Then nothing changes.
    pub fn extend(&mut self, link: SignedManifest) -> Result<(), Error> {
        if link.manifest().list != self.list.as_str() {
            return Err(Error::BrokenChain);
        }
        link.follows(self.newest())?;
        if !(self.epoch_may_come(&link) && self.fits_its_epoch(&link)) {
            return Err(Error::BrokenChain);
        }
        self.keep(link);
        Ok(())
    }

    // Two epochs overlap at most: once a third has begun, the first is over.
    fn epoch_may_come(&self, link: &SignedManifest) -> bool {
        let newest = self.newest_of_epoch.last_key_value();
        newest.is_none_or(|(&newest, _)| link.manifest().epoch.abs_diff(newest) <= 1)
    }

    fn fits_its_epoch(&self, link: &SignedManifest) -> bool {
        let this = link.manifest();
        let others = self.newest_of_epoch.iter().filter(|&(&epoch, _)| epoch != this.epoch);
        let key_is_its_own = others.map(|(_, other)| other.manifest()).all(|other| other.oprf_key != this.oprf_key);
        let fits = match self.newest_of_epoch.get(&this.epoch).map(SignedManifest::manifest) {
            Some(before) => {
                this.oprf_key == before.oprf_key
                    && this.artifact.label_bytes == before.artifact.label_bytes
                    && this.kinds == before.kinds
                    && [0, before.version].contains(&this.delta.from)
            }
            None => this.delta.from == 0,
        };
        key_is_its_own && fits
    }

    fn keep(&mut self, link: SignedManifest) {
        let newest = self.newest_of_epoch.entry(link.manifest().epoch).or_insert_with(|| link.clone());
        if link.manifest().version > newest.manifest().version {
            *newest = link;
        }
    }
}
