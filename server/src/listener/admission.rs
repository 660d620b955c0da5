//! Who may connect, how often, and what they may call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use veilmatch_proto::Refused;
use veilmatch_protocol::name::PlatformId;

use crate::tls::PeerIdentity;

/// Knows the peers. Asked when a connection begins, and again while it lasts.
pub trait PeerTable: Send + Sync + 'static {
    /// Lets a peer in whose certificate was verified, if key *and* name stand in the table.
    ///
    /// # Errors
    /// What the peer hears instead.
    fn admit(&self, identity: &PeerIdentity) -> Result<Peer, Refused>;

    /// Whether a peer that was let in may stay.
    ///
    /// # Errors
    /// What the peer hears before its connection is cut.
    fn still_admitted(&self, identity: &PeerIdentity) -> Result<(), Refused> {
        self.admit(identity).map(|_| ())
    }
}

/// A peer that was let in, in the extensions of each of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The platform.
    pub platform: PlatformId,
    /// What it may call.
    pub methods: Methods,
}

/// The methods that a peer may call, by path. Another one is answered as if it did not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods(&'static [&'static str]);

/// What every platform may call. A new method is closed until it is named here.
const PLATFORM: &[&str] = &[
    "/veilmatch.v1.Lists/GetManifest",
    "/veilmatch.v1.Lists/ListManifests",
    "/veilmatch.v1.Lists/WatchVersions",
    "/veilmatch.v1.Lists/FetchArtifact",
    "/veilmatch.v1.Lists/FetchDelta",
    "/veilmatch.v1.Lists/GetCodeBook",
    "/veilmatch.v1.Evaluation/Evaluate",
    "/veilmatch.v1.Evaluation/EvaluateStream",
    "/veilmatch.v1.Logs/GetCheckpoint",
    "/veilmatch.v1.Logs/GetInclusion",
    "/veilmatch.v1.Logs/ListLeaves",
    "/veilmatch.v1.Logs/AddCosignature",
    "/veilmatch.v1.Logs/AddCheckpoint",
    "/veilmatch.v1.Logs/GetCosigned",
    "/veilmatch.v1.Logs/CloseDay",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    // Served only if the configuration says so.
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

impl Methods {
    /// What a platform may call.
    pub const PLATFORM: Self = Self(PLATFORM);

    /// Whether a path is among them.
    #[must_use]
    pub fn allow(self, path: &str) -> bool {
        self.0.contains(&path)
    }
}

/// Counts the connections of each key.
pub(super) struct Keys {
    limit: u32,
    open: Arc<Mutex<HashMap<[u8; 32], u32>>>,
}

impl Keys {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// A place among the key's connections, if there is one.
    pub(super) fn enter(&self, key: [u8; 32]) -> Option<KeyPlace> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(KeyPlace { key, open: Arc::clone(&self.open) })
    }
}

/// A connection's place among those of its key, given back when it is dropped.
pub(super) struct KeyPlace {
    key: [u8; 32],
    open: Arc<Mutex<HashMap<[u8; 32], u32>>>,
}

impl Drop for KeyPlace {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            // Keys without a connection are forgotten: the table holds no more than there are connections.
            _ => drop(open.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_so_many_places_and_gets_them_back() {
        let keys = Keys::new(2);
        let first = keys.enter([1; 32]).unwrap();
        let _second = keys.enter([1; 32]).unwrap();
        assert!(keys.enter([1; 32]).is_none());
        assert!(keys.enter([2; 32]).is_some());
        drop(first);
        assert!(keys.enter([1; 32]).is_some());
        assert_eq!(keys.open.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_method_that_is_not_named_is_closed() {
        assert!(Methods::PLATFORM.allow("/veilmatch.v1.Evaluation/Evaluate"));
        for path in ["/veilmatch.v1.Evaluation/Other", "/veilmatch.v1.Evaluation", "/", "", "/veilmatch.v1.Admin/Stop"]
        {
            assert!(!Methods::PLATFORM.allow(path), "{path}");
        }
    }
}
