//! What the commands do. Each takes the directory's lock of changes, and works beside a running server.

mod auditors;
mod canaries;
mod clients;
mod disclosed;
mod editions;
mod imports;
mod init;
mod keys;
mod lists;
mod logs;
mod policy;
mod recovery;

use std::path::Path;

pub use auditors::AuditorKey;
pub(crate) use canaries::opened as opened_canaries;
pub use canaries::{Cover, Opened};
pub use clients::{ClientAdded, ClientTerms};
pub use disclosed::Disclosed;
pub use editions::{Diff, Past, VersionChange};
pub use init::{InitOptions, init};
pub use keys::Rotated;
pub use lists::{EpochStatus, ListStatus};
pub use logs::{LogChecked, LogStatus};
pub use recovery::{Recover, Recovered, Recovery};

use crate::{Error, config::Config, state_dir::StateDir, store::Store};

/// Moves what commands have committed from the store's log into the store, unless a server runs, which does it itself.
///
/// # Errors
/// [`Error::Store`], and those of opening the directory. Nothing that was committed is lost: it stays in the log.
pub fn move_log(root: &Path) -> Result<(), Error> {
    let dir = StateDir::open(root)?;
    if dir.is_serving()? { Ok(()) } else { Store::open(&dir.database())?.move_log() }
}

/// An agency's directory, opened for commands.
pub struct Agency {
    dir: StateDir,
    config: Config,
    store: Store,
}

impl Agency {
    /// Opens the directory that `init` made.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], [`Error::Config`], [`Error::NewerSchema`], [`Error::Damaged`] if the configuration
    /// names another agency than the store.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let dir = StateDir::open(root)?;
        let config = Config::read(&dir)?;
        let store = Store::open(&dir.database())?;
        let founded = store.agency()?;
        if founded.as_deref() != Some(config.agency.as_str()) {
            let why =
                format!("agency is {}, but the directory belongs to {}", config.agency, founded.unwrap_or_default());
            return Err(Error::Config { path: dir.config(), why });
        }
        Ok(Self { dir, config, store })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[cfg(test)]
mod tests;
