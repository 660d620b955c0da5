//! Brings what a source gives to the client and its answers back, in order.

use std::{
    collections::VecDeque,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{StreamExt, stream};
use tokio::sync::OwnedMutexGuard;
use veilmatch_protocol::{item::Item, name::ListId};

use super::{
    failure::Failure,
    interrupt::Interrupt,
    source::{Missing, Seen, Source},
};
use crate::{Client, NotChecked, Outcome, Subject, output::Origin};

/// Most answers that wait for one before them. Far more than what the client has on its way; only a source that gives
/// almost nothing but unreadable files gets there, and then what was asked is brought to its end first.
const WAITING: usize = 65_536;

/// One answer, in the order of the source.
pub struct Answered<'a> {
    /// What was checked.
    pub origin: &'a Origin,
    /// What came out.
    pub outcome: &'a Outcome,
    /// More about a *not checked*.
    pub detail: Option<&'a str>,
}

/// What the receiver of answers wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More.
    Go,
    /// The answers on their way, but nothing further.
    Drain,
    /// Nothing.
    Halt,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything was answered.
    Complete,
    /// There was more.
    Early,
}

/// Checks everything a source gives. The answers come to `receive` in order, those that need no asking included.
pub async fn sweep(
    client: &Client,
    list: &ListId,
    source: Source,
    interrupt: &Interrupt,
    done: &AtomicU64,
    receive: impl FnMut(Answered<'_>) -> Result<Next, Failure>,
) -> Result<End, Failure> {
    let waiting = Waiting::default();
    let feed = Feed { source, key: 0, ended: None, interrupt: interrupt.clone(), waiting: waiting.clone() };
    let feed = Arc::new(tokio::sync::Mutex::new(feed));
    let mut delivery = Delivery { waiting, done, receive };
    loop {
        let mut outcomes = client.check_stream(list, subjects(Arc::clone(&feed).lock_owned().await));
        while let Some((_, outcome)) = outcomes.next().await {
            if delivery.answer(Some(outcome))? == Next::Halt {
                return Ok(End::Early);
            }
        }
        // What needed no asking and stands after the last answer.
        if delivery.answer(None)? == Next::Halt {
            return Ok(End::Early);
        }
        let mut feed = feed.lock().await;
        for own in feed.source.take_own() {
            eprintln!("veilmatch: note: passed over {}, which is ours", own.display());
        }
        if let Some(failure) = feed.source.failure() {
            return Err(failure);
        }
        if let Some(end) = feed.ended {
            return Ok(end);
        }
    }
}

/// Joins what was given with the answers, and hands both on.
struct Delivery<'a, F> {
    waiting: Waiting,
    done: &'a AtomicU64,
    receive: F,
}

impl<F: FnMut(Answered<'_>) -> Result<Next, Failure>> Delivery<'_, F> {
    /// One more answer; or, with none, that there are no more of this stream.
    fn answer(&mut self, mut outcome: Option<Outcome>) -> Result<Next, Failure> {
        let ended = outcome.is_none();
        while let Some(pending) = self.waiting.take(ended || outcome.is_some()) {
            let (outcome, detail) = match pending.missing {
                Some(missing) => (Outcome::NotChecked(NotChecked::Source(missing.reason)), missing.detail),
                // Without an answer at the end of the stream, the client was shut down.
                None => (outcome.take().unwrap_or(Outcome::NotChecked(NotChecked::ShutDown)), None),
            };
            self.done.fetch_add(1, Ordering::Relaxed);
            let answered = Answered { origin: &pending.origin, outcome: &outcome, detail: detail.as_deref() };
            match (self.receive)(answered)? {
                Next::Go => {}
                Next::Drain => self.waiting.close(),
                Next::Halt => return Ok(Next::Halt),
            }
        }
        Ok(Next::Go)
    }
}

/// The subjects of a source, until it ends or too many answers wait.
fn subjects(feed: OwnedMutexGuard<Feed>) -> impl futures::Stream<Item = Subject> + Send + 'static {
    stream::unfold(feed, |mut feed| async move { feed.next().await.map(|subject| (subject, feed)) })
}

struct Feed {
    source: Source,
    key: u64,
    ended: Option<End>,
    interrupt: Interrupt,
    waiting: Waiting,
}

impl Feed {
    async fn next(&mut self) -> Option<Subject> {
        loop {
            let (full, closed) = self.waiting.state();
            if full {
                return None;
            }
            if closed || self.interrupt.is_asked() {
                self.ended = Some(End::Early);
                return None;
            }
            let seen = match self.source.ready() {
                Some(seen) => Some(seen),
                None => tokio::select! {
                    seen = self.source.next() => seen,
                    () = self.interrupt.asked() => continue,
                },
            };
            let Some(Seen { origin, read, whole }) = seen else {
                self.ended = Some(End::Complete);
                return None;
            };
            match read {
                Ok(items) => {
                    let reference = reference(&origin, &items);
                    self.waiting.push(Pending { origin, missing: None });
                    self.key += 1;
                    return Some(Subject { key: self.key, reference, items, whole });
                }
                Err(missing) => self.waiting.push(Pending { origin, missing: Some(missing) }),
            }
        }
    }
}

/// What a rescan names it by: the absolute path of a file, the name beside a digest, or the digest.
pub fn reference(origin: &Origin, items: &[Item]) -> Vec<u8> {
    match origin {
        Origin::Path(path) => absolute(path).as_os_str().as_bytes().to_vec(),
        Origin::Line { name: Some(name), .. } | Origin::Name(name) => name.clone(),
        Origin::Line { .. } => digest_name(items).into_bytes(),
    }
}

/// A digest as a name: `sha256:…`.
pub fn digest_name(items: &[Item]) -> String {
    items.first().map(|item| format!("{}:{}", item.kind().name(), hex::encode(item.digest()))).unwrap_or_default()
}

/// A path that means the same from everywhere. Without a working directory it stays as it is.
pub fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What was given and has no answer yet, oldest first.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    pending: VecDeque<Pending>,
    closed: bool,
}

struct Pending {
    origin: Origin,
    // Why it needs no asking.
    missing: Option<Missing>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, pending: Pending) {
        self.lock().pending.push_back(pending);
    }

    /// The oldest, if it needs no asking or there is an answer for it.
    fn take(&self, answered: bool) -> Option<Pending> {
        let mut queue = self.lock();
        let known = queue.pending.front()?.missing.is_some();
        if known || answered { queue.pending.pop_front() } else { None }
    }

    /// Whether it is full, and whether it was closed.
    fn state(&self) -> (bool, bool) {
        let queue = self.lock();
        (queue.pending.len() >= WAITING, queue.closed)
    }

    fn close(&self) {
        self.lock().closed = true;
    }
}
