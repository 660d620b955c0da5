//! Publication: what changed in the entries becomes new versions, one for each served epoch, visible in one transaction.
//!
//! Everything is written under temporary names, flushed and renamed before the transaction. Killed at any instant, a
//! publication has happened or it has not: files without a row in the store are overwritten by the next one.

mod build;
mod codes;
mod files;
mod resume;
mod sorting;

use std::{fmt, path::Path};

use ed25519_dalek::SigningKey;
use veilmatch_audit::canary::Commitments;
use veilmatch_protocol::{
    artifact::padded_count,
    codebook::CodeBook,
    frame::FrameSize,
    manifest::{Hash, Manifest, Publication, Quota, SignedManifest, Timestamp, no_canaries},
    name::{Epoch, ListId, Origin, Version},
    note::Verifier,
    oprf::PublicKey,
};

pub use build::Stage;

use build::{Base, Build, Built};

use crate::{
    Error,
    admin::opened_canaries,
    clock::DAY,
    config::Config,
    import,
    keys::{EpochSeeds, read_signing_key},
    logs::keeper::publish_manifests,
    state_dir::{StateDir, create_private_dir},
    store::{Edition, Entries, EpochRow, ListRow, Store, VersionRow},
};

/// Version text in manifests.
pub const SOFTWARE: &str = concat!("veilmatch-server ", env!("CARGO_PKG_VERSION"));

/// Hears how far a publication is.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// How far a publication is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The epoch that is being worked on.
    pub epoch: Epoch,
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// A version that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub version: Version,
    /// Its epoch.
    pub epoch: Epoch,
    /// Entries, dummies apart.
    pub entries: u64,
    /// Records, dummies included.
    pub records: u64,
    /// Length of the artifact.
    pub artifact_bytes: u64,
    /// Removed tags, added records and length of the delta, if there is one.
    pub delta: Option<(u64, u64, u64)>,
    /// Until when it is valid.
    pub not_after: u64,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, epoch, entries, records, artifact_bytes, delta, .. } = self;
        write!(
            f,
            "version {} (epoch {}): {entries} entries in {records} records, {artifact_bytes} bytes",
            version.0, epoch.0
        )?;
        match delta {
            Some((removed, added, bytes)) => {
                write!(f, "; delta removes {removed} and adds {added} records, {bytes} bytes")
            }
            None => write!(f, "; no delta"),
        }
    }
}

/// Why a list is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The operator asked. Without a change nothing is published, unless half of the validity is gone.
    Asked,
    /// The operator insists: without a change the same list is published again.
    Forced,
    /// Half of the validity is gone. The entries are not looked at: publishing them is the operator's decision.
    Renewal,
    /// A new epoch begins.
    Rotation,
}

/// What a publication needs.
pub struct Publisher<'a> {
    dir: &'a StateDir,
    config: &'a Config,
    store: &'a mut Store,
    key: SigningKey,
    progress: OnProgress<'a>,
    put_down_every: u64,
}

/// Entries after which what is evaluated is put down: seconds of work. Fewer than a run in memory holds.
const PUT_DOWN_EVERY: u64 = 500_000;

impl<'a> Publisher<'a> {
    /// Reads the manifest log's key. The caller holds the lock of changes.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::Io`].
    pub fn new(
        dir: &'a StateDir,
        config: &'a Config,
        store: &'a mut Store,
        progress: OnProgress<'a>,
    ) -> Result<Self, Error> {
        let key = read_signing_key(&dir.manifest_key())?;
        Ok(Self { dir, config, store, key, progress, put_down_every: PUT_DOWN_EVERY })
    }

    /// Publishes a list if there is an occasion. Gives the versions in order, or none if there was nothing to publish.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::EpochsOverlap`] for a rotation that comes too early, [`Error::Io`],
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn publish(&mut self, list: &ListId, occasion: Occasion, now: u64) -> Result<Vec<Published>, Error> {
        let row = self.store.list(list)?;
        self.check_frame_sizes(&row)?;
        // What an earlier publication left undone comes first: no version is built upon one that nobody can see.
        self.publish_log(now)?;
        let folder = self.dir.list(list);
        create_private_dir(&folder)?;
        files::remove_leftovers(&folder)?;
        import::forget_old(self.dir, now)?;

        let mut epochs: Vec<EpochRow> =
            self.store.epochs(list)?.into_iter().filter(|epoch| epoch.is_served(now)).collect();
        let newest = self.store.newest_version(list, None)?;
        if occasion == Occasion::Rotation {
            self.begin_epoch(list, &mut epochs, now)?;
        }
        let wanted = match occasion {
            Occasion::Renewal => None,
            _ => Some(self.wanted(&row, &epochs, newest.as_ref(), now)?),
        };
        let current = newest.as_ref().filter(|newest| !newest.is_due(now));
        let nothing_to_do = match (occasion, current, &wanted) {
            (Occasion::Asked, Some(newest), Some(wanted)) => !self.has_changed(list, newest, wanted)?,
            (Occasion::Renewal, Some(_), _) => true,
            _ => false,
        };
        if nothing_to_do {
            return Ok(Vec::new());
        }

        let mut batch = Batch { newest, versions: Vec::new(), epochs: Vec::new(), published: Vec::new() };
        for epoch in epochs {
            let work = Work { row: &row, wanted: wanted.as_ref(), now };
            self.publish_epoch(epoch, &work, &mut batch)?;
        }
        if batch.versions.is_empty() {
            return Err(Error::NothingPublished { list: list.to_string() });
        }
        self.store.publish(&Origin::of(&self.config.agency()), &batch.epochs, &batch.versions)?;
        self.publish_log(now)?;
        batch.versions.iter().try_for_each(|version| resume::forget(&folder, version.epoch))?;
        self.prune(list, now)?;
        Ok(batch.published)
    }

    fn publish_log(&mut self, now: u64) -> Result<(), Error> {
        publish_manifests(self.dir, &self.config.agency(), self.store, &self.key, now).map(drop)
    }

    // The list as it is now, or as a publication that was killed was to have it.
    fn wanted(
        &self,
        row: &ListRow,
        epochs: &[EpochRow],
        newest: Option<&VersionRow>,
        now: u64,
    ) -> Result<Wanted, Error> {
        let entries = Entries::open(&self.dir.entries_database())?;
        // A clock that was set back must not bring back what has begun or ended since.
        let at = newest.map_or(now, |newest| now.max(newest.edition.at));
        let current = entries.current(&row.list, row.rule, at)?;
        let mut began = None;
        for epoch in epochs {
            let base = self.store.newest_version(&row.list, Some(epoch.epoch))?.map_or(0, |base| base.version.0);
            began = began.or_else(|| resume::began_at(&self.dir.list(&row.list), epoch.epoch, &current, base));
        }
        let codes = codes::code_book(&self.config.agency(), row, &entries)?;
        Ok(Wanted { entries, edition: Edition { at: began.unwrap_or(at), ..current }, codes })
    }

    fn has_changed(&self, list: &ListId, newest: &VersionRow, wanted: &Wanted) -> Result<bool, Error> {
        let same_codes = self.open(newest)?.manifest().categories == wanted.codes.as_ref().map(CodeBook::digest);
        Ok(!same_codes || wanted.entries.differ(list, &newest.edition, &wanted.edition)?)
    }

    // The list was created when this held; the configuration may have changed since.
    fn check_frame_sizes(&self, row: &ListRow) -> Result<(), Error> {
        let largest = self.config.publication.frame_sizes.last().copied().unwrap_or(0);
        if usize::try_from(largest).is_ok_and(|largest| largest >= row.kinds.len()) {
            return Ok(());
        }
        let (list, kinds) = (&row.list, row.kinds.len());
        let why = format!(
            "publication.frame_sizes: a file is asked with its {kinds} kinds of list {list} in one frame, and the largest \
             has {largest} places"
        );
        Err(Error::Config { path: self.dir.config(), why })
    }

    // The old epoch gets its end, the new one its seeds. Both are recorded with the new versions.
    fn begin_epoch(&self, list: &ListId, epochs: &mut Vec<EpochRow>, now: u64) -> Result<(), Error> {
        let [old] = epochs.as_mut_slice() else { return Err(Error::EpochsOverlap { list: list.to_string() }) };
        if self.store.newest_version(list, Some(old.epoch))?.is_none() {
            return Err(Error::NothingPublished { list: list.to_string() });
        }
        old.retire_at = Some(now + u64::from(self.config.publication.overlap_hours) * 3_600);
        let next = Epoch(old.epoch.0 + 1);
        epochs.push(new_epoch(self.dir, list, next, now)?);
        Ok(())
    }

    fn publish_epoch(&self, epoch: EpochRow, work: &Work<'_>, batch: &mut Batch) -> Result<(), Error> {
        let list = &work.row.list;
        let validity = u64::from(self.config.publication.validity_hours) * 3_600;
        let not_after = (work.now + validity).min(epoch.retire_at.unwrap_or(u64::MAX));
        if not_after <= work.now {
            // Without an overlap there is nothing more to publish for the old epoch. That its time is over is recorded
            // all the same: until then its key answers.
            batch.epochs.push(epoch);
            return Ok(());
        }
        let version = next_version(batch.newest.as_ref());
        let base = match self.store.newest_version(list, Some(epoch.epoch))? {
            Some(base) => Some(self.base(base)?),
            None => None,
        };
        // Labels that were written without a code book mean something else: none of them stays.
        let codes = work.wanted.and_then(|wanted| wanted.codes.as_ref());
        let base = base.filter(|base| codes.is_none() || base.categories.is_some());
        let seeds = EpochSeeds::read(&self.dir.epoch_seed(list, epoch.epoch))?;
        let key = seeds.secret_key(list, epoch.epoch)?;
        let build = Build {
            dir: self.dir,
            list: work.row,
            epoch: epoch.epoch,
            version,
            key: &key,
            dummy_seed: seeds.dummies(),
            dummies: if base.is_some() { epoch.dummy_low } else { epoch.dummy_high }..epoch.dummy_high,
            base: base.as_ref(),
            progress: self.progress,
            put_down_every: self.put_down_every,
        };
        // What a version of this epoch has already, if there is one.
        let had = base.as_ref().map_or(Edition::EMPTY, |base| base.edition);
        // The same list commits to the same canaries.
        let same_canaries = base.as_ref().map_or_else(no_canaries, |base| base.canary_root);
        let (built, edition, canary_root) = match work.wanted {
            Some(Wanted { entries, edition, .. }) if entries.differ(list, &had, edition)? => {
                let canaries = opened_canaries(&key, list, epoch.epoch, &entries.canaries(list, edition)?)?;
                (build.with_changes(entries, edition)?, *edition, Commitments::new(&canaries).root())
            }
            Some(Wanted { edition, .. }) => (build.again()?, *edition, same_canaries),
            None => (build.again()?, had, same_canaries),
        };
        debug_assert_eq!(built.artifact.count, padded_count(built.entries));
        let categories = match (codes, &base) {
            (Some(book), _) => Some(codes::write(self.dir, work.row, version, book)?),
            (None, Some(base)) if base.categories.is_some() => {
                codes::link(self.dir, work.row, base.version, version)?;
                base.categories
            }
            (None, _) => None,
        };
        let content = Content { built: &built, categories, canary_root };
        let signed = self.sign(&epoch, work, batch.newest.as_ref(), not_after, content)?;
        let row = VersionRow {
            list: list.clone(),
            version,
            epoch: epoch.epoch,
            edition,
            entries: built.entries,
            note: signed.note().to_vec(),
            leaf_hash: signed.view().root,
            not_before: work.now,
            not_after,
            log_index: None,
        };
        batch.published.push(Published {
            version,
            epoch: epoch.epoch,
            entries: built.entries,
            records: built.artifact.count,
            artifact_bytes: built.artifact.bytes,
            delta: (built.delta.from > 0).then_some((built.delta.removed, built.delta.added, built.delta.bytes)),
            not_after,
        });
        batch.epochs.push(EpochRow { dummy_low: built.dummies.start, dummy_high: built.dummies.end, ..epoch });
        batch.newest = Some(row.clone());
        batch.versions.push(row);
        Ok(())
    }

    fn base(&self, row: VersionRow) -> Result<Base, Error> {
        let signed = self.open(&row)?;
        let manifest = signed.manifest();
        let (artifact, categories, canary_root) =
            (manifest.artifact.clone(), manifest.categories, manifest.canary_root);
        Ok(Base { artifact, categories, canary_root, version: row.version, entries: row.entries, edition: row.edition })
    }

    fn open(&self, row: &VersionRow) -> Result<SignedManifest, Error> {
        open_manifest(self.config, &self.key, row)
    }

    fn sign(
        &self,
        epoch: &EpochRow,
        work: &Work<'_>,
        newest: Option<&VersionRow>,
        not_after: u64,
        Content { built, categories, canary_root }: Content<'_>,
    ) -> Result<SignedManifest, Error> {
        let previous = newest.map(|newest| self.open(newest)).transpose()?;
        let sizes = self.config.publication.frame_sizes.iter();
        let mut manifest = Manifest::from(Publication {
            agency: self.config.agency(),
            list: work.row.list.clone(),
            epoch: epoch.epoch,
            version: next_version(newest),
            prev: previous.as_ref().map(SignedManifest::digest),
            not_before: Timestamp::from_unix(work.now),
            not_after: Timestamp::from_unix(not_after),
            oprf_key: PublicKey::from_bytes(&epoch.public_key)?,
            artifact: built.artifact.clone(),
            delta: built.delta.clone(),
            kinds: work.row.kinds.clone(),
            categories,
            frame_sizes: sizes.filter_map(|&size| FrameSize::try_from(usize::try_from(size).ok()?).ok()).collect(),
            quota: Quota { elements: self.config.budget.elements_per_day, frames: self.config.budget.frames_per_day },
            canary_root,
            software: SOFTWARE.to_owned(),
        });
        let policy = &self.config.log.policy;
        if !policy.as_os_str().is_empty() {
            manifest.policy = Some(sha256_of(&self.dir.resolve(policy))?);
        }
        let signed = SignedManifest::sign(manifest, &self.key)?;
        // A link that clients would refuse is never written.
        signed.follows(previous.as_ref())?;
        Ok(signed)
    }

    // Deletes what is no longer offered: artifacts but the newest, and deltas that are old or that nobody would fetch. A
    // platform that lacks one fetches the artifact.
    fn prune(&self, list: &ListId, now: u64) -> Result<(), Error> {
        let versions = self.store.versions_after(list, Version(0))?;
        for epoch in self.store.epochs(list)? {
            self.prune_epoch(list, now, versions.iter().rev().filter(|row| row.epoch == epoch.epoch))?;
        }
        Ok(())
    }

    // Newest first. Whoever lacks deltas that are longer together than the artifact fetches that (SPEC §7.6), and so does
    // whoever lacks one that is not there: what is before it leads nowhere.
    fn prune_epoch<'v>(
        &self,
        list: &ListId,
        now: u64,
        versions: impl Iterator<Item = &'v VersionRow>,
    ) -> Result<(), Error> {
        let oldest = now.saturating_sub(u64::from(self.config.publication.delta_days) * DAY);
        let kept = usize::try_from(self.config.publication.kept_artifacts).unwrap_or(usize::MAX);
        let mut room = None;
        for (age, row) in versions.enumerate() {
            let delta = self.dir.delta(list, row.version);
            let left = match room {
                None => files::length(&self.dir.artifact(list, row.version))?.unwrap_or(0),
                Some(left) => left,
            };
            let length = files::length(&delta)?.filter(|_| age < kept || row.not_before >= oldest);
            let rest = length.and_then(|length| left.checked_sub(length));
            if rest.is_none() {
                files::remove(&delta)?;
            }
            room = Some(rest.unwrap_or(0));
            if age >= kept {
                files::remove(&self.dir.artifact(list, row.version))?;
                files::remove(&self.dir.code_book(list, row.version))?;
            }
        }
        Ok(())
    }
}

/// Makes the seeds of an epoch, and the row that records it.
///
/// # Errors
/// [`Error::Io`].
pub fn new_epoch(dir: &StateDir, list: &ListId, epoch: Epoch, now: u64) -> Result<EpochRow, Error> {
    let key = EpochSeeds::create(&dir.epoch_seed(list, epoch))?.secret_key(list, epoch)?;
    Ok(EpochRow {
        list: list.clone(),
        epoch,
        public_key: *key.public().as_bytes(),
        created: now,
        retire_at: None,
        destroyed_at: None,
        dummy_low: 0,
        dummy_high: 0,
    })
}

/// Opens a manifest of ours, verifying our own signature: a store that was tampered with is not built upon.
///
/// # Errors
/// [`Error::Damaged`].
pub fn open_manifest(config: &Config, key: &SigningKey, row: &VersionRow) -> Result<SignedManifest, Error> {
    let verifier = Verifier::new(Origin::of(&config.agency()).as_str(), key.verifying_key())?;
    SignedManifest::verify(&row.note, &verifier).map_err(|error| Error::Damaged {
        what: format!("version {} of list {}", row.version.0, row.list),
        why: error.to_string(),
    })
}

/// Deletes everything that belongs to an epoch but its rows: seeds first, then its files. Its row says so last: killed
/// in between, the epoch is still one whose time is over and whose key was not destroyed, and whoever destroys it again
/// finds less to do.
///
/// # Errors
/// [`Error::Io`], [`Error::Store`].
pub fn destroy_epoch(dir: &StateDir, store: &mut Store, epoch: &EpochRow, now: u64) -> Result<(), Error> {
    crate::state_dir::destroy_secret(&dir.epoch_seed(&epoch.list, epoch.epoch))?;
    for version in store.versions_after(&epoch.list, Version(0))? {
        if version.epoch == epoch.epoch {
            files::remove(&dir.artifact(&epoch.list, version.version))?;
            files::remove(&dir.delta(&epoch.list, version.version))?;
            files::remove(&dir.code_book(&epoch.list, version.version))?;
        }
    }
    let folder = dir.list(&epoch.list);
    resume::forget(&folder, epoch.epoch)?;
    if folder.is_dir() {
        crate::state_dir::sync_dir(&folder)?;
    }
    store.epoch_destroyed(&epoch.list, epoch.epoch, now)
}

/// SHA-256 of a file.
///
/// # Errors
/// [`Error::Io`].
pub fn sha256_of(path: &Path) -> Result<Hash, Error> {
    files::sha256_of(path).map(Hash)
}

fn next_version(newest: Option<&VersionRow>) -> Version {
    Version(newest.map_or(0, |newest| newest.version.0) + 1)
}

// What every epoch of one publication has in common.
struct Work<'a> {
    row: &'a ListRow,
    // None: as the last version of each epoch has it.
    wanted: Option<&'a Wanted>,
    now: u64,
}

// What a version has, as its manifest names it.
struct Content<'a> {
    built: &'a Built,
    categories: Option<Hash>,
    canary_root: Hash,
}

// The list as it is to be published.
struct Wanted {
    entries: Entries,
    edition: Edition,
    codes: Option<CodeBook>,
}

// The versions of one publication as they grow.
struct Batch {
    newest: Option<VersionRow>,
    versions: Vec<VersionRow>,
    epochs: Vec<EpochRow>,
    published: Vec<Published>,
}

#[cfg(test)]
mod tests;
