//! Keeps a list current: follows the chain of manifests, then applies deltas or downloads the artifact (SPEC §8.4, §7.6).

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tonic::{Status, Streaming, transport::Channel};
use veilmatch_proto::{
    chunk, manifest_notes,
    pb::{self, lists_client::ListsClient},
};
use veilmatch_protocol::{
    Error as ProtocolError,
    delta::{self, Delta},
    manifest::{Hash, SignedManifest},
    name::{Epoch, ListId, Version},
    note::Verifier,
};

use crate::{
    Error,
    connection::Connection,
    held::Held,
    state_dir::{StateDir, create_private_dir, rename_synced, write_private},
    store::Store,
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
    /// Bytes fetched.
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
    pub(crate) list: &'a ListId,
    pub(crate) progress: &'a (dyn Fn(SyncProgress) + Send + std::marker::Sync),
}

impl Sync<'_> {
    /// The version in place, if there is one: what a start without the network begins with.
    pub(crate) fn open_held(&self) -> Result<Option<Held>, Error> {
        let Some(version) = self.store.held(self.list)? else { return Ok(None) };
        let (Some(held), Some(newest)) = (self.stored(version)?, self.newest()?) else { return Ok(None) };
        Held::open(self.dir, held, newest.view()).map(Some)
    }

    /// Follows the chain to its end and puts the newest epoch's newest version in place. What was held stays in place
    /// until the new one is verified.
    pub(crate) async fn run(&self) -> Result<(Held, SyncReport), Error> {
        self.follow_chain().await?;
        let before = self.store.held(self.list)?;
        let target = self.store.manifest_to_use(self.list)?.map(|note| self.verify(&note)).transpose()?;
        let target = target.ok_or_else(|| Error::NothingPublished { list: self.list.to_string() })?;
        let (epoch, version) = (Epoch(target.manifest().epoch), Version(target.manifest().version));
        let mut report = SyncReport {
            list: self.list.clone(),
            before: before.map(|version| version.0),
            version: version.0,
            epoch: epoch.0,
            fetched: 0,
            by_delta: false,
        };
        create_private_dir(&self.dir.list(self.list))?;
        let in_place = before == Some(version) && self.dir.artifact(self.list, version).is_file();
        if !in_place {
            let applied = match before {
                Some(before) => self.apply_deltas(before, epoch, &mut report.fetched).await,
                None => Ok(false),
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
            if !report.by_delta {
                report.fetched += self.fetch_artifact(&target).await?;
            }
            self.store.set_held(self.list, version)?;
        }
        let view = self.newest()?.map_or_else(|| target.view(), |newest| newest.view());
        let held = Held::open(self.dir, target, view)?;
        self.remove_older(version);
        Ok((held, report))
    }

    fn verify(&self, note: &[u8]) -> Result<SignedManifest, Error> {
        SignedManifest::verify(note, self.verifier).map_err(|error| self.untrusted(error))
    }

    /// The manifest of a version, as it was kept.
    fn stored(&self, version: Version) -> Result<Option<SignedManifest>, Error> {
        self.store.manifest(self.list, version)?.map(|note| self.verify(&note)).transpose()
    }

    /// The newest manifest, whatever its epoch.
    fn newest(&self) -> Result<Option<SignedManifest>, Error> {
        self.store.newest_manifest(self.list)?.map(|note| self.verify(&note)).transpose()
    }

    async fn follow_chain(&self) -> Result<(), Error> {
        let mut last = self.newest()?;
        loop {
            let after_version = last.as_ref().map_or(0, |last| last.manifest().version);
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
                let link = SignedManifest::verify(&note, self.verifier).and_then(|link| {
                    let own = link.manifest().list == self.list.as_str();
                    if own { link.follows(last.as_ref()).map(|()| link) } else { Err(ProtocolError::BrokenChain) }
                });
                let link = link.map_err(|error| self.keep_evidence(&note, error))?;
                last = Some(link.clone());
                links.push(link);
            }
            self.store.add_manifests(self.list, &links)?;
            if !full {
                break;
            }
        }
        self.check_not_behind(last.as_ref()).await
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

    /// Goes from the version in place to the epoch's newest by deltas; `false` if there is no unbroken way.
    async fn apply_deltas(&self, before: Version, epoch: Epoch, fetched: &mut u64) -> Result<bool, Error> {
        let Some(mut at) = self.stored(before)? else { return Ok(false) };
        if at.manifest().epoch != epoch.0 || !self.dir.artifact(self.list, before).is_file() {
            return Ok(false);
        }
        loop {
            let from = Version(at.manifest().version);
            let notes = self.store.manifests_after(self.list, epoch, from, DELTAS_AT_A_TIME)?;
            if notes.is_empty() {
                return Ok(true);
            }
            for note in notes {
                let next = self.verify(&note)?;
                if next.manifest().delta.from != at.manifest().version {
                    return Ok(false);
                }
                let path = self.fetch(&next, File::Delta).await?;
                *fetched += next.manifest().delta.bytes;
                self.apply(&at, &next, &path)?;
                remove(&path)?;
                at = next;
            }
        }
    }

    fn apply(&self, at: &SignedManifest, next: &SignedManifest, delta: &Path) -> Result<(), Error> {
        let (manifest, epoch) = (next.manifest(), Epoch(next.manifest().epoch));
        let old = Held::open(self.dir, at.clone(), at.view())?;
        let bytes = mmap_guard::map_file(delta).map_err(Error::io("map", delta))?;
        let delta = Delta::open(bytes, manifest).map_err(|error| self.untrusted(error))?;
        let target = self.dir.artifact(self.list, Version(manifest.version));
        let temporary = target.with_extension("part");
        let out = create(&temporary)?;
        let done = delta::apply(old.artifact(), &delta, epoch, &manifest.artifact, BufWriter::new(out));
        let out = done.map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(&inner) => self.untrusted(inner),
            None => Error::io("write", &temporary)(error),
        })?;
        let file = out.into_inner().map_err(|error| Error::io("write", &temporary)(error.into_error()))?;
        file.sync_all().map_err(Error::io("sync", &temporary))?;
        rename_synced(&temporary, &target)
    }

    async fn fetch_artifact(&self, newest: &SignedManifest) -> Result<u64, Error> {
        let version = Version(newest.manifest().version);
        let path = self.fetch(newest, File::Artifact).await?;
        let target = self.dir.artifact(self.list, version);
        rename_synced(&path, &target)?;
        // The file's digest is right; its records must also be what the root stands for.
        let held = Held::open(self.dir, newest.clone(), newest.view())?;
        if let Err(error) = held.artifact().verify_records() {
            remove(&target)?;
            return Err(self.untrusted(error));
        }
        Ok(newest.manifest().artifact.bytes)
    }

    /// Fetches a file, going on where an earlier try stopped; what does not have the manifest's digest is removed.
    async fn fetch(&self, signed: &SignedManifest, which: File) -> Result<PathBuf, Error> {
        let manifest = signed.manifest();
        let (bytes, sha256, name) = match which {
            File::Artifact => (manifest.artifact.bytes, Some(manifest.artifact.sha256), "artifact"),
            File::Delta => (manifest.delta.bytes, manifest.delta.sha256, "delta"),
        };
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
        if have > bytes {
            file.set_len(0).map_err(Error::io("truncate", &path))?;
        }
        let mut done = file.seek(SeekFrom::End(0)).map_err(Error::io("read", &path))?;
        let mut reading = self.connection.reading();
        while done < bytes {
            let from = done;
            let request = pb::FetchRequest { list_id: self.list.to_string(), version: manifest.version, offset: done };
            let mut lists = self.connection.lists();
            let stream = match which {
                File::Artifact => lists.fetch_artifact(request).await,
                File::Delta => lists.fetch_delta(request).await,
            };
            let received = match stream {
                Ok(stream) => self.receive(stream.into_inner(), &mut file, &path, &mut done, bytes).await?,
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
        file.sync_all().map_err(Error::io("sync", &path))?;
        let found = digest_of(&mut file).map_err(Error::io("read", &path))?;
        if sha256 == Some(Hash(found)) {
            return Ok(path);
        }
        remove(&path)?;
        Err(self.untrusted(match which {
            File::Artifact => ProtocolError::BadArtifact,
            File::Delta => ProtocolError::BadDelta,
        }))
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
            let next = match stream.message().await {
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
    fn remove_older(&self, version: Version) {
        let keep = self.dir.artifact(self.list, version);
        let Ok(entries) = fs::read_dir(self.dir.list(self.list)) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != keep) {
            if let Err(error) = remove(&path) {
                tracing::warn!(list = %self.list, %error, "an old file stays");
            }
        }
    }

    fn untrusted(&self, source: ProtocolError) -> Error {
        Error::Untrusted { list: self.list.to_string(), source }
    }

    fn keep_evidence(&self, note: &[u8], source: ProtocolError) -> Error {
        let name = format!(
            "manifest-{}-{:x}.note",
            self.list,
            Sha256::digest(note).first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b))
        );
        if let Err(error) = write_private(&self.dir.evidence().join(name), note) {
            tracing::error!(list = %self.list, %error, "evidence could not be kept");
        }
        self.untrusted(source)
    }
}

/// The two files of a version.
#[derive(Clone, Copy)]
enum File {
    Artifact,
    Delta,
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
