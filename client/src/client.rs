//! The client: one handle for every thread of a platform.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicI64},
    time::Duration,
};

use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use veilmatch_proto::{STREAM_WINDOW, manifest_note, pb};
use veilmatch_protocol::{
    frame::FrameSize,
    item::{Item, Kind},
    name::{ListId, Origin, PlatformId},
    note::Verifier,
};

use crate::{
    Error,
    config::Config,
    connection::Connection,
    enrol::{Invitation, request_key},
    frames::{Batch, Failed, Frames, blocking, judge_subject, now},
    held::Held,
    keeper::Keeper,
    outcome::{NotChecked, Outcome, Subject},
    results::Row,
    state_dir::{DirLock, StateDir},
    store::Store,
    sync::{Sync, SyncProgress, SyncReport},
};

/// Subjects of one batch at most, where all their results are known already.
const BATCH_SUBJECTS: usize = 4_096;

/// Single checks that wait for the next frame.
const WAITING_CHECKS: usize = 4_096;

/// The platform's side: checks items, keeps lists current, rescans. Cheap to clone; every clone is the same client.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    dir: StateDir,
    config: Config,
    invitation: Invitation,
    verifier: Verifier,
    platform: PlatformId,
    store: Arc<Store>,
    frames: Arc<Frames>,
    lists: BTreeMap<ListId, ListState>,
    next_block: Arc<AtomicI64>,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    // Released after everything above, when the last clone is gone.
    _lock: DirLock,
}

struct ListState {
    held: RwLock<Option<Arc<Held>>>,
    keeper: Mutex<Option<Arc<Keeper>>>,
    // One synchronisation at a time.
    syncing: tokio::sync::Mutex<()>,
    checks: mpsc::Sender<WaitingCheck>,
}

struct WaitingCheck {
    subject: Subject,
    reply: oneshot::Sender<Outcome>,
}

/// What is held of a list.
#[derive(Debug, Clone)]
pub struct ListStatus {
    /// The list.
    pub list: ListId,
    /// The version in place, if there is one.
    pub held: Option<HeldStatus>,
    /// Subjects kept for rescans.
    pub kept: u64,
}

/// A version in place.
#[derive(Debug, Clone)]
pub struct HeldStatus {
    /// The version.
    pub version: u32,
    /// Its epoch.
    pub epoch: u32,
    /// Published records, padding included.
    pub count: u64,
    /// Kinds of digests.
    pub kinds: Vec<Kind>,
    /// RFC 3339 time after which nothing is answered from it.
    pub not_after: String,
    /// Whether it may be used now.
    pub valid: bool,
}

/// A kept subject that is listed in the version held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What the subject was named by when it was checked.
    pub reference: Vec<u8>,
    /// The answer under the version held now.
    pub outcome: Outcome,
}

impl Client {
    /// Opens a platform's directory that has joined an agency. Connects when something is first asked.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], [`Error::NotJoined`], [`Error::Busy`] and what reading the files gives.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let dir = StateDir::open(root)?;
        let config = Config::read(&dir)?;
        let lock = dir.lock()?;
        let invitation = Invitation::of(root)?;
        let platform = config.platform()?;
        let store = Arc::new(Store::open(&dir.database())?);
        let abandoned = store.abandon_unfinished()?;
        if abandoned > 0 {
            tracing::info!(abandoned, "frames of an earlier run had no end; their items are asked anew");
        }
        let next_block = Arc::new(AtomicI64::new(store.last_block()? + 1));
        let connection = Connection::new(&dir, &invitation, config.connect_timeout())?;
        let frames = Arc::new(Frames {
            dir: dir.clone(),
            store: Arc::clone(&store),
            connection,
            request_key: request_key(&dir)?,
            platform: platform.clone(),
            origin: Origin::of(&invitation.agency()),
        });
        let (stop, _) = watch::channel(false);
        let mut queues = Vec::new();
        let mut lists = BTreeMap::new();
        for list in invitation.lists() {
            let (checks, queue) = mpsc::channel(WAITING_CHECKS);
            queues.push((list.clone(), queue));
            let state = ListState {
                held: RwLock::new(None),
                keeper: Mutex::new(None),
                syncing: tokio::sync::Mutex::new(()),
                checks,
            };
            lists.insert(list, state);
        }
        let verifier = invitation.manifest_key();
        let inner = Inner {
            dir,
            config,
            invitation,
            verifier,
            platform,
            store,
            frames,
            lists,
            next_block,
            stop,
            tasks: Mutex::new(JoinSet::new()),
            _lock: lock,
        };
        let client = Self { inner: Arc::new(inner) };
        for list in client.lists() {
            if let Some(held) = client.syncer(&list, &|_| {}).open_held()? {
                client.put_in_place(&list, held)?;
            }
        }
        for (list, queue) in queues {
            client.spawn(share_frames(Arc::downgrade(&client.inner), list, queue));
        }
        Ok(client)
    }

    /// The lists of the invitation.
    #[must_use]
    pub fn lists(&self) -> Vec<ListId> {
        self.inner.lists.keys().cloned().collect()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The invitation.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        &self.inner.invitation
    }

    /// The platform's name.
    #[must_use]
    pub fn platform(&self) -> &PlatformId {
        &self.inner.platform
    }

    /// The kinds of a list's digests; none before the first synchronisation.
    #[must_use]
    pub fn kinds(&self, list: &ListId) -> Vec<Kind> {
        self.held(list).map_or_else(Vec::new, |held| held.kinds())
    }

    /// What is held of each list.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn status(&self) -> Result<Vec<ListStatus>, Error> {
        self.lists()
            .into_iter()
            .map(|list| {
                let held = self.held(&list);
                let kept = held.as_ref().map_or(Ok(0), |held| self.inner.store.kept(&list, held.epoch()))?;
                let held = held.map(|held| HeldStatus {
                    version: held.version().0,
                    epoch: held.epoch().0,
                    count: held.artifact().count(),
                    kinds: held.kinds(),
                    not_after: held.manifest().not_after.to_string(),
                    valid: held.valid_at(now()),
                });
                Ok(ListStatus { list, held, kept })
            })
            .collect()
    }

    /// Frames sent so far, by how they ended: answered, refused, abandoned, sent.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn frames(&self) -> Result<Vec<(String, u64)>, Error> {
        self.inner.store.frames()
    }

    /// Brings one list up to date. The version held stays in use until the new one is verified.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Untrusted`], [`Error::Refused`], [`Error::NothingPublished`], [`Error::Io`].
    pub async fn sync(
        &self,
        list: &ListId,
        progress: impl Fn(SyncProgress) + Send + std::marker::Sync + 'static,
    ) -> Result<SyncReport, Error> {
        let state = self.state(list)?;
        let _one = state.syncing.lock().await;
        let (this, name) = (self.clone(), list.clone());
        let runtime = tokio::runtime::Handle::current();
        // Files are written and hashed on the way, so the whole of it runs off the workers.
        let done = tokio::task::spawn_blocking(move || runtime.block_on(this.syncer(&name, &progress).run()));
        let (held, report) = match done.await {
            Ok(done) => done?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        self.put_in_place(list, held)?;
        Ok(report)
    }

    /// Checks one subject. Concurrent checks share frames: one leaves at once when no frame is on its way, and otherwise
    /// with the next. No answer by the deadline is *not checked*; the frame still runs to its end and is recorded.
    pub async fn check(&self, list: &ListId, subject: Subject, deadline: Duration) -> Outcome {
        let Ok(state) = self.state(list) else { return Outcome::NotChecked(NotChecked::NoList) };
        let (reply, answer) = oneshot::channel();
        let asked = async {
            state.checks.send(WaitingCheck { subject, reply }).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(deadline, asked).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::NotChecked(NotChecked::ShutDown),
            Err(_) => Outcome::NotChecked(NotChecked::Deadline),
        }
    }

    /// Checks many subjects in full frames, some of them on their way at a time; outcomes come in the order of the
    /// subjects, after their results are durable. Memory does not depend on how many there are.
    pub fn check_stream(
        &self,
        list: &ListId,
        subjects: impl Stream<Item = Subject> + Send + 'static,
    ) -> BoxStream<'static, (u64, Outcome)> {
        let (batches, queue) = mpsc::channel(1);
        let (this, name) = (self.clone(), list.clone());
        self.spawn(async move { this.pack(&name, subjects, batches).await });
        let (this, name) = (self.clone(), list.clone());
        let patience = self.inner.config.patience();
        ReceiverStream::new(queue)
            .map(move |subjects| this.run_to_end(name.clone(), subjects, patience))
            .buffered(STREAM_WINDOW)
            .flat_map(futures::stream::iter)
            .boxed()
    }

    /// Matches everything kept of a list against the version held now, without the network; labels included. `found` gets
    /// the subjects that are matches or could not be looked up. Gives how many subjects were looked at.
    ///
    /// # Errors
    /// [`Error::SealedResults`], [`Error::Database`].
    pub fn rescan(&self, list: &ListId, mut found: impl FnMut(Found)) -> Result<u64, Error> {
        let Some(held) = self.held(list) else { return Ok(0) };
        let Some(keeper) = self.keeper(list, &held)? else { return Ok(0) };
        let expired = !held.valid_at(now());
        let mut looked_at = 0;
        keeper.walk(|kept| {
            looked_at += 1;
            let subject = Subject { key: 0, reference: Vec::new(), items: Vec::new(), whole: kept.whole };
            let outcome = match expired {
                true => Outcome::NotChecked(NotChecked::Expired),
                false => judge_subject(&held, &subject, &kept.rows),
            };
            if !matches!(outcome, Outcome::NoMatch { .. }) {
                found(Found { reference: kept.reference.clone(), outcome });
            }
            Ok(())
        })?;
        Ok(looked_at)
    }

    /// Keeps every list current in the background: at once where the server's stream announces a version, by asking
    /// where it does not. Ends with [`Self::shutdown`].
    pub fn keep_current(&self) {
        for list in self.lists() {
            self.spawn(follow(self.clone(), list));
        }
    }

    /// Ends background work and waits for frames on their way, so that what was asked is recorded.
    pub async fn shutdown(self) {
        self.inner.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    fn state(&self, list: &ListId) -> Result<&ListState, Error> {
        self.inner.lists.get(list).ok_or_else(|| Error::UnknownList { list: list.to_string() })
    }

    fn held(&self, list: &ListId) -> Option<Arc<Held>> {
        let state = self.inner.lists.get(list)?;
        state.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn syncer<'a>(
        &'a self,
        list: &'a ListId,
        progress: &'a (dyn Fn(SyncProgress) + Send + std::marker::Sync),
    ) -> Sync<'a> {
        Sync {
            dir: &self.inner.dir,
            store: &self.inner.store,
            connection: &self.inner.frames.connection,
            verifier: &self.inner.verifier,
            list,
            address: &self.inner.invitation.address,
            progress,
        }
    }

    fn put_in_place(&self, list: &ListId, held: Held) -> Result<(), Error> {
        let state = self.state(list)?;
        let epoch = held.epoch();
        let mut place = state.held.write().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_some_and(|now| now.version() > held.version()) {
            return Ok(());
        }
        *place = Some(Arc::new(held));
        drop(place);
        for old in self.inner.store.forget_other_epochs(list, epoch)? {
            let path = self.inner.dir.results_key(list, old);
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    fn keeper(&self, list: &ListId, held: &Held) -> Result<Option<Arc<Keeper>>, Error> {
        if !self.inner.config.keep_results() {
            return Ok(None);
        }
        let mut keeper = self.state(list)?.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(|keeper| keeper.epoch() != held.epoch()) {
            let (store, next) = (Arc::clone(&self.inner.store), Arc::clone(&self.inner.next_block));
            *keeper = Some(Arc::new(Keeper::open(&self.inner.dir, store, list.clone(), held.epoch(), next)?));
        }
        Ok(keeper.clone())
    }

    /// Cuts a stream of subjects into batches whose items fit into the largest frame.
    async fn pack(
        &self,
        list: &ListId,
        subjects: impl Stream<Item = Subject> + Send,
        batches: mpsc::Sender<Vec<Subject>>,
    ) {
        let mut subjects = std::pin::pin!(subjects);
        let mut stop = self.inner.stop.subscribe();
        let (mut batch, mut items) = (Vec::new(), 0);
        loop {
            let next = tokio::select! {
                next = subjects.next() => next,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(subject) = next else { break };
            let room = self.largest_frame(list);
            if !batch.is_empty() && (items + subject.items.len() > room || batch.len() == BATCH_SUBJECTS) {
                items = 0;
                if batches.send(std::mem::take(&mut batch)).await.is_err() {
                    return;
                }
            }
            items += subject.items.len();
            batch.push(subject);
        }
        if !batch.is_empty() {
            // The reader has gone away; nothing was asked for these.
            let _ = batches.send(batch).await;
        }
    }

    fn largest_frame(&self, list: &ListId) -> usize {
        let sizes = self.held(list).map_or_else(Vec::new, |held| held.manifest().frame_sizes());
        sizes.into_iter().max().unwrap_or(FrameSize::Full).len()
    }

    /// A frame on its way is finished and recorded even if nobody waits for its outcomes any more.
    fn run_to_end(
        &self,
        list: ListId,
        subjects: Vec<Subject>,
        patience: Duration,
    ) -> impl Future<Output = Vec<(u64, Outcome)>> + Send + use<> {
        let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
        let (done, outcomes) = oneshot::channel();
        let this = self.clone();
        self.spawn(async move {
            // Nobody waits any more: the results are durable all the same.
            let _ = done.send(this.answer_all(&list, subjects, patience).await);
        });
        async move {
            let ended = |_| keys.iter().map(|&key| (key, Outcome::NotChecked(NotChecked::ShutDown))).collect();
            outcomes.await.unwrap_or_else(ended)
        }
    }

    /// One batch, with one synchronisation in between if the server says that we are behind.
    async fn answer_all(&self, list: &ListId, subjects: Vec<Subject>, patience: Duration) -> Vec<(u64, Outcome)> {
        let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
        let all = |reason: NotChecked| keys.iter().map(|&key| (key, Outcome::NotChecked(reason.clone()))).collect();
        let subjects = Arc::new(subjects);
        for last_try in [false, true] {
            let (this, name, asked) = (self.clone(), list.clone(), Arc::clone(&subjects));
            let failed = match blocking(move || this.batch(&name, &asked)).await {
                Ok(batch) => match self.inner.frames.answer(batch, patience).await {
                    Ok(outcomes) => return outcomes,
                    Err(failed) => failed,
                },
                Err(failed) => failed,
            };
            match failed {
                Failed::NotChecked(reason) => return all(reason),
                Failed::Stale(reason) if last_try => {
                    return all(NotChecked::Refused { reason, retry_after: None });
                }
                Failed::Stale(reason) => {
                    tracing::info!(%list, reason = reason.name(), "behind the server; synchronising");
                    if let Err(error) = self.sync(list, |_| {}).await {
                        tracing::warn!(%list, %error, "synchronisation failed");
                        return all(NotChecked::Refused { reason, retry_after: None });
                    }
                }
            }
        }
        all(NotChecked::Offline)
    }

    /// What is known of the subjects under the version held now.
    fn batch(&self, list: &ListId, subjects: &[Subject]) -> Result<Batch, Failed> {
        let held = self.held(list).ok_or(Failed::NotChecked(NotChecked::NoList))?;
        if !held.valid_at(now()) {
            return Err(Failed::NotChecked(NotChecked::Expired));
        }
        let keeper = self.keeper(list, &held)?;
        let kinds = held.kinds();
        let mut prepared = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let known = |item: &Item| match &keeper {
                Some(keeper) if kinds.contains(&item.kind()) => keeper.known(item),
                _ => Ok(None),
            };
            let known = subject.items.iter().map(known).collect::<Result<Vec<Option<Row>>, Error>>()?;
            prepared.push((subject.clone(), known));
        }
        Ok(Batch { held, keeper, subjects: prepared })
    }
}

/// Gathers what waits while a frame is on its way into the next one.
async fn share_frames(inner: std::sync::Weak<Inner>, list: ListId, mut queue: mpsc::Receiver<WaitingCheck>) {
    let mut waiting: VecDeque<WaitingCheck> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(stop) = inner.upgrade().map(|inner| inner.stop.subscribe()) else { return };
            let mut stop = stop;
            let next = tokio::select! {
                next = queue.recv() => next,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            match next {
                Some(check) => waiting.push_back(check),
                None => return,
            }
        }
        while let Ok(check) = queue.try_recv() {
            waiting.push_back(check);
        }
        let Some(client) = inner.upgrade().map(|inner| Client { inner }) else { return };
        let room = client.largest_frame(&list);
        let mut items = 0;
        let fits = waiting.iter().take_while(|check| {
            items += check.subject.items.len();
            items <= room
        });
        let count = fits.count().max(1);
        let (subjects, replies): (Vec<_>, Vec<_>) = waiting
            .drain(..count)
            .filter(|check| !check.reply.is_closed())
            .enumerate()
            .map(|(at, check)| (Subject { key: at as u64, ..check.subject }, check.reply))
            .unzip();
        if subjects.is_empty() {
            continue;
        }
        let patience = client.inner.config.check_deadline();
        let outcomes = client.answer_all(&list, subjects, patience).await;
        for ((_, outcome), reply) in outcomes.into_iter().zip(replies) {
            // A caller whose deadline has passed is gone.
            let _ = reply.send(outcome);
        }
    }
}

/// Synchronises a list whenever a version is announced, and every poll interval at the latest.
async fn follow(client: Client, list: ListId) {
    let mut stop = client.inner.stop.subscribe();
    let poll = client.inner.config.poll();
    let work = async {
        loop {
            if let Err(error) = client.sync(&list, |_| {}).await {
                tracing::warn!(%list, %error, "synchronisation failed; the version held stays in use");
            }
            let request = pb::WatchVersionsRequest { list_id: list.to_string() };
            let announced = async {
                let mut stream =
                    client.inner.frames.connection.lists().watch_versions(request).await.ok()?.into_inner();
                loop {
                    let note = manifest_note(stream.message().await.ok()??).ok()?;
                    // The first message repeats the newest; only another one than the one held is news.
                    let held = client.held(&list);
                    let same = held.as_ref().is_some_and(|held| held.note() == note);
                    if !same {
                        return Some(());
                    }
                }
            };
            match tokio::time::timeout(poll, announced).await {
                Ok(Some(())) | Err(_) => {}
                // The stream is broken: ask again after a while.
                Ok(None) => tokio::time::sleep(poll.min(Duration::from_secs(5))).await,
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
