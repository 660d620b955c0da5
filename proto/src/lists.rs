//! Manifests and files between the wire and the rest (SPEC §9.3).

use veilmatch_protocol::{
    codebook::MAX_CODE_BOOK_LEN,
    name::{ListId, Version},
};

use crate::{
    Reason, Refused,
    evaluate::{array, nonzero},
    pb,
};

/// Longest signed manifest.
pub const MAX_MANIFEST_NOTE: usize = 16 * 1_024;

/// Most manifests in one answer.
pub const MAX_LISTED_MANIFESTS: usize = 64;

/// Largest answer with manifests, framing included.
pub const MAX_MANIFESTS_MESSAGE: usize = MAX_LISTED_MANIFESTS * (MAX_MANIFEST_NOTE + 16);

/// Most bytes of a file in one message.
pub const MAX_CHUNK: usize = 64 * 1_024;

/// Largest message of a file, framing included.
pub const MAX_CHUNK_MESSAGE: usize = MAX_CHUNK + 64;

/// Largest answer with a code book, framing included.
pub const MAX_CODE_BOOK_MESSAGE: usize = MAX_CODE_BOOK_LEN + 16;

/// Largest message of the Lists service to the client.
pub const MAX_LISTS_MESSAGE: usize = {
    let largest = if MAX_MANIFESTS_MESSAGE > MAX_CHUNK_MESSAGE { MAX_MANIFESTS_MESSAGE } else { MAX_CHUNK_MESSAGE };
    if largest > MAX_CODE_BOOK_MESSAGE { largest } else { MAX_CODE_BOOK_MESSAGE }
};

/// A list name from a request.
///
/// # Errors
/// [`Reason::BadRequest`] outside the grammar.
pub fn list_id(name: &str) -> Result<ListId, Refused> {
    ListId::parse(name).map_err(|_| Reason::BadRequest.into())
}

/// Which manifest is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// The newest.
    Newest,
    /// This one.
    Exactly(Version),
}

impl From<u32> for Selector {
    fn from(version: u32) -> Self {
        if version == 0 { Self::Newest } else { Self::Exactly(Version(version)) }
    }
}

/// Which file is asked for, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The list.
    pub list: ListId,
    /// The version that names the file.
    pub version: Version,
    /// First byte wanted.
    pub offset: u64,
    /// SHA-256 of the file that is wanted; `None` for whatever the version has.
    pub sha256: Option<[u8; 32]>,
}

impl TryFrom<pb::FetchRequest> for Fetch {
    type Error = Refused;

    fn try_from(request: pb::FetchRequest) -> Result<Self, Refused> {
        Ok(Self {
            list: list_id(&request.list_id)?,
            version: Version(nonzero(request.version)?),
            offset: request.offset,
            sha256: if request.sha256.is_empty() { None } else { Some(array(&request.sha256)?) },
        })
    }
}

/// Whose code book is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfVersion {
    /// The list.
    pub list: ListId,
    /// The version that names it.
    pub version: Version,
}

impl TryFrom<pb::GetCodeBookRequest> for OfVersion {
    type Error = Refused;

    fn try_from(request: pb::GetCodeBookRequest) -> Result<Self, Refused> {
        Ok(Self { list: list_id(&request.list_id)?, version: Version(nonzero(request.version)?) })
    }
}

/// A piece of a file that continues what the client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChunk {
    /// 1 to 65,536 bytes.
    pub data: Vec<u8>,
}

/// Takes the chunk that must begin at `expected`.
///
/// # Errors
/// [`Reason::BadRequest`] if it is empty, too long or begins elsewhere.
pub fn chunk(chunk: pb::Chunk, expected: u64) -> Result<FileChunk, Refused> {
    if chunk.offset != expected || chunk.data.is_empty() || chunk.data.len() > MAX_CHUNK {
        return Err(Reason::BadRequest.into());
    }
    Ok(FileChunk { data: chunk.data })
}

/// Takes a signed manifest of legal length; its signature is checked by `veilmatch_protocol::manifest`.
///
/// # Errors
/// [`Reason::BadRequest`] if it is empty or too long.
pub fn manifest_note(manifest: pb::SignedManifest) -> Result<Vec<u8>, Refused> {
    if manifest.note.is_empty() || manifest.note.len() > MAX_MANIFEST_NOTE {
        return Err(Reason::BadRequest.into());
    }
    Ok(manifest.note)
}

/// Takes an answer with manifests of legal number and lengths.
///
/// # Errors
/// [`Reason::BadRequest`].
pub fn manifest_notes(response: pb::ListManifestsResponse) -> Result<Vec<Vec<u8>>, Refused> {
    if response.manifests.len() > MAX_LISTED_MANIFESTS {
        return Err(Reason::BadRequest.into());
    }
    response.manifests.into_iter().map(manifest_note).collect()
}

/// Takes a code book of legal length; what it says is checked by `veilmatch_protocol::codebook`.
///
/// # Errors
/// [`Reason::BadRequest`] if it is empty or too long.
pub fn code_book(response: pb::GetCodeBookResponse) -> Result<Vec<u8>, Refused> {
    if response.code_book.is_empty() || response.code_book.len() > MAX_CODE_BOOK_LEN {
        return Err(Reason::BadRequest.into());
    }
    Ok(response.code_book)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_code_book_that_is_empty_or_too_long_is_refused_and_the_longest_fits_its_message() {
        // SPEC §9.3, §9.4
        let answer = |len| pb::GetCodeBookResponse { code_book: vec![b'x'; len] };
        assert_eq!(code_book(answer(MAX_CODE_BOOK_LEN)).unwrap().len(), MAX_CODE_BOOK_LEN);
        for len in [0, MAX_CODE_BOOK_LEN + 1] {
            assert_eq!(code_book(answer(len)), Err(Reason::BadRequest.into()));
        }
        assert!(answer(MAX_CODE_BOOK_LEN).encoded_len() <= MAX_CODE_BOOK_MESSAGE);
    }

    #[test]
    fn a_chunk_elsewhere_empty_or_too_long_is_refused() {
        // SPEC §9.3
        let make = |offset, len| pb::Chunk { offset, data: vec![0; len] };
        assert_eq!(chunk(make(7, MAX_CHUNK), 7).unwrap().data.len(), MAX_CHUNK);
        for bad in [make(6, 1), make(8, 1), make(7, 0), make(7, MAX_CHUNK + 1)] {
            assert_eq!(chunk(bad, 7), Err(Reason::BadRequest.into()));
        }
    }

    #[test]
    fn too_many_or_too_long_manifests_are_refused() {
        // SPEC §9.3
        let note = |len| pb::SignedManifest { note: vec![b'x'; len] };
        let list = |n, len| pb::ListManifestsResponse { manifests: vec![note(len); n] };
        assert_eq!(manifest_notes(list(64, 10)).unwrap().len(), 64);
        for bad in [list(65, 10), list(1, 0), list(1, MAX_MANIFEST_NOTE + 1)] {
            assert!(manifest_notes(bad).is_err());
        }
    }

    #[test]
    fn version_zero_fetches_nothing() {
        let request = pb::FetchRequest { list_id: "a".into(), ..Default::default() };
        assert!(Fetch::try_from(request).is_err());
        let request = pb::GetCodeBookRequest { list_id: "a".into(), version: 0 };
        assert!(OfVersion::try_from(request).is_err());
    }

    #[test]
    fn the_digest_of_a_file_is_32_bytes_or_absent() {
        // SPEC §9.3
        let fetch = |len| {
            let request =
                pb::FetchRequest { list_id: "a".into(), version: 1, sha256: vec![7; len], ..Default::default() };
            Fetch::try_from(request).map(|fetch| fetch.sha256)
        };
        assert_eq!((fetch(0), fetch(32)), (Ok(None), Ok(Some([7; 32]))));
        for len in [1, 31, 33, 64] {
            assert_eq!(fetch(len), Err(Reason::BadRequest.into()));
        }
    }
}
