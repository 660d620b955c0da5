//! The files of a log wherever they are: in a folder, or at a URL; and handing a checkpoint to a witness at a URL.
//!
//! Nothing that a site answers is believed, and none of it is read beyond what the format allows. A site that does not
//! answer is asked again, with pauses that double.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use ureq::{Agent, Body, http::Response};

use crate::{
    cosignature::Witness,
    folder::LogFolder,
    tile::Files,
    tree::Hash,
    verify::LogFiles,
    witness::{AddCheckpoint, Answer},
};

mod access;

pub use access::Access;

/// How often a site is asked before it counts as unreachable.
const TRIES: u32 = 4;

/// Before the second try; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Opens the log at a place: a URL, or a folder below `base`.
///
/// # Errors
/// If the place is neither, or what `access` names cannot be used.
pub fn open(base: &Path, place: &str, access: &Access) -> io::Result<Box<LogFiles<'static>>> {
    if is_url(place) {
        return Ok(Box::new(Site::new(place, access)?));
    }
    let dir: PathBuf = base.join(place);
    if !dir.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such folder"));
    }
    Ok(Box::new(LogFolder::new(dir)))
}

/// Whether a place is a URL.
#[must_use]
pub fn is_url(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

/// A log, or a witness, below a URL.
#[derive(Debug, Clone)]
pub struct Site {
    prefix: String,
    agent: Agent,
    first_pause: Duration,
}

impl Site {
    /// The site below this prefix.
    ///
    /// # Errors
    /// If it is not a URL, or what `access` names cannot be used.
    pub fn new(prefix: &str, access: &Access) -> io::Result<Self> {
        if !is_url(prefix) || prefix.contains(['?', '#']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an http or https URL without ? and #"));
        }
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { agent: access.agent(&prefix)?, prefix, first_pause: FIRST_PAUSE })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    /// Asks until there is an answer that another try would not change.
    fn ask<T>(
        &self,
        call: impl Fn() -> Result<Response<Body>, ureq::Error>,
        read: impl Fn(Response<Body>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut pause = self.first_pause;
        for tries in 1.. {
            match call().map_err(ureq::Error::into_io).and_then(passing).and_then(&read) {
                Err(error) if tries < TRIES && !final_kind(error.kind()) => std::thread::sleep(pause),
                done => return done,
            }
            pause *= 2;
        }
        unreachable!("the last try returns")
    }
}

/// What another try would not change.
fn final_kind(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

/// Answers of a site that is overloaded or being repaired are as good as none.
fn passing(response: Response<Body>) -> io::Result<Response<Body>> {
    match response.status().as_u16() {
        status @ (408 | 429 | 500..=599) => Err(io::Error::other(format!("the site answered {status}"))),
        _ => Ok(response),
    }
}

impl Files for Site {
    type Error = io::Error;

    /// A site that asks for other credentials gives [`io::ErrorKind::PermissionDenied`].
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let url = self.url(path);
        self.ask(
            || self.agent.get(&url).call(),
            |response| match response.status().as_u16() {
                200 => read_body(response, limit).map(Some),
                404 | 410 => Ok(None),
                401 | 403 => {
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{url}: not for this reader")))
                }
                status => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{url}: status {status}"))),
            },
        )
    }
}

/// The body, cut off behind one byte more than it may have, so that it is not taken for what was asked for.
fn read_body(response: Response<Body>, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reader = response.into_body().into_reader();
    io::Read::read_to_end(&mut io::Read::take(reader, limit as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

/// What became of a checkpoint that was handed to a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The lines of the witness that cosign it, verified: to be published behind the checkpoint.
    Cosigned(String),
    /// The witness has cosigned a larger tree of this log than the checkpoint's.
    Ahead(u64),
    /// It does not cosign, and this is the HTTP status that says why.
    Refused(u16),
}

impl Site {
    /// Hands a checkpoint of `size` to the witness at this URL. `known` is the size that it is thought to have cosigned
    /// last, 0 if that is not known; `proof` makes the consistency proof from such a size. `latest` is the latest time that a
    /// cosignature may have.
    ///
    /// # Errors
    /// If the witness does not answer, or answers what is no cosignature of its own under the checkpoint; and what `proof`
    /// fails with.
    pub fn submit(
        &self,
        note: &str,
        size: u64,
        known: u64,
        proof: impl Fn(u64) -> io::Result<Vec<Hash>>,
        witness: &Witness,
        latest: u64,
    ) -> io::Result<Submitted> {
        let mut old_size = known.min(size);
        // The first answer may tell the witness's size. If another submitter is quicker again, the next round comes.
        for _ in 0..3 {
            let request = AddCheckpoint { old_size, proof: proof(old_size)?, note: note.as_bytes().to_vec() };
            match self.add(&request)? {
                Answer::Stale(theirs) if theirs > size => return Ok(Submitted::Ahead(theirs)),
                Answer::Stale(theirs) if theirs == old_size => return Ok(Submitted::Refused(409)),
                Answer::Stale(theirs) => old_size = theirs,
                Answer::Refused(status) => return Ok(Submitted::Refused(status)),
                answer => return Ok(Submitted::Cosigned(answer.cosignature(note, witness, latest)?)),
            }
        }
        Ok(Submitted::Refused(409))
    }

    fn add(&self, request: &AddCheckpoint) -> io::Result<Answer> {
        let (url, body) = (self.url("add-checkpoint"), request.encode());
        self.ask(
            || self.agent.post(&url).content_type("text/plain; charset=utf-8").send(&body[..]),
            |response| {
                let status = response.status().as_u16();
                let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
                let kind = kind.unwrap_or_default().to_owned();
                let body = read_body(response, veilmatch_protocol::note::MAX_NOTE_LEN)?;
                Ok(Answer::read(status, &kind, &body)?)
            },
        )
    }
}

#[cfg(test)]
mod tests;
