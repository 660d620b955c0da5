//! What was read of a file's content, known again by its digest when an import that was killed goes on.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

/// Longest head of a file that is kept, and most that is read twice where reading goes on.
const MAX_AGAIN: u64 = 4 << 20;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 17;

/// How much was read, and its digest.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    pub(super) ended: bool,
    hash: Sha256,
}

impl Seen {
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }
}

/// Content that is watched as it is read.
pub(super) struct Watched<R> {
    inner: R,
    seen: Arc<Mutex<Seen>>,
}

/// What was read of a content that somebody else reads.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub(super) fn over<R: Read>(&self, inner: R) -> Watched<R> {
        Watched { inner, seen: Arc::clone(&self.0) }
    }

    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes += read as u64;
        seen.ended |= read == 0 && !buffer.is_empty();
        seen.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// Whether content can be gone on with at `offset` when so much was seen of it: what is read again is held.
pub(super) fn is_near(head: u64, offset: u64, seen: u64) -> bool {
    head <= offset && head <= MAX_AGAIN && offset <= seen && seen - offset <= MAX_AGAIN
}

/// Content behind what is known of it: its head, and what was read of it from some place on.
pub(super) struct Behind {
    pub(super) head: Vec<u8>,
    pub(super) rest: Box<dyn BufRead + Send>,
}

/// Reads past `seen` bytes, keeping the first `head` and those from `from` on. `None` if there are fewer.
pub(super) fn skip(
    mut content: Watched<Box<dyn BufRead + Send>>,
    head: u64,
    from: u64,
    seen: u64,
    mut report: impl FnMut(),
) -> io::Result<Option<Behind>> {
    let (mut kept, mut again) = (Vec::new(), Vec::new());
    content.by_ref().take(head).read_to_end(&mut kept)?;
    let mut at = kept.len() as u64;
    let mut buffer = vec![0; BUFFER];
    while at < from {
        let most = usize::try_from(from - at).unwrap_or(BUFFER).min(BUFFER);
        let read = content.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(None);
        }
        at += read as u64;
        report();
    }
    content.by_ref().take(seen - at).read_to_end(&mut again)?;
    if at + again.len() as u64 != seen {
        return Ok(None);
    }
    let rest = Box::new(io::Cursor::new(again).chain(BufReader::with_capacity(BUFFER, content)));
    Ok(Some(Behind { head: kept, rest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_is_given_again_from_its_place_on_and_what_was_seen_has_its_digest() {
        let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let watch = Watch::default();
        let open = |bytes: &[u8]| watch.over(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn BufRead + Send>);
        let behind = skip(open(&content), 10, 300_000, 300_500, || ()).unwrap().unwrap();
        assert_eq!(behind.head, content[..10]);
        let seen = watch.seen();
        assert_eq!((seen.bytes, seen.sha256()), (300_500, hex::encode(Sha256::digest(&content[..300_500]))));
        let mut rest = Vec::new();
        { behind.rest }.read_to_end(&mut rest).unwrap();
        assert!(rest == content[300_000..]);
        assert!(watch.seen().ended);
        assert!(skip(open(&content[..300_499]), 10, 300_000, 300_500, || ()).unwrap().is_none());
        assert!(skip(open(&content[..5]), 10, 300_000, 300_500, || ()).unwrap().is_none());
    }
}
