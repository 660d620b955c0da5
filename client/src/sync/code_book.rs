//! The code book of a version: fetched and verified before the version is put in place (SPEC §7.7).

use std::{fs::File, io::Read, path::Path, sync::Arc};

use tonic::transport::Channel;
use veilmatch_proto::{
    code_book,
    pb::{self, lists_client::ListsClient},
};
use veilmatch_protocol::{
    codebook::{CodeBook, MAX_CODE_BOOK_LEN},
    manifest::{Manifest, SignedManifest},
};

use super::Sync;
use crate::{
    Error,
    state_dir::{StateDir, write_private},
};

/// Reads what is kept; `None` where the version has none.
pub(super) fn kept(dir: &StateDir, manifest: &Manifest) -> Result<Option<Arc<CodeBook>>, Error> {
    let Some(sha256) = manifest.categories else { return Ok(None) };
    let bytes = read(&dir.code_book(&manifest.list_id(), &sha256))?;
    let book = CodeBook::of(manifest, &bytes);
    let untrusted = |source| Error::Untrusted { list: manifest.list.clone(), source, evidence: None };
    book.map(|book| Some(Arc::new(book))).map_err(untrusted)
}

/// No more than a code book can have, and a byte that makes it none.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CODE_BOOK_LEN as u64 + 1).read_to_end(&mut bytes))
        .map_err(Error::io("read", path))?;
    Ok(bytes)
}

impl Sync<'_> {
    /// The code book that is kept, for a start without the network. Without it labels are shown as their bytes: a match is
    /// not lost, and the next synchronisation fetches it anew.
    pub(super) fn kept_code_book(&self, manifest: &Manifest) -> Option<Arc<CodeBook>> {
        kept(self.dir, manifest).unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(list = %self.list, version = manifest.version, error, "the code book on the disk is damaged");
            None
        })
    }

    /// The code book of a version, fetched if it is not the one that is kept.
    pub(super) async fn code_book(
        &self,
        target: &SignedManifest,
        fetched: &mut u64,
    ) -> Result<Option<Arc<CodeBook>>, Error> {
        let manifest = target.manifest();
        let Some(sha256) = manifest.categories else { return Ok(None) };
        match kept(self.dir, manifest) {
            Ok(book) => return Ok(book),
            Err(error) if super::is_damage(&error) => {}
            Err(error) => return Err(error),
        }
        let request = pb::GetCodeBookRequest { list_id: self.list.to_string(), version: manifest.version };
        let ask = |mut lists: ListsClient<Channel>| {
            let request = request.clone();
            async move { lists.get_code_book(request).await }
        };
        let bytes = code_book(self.connection.read(ask).await?)
            .map_err(|_| Error::BadAnswer { what: "its code book is empty or too long" })?;
        let book = CodeBook::of(manifest, &bytes).map_err(|error| self.untrusted(error))?;
        write_private(&self.dir.code_book(self.list, &sha256), &bytes)?;
        *fetched += bytes.len() as u64;
        Ok(Some(Arc::new(book)))
    }
}

#[cfg(test)]
mod tests;
