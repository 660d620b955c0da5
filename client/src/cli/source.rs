//! What there is to check, in order: files of walks, digested by several threads, or lines of a list of digests.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io,
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc as threads},
    thread,
};

use tokio::sync::{mpsc, oneshot};
use veilmatch_lists::{Counts, Quarantine, Rows, Says};
use veilmatch_protocol::item::{Item, Kind};

use super::failure::Failure;
use crate::{
    digest::{Digester, Links, Unread},
    output::Origin,
    walk::{Found, Walk},
};

/// Files found ahead of the one that is checked next. So one large file does not idle the other threads.
const AHEAD: usize = 1_024;

/// Most that is taken out of the queue at once: whoever fills it is then woken once for all.
const TAKEN: usize = 256;

/// Most digests of a list remembered to count duplicates. All are answered, however many there are.
const REMEMBERED: usize = 1 << 20;

/// Something to check.
pub struct Seen {
    /// What it is.
    pub origin: Origin,
    /// Its digests, or why there are none.
    pub read: Result<Vec<Item>, Missing>,
    /// Whether the digests are all that a file has, as against one digest of some kind.
    pub whole: bool,
}

/// Why there are no digests.
pub struct Missing {
    /// Its stable name.
    pub reason: &'static str,
    /// More about it.
    pub detail: Option<String>,
}

impl From<Unread> for Missing {
    fn from(unread: Unread) -> Self {
        Self { reason: unread.reason(), detail: unread.detail() }
    }
}

/// The stream of what there is to check.
pub struct Source {
    queue: mpsc::Receiver<Slot>,
    // Taken out of the queue already.
    taken: std::vec::IntoIter<Slot>,
    // The next one, while its digests are computed.
    digesting: Option<Digesting>,
    // Why the source ended early.
    failure: Option<Failure>,
    own: Vec<PathBuf>,
}

enum Slot {
    Ready(Seen),
    Digesting(Digesting),
    Own(PathBuf),
    Failed(Failure),
}

impl Source {
    /// Files, in the order of the walks, which are walked one after the other.
    pub fn files(walks: Vec<Walk>, kinds: &[Kind], threads: Option<u16>) -> Self {
        let threads = threads.map_or_else(processors, usize::from);
        let (slots, queue) = mpsc::channel(AHEAD);
        let (jobs, waiting) = threads::sync_channel::<Job>(threads);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (waiting, digester) = (Arc::clone(&waiting), Digester::new(kinds));
            thread::spawn(move || work(&waiting, digester));
        }
        thread::spawn(move || {
            for found in walks.into_iter().flatten() {
                let (slot, job) = slot(found);
                // A queue without a reader is how everything here is told to stop.
                if slots.blocking_send(slot).is_err() || job.is_some_and(|job| jobs.send(job).is_err()) {
                    return;
                }
            }
        });
        Self::new(queue)
    }

    /// Lines of a list of digests, after the first `skip` lines. What became of the rows is in the counts.
    pub fn lines(rows: Rows<'static>, path: PathBuf, skip: u64) -> (Self, Arc<Mutex<LineCounts>>) {
        let (slots, queue) = mpsc::channel(AHEAD);
        let counts = Arc::new(Mutex::new(LineCounts::default()));
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            let mut lines = Lines { rows, path, seen: Remembered::default(), counts: shared };
            while let Some(slot) = lines.next() {
                let skipped =
                    matches!(&slot, Slot::Ready(Seen { origin: Origin::Line { number, .. }, .. }) if *number <= skip);
                if !skipped && slots.blocking_send(slot).is_err() {
                    return;
                }
            }
            lines.counts.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        });
        (Self::new(queue), counts)
    }

    fn new(queue: mpsc::Receiver<Slot>) -> Self {
        Self { queue, taken: Vec::new().into_iter(), digesting: None, failure: None, own: Vec::new() }
    }

    /// The next one; none at the end, or after a failure. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some(slot) = &mut self.digesting {
                // A thread that panicked read nothing.
                let lost = || Err(Unread::Unreadable(io::Error::other("the reading thread ended")));
                let read = (&mut slot.digests).await.unwrap_or_else(|_| lost()).map_err(Missing::from);
                let path = self.digesting.take().expect("looked at above").path;
                return Some(Seen { origin: Origin::Path(path), read, whole: true });
            }
            let Some(slot) = self.taken.next() else {
                let mut taken = Vec::new();
                self.queue.recv_many(&mut taken, TAKEN).await;
                if taken.is_empty() {
                    return None;
                }
                self.taken = taken.into_iter();
                continue;
            };
            match slot {
                Slot::Ready(seen) => return Some(seen),
                Slot::Digesting(digesting) => self.digesting = Some(digesting),
                Slot::Own(path) => self.own.push(path),
                Slot::Failed(failure) => {
                    self.failure = Some(failure);
                    return None;
                }
            }
        }
    }

    /// The next one, if it is there without waiting and without a failure.
    pub fn ready(&mut self) -> Option<Seen> {
        match self.taken.as_slice() {
            [Slot::Ready(_), ..] if self.digesting.is_none() => match self.taken.next() {
                Some(Slot::Ready(seen)) => Some(seen),
                _ => None,
            },
            _ => None,
        }
    }

    /// Why it ended early.
    pub fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// What was passed over because it is our own, told once.
    pub fn take_own(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.own)
    }
}

/// A file that is being digested.
struct Digesting {
    path: PathBuf,
    digests: oneshot::Receiver<Result<Vec<Item>, Unread>>,
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

struct Job {
    path: PathBuf,
    links: Links,
    digests: oneshot::Sender<Result<Vec<Item>, Unread>>,
}

fn slot(found: Found) -> (Slot, Option<Job>) {
    match found {
        Found::File(path, links) => {
            let (send, digests) = oneshot::channel();
            (Slot::Digesting(Digesting { path: path.clone(), digests }), Some(Job { path, links, digests: send }))
        }
        Found::Unread(path, unread) => {
            (Slot::Ready(Seen { origin: Origin::Path(path), read: Err(unread.into()), whole: true }), None)
        }
        Found::Own(path) => (Slot::Own(path), None),
    }
}

fn work(waiting: &Mutex<threads::Receiver<Job>>, mut digester: Digester) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { path, links, digests }) = job else { return };
        if !digests.is_closed() {
            // Whoever waited may have gone in the meantime.
            let _ = digests.send(digester.file(&path, links));
        }
    }
}

/// What became of the rows of a list of digests.
#[derive(Default)]
pub struct LineCounts {
    /// By outcome.
    pub counts: Counts,
    /// Rows read.
    pub read: u64,
    /// Whether all were read.
    pub ended: bool,
    /// Whether duplicates were counted among the first rows only.
    pub duplicates_of_first: bool,
}

struct Lines {
    rows: Rows<'static>,
    path: PathBuf,
    seen: Remembered,
    counts: Arc<Mutex<LineCounts>>,
}

impl Lines {
    fn next(&mut self) -> Option<Slot> {
        let row = match self.rows.next()? {
            Ok(row) => row,
            Err(source) => return Some(Slot::Failed(Failure::HashList { path: self.path.clone(), source })),
        };
        let number = row.place.row;
        // What withdraws somebody has no digest to ask for.
        let (digests, name) = match row.says {
            Says::Listed(listing) => (listing.digests, listing.name),
            Says::Withdrawn => (vec![Err(Quarantine::NoDigest)], None),
        };
        let whole = digests.len() > 1;
        let (mut items, mut bad) = (Vec::new(), None);
        for digest in digests {
            self.count(&digest);
            match digest {
                Ok(item) => items.push(item),
                Err(reason) => bad = bad.or(Some(reason)),
            }
        }
        let read = match bad {
            Some(reason) if items.is_empty() => Err(bad_line(reason)),
            _ => Ok(items.clone()),
        };
        Some(Slot::Ready(Seen { origin: Origin::Line { number, name, items }, read, whole }))
    }

    fn count(&mut self, digest: &Result<Item, Quarantine>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.read += 1;
        match digest {
            Ok(item) if self.seen.again(item) => counts.counts.duplicate += 1,
            Ok(_) => counts.counts.accepted += 1,
            Err(reason) => counts.counts.quarantine(*reason),
        }
        counts.duplicates_of_first = self.seen.full();
    }
}

/// Reasons of a line of a list of digests with what to do next, for docs/errors.md.
pub const LINE_REASONS: [(&str, &str); 1] =
    [("BAD_LINE", "the detail of each such line says what is wrong with it; --kind and --read-as may help")];

fn bad_line(reason: Quarantine) -> Missing {
    Missing { reason: LINE_REASONS[0].0, detail: Some(format!("{reason}: {}", reason.hint())) }
}

/// Digests met before, by keyed hash, in bounded memory.
#[derive(Default)]
struct Remembered {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Remembered {
    fn again(&mut self, item: &Item) -> bool {
        let hash = self.hasher.hash_one(item.as_bytes());
        if self.full() { self.seen.contains(&hash) } else { !self.seen.insert(hash) }
    }

    fn full(&self) -> bool {
        self.seen.len() == REMEMBERED
    }
}

#[cfg(test)]
mod tests;
