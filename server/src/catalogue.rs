//! What the server serves at a moment: clients, lists, epochs with their keys, versions. Read from the store when a
//! command has changed it, and never changed in place: a call works on the one that it began with.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ed25519_dalek::VerifyingKey;
use veilmatch_protocol::{
    name::{AgencyName, Epoch, ListId, Origin, Version},
    oprf::SecretKey,
    prepared::PreparedKey,
};

use crate::{
    Error,
    keys::EpochSeeds,
    state_dir::StateDir,
    store::{ClientRow, EpochRow, ListRow, Store, VersionRow},
};

/// A client with its request key decoded.
#[derive(Debug)]
pub struct Client {
    /// Its row.
    pub row: ClientRow,
    /// Verifies its requests.
    pub request_key: PreparedKey,
}

/// An epoch of a served list.
pub struct ServedEpoch {
    /// Its row.
    pub row: EpochRow,
    /// Its key, as long as it is served.
    pub key: Option<Arc<SecretKey>>,
}

/// A list with everything that calls need of it.
pub struct ServedList {
    /// Its row.
    pub row: ListRow,
    /// Its epochs.
    pub epochs: BTreeMap<Epoch, ServedEpoch>,
    /// Its versions: number v at index v − 1.
    versions: Vec<Arc<VersionRow>>,
}

impl ServedList {
    /// The newest version.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<VersionRow>> {
        self.versions.last()
    }

    /// A version by number.
    #[must_use]
    pub fn version(&self, version: Version) -> Option<&Arc<VersionRow>> {
        self.versions.get(usize::try_from(version.0).ok()?.checked_sub(1)?)
    }

    /// The versions after a number, ascending.
    #[must_use]
    pub fn versions_after(&self, after: Version) -> &[Arc<VersionRow>] {
        let from = usize::try_from(after.0).unwrap_or(usize::MAX).min(self.versions.len());
        &self.versions[from..]
    }
}

/// What is served at a moment.
pub struct Catalogue {
    revision: i64,
    by_key: HashMap<[u8; 32], Arc<Client>>,
    auditors: HashSet<[u8; 32]>,
    lists: HashMap<ListId, Arc<ServedList>>,
}

impl Catalogue {
    /// Reads the store and the keys of the epochs that are served at this time. What `previous` has already is taken from
    /// there. The key of an epoch whose time is over is not looked at: its destruction may have been interrupted.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::Damaged`] if a key does not fit its epoch.
    pub fn load(store: &Store, dir: &StateDir, previous: Option<&Self>, now: u64) -> Result<Self, Error> {
        // Read first: a change that comes in between is then read again.
        let revision = store.revision()?;
        let mut by_key = HashMap::new();
        for row in store.clients()? {
            let known = previous.and_then(|previous| previous.by_key.get(&row.spki_sha256));
            if let Some(client) = known.filter(|client| client.row == row) {
                by_key.insert(row.spki_sha256, Arc::clone(client));
                continue;
            }
            let request_key = VerifyingKey::from_bytes(&row.request_key).map_err(|_| Error::Damaged {
                what: format!("client {}", row.platform),
                why: "its request key is no key".into(),
            })?;
            by_key.insert(row.spki_sha256, Arc::new(Client { row, request_key: PreparedKey::new(request_key) }));
        }
        // A version whose leaf no published checkpoint has is not there yet.
        let logged = match store.agency()?.map(|agency| AgencyName::parse(&agency)) {
            Some(Ok(agency)) => store.published_size(Origin::of(&agency).as_str())?,
            _ => 0,
        };
        let mut lists = HashMap::new();
        for row in store.lists()? {
            let known = previous.and_then(|previous| previous.lists.get(&row.list));
            lists.insert(row.list.clone(), Arc::new(load_list(store, dir, row, known, now, logged)?));
        }
        let admitted = store.auditors()?.into_iter().filter(|row| row.suspended_at.is_none());
        let auditors = admitted.map(|row| row.spki_sha256).collect();
        Ok(Self { revision, by_key, auditors, lists })
    }

    /// The store's revision that this was read at, or an older one.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The client with this TLS key.
    #[must_use]
    pub fn client(&self, spki_sha256: &[u8; 32]) -> Option<&Arc<Client>> {
        self.by_key.get(spki_sha256)
    }

    /// Whether this is the TLS key of an auditor who is not suspended.
    #[must_use]
    pub fn is_auditor(&self, spki_sha256: &[u8; 32]) -> bool {
        self.auditors.contains(spki_sha256)
    }

    /// A list by name.
    #[must_use]
    pub fn list(&self, list: &ListId) -> Option<&Arc<ServedList>> {
        self.lists.get(list)
    }

    /// Every list.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<ServedList>> {
        self.lists.values()
    }
}

fn load_list(
    store: &Store,
    dir: &StateDir,
    row: ListRow,
    known: Option<&Arc<ServedList>>,
    now: u64,
    logged: u64,
) -> Result<ServedList, Error> {
    let mut versions = known.map(|known| known.versions.clone()).unwrap_or_default();
    let after = versions.last().map_or(Version(0), |newest| newest.version);
    for version in store.versions_after(&row.list, after)? {
        if version.log_index.is_none_or(|index| index >= logged) {
            break;
        }
        if usize::try_from(version.version.0).ok() != Some(versions.len() + 1) {
            let why = format!("version {} does not follow {}", version.version.0, versions.len());
            return Err(Error::Damaged { what: format!("list {}", row.list), why });
        }
        versions.push(Arc::new(version));
    }
    let mut epochs = BTreeMap::new();
    for epoch in store.epochs(&row.list)? {
        let known = known.and_then(|known| known.epochs.get(&epoch.epoch)).and_then(|known| known.key.clone());
        let key = match known {
            _ if !epoch.is_served(now) => None,
            Some(key) => Some(key),
            None => Some(Arc::new(load_key(dir, &epoch)?)),
        };
        epochs.insert(epoch.epoch, ServedEpoch { row: epoch, key });
    }
    Ok(ServedList { row, epochs, versions })
}

/// Reads an epoch's key and checks it against the public key that was recorded with it.
///
/// # Errors
/// [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::Damaged`].
pub fn load_key(dir: &StateDir, epoch: &EpochRow) -> Result<SecretKey, Error> {
    let path = dir.epoch_seed(&epoch.list, epoch.epoch);
    let key = EpochSeeds::read(&path)?.secret_key(&epoch.list, epoch.epoch)?;
    if *key.public().as_bytes() == epoch.public_key {
        Ok(key)
    } else {
        let why = "its key is not the one that was recorded".into();
        Err(Error::Damaged { what: format!("key file {}", path.display()), why })
    }
}
