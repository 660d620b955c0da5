//! Checkpoints: the tree is padded, compared with what the agency cosigned, signed by one compare-and-swap, written to files,
//! and cosigned (SPEC §17.4, §18.5, §20.2).

use std::path::PathBuf;

use tonic::transport::Channel;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Witness,
    folder::LogFolder,
    origin::LogOrigin,
    policy::MAX_AHEAD,
    tile::Growth,
    tree,
};
use veilmatch_proto::{
    Reason, Submitted, cosigned_note,
    pb::{self, logs_client::LogsClient},
    signature_line,
};
use veilmatch_protocol::{
    manifest::Timestamp,
    note::{Note, Verifier},
};

use super::{LogName, MatchLog, pad, shard};
use crate::{
    Error,
    connection::Connection,
    frames::now,
    state_dir::create_private_dir,
    store::{LogId, LogRow},
};

/// Sizes of published trees are multiples of this, so that growth does not show the number of matches (SPEC §18.5).
const MULTIPLE: u64 = 64;

/// Time between two checkpoints: an hour.
const EVERY: u64 = 3_600;

/// Leaves that are read at once.
const BATCH: u64 = 1_024;

/// A checkpoint of the match log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The log.
    pub log: LogName,
    /// Leaves of its tree.
    pub size: u64,
    /// Whether the agency has cosigned it.
    pub cosigned: bool,
}

/// What is to be done for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    None,
    /// Have the last checkpoint cosigned.
    Submit,
    /// Make another one.
    Sign,
}

/// Logs are signed by the clock, whether or not something came: a checkpoint must not show that something was found (SPEC
/// §12.4, §18.5). One that another half-year followed has its last checkpoint when its time is over, and takes no leaf after.
fn step(log: &LogRow, newest: Option<&LogRow>, now: Timestamp, at_once: bool) -> Step {
    let is_newest = newest.is_some_and(|newest| newest.id == log.id);
    let due = match is_newest {
        true => at_once || log.signed + EVERY <= now.unix(),
        false => shard(Timestamp::from_unix(log.signed)) <= log.shard,
    };
    if log.lost {
        Step::None
    } else if due {
        Step::Sign
    } else if log.cosigned < log.size {
        Step::Submit
    } else {
        Step::None
    }
}

impl MatchLog {
    /// Whether a checkpoint is due, or the last one is not cosigned.
    pub(crate) fn is_due(&self) -> Result<bool, Error> {
        let now = now();
        let logs = self.known_logs(now)?;
        let mut steps = logs.iter().map(|log| step(log, logs.last(), now, false));
        Ok(steps.any(|step| step != Step::None))
    }

    /// Publishes checkpoints that are due, or one at once. Nothing is signed before it was compared with what the agency
    /// cosigned last, so nothing is published while the agency is away.
    ///
    /// # Errors
    /// [`Error::LogLost`] if the agency cosigned what is not here, [`Error::LogFiles`], [`Error::HeadChanged`], and what keeps
    /// the agency from being asked.
    pub(crate) async fn publish(
        &self,
        connection: &Connection,
        witness: &Witness,
        at_once: bool,
    ) -> Result<Vec<Published>, Error> {
        let _one = self.publishing.lock().await;
        let mut published = Vec::new();
        // What is signed counts as signed by then: what comes meanwhile, at the end of a half-year, is not passed over.
        let now = now();
        let logs = self.known_logs(now)?;
        for log in &logs {
            match step(log, logs.last(), now, at_once) {
                Step::None => {}
                step => published.push(self.publish_one(connection, witness, (log, now), step).await?),
            }
        }
        Ok(published)
    }

    /// Compares every log with what the agency cosigned of it, as is done when a client starts.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub(crate) async fn compare(&self, connection: &Connection) -> Result<(), Error> {
        for log in self.known_logs(now())?.into_iter().filter(|log| !log.lost) {
            let theirs = self.cosigned(connection, &log).await?;
            self.is_whole(&log, theirs.as_ref())?;
        }
        Ok(())
    }

    /// The logs, one at least: the agency may know more of it than a database that was lost.
    pub(super) fn known_logs(&self, now: Timestamp) -> Result<Vec<LogRow>, Error> {
        self.store.begin_log(&shard(now))?;
        self.store.logs()
    }

    async fn publish_one(
        &self,
        connection: &Connection,
        witness: &Witness,
        (log, now): (&LogRow, Timestamp),
        step: Step,
    ) -> Result<Published, Error> {
        let theirs = self.cosigned(connection, log).await?;
        self.is_whole(log, theirs.as_ref())?;
        let origin = self.origin(log.name());
        let folder = self.folder(log)?;
        self.has_its_head(log, &folder)?;
        let (checkpoint, note) = match (step, self.head(log)?) {
            (Step::Submit, Some((head, note))) => {
                self.restored(log, &folder, &head)?;
                (head, note)
            }
            _ => {
                let size = self.store.pad(log.id, MULTIPLE, pad)?;
                self.sign((log, now), &origin, &folder, size)?
            }
        };
        folder.publish(&note).map_err(|source| files(&origin, source))?;
        let old = theirs.map_or(0, |theirs| theirs.size);
        let asked = self.submit(connection, witness, &folder, (&checkpoint, &note), old).await;
        let cosigned = match asked {
            Ok(with_line) => {
                self.store.set_cosigned(log.id, checkpoint.size, &with_line)?;
                folder.publish(&with_line).map_err(|source| files(&origin, source))?;
                true
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the agency has not cosigned the match log");
                false
            }
        };
        Ok(Published { log: log.name(), size: checkpoint.size, cosigned })
    }

    /// Signs the tree of the first `size` leaves in the place of the head, and writes its files.
    fn sign(
        &self,
        (log, now): (&LogRow, Timestamp),
        origin: &LogOrigin,
        folder: &LogFolder,
        size: u64,
    ) -> Result<(Checkpoint, Vec<u8>), Error> {
        let wrong = |source| files(origin, source);
        let mut growth = match self.head(log)? {
            Some((head, _)) => self.restored(log, folder, &head)?,
            None => Growth::new(),
        };
        while growth.size() < size {
            let to = size.min(growth.size() + BATCH);
            for leaf in self.store.leaves(log.id, growth.size(), to)? {
                growth.push(&leaf).map_err(|error| wrong(error.into()))?;
            }
            // Whole tiles never change: that they are there before the head says so does no harm.
            folder.write(&growth.take_full()).map_err(wrong)?;
        }
        let checkpoint = Checkpoint { origin: origin.to_string(), size, root: growth.root() };
        let note = checkpoint::sign(&checkpoint, &self.key).expect("an origin is a legal name").into_bytes();
        if !self.store.set_head(log.id, log.size, size, &note, now.unix())? {
            return Err(Error::HeadChanged { log: origin.to_string() });
        }
        folder.write(&growth.take_files()).map_err(wrong)?;
        Ok((checkpoint, note))
    }

    /// Whether the files of a log have no larger tree than the record of it: else another tree would be a fork.
    pub(super) fn has_its_head(&self, log: &LogRow, folder: &LogFolder) -> Result<(), Error> {
        let origin = self.origin(log.name());
        match folder.published().map_err(|source| files(&origin, source))? {
            Some(found) if found.size > log.size => {
                Err(Error::LogLost { log: origin.to_string(), cosigned: found.size })
            }
            _ => Ok(()),
        }
    }

    /// The files of the tree that was signed last, made again where a crash or a disk has taken some. What they say was
    /// hashed anew: a leaf that rotted is found before anything is signed over it.
    fn restored(&self, log: &LogRow, folder: &LogFolder, head: &Checkpoint) -> Result<Growth, Error> {
        let wrong = |source| files(&self.origin(log.name()), source);
        let leaves = |range: std::ops::Range<u64>| {
            self.store.leaves(log.id, range.start, range.end).map_err(std::io::Error::other)
        };
        folder.restore(head.size, &head.root, leaves).map_err(wrong)
    }

    /// The head that was signed last.
    pub(super) fn head(&self, log: &LogRow) -> Result<Option<(Checkpoint, Vec<u8>)>, Error> {
        let Some(note) = &log.head else { return Ok(None) };
        let origin = self.origin(log.name()).to_string();
        let checkpoint = checkpoint::open(note, &origin, &self.verifier(&origin));
        let wrong = |error: veilmatch_audit::Error| Error::LogFiles { log: origin.clone(), source: error.into() };
        Ok(Some((checkpoint.map_err(wrong)?, note.clone())))
    }

    fn verifier(&self, origin: &str) -> Verifier {
        Verifier::new(origin, self.key.verifying_key()).expect("an origin is a legal name")
    }

    /// What the agency cosigned last of a log: a checkpoint that this platform signed.
    pub(super) async fn cosigned(&self, connection: &Connection, log: &LogRow) -> Result<Option<Checkpoint>, Error> {
        let origin = self.origin(log.name()).to_string();
        let ask = |mut logs: LogsClient<Channel>| {
            let request = pb::GetCosignedRequest { origin: origin.clone() };
            async move { logs.get_cosigned(request).await }
        };
        let answer = match connection.read_logs(ask).await {
            Err(Error::Refused(refused)) if refused.reason == Reason::UnknownLog => return Ok(None),
            answer => answer?,
        };
        let bad = |_| Error::BadAnswer { what: "what it says that it cosigned is not signed by this platform" };
        let Some(note) = cosigned_note(answer).map_err(|_| Error::BadAnswer { what: "its checkpoint is too long" })?
        else {
            return Ok(None);
        };
        checkpoint::open(&note, &origin, &self.verifier(&origin)).map(Some).map_err(bad)
    }

    /// Whether the agency cosigned nothing but what is here: else an old backup was restored, and nothing may be signed.
    pub(super) fn is_whole(&self, log: &LogRow, theirs: Option<&Checkpoint>) -> Result<(), Error> {
        let Some(theirs) = theirs else { return Ok(()) };
        let head = self.head(log)?.map(|(head, _)| head);
        let same = match &head {
            Some(head) if theirs.size == head.size => theirs.root == head.root,
            Some(head) if theirs.size < head.size => self.begins_with(log, head, theirs)?,
            _ => theirs.size == 0,
        };
        let lost = || Error::LogLost { log: theirs.origin.clone(), cosigned: theirs.size };
        if same { Ok(()) } else { Err(lost()) }
    }

    /// Whether the tree of our head begins with theirs: by the proof that its files give, or, where they give none, from the
    /// leaves themselves, which takes the longer the more there are.
    fn begins_with(&self, log: &LogRow, head: &Checkpoint, theirs: &Checkpoint) -> Result<bool, Error> {
        let files = LogFolder::new(self.folder_path(log.name()));
        let proof = tree::consistency_proof(&files.view(head.size), theirs.size, head.size);
        let proven = proof.is_ok_and(|proof| {
            tree::verify_consistency(theirs.size, &theirs.root, head.size, &head.root, &proof).is_ok()
        });
        Ok(proven || self.root_at(log.id, theirs.size)? == theirs.root)
    }

    /// Root of the tree of the first leaves, from the leaves themselves.
    fn root_at(&self, log: LogId, size: u64) -> Result<tree::Hash, Error> {
        let mut edge = tree::Edge::default();
        while edge.size() < size {
            let to = size.min(edge.size() + BATCH);
            let leaves = self.store.leaves(log, edge.size(), to)?;
            if leaves.is_empty() {
                break;
            }
            leaves.iter().for_each(|leaf| edge.push(veilmatch_audit::leaf::hash(leaf)));
        }
        Ok(edge.root())
    }

    /// Asks for the agency's cosignature; gives the note with it.
    async fn submit(
        &self,
        connection: &Connection,
        witness: &Witness,
        folder: &LogFolder,
        (checkpoint, note): (&Checkpoint, &[u8]),
        old_size: u64,
    ) -> Result<Vec<u8>, Error> {
        let proof = tree::consistency_proof(&folder.view(checkpoint.size), old_size, checkpoint.size);
        let consistency = proof.map_err(|source| Error::LogFiles { log: checkpoint.origin.clone(), source })?;
        let request = pb::AddCheckpointRequest::from(Submitted { note: note.to_vec(), old_size, consistency });
        let mut logs = connection.logs();
        let answer =
            connection.in_time(logs.add_checkpoint(request)).await.map_err(|status| connection.failure(status))?;
        let bad = || Error::BadAnswer { what: "its cosignature does not verify" };
        let line = signature_line(answer.into_inner().cosignature).map_err(|_| bad())?;
        let with_line = [note, line.as_bytes()].concat();
        let parsed = Note::parse(&with_line).map_err(|_| bad())?;
        match witness.cosigned(&parsed, now().unix() + MAX_AHEAD) {
            Ok(Some(_)) => Ok(with_line),
            _ => Err(bad()),
        }
    }

    /// The folder of a log's files.
    pub(super) fn folder(&self, log: &LogRow) -> Result<LogFolder, Error> {
        let path = self.folder_path(log.name());
        create_private_dir(&path)?;
        LogFolder::create(&path).map_err(Error::io("open", &path))
    }

    pub(super) fn folder_path(&self, log: LogName) -> PathBuf {
        self.dir.match_logs(&self.agency).join(log.to_string())
    }
}

fn files(origin: &LogOrigin, source: std::io::Error) -> Error {
    Error::LogFiles { log: origin.to_string(), source }
}
