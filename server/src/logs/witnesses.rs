//! Witnesses of third parties (SPEC §17.5): each new checkpoint is handed to all that the policy names with an address, and
//! what they cosign is published with it. A witness that has seen another tree than ours ends the log (SPEC §17.7).

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use veilmatch_audit::{
    cosignature::Witness,
    folder::LogFolder,
    origin::{LogOrigin, Shard},
    policy::{MAX_AHEAD, Policy},
    source::{Access, Site, Submitted},
    tile::Files,
    tree::consistency_proof,
    witness::checkpoint_path,
};
use veilmatch_protocol::{manifest::Timestamp, name::AgencyName, note::MAX_NOTE_LEN};

use super::{
    keeper::{folder, publish_cosignatures},
    reading::LogReader,
};
use crate::{
    Error,
    background::Background,
    clock::Clock,
    config::Config,
    state_dir::StateDir,
    status::{CallError, Chain},
    store::{Cosignature, LogRow, Store},
};

/// How often it is looked whether there is a new checkpoint.
const LOOK: Duration = Duration::from_secs(2);

/// Seconds after which a checkpoint that has not changed is cosigned anew: clients want one of the last 24 hours.
const RENEW: u64 = 3 * 3_600;

/// How long to wait after a first failure to have a checkpoint cosigned; twice as long after each further one.
const AFTER_FAILURE: Duration = Duration::from_secs(4);

/// Most of it.
const AFTER_MANY_FAILURES: Duration = Duration::from_secs(60);

/// How long a start waits for what the witnesses have seen.
const START: Duration = Duration::from_secs(10);

/// The witnesses of a policy, and where they are asked.
#[derive(Clone)]
pub struct Witnesses {
    policy: Policy,
    sites: Vec<(Witness, Site)>,
}

impl Witnesses {
    /// The witnesses of an agency's policy; `None` if it has no policy.
    ///
    /// # Errors
    /// Those of [`Witnesses::read`].
    pub fn of(dir: &StateDir, config: &Config) -> Result<Option<Self>, Error> {
        let policy = &config.log.policy;
        if policy.as_os_str().is_empty() { Ok(None) } else { Self::read(&dir.resolve(policy)).map(Some) }
    }

    /// Reads a policy. Witnesses without an address are not asked: they hand in what they cosign.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Argument`] for a policy or an address that cannot be used.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Argument { what: "log.policy", why: format!("{}: {why}", path.display()) };
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let policy = Policy::parse(&text).map_err(|error| refuse(error.to_string()))?;
        let mut sites = Vec::new();
        for witness in policy.witnesses() {
            if let Some(url) = &witness.url {
                let site = Site::new(url, &Access::default()).map_err(|error| refuse(format!("{url}: {error}")))?;
                sites.push((witness.key.clone(), site));
            }
        }
        Ok(Self { policy, sites })
    }

    /// Asks each witness what it has seen of the logs, and halts those of which one has seen a tree that is not ours. Gives the
    /// first that it halted, and the witnesses that could not be reached in a few seconds.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Store`].
    pub fn compare(&self, work: &Arc<WitnessWork>) -> Result<Compared, Error> {
        let mut unreached: Vec<String> = self.sites.iter().map(|(witness, _)| witness.name().to_owned()).collect();
        let mut halted = None;
        let (told, telling) = channel();
        for (witness, site) in &self.sites {
            let (told, one) = (told.clone(), One::new(witness, site, self, work));
            let ask = move || drop(told.send((one.witness.name().to_owned(), one.compare())));
            let thread = std::thread::Builder::new().name("witness".into()).spawn(ask);
            thread.map_err(Error::io("start", Path::new("the thread of a witness")))?;
        }
        drop(told);
        let until = Instant::now() + START;
        while let Ok((name, reached)) = telling.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match reached {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error @ Error::LogHalted { .. }) => halted = halted.or(Some(error)),
                Err(error) => return Err(error),
            }
            unreached.retain(|other| *other != name);
        }
        Ok(Compared { unreached, halted })
    }

    fn is_about(&self, origin: &LogOrigin) -> bool {
        self.policy.is_about(&origin.to_string())
    }
}

/// What witnesses said when they were asked.
#[derive(Debug, Default)]
pub struct Compared {
    /// Those that were not reached: what they have seen is not known.
    pub unreached: Vec<String>,
    /// That a log was halted.
    pub halted: Option<Error>,
}

impl Compared {
    /// The witnesses that were not reached.
    ///
    /// # Errors
    /// [`Error::LogHalted`] if a log was halted.
    pub fn sound(self) -> Result<Vec<String>, Error> {
        match self.halted {
            Some(error) => Err(error),
            None => Ok(self.unreached),
        }
    }
}

/// What the threads work with.
pub struct WitnessWork {
    /// Whose logs they are.
    pub agency: AgencyName,
    /// The agency's directory.
    pub dir: StateDir,
    /// The logs, to compare with.
    pub reader: Arc<LogReader>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The threads, one for each witness: one that does not answer keeps no other. They end soon after this is dropped.
pub struct WitnessTask {
    _threads: Vec<Background>,
}

impl WitnessTask {
    /// Begins to hand checkpoints to each witness, once they were asked what they have seen.
    ///
    /// # Errors
    /// [`Error::LogHalted`]; those of [`Witnesses::compare`].
    pub fn start(witnesses: &Witnesses, work: &Arc<WitnessWork>) -> Result<Self, Error> {
        for witness in witnesses.compare(work)?.sound()? {
            tracing::warn!(witness, "a witness was not reached, and what it has seen is not compared");
        }
        let mut threads = Vec::new();
        for (witness, site) in &witnesses.sites {
            let mut one = One::new(witness, site, witnesses, work);
            let run = move |stopped: &Receiver<()>| one.run(stopped);
            threads.push(Background::start("witness", "the thread of a witness", run)?);
        }
        Ok(Self { _threads: threads })
    }
}

struct One {
    witness: Witness,
    site: Site,
    witnesses: Witnesses,
    work: Arc<WitnessWork>,
    // What it cosigned last of each log, and when by the clock of cosignatures.
    last: HashMap<String, (u64, u64)>,
    // Of which log it did not cosign a checkpoint: when it is asked again, and after what pause.
    failed: HashMap<String, (Instant, Duration)>,
}

impl One {
    fn new(witness: &Witness, site: &Site, witnesses: &Witnesses, work: &Arc<WitnessWork>) -> Self {
        let (witness, site, witnesses) = (witness.clone(), site.clone(), witnesses.clone());
        Self { witness, site, witnesses, work: Arc::clone(work), last: HashMap::new(), failed: HashMap::new() }
    }

    fn run(&mut self, stopped: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
            if let Err(error) = self.round() {
                self.complain(&error);
            }
        }
    }

    // What the witness has seen of each log must be a tree of ours. Gives whether it said so of each: a witness that is not
    // there says nothing.
    fn compare(&self) -> Result<bool, Error> {
        let (mut reached, mut halted) = (true, None);
        for origin in self.possible()? {
            match self.site.read(&checkpoint_path(&origin.to_string()), MAX_NOTE_LEN) {
                Ok(Some(note)) => match self.judge(&origin, &note) {
                    Err(error @ Error::LogHalted { .. }) => halted = halted.or(Some(error)),
                    other => other?,
                },
                Ok(None) => {}
                Err(_) => reached = false,
            }
        }
        halted.map_or(Ok(reached), Err)
    }

    // A note that our key has not signed says nothing.
    fn judge(&self, origin: &LogOrigin, note: &[u8]) -> Result<(), Error> {
        match self.work.reader.judge(origin, note) {
            Err(CallError::AuditUnavailable) => {
                let why = format!("witness {} has seen another tree", self.witness.name());
                Err(Error::LogHalted { origin: origin.to_string(), why })
            }
            Err(CallError::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }

    // The logs of the store, and those that it does not have if it was restored from a backup: the manifest log, those of this
    // half-year and the one before, and what may go on from each.
    fn possible(&self) -> Result<Vec<LogOrigin>, Error> {
        let (store, agency) = (Store::open(&self.work.dir.database())?, &self.work.agency);
        let this = Shard::of(Timestamp::from_unix(self.work.clock.now()));
        let mut possible = vec![LogOrigin::Manifest(agency.clone())];
        possible.extend([this.previous_half(), this].map(|shard| LogOrigin::Query(agency.clone(), shard)));
        for row in store.logs()? {
            possible.push(LogOrigin::parse(&row.origin)?);
        }
        for origin in possible.clone() {
            if let LogOrigin::Query(agency, newest) = store.newest_of(&origin)? {
                possible.push(LogOrigin::Query(agency, newest.successor()));
            }
        }
        possible.sort();
        possible.dedup();
        possible.retain(|origin| self.witnesses.is_about(origin));
        Ok(possible)
    }

    // Those whose checkpoints are to be cosigned.
    fn logs(&self) -> Result<Vec<(LogOrigin, LogRow)>, Error> {
        let rows = Store::open(&self.work.dir.database())?.logs()?;
        let of = |row: LogRow| Some((LogOrigin::parse(&row.origin).ok()?, row));
        let served = rows.into_iter().filter(|row| !row.published_note.is_empty() && row.lost.is_none()).filter_map(of);
        Ok(served.filter(|(origin, _)| self.witnesses.is_about(origin)).collect())
    }

    fn round(&mut self) -> Result<(), Error> {
        for (origin, row) in self.logs()? {
            if !self.is_due(&row) {
                continue;
            }
            let known = self.last.get(&row.origin).map_or(0, |last| last.0);
            let cosigned = self.submit(&origin, &row, known).unwrap_or_else(|error| {
                self.complain(&error);
                false
            });
            if cosigned {
                self.failed.remove(&row.origin);
                self.last.insert(row.origin, (row.published_size, self.work.clock.now()));
            } else {
                let pause = self.failed.get(&row.origin).map_or(AFTER_FAILURE, |failed| failed.1 * 2);
                let pause = pause.min(AFTER_MANY_FAILURES);
                self.failed.insert(row.origin, (Instant::now() + pause, pause));
            }
        }
        Ok(())
    }

    // There is something new, or it is time; and time to ask again if it failed.
    fn is_due(&self, row: &LogRow) -> bool {
        let last = self.last.get(&row.origin);
        last.is_none_or(|(size, at)| *size != row.published_size || self.work.clock.now().abs_diff(*at) >= RENEW)
            && self.failed.get(&row.origin).is_none_or(|(again, _)| *again <= Instant::now())
    }

    // Gives whether the witness cosigned.
    fn submit(&self, origin: &LogOrigin, row: &LogRow, known: u64) -> Result<bool, Error> {
        let path = folder(&self.work.dir, origin);
        let files = LogFolder::new(&path);
        let size = row.published_size;
        let proof = |old| {
            if old == 0 || old == size { Ok(Vec::new()) } else { consistency_proof(&files.view(size), old, size) }
        };
        let note = String::from_utf8_lossy(&row.published_note);
        let now = self.work.clock.now();
        let submitted = self.site.submit(&note, size, known, proof, &self.witness, now.saturating_add(MAX_AHEAD));
        match submitted.map_err(Error::io("ask", Path::new(self.witness.name())))? {
            Submitted::Cosigned(line) => {
                let mut store = Store::open(&self.work.dir.database())?;
                let cosignature = Cosignature { witness: self.witness.name().to_owned(), line, at: now };
                if store.add_cosignature(row.id, size, &cosignature)? {
                    publish_cosignatures(&self.work.dir, &store, origin)?;
                }
                Ok(true)
            }
            Submitted::Ahead(theirs) => {
                tracing::error!(witness = self.witness.name(), origin = %origin, theirs, "a witness is ahead of the log");
                self.compare().map(|_| false)
            }
            Submitted::Refused(status) => {
                tracing::warn!(witness = self.witness.name(), origin = %origin, status, "a witness does not cosign");
                Ok(false)
            }
        }
    }

    fn complain(&self, error: &Error) {
        tracing::warn!(witness = self.witness.name(), reason = error.reason(), cause = %Chain(error), "a witness was not reached");
    }
}

#[cfg(test)]
mod tests;
