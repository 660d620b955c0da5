//! Follows what commands change while the server runs, and does what time asks for: destroys keys whose time is over,
//! publishes a list again before it expires.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use veilmatch_protocol::name::{ListId, Origin};

use crate::{
    Error,
    background::Background,
    catalogue::Catalogue,
    clock::{Clock, rfc3339},
    config::Config,
    keys::read_signing_key,
    logs::{LogHealth, LogState, keeper::publish_manifests},
    publish::{Occasion, Publisher, destroy_epoch},
    state_dir::StateDir,
    status::Chain,
    store::{EpochRow, Store},
};

/// How often the clock is asked whether something is due.
const MAINTENANCE: Duration = Duration::from_secs(5);

/// How long to wait after a failure of what was due.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// How long to wait after a failure to read what has changed: what was served before is served meanwhile.
const AFTER_BAD_READ: Duration = Duration::from_secs(5);

/// The thread that follows. It ends when it is stopped, or soon after this is dropped: what it still does then it does under
/// the lock of changes, so whoever comes after it is as safe as from a command.
#[derive(Debug)]
pub struct Follower(Background);

impl Follower {
    /// Reads the catalogue and starts to keep it current. `health` learns of a log that may not go on.
    ///
    /// # Errors
    /// Those of [`Catalogue::load`] and [`Store::open`].
    pub fn start(
        dir: StateDir,
        config: Config,
        clock: Arc<dyn Clock>,
        health: Arc<LogHealth>,
    ) -> Result<(Self, watch::Receiver<Arc<Catalogue>>), Error> {
        let poll = Duration::from_millis(config.process.poll_ms.into());
        let (mut following, current) = Following::open(dir, config, clock, health)?;
        let run = move |stopped: &Receiver<()>| following.run(stopped, poll);
        Ok((Self(Background::start("follow", "the following thread", run)?), current))
    }
}

impl Follower {
    /// Stops, and waits until what was begun is finished: a publication may take minutes. For a thread that may wait.
    pub fn stop(self) {
        self.0.stop();
    }
}

struct Following {
    store: Store,
    dir: StateDir,
    config: Config,
    clock: Arc<dyn Clock>,
    health: Arc<LogHealth>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    data_version: i64,
    // When changes were last looked for.
    scheduled: u64,
}

impl Following {
    fn open(
        dir: StateDir,
        config: Config,
        clock: Arc<dyn Clock>,
        health: Arc<LogHealth>,
    ) -> Result<(Self, watch::Receiver<Arc<Catalogue>>), Error> {
        let store = Store::open(&dir.database())?;
        let data_version = store.data_version()?;
        let (catalogue, current) = watch::channel(Arc::new(Catalogue::load(&store, &dir, None, clock.now())?));
        // Looked at soon after a start: what was due while nobody ran is due then.
        Ok((Self { store, dir, config, clock, health, catalogue, data_version, scheduled: 0 }, current))
    }

    fn run(&mut self, stopped: &Receiver<()>, poll: Duration) {
        let (mut look, mut due) = (Instant::now(), Instant::now());
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(poll) {
            if Instant::now() >= look
                && let Err(error) = self.look()
            {
                log("read what has changed", &error);
                look = Instant::now() + AFTER_BAD_READ;
            }
            if Instant::now() >= due {
                let pause = if self.maintain() { MAINTENANCE } else { AFTER_FAILURE };
                due = Instant::now() + pause;
            }
        }
    }

    // Frames change the data version all the time, commands alone the revision.
    fn look(&mut self) -> Result<(), Error> {
        let data_version = self.store.data_version()?;
        let current = Arc::clone(&self.catalogue.borrow());
        if data_version == self.data_version || self.store.revision()? == current.revision() {
            self.data_version = data_version;
            return Ok(());
        }
        self.reload(&current)?;
        self.data_version = data_version;
        Ok(())
    }

    fn reload(&self, current: &Catalogue) -> Result<(), Error> {
        let next = Arc::new(Catalogue::load(&self.store, &self.dir, Some(current), self.clock.now())?);
        for list in next.lists() {
            let before = current.list(&list.row.list).and_then(|list| list.newest());
            if let Some(newest) =
                list.newest().filter(|newest| before.is_none_or(|before| before.version < newest.version))
            {
                tracing::info!(list = %list.row.list, version = newest.version.0, epoch = newest.epoch.0, "serving a new version");
            }
        }
        self.catalogue.send_replace(next);
        Ok(())
    }

    // Whether everything that was due is done. Each thing by itself: a list that cannot be published, or a key that cannot
    // be destroyed, stops no other. Failures are logged here.
    fn maintain(&mut self) -> bool {
        let now = self.clock.now();
        let current = Arc::clone(&self.catalogue.borrow());
        let mut retired: Vec<EpochRow> = Vec::new();
        let mut expiring: Vec<ListId> = Vec::new();
        for list in current.lists() {
            let over = |epoch: &EpochRow| epoch.destroyed_at.is_none() && !epoch.is_served(now);
            retired.extend(list.epochs.values().map(|epoch| &epoch.row).filter(|row| over(row)).cloned());
            if list.newest().is_some_and(|row| row.is_due(now)) {
                expiring.push(list.row.list.clone());
            }
        }
        // A command may have found it.
        if let Err(error) = self.store.check_halted() {
            self.failed("go on with the logs", &error);
            return false;
        }
        let scheduled = self.is_scheduled(now);
        let unlogged = match self.store.has_unpublished(&Origin::of(&self.config.agency())) {
            Ok(unlogged) => unlogged,
            Err(error) => {
                self.failed("look at the manifest log", &error);
                return false;
            }
        };
        if retired.is_empty() && expiring.is_empty() && !scheduled && !unlogged {
            return true;
        }
        let lock = match self.dir.lock_changes() {
            Ok(lock) => lock,
            // A command is at work; it may even be doing this.
            Err(Error::Busy) => return true,
            Err(error) => {
                self.failed("do what is due", &error);
                return false;
            }
        };
        let mut all_done = true;
        if unlogged && let Err(error) = self.publish_log(now) {
            self.failed("publish the manifest log", &error);
            all_done = false;
        }
        for epoch in retired {
            match destroy_epoch(&self.dir, &mut self.store, &epoch, now) {
                Ok(()) => {
                    tracing::info!(list = %epoch.list, epoch = epoch.epoch.0, "the epoch is retired and its key destroyed");
                }
                Err(error) => {
                    self.failed(&format!("destroy the key of epoch {} of list {}", epoch.epoch.0, epoch.list), &error);
                    all_done = false;
                }
            }
        }
        for list in expiring {
            if let Err(error) = self.publish(&list, Occasion::Renewal, now) {
                self.failed(&format!("publish list {list} again before it expires"), &error);
                all_done = false;
            }
        }
        if scheduled {
            let mut published = true;
            // One that was never published waits for the operator's first word.
            for list in current.lists().filter(|list| list.newest().is_some()) {
                if let Err(error) = self.publish(&list.row.list, Occasion::Asked, now) {
                    self.failed(&format!("publish what has changed in list {}", list.row.list), &error);
                    published = false;
                }
            }
            if published {
                self.scheduled = now;
            }
            all_done &= published;
        }
        // Free before anybody can see what was done.
        drop(lock);
        // Our own connection made these changes, so its data version does not tell.
        if let Err(error) = self.reload(&current) {
            self.failed("read what has changed", &error);
            all_done = false;
        }
        all_done
    }

    // Whether it is time to look for what commands have imported and retracted. The entries in clear are opened for that
    // alone.
    fn is_scheduled(&self, now: u64) -> bool {
        let every = u64::from(self.config.publication.every_minutes) * 60;
        every > 0 && now >= self.scheduled.saturating_add(every)
    }

    // What a command that was killed has left: its version is not served before.
    fn publish_log(&mut self, now: u64) -> Result<(), Error> {
        let key = read_signing_key(&self.dir.manifest_key())?;
        publish_manifests(&self.dir, &self.config.agency(), &mut self.store, &key, now).map(drop)
    }

    // No answer is given any more once a log may not go on (SPEC §17.7).
    fn failed(&self, what: &str, error: &Error) {
        log(what, error);
        if matches!(error, Error::LogHalted { .. }) {
            self.health.become_state(LogState::Halted);
        }
    }

    // Under the lock of changes. Whether it is still due is read anew: a command may have published meanwhile.
    fn publish(&mut self, list: &ListId, occasion: Occasion, now: u64) -> Result<(), Error> {
        let mut publisher = Publisher::new(&self.dir, &self.config, &mut self.store, &|_| ())?;
        for version in publisher.publish(list, occasion, now)? {
            let until = rfc3339(version.not_after);
            let why = if occasion == Occasion::Renewal { "it would expire" } else { "it has changed" };
            tracing::info!(%list, version = version.version.0, until, why, "published the list");
        }
        Ok(())
    }
}

fn log(what: &str, error: &Error) {
    tracing::error!(reason = error.reason(), cause = %Chain(error), "cannot {what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use veilmatch_protocol::name::Epoch;

    fn follow(world: &World) -> (Follower, watch::Receiver<Arc<Catalogue>>) {
        let agency = world.agency();
        let mut config = agency.config().clone();
        config.process.poll_ms = 10;
        Follower::start(agency.dir().clone(), config, Arc::new(world.clock.clone()), sound()).unwrap()
    }

    fn following(world: &World) -> (Following, watch::Receiver<Arc<Catalogue>>) {
        let agency = world.agency();
        let clock = Arc::new(world.clock.clone());
        Following::open(agency.dir().clone(), agency.config().clone(), clock, sound()).unwrap()
    }

    fn sound() -> Arc<LogHealth> {
        Arc::new(LogHealth::new(|_| ()))
    }

    fn newest(world: &World) -> (u32, u64) {
        let row = world.store().newest_version(&world.list, None).unwrap().unwrap();
        (row.version.0, row.entries)
    }

    #[tokio::test]
    async fn half_way_through_its_validity_a_list_is_published_again_without_what_is_pending() {
        let world = World::published(10);
        world.import(10..20, "A1");
        world.clock.advance(84 * 3_600);
        let (_follower, mut catalogue) = follow(&world);
        catalogue.changed().await.unwrap();
        assert_eq!(newest(&world), (2, 10));
        assert_eq!(world.code(2, 9).unwrap(), "A1");
        world.publish();
        assert_eq!(newest(&world), (3, 20));
    }

    #[tokio::test]
    async fn what_has_changed_is_published_on_schedule() {
        let world = World::published(10);
        world.configure("every_minutes", "10");
        let (_follower, mut catalogue) = follow(&world);
        world.import(10..20, "A1");
        world.clock.advance(600);
        catalogue.changed().await.unwrap();
        assert_eq!(newest(&world), (2, 20));
        // Without a change there is nothing to publish.
        let (mut following, _) = following(&world);
        world.clock.advance(600);
        assert!(following.maintain());
        assert_eq!(newest(&world), (2, 20));
    }

    #[tokio::test]
    async fn the_key_of_an_epoch_whose_time_is_over_is_destroyed_while_the_server_runs() {
        let world = World::published(10);
        world.agency().rotate(&world.list, world.now(), &|_| ()).unwrap();
        world.clock.advance(168 * 3_600);
        let (_follower, mut catalogue) = follow(&world);
        catalogue.changed().await.unwrap();
        assert!(!world.root().join("keys/oprf/base-1.seed").exists());
        let list = Arc::clone(catalogue.borrow().list(&world.list).unwrap());
        assert!(list.epochs[&Epoch(1)].key.is_none());
        assert!(list.epochs[&Epoch(2)].key.is_some());
    }

    #[test]
    fn a_list_that_cannot_be_renewed_stops_no_other_and_makes_nobody_publish_twice() {
        // The first failure ended the round before what had been published was read back: the lists after it were not
        // renewed and expired, and those before it were published again every minute.
        let world = World::published(10);
        for name in ["aaa", "zzz"] {
            let list = ListId::parse(name).unwrap();
            world.agency().list_create(&list, 4, &[veilmatch_protocol::item::Kind::Sha256], world.now()).unwrap();
            world.agency().publish(&list, false, world.now(), &|_| ()).unwrap();
            std::fs::remove_file(world.root().join(format!("lists/{name}/1.vml"))).unwrap();
        }
        world.clock.advance(84 * 3_600);
        let (mut following, catalogue) = following(&world);
        for _ in 0..3 {
            assert!(!following.maintain());
            assert_eq!(newest(&world), (2, 10));
            assert_eq!(catalogue.borrow().list(&world.list).unwrap().newest().unwrap().version.0, 2);
        }
    }

    #[test]
    fn a_version_whose_checkpoint_was_not_written_is_served_once_it_is() {
        // SPEC §8.6: its publication was killed between the transaction and the checkpoint.
        let world = World::published(10);
        let (mut following, catalogue) = following(&world);
        world.write_a_version_and_no_checkpoint();
        let served = || catalogue.borrow().list(&world.list).unwrap().newest().unwrap().version.0;
        following.look().unwrap();
        assert_eq!((served(), newest(&world).0), (1, 2));
        assert!(following.maintain());
        assert_eq!(served(), 2);
    }

    #[test]
    fn a_list_that_a_command_published_meanwhile_is_not_published_again() {
        let world = World::published(10);
        world.clock.advance(84 * 3_600);
        let (mut following, _catalogue) = following(&world);
        world.publish();
        assert!(following.maintain());
        assert_eq!(newest(&world), (2, 10));
    }

    #[test]
    fn a_key_that_is_not_the_recorded_one_stops_the_start() {
        let world = World::published(10);
        let seed = world.root().join("keys/oprf/base-1.seed");
        crate::keys::EpochSeeds::create(&seed).unwrap();
        let agency = world.agency();
        let refused =
            Follower::start(agency.dir().clone(), agency.config().clone(), Arc::new(world.clock.clone()), sound())
                .err()
                .unwrap();
        assert_eq!(refused.reason(), "DAMAGED");
    }

    #[test]
    fn a_log_that_may_not_go_on_ends_the_answers() {
        // SPEC §17.7: a publication that is refused for it, and a halt that a command has recorded.
        let world = World::published(10);
        let (mut following, _catalogue) = following(&world);
        assert!(following.maintain());
        assert_eq!(following.health.state(), LogState::Sound);
        let checkpoint = world.root().join("logs/manifest/checkpoint");
        let published = std::fs::read_to_string(&checkpoint).unwrap();
        world.write_a_version_and_no_checkpoint();
        std::fs::write(&checkpoint, published.replacen("\n1\n", "\n9\n", 1)).unwrap();
        assert!(!following.maintain());
        assert_eq!(following.health.state(), LogState::Halted);

        let world = World::published(10);
        let (mut following, _catalogue) = self::following(&world);
        let row = world.store().logs().unwrap().remove(0);
        world.store().halt_log(row.id, "another tree was seen", b"").unwrap();
        assert!(!following.maintain());
        assert_eq!(following.health.state(), LogState::Halted);
    }
}
