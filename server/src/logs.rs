//! The agency's logs (SPEC §17): who signs them, how they grow from leaves that are durable, and what is read from them.
//!
//! A leaf is appended by the transaction of what it records ([`crate::store`]). All else follows from there, step by step,
//! and each step can be killed: [`keeper`] signs and publishes, [`task`] does it for the query log while the server runs.

pub mod closing;
mod compare;
pub mod health;
pub mod keeper;
pub mod keys;
pub mod lost;
pub mod reading;
pub mod record;
pub mod task;
pub mod witness;
pub mod witnesses;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    clock::Clock,
    config::Config,
    keys::read_signing_key,
    service::{FrameEvidence, ServedLogs},
    state_dir::StateDir,
    store::{FrameWriter, Store},
};

pub use health::{LogHealth, LogState};
pub use keys::{LogKeys, PublicKeys};

/// The logs of a server that runs.
pub struct AgencyLogs {
    dir: StateDir,
    config: Config,
    clock: Arc<dyn Clock>,
    keys: Arc<LogKeys>,
    health: Arc<LogHealth>,
    reader: Arc<reading::LogReader>,
}

impl AgencyLogs {
    /// Reads the keys, and looks whether the logs may go on. Signs nothing.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::LogHalted`], [`Error::Io`], [`Error::Store`].
    pub fn open(
        dir: &StateDir,
        config: &Config,
        clock: Arc<dyn Clock>,
        on_change: impl Fn(LogState) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let keys = Arc::new(LogKeys::read(dir, &config.agency())?);
        // Also one of an earlier half-year, that gains nothing more.
        Store::open(&dir.database())?.check_halted()?;
        let health = Arc::new(LogHealth::new(on_change));
        let public = keys.public().clone();
        let reader = reading::LogReader::new(dir.clone(), public, Arc::clone(&health), Arc::clone(&clock));
        Ok(Self { dir: dir.clone(), config: config.clone(), clock, keys, health, reader: Arc::new(reader) })
    }

    /// What the answering of frames needs.
    #[must_use]
    pub fn frame_evidence(&self) -> FrameEvidence {
        FrameEvidence { agency: self.config.agency(), keys: Arc::clone(&self.keys), health: Arc::clone(&self.health) }
    }

    /// Whether the logs can go on.
    #[must_use]
    pub fn health(&self) -> Arc<LogHealth> {
        Arc::clone(&self.health)
    }

    /// Publishes what the manifest log has and a command that was killed did not publish, and starts to publish the query
    /// log. `failed` is cancelled if the process must end.
    ///
    /// # Errors
    /// Those of [`keeper::publish_manifests`] and [`task::QueryLogTask::start`].
    pub fn start(&self, failed: CancellationToken) -> Result<task::QueryLogTask, Error> {
        self.publish_manifests()?;
        let options = task::TaskOptions {
            dir: self.dir.clone(),
            agency: self.config.agency(),
            keys: Arc::clone(&self.keys),
            clock: Arc::clone(&self.clock),
            every: Duration::from_secs(self.config.log.checkpoint_seconds.into()),
        };
        task::QueryLogTask::start(options, Arc::clone(&self.health), move || failed.cancel())
    }

    fn publish_manifests(&self) -> Result<(), Error> {
        match self.dir.lock_changes() {
            Ok(_lock) => {
                let (mut store, key) =
                    (Store::open(&self.dir.database())?, read_signing_key(&self.dir.manifest_key())?);
                let now = self.clock.now();
                keeper::publish_manifests(&self.dir, &self.config.agency(), &mut store, &key, now).map(drop)
            }
            // A command is at work, and does it itself.
            Err(Error::Busy) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks the witnesses of the policy what they have seen, and begins to hand checkpoints to them; `None` without a policy.
    ///
    /// # Errors
    /// Those of [`witnesses::Witnesses::read`] and [`witnesses::WitnessTask::start`].
    pub fn start_witnesses(&self) -> Result<Option<witnesses::WitnessTask>, Error> {
        let Some(named) = witnesses::Witnesses::of(&self.dir, &self.config)? else {
            tracing::warn!("no policy names witnesses: it is not excluded that two platforms are shown two lists");
            return Ok(None);
        };
        let work = witnesses::WitnessWork {
            agency: self.config.agency(),
            dir: self.dir.clone(),
            reader: Arc::clone(&self.reader),
            clock: Arc::clone(&self.clock),
        };
        witnesses::WitnessTask::start(&named, &Arc::new(work)).map(Some)
    }

    /// What the Logs service works with.
    #[must_use]
    pub fn served(&self, writer: Arc<FrameWriter>) -> Arc<ServedLogs> {
        let (agency, keys, clock) = (self.config.agency(), &self.keys, &self.clock);
        let own = Arc::clone(&self.reader);
        let watched = witness::MatchLogs::new(agency.clone(), Arc::clone(keys), Arc::clone(&own), Arc::clone(clock));
        let closed = closing::ClosedDays::new(agency, Arc::clone(keys), Arc::clone(&own), writer, Arc::clone(clock));
        Arc::new(ServedLogs::new(own, watched, closed))
    }
}

#[cfg(test)]
mod tests;
