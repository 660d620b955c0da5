//! Verified manifests, and which version is in place.

use rusqlite::{OptionalExtension, params};
use veilmatch_protocol::{
    manifest::SignedManifest,
    name::{Epoch, ListId, Version},
};

use super::{Store, log};
use crate::Error;

impl Store {
    /// Keeps verified manifests: the chain as it was followed.
    pub(crate) fn add_manifests(&self, list: &ListId, manifests: &[SignedManifest]) -> Result<(), Error> {
        self.write(|t| {
            let mut insert =
                t.prepare_cached("INSERT INTO manifest (list, version, epoch, note) VALUES (?1, ?2, ?3, ?4)")?;
            for signed in manifests {
                let manifest = signed.manifest();
                insert.execute(params![list.as_str(), manifest.version, manifest.epoch, signed.note()])?;
            }
            Ok(())
        })
    }

    /// The newest manifest of a list, whatever its epoch.
    pub(crate) fn newest_manifest(&self, list: &ListId) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            let query = "SELECT note FROM manifest WHERE list = ?1 ORDER BY version DESC LIMIT 1";
            c.query_row(query, [list.as_str()], |row| row.get(0)).optional()
        })
    }

    /// The newest manifest of a list's newest epoch: the one to use.
    pub(crate) fn manifest_to_use(&self, list: &ListId) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            let query = "SELECT note FROM manifest WHERE list = ?1 ORDER BY epoch DESC, version DESC LIMIT 1";
            c.query_row(query, [list.as_str()], |row| row.get(0)).optional()
        })
    }

    /// The newest manifest of each epoch of a list: what the next link is checked against.
    pub(crate) fn newest_of_each_epoch(&self, list: &ListId) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|c| {
            // With max(), SQLite takes the other columns from the row that has the maximum.
            let mut query =
                c.prepare_cached("SELECT note, max(version) FROM manifest WHERE list = ?1 GROUP BY epoch")?;
            let rows = query.query_map([list.as_str()], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// The manifest of a version.
    pub(crate) fn manifest(&self, list: &ListId, version: Version) -> Result<Option<Vec<u8>>, Error> {
        self.read(|c| {
            let query = "SELECT note FROM manifest WHERE list = ?1 AND version = ?2";
            c.query_row(query, params![list.as_str(), version.0], |row| row.get(0)).optional()
        })
    }

    /// The manifests of an epoch after a version, ascending, at most `limit`.
    pub(crate) fn manifests_after(
        &self,
        list: &ListId,
        epoch: Epoch,
        version: Version,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT note FROM manifest WHERE list = ?1 AND epoch = ?2 AND version > ?3 ORDER BY version LIMIT ?4",
            )?;
            let rows =
                query.query_map(params![list.as_str(), epoch.0, version.0, super::number(limit)], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// The version whose artifact is in place.
    pub(crate) fn held(&self, list: &ListId) -> Result<Option<Version>, Error> {
        self.read(|c| {
            let query = "SELECT version FROM held WHERE list = ?1";
            c.query_row(query, [list.as_str()], |row| row.get(0).map(Version)).optional()
        })
    }

    /// Names the version whose artifact is in place, and says in the match log of this half-year that it is used. Never
    /// goes back.
    pub(crate) fn set_held(&self, list: &ListId, version: Version, shard: &str, leaf: &[u8]) -> Result<(), Error> {
        self.write(|t| {
            let newer = t.execute(
                "INSERT INTO held (list, version) VALUES (?1, ?2)
                 ON CONFLICT (list) DO UPDATE SET version = excluded.version WHERE excluded.version > held.version",
                params![list.as_str(), version.0],
            )?;
            if newer == 1 {
                let current = log::current(t, shard)?;
                log::append(t, current, leaf)?;
            }
            Ok(())
        })
    }
}
