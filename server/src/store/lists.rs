//! Lists, their epochs and their versions.

use rusqlite::{OptionalExtension, Row, Transaction};
use veilmatch_protocol::{
    item::Kind,
    name::{Epoch, ListId, Origin, Version},
};

use super::{Edition, Rule, Store, logs, name, signed, unreadable, unsigned};
use crate::Error;

/// A list as it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// Its name.
    pub list: ListId,
    /// Length of every label.
    pub label_bytes: u8,
    /// The kinds that it has, ascending.
    pub kinds: Vec<Kind>,
    /// When it was created.
    pub created: u64,
    /// What decides which claims list an item.
    pub rule: Rule,
}

/// One key's life in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// The list.
    pub list: ListId,
    /// Its number.
    pub epoch: Epoch,
    /// The public key.
    pub public_key: [u8; 32],
    /// When it began.
    pub created: u64,
    /// When it stops being served, once a newer one has begun.
    pub retire_at: Option<u64>,
    /// When its seed was destroyed.
    pub destroyed_at: Option<u64>,
    /// The first dummy that is present.
    pub dummy_low: u64,
    /// The first dummy after the last that is present.
    pub dummy_high: u64,
}

impl EpochRow {
    /// Whether its key still answers at this time.
    #[must_use]
    pub fn is_served(&self, now: u64) -> bool {
        self.destroyed_at.is_none() && self.retire_at.is_none_or(|at| now < at)
    }
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The list.
    pub list: ListId,
    /// Its number.
    pub version: Version,
    /// Under which epoch's key it was made.
    pub epoch: Epoch,
    /// The state of the list that it has.
    pub edition: Edition,
    /// Its entries, dummies apart.
    pub entries: u64,
    /// The signed manifest.
    pub note: Vec<u8>,
    /// Leaf hash of the manifest.
    pub leaf_hash: [u8; 32],
    /// From when it is valid.
    pub not_before: u64,
    /// Until when.
    pub not_after: u64,
    /// Index of its leaf in the manifest log; given by the store when the version is written.
    pub log_index: Option<u64>,
}

impl VersionRow {
    /// Whether half of its validity is gone: time to publish the list again.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        now >= self.not_before + (self.not_after - self.not_before) / 2
    }
}

impl Store {
    /// Creates a list with its first epoch.
    ///
    /// # Errors
    /// [`Error::ListExists`], [`Error::Store`].
    pub fn create_list(&mut self, list: &ListRow, first: &EpochRow) -> Result<(), Error> {
        let kinds: Vec<&str> = list.kinds.iter().map(|kind| kind.name()).collect();
        self.change(|tx| {
            let made = tx.execute(
                "INSERT INTO list (list, label_bytes, kinds, created, min_sources, strongest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO NOTHING",
                (
                    list.list.as_str(),
                    list.label_bytes,
                    kinds.join(","),
                    signed(list.created),
                    list.rule.min_sources,
                    list.rule.strongest,
                ),
            )?;
            if made == 0 {
                return Err(Error::ListExists { list: list.list.to_string() });
            }
            insert_epoch(tx, first)
        })
    }

    /// Every list, by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn lists(&self) -> Result<Vec<ListRow>, Error> {
        let sql = "SELECT list, label_bytes, kinds, created, min_sources, strongest FROM list ORDER BY list";
        let mut rows = self.connection.prepare(sql)?;
        Ok(rows.query_map([], list_row)?.collect::<Result<_, _>>()?)
    }

    /// A list by name.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Store`].
    pub fn list(&self, list: &ListId) -> Result<ListRow, Error> {
        let sql = "SELECT list, label_bytes, kinds, created, min_sources, strongest FROM list WHERE list = ?1";
        let row = self.connection.query_row(sql, [list.as_str()], list_row).optional()?;
        row.ok_or_else(|| Error::UnknownList { list: list.to_string() })
    }

    /// Gives a list another rule. It counts from the next publication on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn set_rule(&mut self, list: &ListId, rule: Rule) -> Result<(), Error> {
        self.change(|tx| {
            let sql = "UPDATE list SET min_sources = ?2, strongest = ?3 WHERE list = ?1";
            tx.execute(sql, (list.as_str(), rule.min_sources, rule.strongest))?;
            Ok(())
        })
    }

    /// The epochs of a list, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn epochs(&self, list: &ListId) -> Result<Vec<EpochRow>, Error> {
        let sql = "SELECT epoch, public_key, created, retire_at, destroyed_at, dummy_low, dummy_high
                   FROM epoch WHERE list = ?1 ORDER BY epoch";
        let mut rows = self.connection.prepare_cached(sql)?;
        let rows = rows.query_map([list.as_str()], |row| epoch_row(list, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The versions of a list after `after`, ascending.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn versions_after(&self, list: &ListId, after: Version) -> Result<Vec<VersionRow>, Error> {
        let sql = "SELECT version, epoch, changes, entries, note, leaf_hash, not_before, not_after,
                          as_of, min_sources, strongest, idx
                   FROM manifest WHERE list = ?1 AND version > ?2 ORDER BY version";
        let mut rows = self.connection.prepare_cached(sql)?;
        let rows = rows.query_map((list.as_str(), after.0), |row| version_row(list, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest version of a list, under any epoch or under one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn newest_version(&self, list: &ListId, epoch: Option<Epoch>) -> Result<Option<VersionRow>, Error> {
        let sql = "SELECT version, epoch, changes, entries, note, leaf_hash, not_before, not_after,
                          as_of, min_sources, strongest, idx
                   FROM manifest WHERE list = ?1 AND (?2 IS NULL OR epoch = ?2) ORDER BY version DESC LIMIT 1";
        let mut rows = self.connection.prepare_cached(sql)?;
        Ok(rows.query_row((list.as_str(), epoch.map(|epoch| epoch.0)), |row| version_row(list, row)).optional()?)
    }

    /// Writes versions and their leaves of the manifest log, all of them in one transaction: with their epochs, which may be
    /// new, retire or have other dummies than before. They are served once the log's checkpoint has them.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing is visible.
    pub fn publish(&mut self, log: &Origin, epochs: &[EpochRow], versions: &[VersionRow]) -> Result<(), Error> {
        self.change(|tx| {
            for epoch in epochs {
                let updated = tx.execute(
                    "UPDATE epoch SET retire_at = ?3, dummy_low = ?4, dummy_high = ?5 WHERE list = ?1 AND epoch = ?2",
                    (
                        epoch.list.as_str(),
                        epoch.epoch.0,
                        epoch.retire_at.map(signed),
                        signed(epoch.dummy_low),
                        signed(epoch.dummy_high),
                    ),
                )?;
                if updated == 0 {
                    insert_epoch(tx, epoch)?;
                }
            }
            versions.iter().try_for_each(|version| {
                insert_version(tx, version)?;
                logs::append_manifest(tx, log, version)
            })
        })
    }

    /// Records that an epoch's seed file was destroyed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn epoch_destroyed(&mut self, list: &ListId, epoch: Epoch, now: u64) -> Result<(), Error> {
        self.change(|tx| {
            tx.execute(
                "UPDATE epoch SET destroyed_at = ?3 WHERE list = ?1 AND epoch = ?2 AND destroyed_at IS NULL",
                (list.as_str(), epoch.0, signed(now)),
            )?;
            Ok(())
        })
    }
}

fn insert_epoch(tx: &Transaction<'_>, epoch: &EpochRow) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO epoch (list, epoch, public_key, created, retire_at, dummy_low, dummy_high)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            epoch.list.as_str(),
            epoch.epoch.0,
            epoch.public_key,
            signed(epoch.created),
            epoch.retire_at.map(signed),
            signed(epoch.dummy_low),
            signed(epoch.dummy_high),
        ),
    )?;
    Ok(())
}

fn insert_version(tx: &Transaction<'_>, version: &VersionRow) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO manifest (list, version, epoch, changes, entries, note, leaf_hash, not_before, not_after, as_of,
                               min_sources, strongest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        (
            version.list.as_str(),
            version.version.0,
            version.epoch.0,
            version.edition.change,
            signed(version.entries),
            &version.note,
            version.leaf_hash,
            signed(version.not_before),
            signed(version.not_after),
            signed(version.edition.at),
            version.edition.rule.min_sources,
            version.edition.rule.strongest,
        ),
    )?;
    Ok(())
}

fn list_row(row: &Row<'_>) -> rusqlite::Result<ListRow> {
    let kinds: String = row.get(2)?;
    let kinds =
        kinds.split(',').map(Kind::from_name).collect::<Result<_, _>>().map_err(|error| unreadable(2, error))?;
    let rule = Rule { min_sources: row.get(4)?, strongest: row.get(5)? };
    Ok(ListRow { list: name(row, 0)?, label_bytes: row.get(1)?, kinds, created: unsigned(row.get(3)?), rule })
}

fn epoch_row(list: &ListId, row: &Row<'_>) -> rusqlite::Result<EpochRow> {
    Ok(EpochRow {
        list: list.clone(),
        epoch: Epoch(row.get(0)?),
        public_key: row.get(1)?,
        created: unsigned(row.get(2)?),
        retire_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
        destroyed_at: row.get::<_, Option<i64>>(4)?.map(unsigned),
        dummy_low: unsigned(row.get(5)?),
        dummy_high: unsigned(row.get(6)?),
    })
}

fn version_row(list: &ListId, row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    Ok(VersionRow {
        list: list.clone(),
        version: Version(row.get(0)?),
        epoch: Epoch(row.get(1)?),
        edition: Edition {
            change: row.get(2)?,
            at: unsigned(row.get(8)?),
            rule: Rule { min_sources: row.get(9)?, strongest: row.get(10)? },
        },
        entries: unsigned(row.get(3)?),
        note: row.get(4)?,
        leaf_hash: row.get(5)?,
        not_before: unsigned(row.get(6)?),
        not_after: unsigned(row.get(7)?),
        log_index: row.get::<_, Option<i64>>(11)?.map(unsigned),
    })
}
