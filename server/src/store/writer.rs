//! The one writer of frames: it takes what is queued, commits it in one transaction and answers all.
//!
//! No timer: an idle server commits at once, a busy one batches by itself, because records queue up while the disk
//! flushes. What is acknowledged is on the disk; what is not acknowledged was not answered.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    ClosedDay, FrameKey, FrameRecord, NewLeaf, Store, connection,
    group::{self, Askers},
};
use crate::Error;

/// Most records in one transaction.
const GROUP: usize = 512;

/// Records that may wait. Beyond it frames are refused, as on a disk that cannot be written.
const QUEUE: usize = 1 << 16;

/// Pages of the log, about, after which it is moved into the database, if the writer does not come to rest before.
const LOG_PAGES: usize = 4_096;

/// Pages that a transaction writes beside those of its records: the ends of tables and the counts.
const COMMIT_PAGES: usize = 8;

/// Pages that a record writes, about: a place in the index of random keys, and its share of the ends of tables.
const RECORD_PAGES: usize = 2;

/// How often a writer that could not write tries again.
const PROBE: Duration = Duration::from_secs(1);

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is on the disk, and its leaf has this index in this log.
    Durable(Arc<str>, u64),
    /// It was counted, on the disk.
    Counted,
    /// The batch id has an answered frame, or the day is closed; nothing was written or charged.
    AlreadyAnswered,
    /// The day has gained frames since its statement was compared with them; nothing was written.
    Differs,
    /// The frame was answered again as often as it may be.
    TooManyRetries,
    /// The frame's charge was given back before, or there is no such frame.
    AlreadyRefunded,
    /// It could not be written; nothing of it is kept.
    Unavailable,
}

/// Whether frames can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditState {
    /// They can.
    Writable,
    /// The disk is full or locked: nothing is answered until a write succeeds again.
    Unwritable,
    /// A write or a sync failed; what is on the disk is unknown and the process must end.
    Failed,
}

/// What the writer is asked to write.
pub(super) enum Work {
    Record { record: Box<FrameRecord>, leaf: NewLeaf, day: u64 },
    Retry { key: FrameKey, most: u32 },
    Refund { key: FrameKey, day: u64 },
    Close { day: Box<ClosedDay>, leaf: NewLeaf },
}

struct Job {
    work: Work,
    done: oneshot::Sender<Recorded>,
}

/// Hands records to the writer thread. Dropping the last one ends the thread after what is queued.
#[derive(Debug)]
pub struct FrameWriter {
    jobs: Option<SyncSender<Job>>,
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl FrameWriter {
    /// Starts the thread with its own connection. `on_change` hears of each new state, on the writer's thread.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn start(path: &Path, on_change: impl Fn(AuditState) + Send + 'static) -> Result<Self, Error> {
        Self::run(Store::open(path)?, on_change)
    }

    pub(crate) fn run(store: Store, on_change: impl Fn(AuditState) + Send + 'static) -> Result<Self, Error> {
        let (jobs, queue) = sync_channel(QUEUE);
        let state = Arc::new(AtomicU8::new(AuditState::Writable as u8));
        let writer = Writer {
            connection: store.connection,
            askers: Askers::default(),
            state: Arc::clone(&state),
            on_change: Box::new(on_change),
            // Commands, or a server that was killed, may have left any number of them.
            log_pages: LOG_PAGES,
        };
        let thread = std::thread::Builder::new()
            .name("frame-writer".into())
            .spawn(move || writer.run(&queue))
            .map_err(Error::io("start", Path::new("the writing thread")))?;
        Ok(Self { jobs: Some(jobs), state, thread: Some(thread) })
    }

    /// Records an answered or refused frame, with its leaf. An answered one is charged to `day` in the same transaction.
    pub async fn record(&self, record: FrameRecord, leaf: NewLeaf, day: u64) -> Recorded {
        self.submit(Work::Record { record: Box::new(record), leaf, day }).await
    }

    /// Counts another answer to an answered frame, at most `most` of them.
    pub async fn retry(&self, key: FrameKey, most: u32) -> Recorded {
        self.submit(Work::Retry { key, most }).await
    }

    /// Gives back what an answered frame was charged to `day`, once, and counts the retry.
    pub async fn refund(&self, key: FrameKey, day: u64) -> Recorded {
        self.submit(Work::Refund { key, day }).await
    }

    /// Records a closed day with its leaf, once.
    pub async fn close(&self, day: ClosedDay, leaf: NewLeaf) -> Recorded {
        self.submit(Work::Close { day: Box::new(day), leaf }).await
    }

    async fn submit(&self, work: Work) -> Recorded {
        let (done, outcome) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("taken away only when dropped");
        match jobs.try_send(Job { work, done }) {
            Ok(()) => outcome.await.unwrap_or(Recorded::Unavailable),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Recorded::Unavailable,
        }
    }

    /// Whether frames can be recorded now.
    #[must_use]
    pub fn state(&self) -> AuditState {
        match self.state.load(Ordering::Acquire) {
            0 => AuditState::Writable,
            1 => AuditState::Unwritable,
            _ => AuditState::Failed,
        }
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread ends once the queue is empty. If it panicked, its panic was reported where it happened.
            drop(thread.join());
        }
    }
}

struct Writer {
    connection: Connection,
    askers: Askers,
    state: Arc<AtomicU8>,
    on_change: Box<dyn Fn(AuditState) + Send>,
    // What the log holds since it was last moved into the database, about.
    log_pages: usize,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A panic here is a mistake of ours; without a writer nothing may be answered, and somebody must know.
        if std::thread::panicking() {
            self.become_state(AuditState::Failed);
        }
    }
}

impl Writer {
    fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let first = match queue.recv_timeout(PROBE) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.probe();
                    self.checkpoint(1);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.checkpoint(1),
            };
            let mut group = vec![first];
            group.extend(queue.try_iter().take(GROUP - 1));
            self.write(group);
            self.checkpoint(LOG_PAGES);
        }
    }

    // Moves the log into the database if it has so many pages.
    fn checkpoint(&mut self, pages: usize) {
        if self.log_pages >= pages && self.current() == AuditState::Writable {
            let moved = connection::checkpoint(&self.connection);
            self.settle(moved);
        }
    }

    // A full disk leaves the log as it is, and the next one tries again. After a failed sync nothing may be tried again:
    // it would seem to succeed, and the log would be forgotten.
    fn settle(&mut self, moved: rusqlite::Result<()>) {
        match moved {
            Err(error) if !can_recover(&error) => self.fail(&error),
            Err(error) => tracing::warn!(%error, "the store's log could not be moved into it; it grows until it can"),
            Ok(()) => {}
        }
        self.log_pages = 0;
    }

    fn write(&mut self, group: Vec<Job>) {
        if self.current() == AuditState::Failed {
            return answer(group, |_| Recorded::Unavailable);
        }
        match group::commit(&mut self.connection, &mut self.askers, group.iter().map(|job| &job.work)) {
            Ok(outcomes) => {
                self.log_pages += COMMIT_PAGES + RECORD_PAGES * group.len();
                self.become_state(AuditState::Writable);
                let mut outcomes = outcomes.into_iter();
                answer(group, |_| outcomes.next().unwrap_or(Recorded::Unavailable));
            }
            Err(error) => {
                // The state first: whoever learns that its frame was not recorded must find the server not serving.
                self.fail(&error);
                answer(group, |_| Recorded::Unavailable);
            }
        }
    }

    fn probe(&mut self) {
        if self.current() != AuditState::Unwritable {
            return;
        }
        let written = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|tx| tx.execute("UPDATE revision SET n = n", []).and_then(|_| tx.commit()));
        match written {
            Ok(()) => self.become_state(AuditState::Writable),
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&self, error: &rusqlite::Error) {
        let state = if can_recover(error) { AuditState::Unwritable } else { AuditState::Failed };
        tracing::error!(reason = "AUDIT_UNAVAILABLE", error = %error, fatal = state == AuditState::Failed, "frames cannot be recorded");
        self.become_state(state);
    }

    fn become_state(&self, state: AuditState) {
        if self.state.swap(state as u8, Ordering::AcqRel) != state as u8 {
            (self.on_change)(state);
        }
    }

    fn current(&self) -> AuditState {
        match self.state.load(Ordering::Acquire) {
            0 => AuditState::Writable,
            1 => AuditState::Unwritable,
            _ => AuditState::Failed,
        }
    }
}

fn answer(group: Vec<Job>, mut outcome: impl FnMut(&Work) -> Recorded) {
    for job in group {
        let outcome = outcome(&job.work);
        // Nobody waits any more if the connection went away; the record stands, and a retry finds it.
        let _ = job.done.send(outcome);
    }
}

// A full or locked disk leaves the database as it was. After any other failure to write or sync, Linux may have dropped
// the pages and report success the next time, so nothing is tried again.
pub(super) fn can_recover(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    matches!(failure.code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(dir: &Path) -> Writer {
        let connection = Store::open(&dir.join("veilmatch.db")).unwrap().connection;
        let state = Arc::new(AtomicU8::new(AuditState::Writable as u8));
        Writer { connection, askers: Askers::default(), state, on_change: Box::new(|_| ()), log_pages: 1 }
    }

    #[tokio::test]
    async fn what_was_in_the_log_at_the_start_is_moved_without_a_frame() {
        // The writer counted its own pages only: what commands had committed stayed in the log of a server that nobody
        // asked, through its start and its end.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("veilmatch.db");
        let filler = "x".repeat(1_000_000);
        let store = Store::open(&path).unwrap();
        store.connection.execute("INSERT INTO agency (agency, founded) VALUES (?1, 0)", [filler]).unwrap();
        drop(store);
        assert!(std::fs::metadata(&path).unwrap().len() < 1_000_000);
        drop(FrameWriter::start(&path, |_| ()).unwrap());
        assert!(std::fs::metadata(&path).unwrap().len() > 1_000_000);
    }

    fn failure(code: i32) -> rusqlite::Result<()> {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    }

    #[test]
    fn a_checkpoint_that_cannot_be_synced_is_as_final_as_a_commit_that_cannot() {
        // SQLite made checkpoints by itself after a commit, and dropped their errors: the next one seemed to succeed, and
        // what only the log still had was gone.
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        writer.settle(failure(rusqlite::ffi::SQLITE_FULL));
        assert_eq!(writer.current(), AuditState::Writable);
        writer.settle(failure(rusqlite::ffi::SQLITE_IOERR_FSYNC));
        assert_eq!(writer.current(), AuditState::Failed);
    }

    #[test]
    fn the_log_is_moved_by_the_writer_and_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        let pages: i64 = writer.connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0)).unwrap();
        assert_eq!(pages, 0);
        let database = || std::fs::metadata(dir.path().join("veilmatch.db")).unwrap().len();
        let (before, filler) = (database(), "x".repeat(1_000_000));
        writer.connection.execute("INSERT INTO agency (agency, founded) VALUES (?1, 0)", [filler]).unwrap();
        // Closing a connection does not move it either.
        drop(Store::open(&dir.path().join("veilmatch.db")).unwrap());
        assert_eq!(database(), before);
        writer.checkpoint(2);
        assert_eq!(database(), before);
        writer.checkpoint(1);
        assert!(database() > before + 1_000_000);
        assert_eq!(writer.log_pages, 0);
    }
}
