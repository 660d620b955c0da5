//! Keeps a list current: follows the chain of manifests, then applies deltas or downloads the artifact (SPEC §8.4, §7.6).

mod code_book;

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tonic::{Status, Streaming, transport::Channel};
use veilmatch_proto::{
    chunk, manifest_notes,
    pb::{self, lists_client::ListsClient},
};
use veilmatch_protocol::{
    Error as ProtocolError,
    codebook::CodeBook,
    delta::{self, Delta},
    frame::View,
    manifest::{Chain, Hash, Manifest, SignedManifest},
    name::{Epoch, ListId, Version},
    note::Verifier,
};

use crate::{
    Error,
    connection::Connection,
    evidence::{self, About},
    held::Held,
    matchlog::MatchLog,
    state_dir::{StateDir, create_private_dir, rename_synced},
    store::Store,
    watch::Watch,
};

/// Manifests that wait in memory while their deltas are applied.
const DELTAS_AT_A_TIME: usize = 64;

/// How far a synchronisation has come.
#[derive(Debug, Clone, Copy)]
pub struct SyncProgress {
    /// Bytes of the file that is being fetched.
    pub done: u64,
    /// Length of that file.
    pub total: u64,
}

/// What a synchronisation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The list.
    pub list: ListId,
    /// The version held before, if any.
    pub before: Option<u32>,
    /// The version held now.
    pub version: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Bytes fetched. If some were and the version is the one held before, what was on the disk was damaged.
    pub fetched: u64,
    /// Whether deltas sufficed.
    pub by_delta: bool,
}

/// One list's synchronisation.
pub(crate) struct Sync<'a> {
    pub(crate) dir: &'a StateDir,
    pub(crate) store: &'a Store,
    pub(crate) connection: &'a Connection,
    pub(crate) verifier: &'a Verifier,
    pub(crate) watch: &'a Watch,
    pub(crate) log: &'a MatchLog,
    pub(crate) list: &'a ListId,
    /// What is in use now.
    pub(crate) held: Option<Arc<Held>>,
    pub(crate) progress: &'a (dyn Fn(SyncProgress) + Send + std::marker::Sync),
}

impl Sync<'_> {
    /// The version in place, if there is one that can be used: what a start without the network begins with. A file that is
    /// gone or damaged is for [`Self::run`] to mend.
    pub(crate) fn open_held(&self) -> Result<Option<Held>, Error> {
        let Some(version) = self.store.held(self.list)? else { return Ok(None) };
        let Some(held) = self.stored(version)? else { return Ok(None) };
        let book = self.kept_code_book(held.manifest());
        self.or_damaged(version, Held::open(self.dir, held, book))
    }

    /// Follows the chain to its end and puts the newest epoch's newest version in place, once its manifest is proven to be in
    /// the manifest log (SPEC §17.6). What was held stays in place until the new one is verified.
    pub(crate) async fn run(&self) -> Result<(Held, SyncReport), Error> {
        self.follow_chain().await?;
        let before = self.store.held(self.list)?;
        let target = self.store.manifest_to_use(self.list)?.map(|note| self.verify(&note)).transpose()?;
        let target = target.ok_or_else(|| Error::NothingPublished { list: self.list.to_string() })?;
        let view = self.watch.prove(self.connection, target.leaf()).await?.view();
        let version = Version(target.manifest().version);
        let mut report = SyncReport {
            list: self.list.clone(),
            before: before.map(|version| version.0),
            version: version.0,
            epoch: target.manifest().epoch,
            fetched: 0,
            by_delta: false,
        };
        create_private_dir(&self.dir.list(self.list))?;
        let book = self.code_book(&target, &mut report.fetched).await?;
        let whole = || self.or_damaged(version, self.whole(&target, book.clone()));
        let whole = if before == Some(version) { whole()? } else { None };
        let held = match whole {
            Some(held) => held,
            None => self.bring(before, &target, view, book, &mut report).await?,
        };
        self.remove_older(target.manifest());
        self.watch.watch_queries(self.connection).await.or_else(unless_doubted)?;
        Ok((held, report))
    }

    /// Fetches a version, by deltas if there is a way.
    async fn bring(
        &self,
        before: Option<Version>,
        target: &SignedManifest,
        view: View,
        book: Option<Arc<CodeBook>>,
        report: &mut SyncReport,
    ) -> Result<Held, Error> {
        let version = Version(target.manifest().version);
        let applied = match before {
            Some(before) if before != version => self.apply_deltas(before, target, &mut report.fetched).await,
            _ => Ok(false),
        };
        report.by_delta = match applied {
            Ok(applied) => applied,
            // Whatever is wrong with a delta, the artifact decides; only the environment's errors end it here.
            Err(
                error @ (Error::Io { .. }
                | Error::Database { .. }
                | Error::Unreachable { .. }
                | Error::Certificate { .. }),
            ) => return Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(list = %self.list, version = version.0, error, "delta refused; fetching the artifact");
                false
            }
        };
        let held = if report.by_delta {
            Held::open(self.dir, target.clone(), book)?
        } else {
            report.fetched += target.manifest().artifact.bytes;
            self.fetch_artifact(target, book).await?
        };
        self.log.adopted(self.list, target, view)?;
        Ok(held)
    }

    /// The version in place, every shard of it as it was signed. Those that were found good since the file was opened are
    /// not read again, so that asking every minute whether there is anything new costs nothing.
    fn whole(&self, target: &SignedManifest, book: Option<Arc<CodeBook>>) -> Result<Held, Error> {
        let manifest = target.manifest();
        let path = self.dir.artifact(self.list, Version(manifest.version));
        // A mapping outlives the name of its file, and what was cut off must not be touched.
        let bytes = path.metadata().map_err(Error::io("read", &path))?.len();
        let mapped = self.held.as_ref().filter(|held| held.manifest() == manifest && bytes == manifest.artifact.bytes);
        let held = match mapped {
            Some(held) => held.with_book(book),
            None => Held::open(self.dir, target.clone(), book)?,
        };
        held.artifact().verify_rest().map_err(|error| self.untrusted(error))?;
        Ok(held)
    }

    /// Nothing, where what is in place is damaged or gone: then it is fetched anew. What else keeps it from being read, such
    /// as its mode, a download would not mend.
    fn or_damaged(&self, version: Version, opened: Result<Held, Error>) -> Result<Option<Held>, Error> {
        match opened {
            Ok(held) => Ok(Some(held)),
            Err(error) if is_damage(&error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(list = %self.list, version = version.0, error, "the list on the disk is damaged");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn verify(&self, note: &[u8]) -> Result<SignedManifest, Error> {
        SignedManifest::verify(note, self.verifier).map_err(|error| self.untrusted(error))
    }

    /// The manifest of a version, as it was kept.
    fn stored(&self, version: Version) -> Result<Option<SignedManifest>, Error> {
        self.store.manifest(self.list, version)?.map(|note| self.verify(&note)).transpose()
    }

    async fn follow_chain(&self) -> Result<(), Error> {
        let of_each_epoch = self.store.newest_of_each_epoch(self.list)?;
        let of_each_epoch: Vec<_> = of_each_epoch.iter().map(|note| self.verify(note)).collect::<Result<_, _>>()?;
        let mut chain = Chain::resume(self.list.clone(), of_each_epoch);
        loop {
            let after_version = chain.newest().map_or(0, |last| last.manifest().version);
            let request = pb::ListManifestsRequest { list_id: self.list.to_string(), after_version };
            let ask = |mut lists: ListsClient<Channel>| {
                let request = request.clone();
                async move { lists.list_manifests(request).await }
            };
            let notes = manifest_notes(self.connection.read(ask).await?);
            let notes = notes.map_err(|_| Error::BadAnswer { what: "its manifests are too many or too long" })?;
            let full = notes.len() == veilmatch_proto::MAX_LISTED_MANIFESTS;
            let mut links = Vec::with_capacity(notes.len());
            for note in notes {
                let link = SignedManifest::verify(&note, self.verifier)
                    .and_then(|link| chain.extend(link.clone()).map(|()| link))
                    .map_err(|error| self.keep_evidence(&note, error))?;
                links.push(link);
            }
            self.store.add_manifests(self.list, &links)?;
            if !full {
                break;
            }
        }
        self.check_not_behind(chain.newest()).await
    }

    /// A server whose newest manifest is older than ours, or another one, has gone back: keep ours, keep the evidence.
    async fn check_not_behind(&self, last: Option<&SignedManifest>) -> Result<(), Error> {
        let Some(last) = last else { return Ok(()) };
        let request = pb::GetManifestRequest { list_id: self.list.to_string(), version: 0 };
        let ask = |mut lists: ListsClient<Channel>| {
            let request = request.clone();
            async move { lists.get_manifest(request).await }
        };
        let note = veilmatch_proto::manifest_note(self.connection.read(ask).await?)
            .map_err(|_| Error::BadAnswer { what: "its manifest is too long" })?;
        let newest = SignedManifest::verify(&note, self.verifier).map_err(|error| self.keep_evidence(&note, error))?;
        let (theirs, ours) = (newest.manifest().version, last.manifest().version);
        // One published in between is newer: the next synchronisation takes it.
        if theirs > ours || newest.digest() == last.digest() {
            return Ok(());
        }
        let error = if theirs < ours { ProtocolError::StaleManifest } else { ProtocolError::BrokenChain };
        Err(self.keep_evidence(&note, error))
    }

    /// Goes from the version in place to the epoch's newest by deltas; `false` if there is no way that is shorter than the
    /// artifact.
    async fn apply_deltas(&self, before: Version, target: &SignedManifest, fetched: &mut u64) -> Result<bool, Error> {
        let Some(mut at) = self.stored(before)? else { return Ok(false) };
        // What labels mean does not matter on the way: the target has its code book already.
        if self.or_damaged(before, Held::open(self.dir, at.clone(), None))?.is_none()
            || !self.deltas_are_shorter(&at, target)?
        {
            return Ok(false);
        }
        while at.manifest().version != target.manifest().version {
            for next in self.links_after(&at)? {
                let stepped = self.step(&at, &next, fetched).await;
                // Of the versions in between only the last is needed, and none if there is no further step.
                if at.manifest().version != before.0 {
                    remove(&self.dir.artifact(self.list, Version(at.manifest().version)))?;
                }
                stepped?;
                at = next;
            }
        }
        Ok(true)
    }

    async fn step(&self, at: &SignedManifest, next: &SignedManifest, fetched: &mut u64) -> Result<(), Error> {
        let path = self.fetch(next, File::Delta).await?;
        *fetched += next.manifest().delta.bytes;
        let applied = self.apply(at, next, &path);
        remove(&path)?;
        applied
    }

    /// Whether every version from one to the other has a delta, and all of them together are shorter than the artifact.
    fn deltas_are_shorter(&self, from: &SignedManifest, target: &SignedManifest) -> Result<bool, Error> {
        let (mut at, mut bytes) = (from.clone(), 0_u64);
        while at.manifest().version < target.manifest().version {
            let links = self.links_after(&at)?;
            if links.is_empty() {
                return Ok(false);
            }
            for next in links {
                bytes = bytes.saturating_add(next.manifest().delta.bytes);
                if next.manifest().delta.from != at.manifest().version || bytes > target.manifest().artifact.bytes {
                    return Ok(false);
                }
                at = next;
            }
        }
        Ok(at.manifest().version == target.manifest().version)
    }

    /// The next manifests of the same epoch.
    fn links_after(&self, at: &SignedManifest) -> Result<Vec<SignedManifest>, Error> {
        let (epoch, version) = (Epoch(at.manifest().epoch), Version(at.manifest().version));
        let notes = self.store.manifests_after(self.list, epoch, version, DELTAS_AT_A_TIME)?;
        notes.iter().map(|note| self.verify(note)).collect()
    }

    fn apply(&self, at: &SignedManifest, next: &SignedManifest, delta: &Path) -> Result<(), Error> {
        let (manifest, epoch) = (next.manifest(), Epoch(next.manifest().epoch));
        let old = Held::open(self.dir, at.clone(), None)?;
        let bytes = mmap_guard::map_file(delta).map_err(Error::io("map", delta))?;
        let delta = Delta::open(bytes, manifest).map_err(|error| self.untrusted(error))?;
        let target = self.dir.artifact(self.list, Version(manifest.version));
        let temporary = target.with_extension("part");
        let write = |error: std::io::Error| match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(&inner) => self.untrusted(inner),
            None => Error::io("write", &temporary)(error),
        };
        let written = create(&temporary).and_then(|out| {
            let out = delta::apply(old.artifact(), &delta, epoch, &manifest.artifact, BufWriter::new(out));
            let file = out.map_err(write)?.into_inner().map_err(|error| write(error.into_error()))?;
            file.sync_all().map_err(Error::io("sync", &temporary))
        });
        if let Err(error) = written {
            // Half a file is of no use, and on a full disk it is in the way of everything else.
            discard(&temporary);
            return Err(error);
        }
        rename_synced(&temporary, &target)
    }

    async fn fetch_artifact(&self, newest: &SignedManifest, book: Option<Arc<CodeBook>>) -> Result<Held, Error> {
        let version = Version(newest.manifest().version);
        let path = self.fetch(newest, File::Artifact).await?;
        let target = self.dir.artifact(self.list, version);
        rename_synced(&path, &target)?;
        // The file's digest is right; its records must also be what the root stands for.
        let held = Held::open(self.dir, newest.clone(), book)?;
        if let Err(error) = held.artifact().verify_records() {
            remove(&target)?;
            return Err(self.untrusted(error));
        }
        Ok(held)
    }

    /// Fetches a file, going on where an earlier try stopped; what does not have the manifest's digest is removed.
    async fn fetch(&self, signed: &SignedManifest, which: File) -> Result<PathBuf, Error> {
        let manifest = signed.manifest();
        let (bytes, sha256, name) = which.named_by(manifest);
        let path = self.dir.list(self.list).join(format!("{}.{name}.fetch", manifest.version));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let have = file.metadata().map_err(Error::io("read", &path))?.len();
        let mut resumed = (1..=bytes).contains(&have);
        if !resumed {
            file.set_len(0).map_err(Error::io("truncate", &path))?;
        }
        loop {
            let complete = self.download(manifest, which, &mut file, &path).await;
            complete.inspect_err(|error| {
                if is_full(error) {
                    discard(&path);
                }
            })?;
            let found = digest_of(&mut file).map_err(Error::io("read", &path))?;
            if sha256 == Some(Hash(found)) {
                return Ok(path);
            }
            if !std::mem::take(&mut resumed) {
                break;
            }
            // The part that was here already may have rotted here: nobody is blamed for it.
            tracing::warn!(list = %self.list, version = manifest.version, name, "a download that went on gave another file; starting anew");
            file.set_len(0).map_err(Error::io("truncate", &path))?;
        }
        remove(&path)?;
        Err(self.untrusted(match which {
            File::Artifact => ProtocolError::BadArtifact,
            File::Delta => ProtocolError::BadDelta,
        }))
    }

    /// Brings what is missing at the end of a file.
    async fn download(&self, manifest: &Manifest, which: File, file: &mut fs::File, path: &Path) -> Result<(), Error> {
        let (bytes, sha256, _) = which.named_by(manifest);
        let mut done = file.seek(SeekFrom::End(0)).map_err(Error::io("read", path))?;
        let mut reading = self.connection.reading();
        while done < bytes {
            let from = done;
            let request = pb::FetchRequest {
                list_id: self.list.to_string(),
                version: manifest.version,
                offset: done,
                sha256: sha256.map(|Hash(digest)| digest.to_vec()).unwrap_or_default(),
            };
            let mut lists = self.connection.lists();
            let stream = match which {
                File::Artifact => self.connection.in_time(lists.fetch_artifact(request)).await,
                File::Delta => self.connection.in_time(lists.fetch_delta(request)).await,
            };
            let received = match stream {
                Ok(stream) => self.receive(stream.into_inner(), file, path, &mut done, bytes).await?,
                Err(status) => Err(status),
            };
            if done > from {
                // A long download outlives any number of connections, as long as each brings it further.
                reading = self.connection.reading();
            }
            if let Err(status) = received {
                reading.again(status).await?;
            }
        }
        file.sync_all().map_err(Error::io("sync", path))
    }

    /// The inner error is the stream's end before the file's.
    async fn receive(
        &self,
        mut stream: Streaming<pb::Chunk>,
        file: &mut fs::File,
        path: &Path,
        done: &mut u64,
        total: u64,
    ) -> Result<Result<(), Status>, Error> {
        let misplaced = || Error::BadAnswer { what: "a chunk does not continue the file" };
        while *done < total {
            let next = match self.connection.in_time(stream.message()).await {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Err(Status::unavailable("the stream ended before the file"))),
                Err(status) => return Ok(Err(status)),
            };
            let data = chunk(next, *done).map_err(|_| misplaced())?.data;
            if data.len() as u64 > total - *done {
                return Err(misplaced());
            }
            file.write_all(&data).map_err(Error::io("write", path))?;
            *done += data.len() as u64;
            (self.progress)(SyncProgress { done: *done, total });
        }
        Ok(Ok(()))
    }

    /// Files of other versions are of no more use; one that is still mapped lives until it is unmapped.
    fn remove_older(&self, manifest: &Manifest) {
        let artifact = self.dir.artifact(self.list, Version(manifest.version));
        let book = manifest.categories.map(|sha256| self.dir.code_book(self.list, &sha256));
        let Ok(entries) = fs::read_dir(self.dir.list(self.list)) else { return };
        let is_old = |path: &PathBuf| *path != artifact && Some(path) != book.as_ref();
        for path in entries.flatten().map(|entry| entry.path()).filter(is_old) {
            if let Err(error) = remove(&path) {
                tracing::warn!(list = %self.list, %error, "an old file stays");
            }
        }
    }

    fn untrusted(&self, source: ProtocolError) -> Error {
        Error::Untrusted { list: self.list.to_string(), source, evidence: None }
    }

    fn keep_evidence(&self, note: &[u8], source: ProtocolError) -> Error {
        let digest = hex::encode(&Sha256::digest(note)[..8]);
        let evidence = evidence::keep(self.dir, About::Manifest, &format!("{}-{digest}.note", self.list), note);
        Error::Untrusted { list: self.list.to_string(), source, evidence }
    }
}

/// What cannot be reached now is looked at the next time; what is wrong is not passed over.
fn unless_doubted(error: Error) -> Result<(), Error> {
    if error.fault().is_some() {
        return Err(error);
    }
    tracing::warn!(error = &error as &dyn std::error::Error, "the query log could not be looked at");
    Ok(())
}

/// The two files of a version.
#[derive(Clone, Copy)]
enum File {
    Artifact,
    Delta,
}

impl File {
    /// Length, digest and name, as a version's manifest has them.
    fn named_by(self, manifest: &Manifest) -> (u64, Option<Hash>, &'static str) {
        match self {
            Self::Artifact => (manifest.artifact.bytes, Some(manifest.artifact.sha256), "artifact"),
            Self::Delta => (manifest.delta.bytes, manifest.delta.sha256, "delta"),
        }
    }
}

fn create(path: &Path) -> Result<fs::File, Error> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(Error::io("remove", path))
}

/// Removes what nobody misses if it stays.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, "half a file stays");
    }
}

/// Whether a file is not what was signed, is gone, or is empty, which cannot be mapped.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Untrusted { .. } => true,
        Error::Io { source, .. } => matches!(source.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput),
        _ => false,
    }
}

/// Whether there was no room for what was written.
fn is_full(error: &Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}

fn digest_of(file: &mut fs::File) -> std::io::Result<[u8; 32]> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1_024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
