//! The client: one handle for every thread of a platform.

mod bulk;
mod follow;
mod log;
mod rescan;
mod single;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use veilmatch_protocol::{
    item::Kind,
    name::{Epoch, ListId, Origin, PlatformId},
    note::Verifier,
};

use crate::{
    Error,
    config::Config,
    connection::Connection,
    enrol::Invitation,
    frames::{Acknowledger, Frames, Spent, now},
    held::Held,
    keeper::Keeper,
    keys::Keys,
    matchlog::{LogKeys, MatchLog},
    state_dir::{DirLock, StateDir, remove_if_there},
    store::Store,
    sync::{Sync, SyncProgress, SyncReport},
    watch::Watch,
};
pub use rescan::{Destroyed, Forget, Found, Rescan};
use single::WaitingCheck;

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
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    // Released after everything above, when the last clone is gone.
    _lock: DirLock,
}

struct ListState {
    held: RwLock<Option<Arc<Held>>>,
    keeper: Mutex<Option<Arc<Keeper>>>,
    // One synchronisation at a time: held by its work, which may outlive whoever asked for it.
    syncing: Arc<tokio::sync::Mutex<()>>,
    checks: mpsc::Sender<WaitingCheck>,
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
        let Keys { request, match_log, receipt, witness } = Keys::read(&dir)?;
        let keys = LogKeys { log: match_log, receipts: receipt };
        let parties = (platform.clone(), invitation.agency());
        let log = Arc::new(MatchLog::open(&dir, Arc::clone(&store), parties, keys)?);
        let watch = Arc::new(Watch::open(&dir, Arc::clone(&store), &invitation, (&platform, witness))?);
        let abandoned = log.abandon_unfinished()?;
        if abandoned > 0 {
            tracing::info!(abandoned, "frames of an earlier run had no end; their items are asked anew");
        }
        let connection = Connection::new(&dir, &invitation, config.connect_timeout())?;
        let (stop, stopped) = watch::channel(false);
        let frames = Arc::new(Frames {
            dir: dir.clone(),
            connection,
            request_key: request,
            platform: platform.clone(),
            origin: Origin::of(&invitation.agency()),
            watch,
            acknowledger: Acknowledger::new(&invitation),
            log,
            daily_elements: invitation.budget.elements,
            spent: Spent::default(),
            stopped,
        });
        let mut queues = Vec::new();
        let mut lists = BTreeMap::new();
        for list in invitation.lists() {
            let (checks, queue) = mpsc::channel(single::WAITING);
            queues.push((list.clone(), queue));
            let state =
                ListState { held: RwLock::new(None), keeper: Mutex::new(None), syncing: Arc::default(), checks };
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
        client.inner.frames.log.end_days(&client.lists())?;
        for (list, queue) in queues {
            // Nobody can have shut it down yet.
            let _ = client.spawn(single::share_frames(Arc::downgrade(&client.inner), list, queue));
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

    /// Brings one list up to date. The version held stays in use until the new one is verified. Goes on to its end if the
    /// caller stops waiting.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Untrusted`], [`Error::Refused`], [`Error::NothingPublished`], [`Error::Io`],
    /// [`Error::ShutDown`].
    pub async fn sync(
        &self,
        list: &ListId,
        progress: impl Fn(SyncProgress) + Send + std::marker::Sync + 'static,
    ) -> Result<SyncReport, Error> {
        let syncing = Arc::clone(&self.state(list)?.syncing);
        let (this, name) = (self.clone(), list.clone());
        let (mut done, report) = oneshot::channel();
        let task = async move {
            let mut stop = this.inner.stop.subscribe();
            let one = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                // Nobody waits any more, and nothing has begun.
                () = done.closed() => return,
                one = syncing.lock_owned() => one,
            };
            let runtime = tokio::runtime::Handle::current();
            // Files are written and hashed on the way, so the whole of it runs off the workers.
            let work = move || {
                let _one = one;
                let syncer = this.syncer(&name, &progress);
                let synced = runtime.block_on(async {
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => Err(Error::ShutDown),
                        synced = syncer.run() => synced,
                    }
                });
                let (held, report) = synced?;
                this.put_in_place(&name, held).map(|()| report)
            };
            // Nobody may wait any more: the list is current all the same.
            let _ = done.send(tokio::task::spawn_blocking(work).await);
        };
        // One that is not begun is answered by the end of `done`.
        let _ = self.spawn(task);
        match report.await {
            Ok(Ok(synced)) => synced,
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(Err(_)) | Err(_) => Err(Error::ShutDown),
        }
    }

    /// Keeps every list current in the background: at once where the server's stream announces a version, by asking
    /// where it does not. Ends with [`Self::shutdown`].
    pub fn keep_current(&self) {
        for list in self.lists() {
            // A client that was shut down has nothing to keep current.
            let _ = self.spawn(follow::follow(self.clone(), list));
        }
        let _ = self.spawn(log::keep_published(self.clone()));
    }

    /// Ends background work and waits for frames on their way, so that what was asked is recorded. Whatever is asked from now
    /// on, of this client or of a clone, is not checked: SHUT_DOWN. The directory is free when the last clone, and the last
    /// stream of answers, is gone.
    pub async fn shutdown(self) {
        self.inner.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        if let Err(error) = self.inner.frames.log.flush_totals() {
            tracing::error!(error = &error as &dyn std::error::Error, "totals of the day are lost");
        }
    }

    fn state(&self, list: &ListId) -> Result<&ListState, Error> {
        self.inner.lists.get(list).ok_or_else(|| Error::UnknownList { list: list.to_string() })
    }

    fn held(&self, list: &ListId) -> Option<Arc<Held>> {
        let state = self.inner.lists.get(list)?;
        state.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest manifest that was verified.
    fn newest_manifest(&self, list: &ListId) -> Option<Vec<u8>> {
        self.inner.store.newest_manifest(list).ok().flatten()
    }

    fn is_shut_down(&self) -> bool {
        *self.inner.stop.borrow()
    }

    /// Runs a task that [`Self::shutdown`] waits for; gives it back if that has begun.
    fn spawn<T: Future<Output = ()> + Send + 'static>(&self, task: T) -> Result<(), T> {
        // `shutdown` first says so and then takes the tasks: none can slip in between.
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_shut_down() {
            return Err(task);
        }
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
        Ok(())
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
            watch: &self.inner.frames.watch,
            log: &self.inner.frames.log,
            list,
            held: self.held(list),
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
        self.end_epochs_before(list, epoch)
    }

    /// Results live as long as their epoch. The key goes first: what it sealed is lost from then on, crash or not; what a
    /// crash leaves here is found again when the directory is next opened. The deleting itself takes its time elsewhere.
    fn end_epochs_before(&self, list: &ListId, epoch: Epoch) -> Result<(), Error> {
        // Under this lock: a check that began under the old epoch does not make its key and its shelf anew.
        let mut keeper = self.state(list)?.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_some_and(|keeper| keeper.epoch() < epoch) {
            *keeper = None;
        }
        self.inner.store.end_matched_before(list, epoch)?;
        for (shelf, old) in self.inner.store.shelves_before(list, epoch)? {
            remove_if_there(&self.inner.dir.results_key(list, old))?;
            self.inner.store.destroy(shelf)?;
            let store = Arc::clone(&self.inner.store);
            let clear = move || {
                while store.clear(shelf)? {}
                Ok::<_, Error>(())
            };
            // After a shutdown the next start goes on with it.
            let _ = self.spawn(async move {
                if let Ok(Err(error)) = tokio::task::spawn_blocking(clear).await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "results of an old epoch are deleted later"
                    );
                }
            });
        }
        Ok(())
    }

    /// What results of an epoch are kept in; none if they are not kept, or if a later epoch is in place already.
    fn keeper(&self, list: &ListId, held: &Held) -> Result<Option<Arc<Keeper>>, Error> {
        if self.inner.config.keep_results() { self.open_keeper(list, held.epoch()) } else { Ok(None) }
    }

    fn open_keeper(&self, list: &ListId, epoch: Epoch) -> Result<Option<Arc<Keeper>>, Error> {
        let mut keeper = self.state(list)?.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if self.held(list).is_some_and(|held| held.epoch() > epoch) {
            return Ok(None);
        }
        if keeper.as_ref().is_none_or(|keeper| keeper.epoch() < epoch) {
            let store = Arc::clone(&self.inner.store);
            *keeper = Some(Arc::new(Keeper::open(&self.inner.dir, store, list.clone(), epoch)?));
        }
        Ok(keeper.clone().filter(|keeper| keeper.epoch() == epoch))
    }
}
