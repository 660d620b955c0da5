//! Answers of the file listener, with the types and the caching that C2SP tlog-tiles asks for.

use std::{io, path::Path};

use futures::{StreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use prost::bytes::Bytes;
use tokio::{
    fs::File,
    io::{AsyncReadExt, Take},
};

use super::place::Place;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes of a file that are held for a reader at once.
const CHUNK: usize = 16 * 1_024;

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const FOR_ONE: &str = "private, max-age=31536000, immutable";

pub(super) fn not_found() -> Response<Body> {
    empty(StatusCode::NOT_FOUND)
}

pub(super) fn forbidden() -> Response<Body> {
    empty(StatusCode::FORBIDDEN)
}

pub(super) fn not_allowed() -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The file, or for HEAD what is told of it.
pub(super) async fn file(path: &Path, place: &Place, head: bool) -> Response<Body> {
    let (file, len) = match open(path).await {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return not_found(),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "cannot read a log's file");
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let mut response = Response::new(if head { nothing() } else { stream_of(file.take(len)) });
    let (kind, caching) = match (place.changes(), place.is_restricted()) {
        (true, _) => ("text/plain; charset=utf-8", "no-cache"),
        (false, false) => ("application/octet-stream", FOR_EVER),
        (false, true) => ("application/octet-stream", FOR_ONE),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    response
}

async fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(nothing());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

// A piece at a time: a slow reader holds no more than that.
fn stream_of(file: Take<File>) -> Body {
    let pieces = stream::unfold(file, |mut file| async move {
        let mut piece = vec![0; CHUNK];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}
