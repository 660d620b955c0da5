//! The Lists service: manifests, the announcement of new ones, and the files that they name.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use futures::{Stream, stream};
use sha2::{Digest, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tonic::{Request, Response, Status, async_trait};
use veilmatch_proto::{
    Fetch, MAX_CHUNK, MAX_LISTED_MANIFESTS, OfVersion, Selector, list_id,
    pb::{self, lists_server::Lists},
};
use veilmatch_protocol::{
    manifest::{Hash, Manifest},
    name::{ListId, Version},
};

use super::{Service, caller};
use crate::{
    Error,
    catalogue::{Catalogue, Client, ServedList},
    state_dir::StateDir,
    status::{CallError, RequestId},
    store::VersionRow,
    tls::PeerIdentity,
};

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl Lists for Service {
    type WatchVersionsStream = Out<pb::SignedManifest>;
    type FetchArtifactStream = Out<pb::Chunk>;
    type FetchDeltaStream = Out<pb::Chunk>;

    async fn get_manifest(
        &self,
        request: Request<pb::GetManifestRequest>,
    ) -> Result<Response<pb::SignedManifest>, Status> {
        self.call("GetManifest", request, |_, pb::GetManifestRequest { list_id: name, version }, call| {
            let list = call.list(&list_id(&name)?)?;
            let row = match Selector::from(version) {
                Selector::Newest => list.newest(),
                Selector::Exactly(version) => list.version(version),
            };
            Ok(signed(row.ok_or(CallError::UnknownVersion)?))
        })
    }

    async fn list_manifests(
        &self,
        request: Request<pb::ListManifestsRequest>,
    ) -> Result<Response<pb::ListManifestsResponse>, Status> {
        self.call("ListManifests", request, |_, pb::ListManifestsRequest { list_id: name, after_version }, call| {
            let list = call.list(&list_id(&name)?)?;
            let rows = list.versions_after(Version(after_version)).iter().take(MAX_LISTED_MANIFESTS);
            Ok(pb::ListManifestsResponse { manifests: rows.map(signed).collect() })
        })
    }

    async fn watch_versions(
        &self,
        request: Request<pb::WatchVersionsRequest>,
    ) -> Result<Response<Self::WatchVersionsStream>, Status> {
        let identity = request.extensions().get::<PeerIdentity>().cloned();
        self.call("WatchVersions", request, |service, pb::WatchVersionsRequest { list_id: name }, call| {
            let name = list_id(&name)?;
            let list = call.list(&name)?;
            // One before the newest, so that the newest is sent at once.
            let after = list.newest().map_or(Version(0), |newest| Version(newest.version.0 - 1));
            let watch = Watch { service: service.clone(), identity, list: name, after };
            Ok(Box::pin(stream::unfold(Some(watch), Watch::next)) as Out<pb::SignedManifest>)
        })
    }

    async fn fetch_artifact(
        &self,
        request: Request<pb::FetchRequest>,
    ) -> Result<Response<Self::FetchArtifactStream>, Status> {
        self.fetch("FetchArtifact", request, StateDir::artifact, |manifest| {
            Some((manifest.artifact.bytes, manifest.artifact.sha256))
        })
        .await
    }

    async fn fetch_delta(
        &self,
        request: Request<pb::FetchRequest>,
    ) -> Result<Response<Self::FetchDeltaStream>, Status> {
        let file = |manifest: &Manifest| manifest.delta.sha256.map(|sha256| (manifest.delta.bytes, sha256));
        self.fetch("FetchDelta", request, StateDir::delta, file).await
    }

    async fn get_code_book(
        &self,
        request: Request<pb::GetCodeBookRequest>,
    ) -> Result<Response<pb::GetCodeBookResponse>, Status> {
        let checked = self.call("GetCodeBook", request, |service, request, call| {
            let OfVersion { list, version } = request.try_into()?;
            let row = call.list(&list)?.version(version).cloned().ok_or(CallError::UnknownVersion)?;
            let sha256 = manifest(&row)?.categories.ok_or(CallError::NoCodeBook)?;
            Ok((service.dir.code_book(&list, version), sha256))
        })?;
        let (path, sha256) = checked.into_inner();
        let refuse = |error: CallError| error.into_status(&RequestId::draw(), "GetCodeBook", None);
        let code_book = read_named(&path, sha256).await.map_err(refuse)?;
        Ok(Response::new(pb::GetCodeBookResponse { code_book }))
    }
}

// An authorised call.
struct Call {
    catalogue: Arc<Catalogue>,
    client: Arc<Client>,
}

impl Call {
    fn list(&self, list: &ListId) -> Result<Arc<ServedList>, CallError> {
        caller::list(&self.catalogue, &self.client, list)
    }
}

impl Service {
    fn call<Q, A>(
        &self,
        name: &'static str,
        request: Request<Q>,
        work: impl FnOnce(&Self, Q, &Call) -> Result<A, CallError>,
    ) -> Result<Response<A>, Status> {
        let identity = request.extensions().get::<PeerIdentity>().cloned();
        let refuse = |error: CallError, platform: Option<&str>| error.into_status(&RequestId::draw(), name, platform);
        let catalogue = self.catalogue();
        let client = caller::client(&catalogue, identity.as_ref()).map_err(|error| refuse(error, None))?;
        let call = Call { catalogue, client };
        let platform = call.client.row.platform.as_str();
        work(self, request.into_inner(), &call).map(Response::new).map_err(|error| refuse(error, Some(platform)))
    }

    async fn fetch(
        &self,
        name: &'static str,
        request: Request<pb::FetchRequest>,
        path: fn(&StateDir, &ListId, Version) -> PathBuf,
        file: fn(&Manifest) -> Option<(u64, Hash)>,
    ) -> Result<Response<Out<pb::Chunk>>, Status> {
        let checked = self.call(name, request, |service, request, call| {
            let fetch = Fetch::try_from(request)?;
            let list = call.list(&fetch.list)?;
            let row = list.version(fetch.version).ok_or(CallError::UnknownVersion)?;
            // The first version of an epoch has no delta.
            let (bytes, sha256) = file(&manifest(row)?).ok_or(CallError::UnknownVersion)?;
            // After a restore a version's number may name another file than the one that a download began with.
            if fetch.sha256.is_some_and(|wanted| wanted != sha256.0) {
                return Err(CallError::UnknownVersion);
            }
            if fetch.offset > bytes {
                return Err(CallError::OffsetOutOfRange);
            }
            Ok((path(&service.dir, &fetch.list, fetch.version), bytes, fetch.offset))
        })?;
        let (path, bytes, offset) = checked.into_inner();
        let refuse = |error: CallError| error.into_status(&RequestId::draw(), name, None);
        let file = open_at(&path, bytes, offset).await.map_err(refuse)?;
        let chunks = stream::unfold(Some((file, path, offset)), move |state| async move {
            let (mut file, path, offset) = state?;
            match read_chunk(&mut file).await {
                Ok(data) if data.is_empty() => None,
                Ok(data) => {
                    let next = offset + data.len() as u64;
                    Some((Ok(pb::Chunk { offset, data }), Some((file, path, next))))
                }
                Err(error) => {
                    let error = CallError::Store(Error::io("read", &path)(error));
                    Some((Err(error.into_status(&RequestId::draw(), name, None)), None))
                }
            }
        });
        Ok(Response::new(Box::pin(chunks)))
    }
}

async fn open_at(path: &Path, bytes: u64, offset: u64) -> Result<File, CallError> {
    let failed = |error| unread(path, error);
    let mut file = File::open(path).await.map_err(failed)?;
    let found = file.metadata().await.map_err(failed)?.len();
    if found != bytes {
        // Whoever fetched it would refuse it after the whole download, and our operator would not hear of it.
        let why = format!("it has {found} bytes, and {bytes} were published");
        return Err(Error::Damaged { what: path.display().to_string(), why }.into());
    }
    file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
    Ok(file)
}

// A small file, which must be the one that the manifest names: a platform would refuse another, and our operator would
// not hear of it.
async fn read_named(path: &Path, sha256: Hash) -> Result<Vec<u8>, CallError> {
    let bytes = tokio::fs::read(path).await.map_err(|error| unread(path, error))?;
    if Hash(Sha256::digest(&bytes).into()) == sha256 {
        return Ok(bytes);
    }
    let why = "it is not what was published".into();
    Err(Error::Damaged { what: path.display().to_string(), why }.into())
}

fn unread(path: &Path, error: std::io::Error) -> CallError {
    match error.kind() {
        // Old files are deleted.
        std::io::ErrorKind::NotFound => CallError::UnknownVersion,
        _ => CallError::Store(Error::io("read", path)(error)),
    }
}

// What a version's note says. The store is ours: a signature is verified where something is built upon it.
fn manifest(row: &VersionRow) -> Result<Manifest, Error> {
    let leaf = row.note.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Manifest::decode(leaf).map_err(|error| Error::Damaged {
        what: format!("version {} of list {}", row.version.0, row.list),
        why: error.to_string(),
    })
}

async fn read_chunk(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(MAX_CHUNK);
    file.take(MAX_CHUNK as u64).read_to_end(&mut data).await?;
    Ok(data)
}

fn signed(row: &Arc<VersionRow>) -> pb::SignedManifest {
    pb::SignedManifest { note: row.note.clone() }
}

// A stream of new versions. It looks at the caller again before each: a suspended platform learns nothing more.
struct Watch {
    service: Service,
    identity: Option<PeerIdentity>,
    list: ListId,
    after: Version,
}

impl Watch {
    async fn next(watch: Option<Self>) -> Option<(Result<pb::SignedManifest, Status>, Option<Self>)> {
        let mut watch = watch?;
        match watch.wait().await {
            Ok(row) => {
                watch.after = row.version;
                Some((Ok(signed(&row)), Some(watch)))
            }
            Err(error) => Some((Err(error.into_status(&RequestId::draw(), "WatchVersions", None)), None)),
        }
    }

    async fn wait(&mut self) -> Result<Arc<VersionRow>, CallError> {
        loop {
            let catalogue = Arc::clone(&self.service.catalogue.borrow_and_update());
            let client = caller::client(&catalogue, self.identity.as_ref())?;
            let list = caller::list(&catalogue, &client, &self.list)?;
            if let Some(next) = list.versions_after(self.after).first() {
                return Ok(Arc::clone(next));
            }
            tokio::select! {
                changed = self.service.catalogue.changed() => changed.map_err(|_| CallError::NotServing)?,
                () = self.service.draining.cancelled() => return Err(CallError::NotServing),
            }
        }
    }
}
