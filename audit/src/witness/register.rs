//! What a witness cosigned last for each log, on disk; and the one place where it cosigns.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use veilmatch_protocol::note::{Note, Verifier};

use super::{AddCheckpoint, Refusal, judge, origin_hash};
use crate::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    folder::{LogFolder, create_dir},
};

/// The logs that a witness serves, and the state that makes it one. One process has it at a time.
pub struct Register {
    dir: PathBuf,
    _lock: File,
    cosigner: Cosigner,
    logs: BTreeMap<String, Vec<Verifier>>,
    /// Held from reading the last checkpoint until the new one is stored and signed: two requests never judge by one state.
    turn: Mutex<()>,
}

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// The request is refused.
    #[error("the request is refused")]
    Refused(Refusal),
    /// The clock is behind the last cosignature for this log.
    #[error("the clock is behind the last cosignature")]
    ClockBehind,
    /// The state cannot be read or written.
    #[error("the state cannot be read or written")]
    State(#[from] io::Error),
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is stored of a log: the note of the checkpoint, and when it was cosigned.
struct Last {
    checkpoint: Checkpoint,
    time: Option<u64>,
}

impl Register {
    /// Opens the state in a folder for the logs with these keys; a log may have several.
    ///
    /// # Errors
    /// If another process has it open, or what is stored of a log does not verify under its keys.
    pub fn open(dir: &Path, logs: Vec<Verifier>, cosigner: Cosigner) -> io::Result<Self> {
        create_dir(dir)?;
        let lock = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another witness has this state open")
            }
            TryLockError::Error(error) => error,
        })?;
        let mut by_origin: BTreeMap<String, Vec<Verifier>> = BTreeMap::new();
        for log in logs {
            by_origin.entry(log.name().to_owned()).or_default().push(log);
        }
        let register = Self { dir: dir.to_owned(), _lock: lock, cosigner, logs: by_origin, turn: Mutex::default() };
        for origin in register.logs.keys() {
            LogFolder::create(register.path(origin))?;
            register.last(origin)?;
        }
        Ok(register)
    }

    /// Judges a request by the last checkpoint of its log, stores the new one durably, and only then cosigns it.
    ///
    /// # Errors
    /// Why there is no cosignature. After [`Declined::State`] the new checkpoint is stored or it is not; either way the
    /// next request is judged by what is on disk.
    pub fn add(&self, body: &[u8], now: u64) -> Result<String, Declined> {
        let request = AddCheckpoint::decode(body)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last_time = None;
        let extension = judge(
            &request,
            |origin| self.keys(origin),
            |origin| {
                let last = self.last(origin)?;
                last_time = last.as_ref().and_then(|last| last.time);
                Ok::<_, Declined>(last.map(|last| last.checkpoint))
            },
        )?;
        if last_time.is_some_and(|last| last > now) {
            return Err(Declined::ClockBehind);
        }
        let folder = LogFolder::new(self.path(&extension.checkpoint().origin));
        folder.publish(extension.note().as_bytes())?;
        let line = self.cosigner.cosign(extension.checkpoint(), now);
        // A kill between the two leaves the checkpoint without our line: monitors see it, and the log asks again.
        folder.publish((extension.note().to_owned() + &line).as_bytes())?;
        Ok(line)
    }

    /// The checkpoint that was cosigned last for the log with this hash of its origin, with our line.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn newest(&self, hash: &str) -> io::Result<Option<Vec<u8>>> {
        let origin = self.logs.keys().find(|origin| origin_hash(origin) == hash);
        origin.map_or(Ok(None), |origin| LogFolder::new(self.path(origin)).checkpoint())
    }

    fn keys(&self, origin: &str) -> &[Verifier] {
        self.logs.get(origin).map_or(&[], Vec::as_slice)
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(origin_hash(origin))
    }

    fn last(&self, origin: &str) -> io::Result<Option<Last>> {
        let Some(bytes) = LogFolder::new(self.path(origin)).checkpoint()? else { return Ok(None) };
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, format!("what is stored of {origin} does not verify"));
        let note = Note::parse(&bytes).map_err(|_| damaged())?;
        let opened = self.keys(origin).iter().find_map(|key| checkpoint::open_note(&note, origin, key).ok());
        let time = self.cosigner.witness().cosigned(&note, u64::MAX).map_err(|_| damaged())?;
        Ok(Some(Last { checkpoint: opened.ok_or_else(damaged)?, time }))
    }
}

#[cfg(test)]
mod tests;
