//! The agency's logs, watched: nothing is believed that does not extend what this platform saw before, and what it has seen
//! it cosigns (SPEC §17.5, §17.6).

mod doubt;
mod manifests;
mod promises;
mod queries;

use std::{
    collections::HashSet,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use tonic::transport::Channel;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    origin::{LogOrigin, platform_witness_key},
    policy::Policy,
    tree::{self, Hash},
};
use veilmatch_proto::{
    ProvenCheckpoint, Reason,
    pb::{self, logs_client::LogsClient},
};
use veilmatch_protocol::{
    frame::View,
    name::{AgencyName, PlatformId},
    note::{self, Note, Verifier},
};

use crate::{
    Error,
    connection::Connection,
    enrol::Invitation,
    frames::now,
    outcome::NotChecked,
    state_dir::StateDir,
    store::{Store, Watched},
};

/// A cosignature that is older than this does not say that the log is current: a day (SPEC §17.6).
const FRESH: u64 = 86_400;

/// As long as a version may take from its publication to the log: its promise is a minute, and people wait for this.
const SOON: Duration = Duration::from_secs(15);

/// After this time a checkpoint that has not changed is cosigned again, so that others find it fresh.
const COSIGN_AGAIN: u64 = 3_600;

/// Watches the manifest log and the query log of one agency.
pub(crate) struct Watch {
    dir: StateDir,
    store: Arc<Store>,
    agency: AgencyName,
    manifests: Verifier,
    queries: Verifier,
    cosigner: Cosigner,
    // One at a time: what extends the last checkpoint must not be overtaken on its way into the database.
    turn: tokio::sync::Mutex<()>,
    /// How long a version that was just published may take until the log has it.
    soon: Duration,
    state: Mutex<State>,
}

/// What is known beside the database.
#[derive(Default)]
struct State {
    /// The manifest log's checkpoint in force.
    standing: Option<Watched>,
    /// Why nothing may be asked, since the last look at the manifest log.
    fault: Option<NotChecked>,
    /// Leaves that were proven to be in the manifest log: they stay in every tree that extends it.
    included: HashSet<Hash>,
    /// The newest query log that an acknowledgement was of.
    query_log: Option<LogOrigin>,
}

impl State {
    /// What a frame may cite, or why nothing may be asked.
    fn standing(&self, now: u64) -> Result<View, NotChecked> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let standing = self.standing.as_ref().ok_or(NotChecked::UnprovenLog)?;
        if is_stale(standing.counted, now) { Err(NotChecked::StaleLog) } else { Ok(standing.view()) }
    }
}

impl Watch {
    pub(crate) fn open(
        dir: &StateDir,
        store: Arc<Store>,
        invitation: &Invitation,
        (platform, witness): (&PlatformId, SigningKey),
    ) -> Result<Self, Error> {
        let cosigner = Cosigner::new(&platform_witness_key(platform), witness).expect("names of platforms are legal");
        let (manifests, queries) = (invitation.manifest_key(), invitation.query_log_key());
        let state = State { standing: store.watched(manifests.name())?, ..State::default() };
        Ok(Self {
            dir: dir.clone(),
            store,
            agency: invitation.agency(),
            manifests,
            queries,
            cosigner,
            turn: tokio::sync::Mutex::default(),
            soon: SOON,
            state: Mutex::new(state),
        })
    }

    /// Waits for nothing.
    #[cfg(test)]
    pub(crate) fn impatient(self) -> Self {
        Self { soon: Duration::ZERO, ..self }
    }

    /// What a frame may cite now.
    ///
    /// # Errors
    /// Why nothing may be asked: the log is not proven, or was found to be forked, rolled back or stale.
    pub(crate) fn standing(&self, now: u64) -> Result<View, NotChecked> {
        self.state().standing(now)
    }

    /// Asks for the newest checkpoint of a log; refuses one that is not signed by the log, is smaller than the one before, or
    /// does not extend it.
    async fn next(
        &self,
        connection: &Connection,
        origin: &str,
        verifier: &Verifier,
        before: Option<&Watched>,
    ) -> Result<(Vec<u8>, Checkpoint), Error> {
        let old = before.map_or(0, |before| before.size);
        let proven = match self.ask(connection, origin, old).await {
            // Without the size it gives what it has, and that is the proof.
            Err(Error::Refused(refused)) if refused.reason == Reason::CheckpointAhead => {
                self.ask(connection, origin, 0).await?
            }
            other => other?,
        };
        let note = proven.note;
        let checkpoint = checkpoint::open(&note, origin, verifier)
            .map_err(|_| self.unproven(origin, &note, "its checkpoint is not signed by the pinned key"))?;
        let Some(before) = before else { return Ok((note, checkpoint)) };
        if checkpoint.size < before.size {
            self.show(connection, origin, before).await;
            return Err(self.rollback(origin, &note, before));
        }
        let (size, root) = (checkpoint.size, &checkpoint.root);
        match tree::verify_consistency(before.size, &before.root, size, root, &proven.consistency) {
            Ok(()) => Ok((note, checkpoint)),
            Err(_) => {
                self.show(connection, origin, before).await;
                Err(self.fork(origin, &note, before))
            }
        }
    }

    async fn ask(&self, connection: &Connection, origin: &str, old_size: u64) -> Result<ProvenCheckpoint, Error> {
        let request = pb::GetCheckpointRequest { origin: origin.to_owned(), old_size };
        let ask = |mut logs: LogsClient<Channel>| {
            let request = request.clone();
            async move { logs.get_checkpoint(request).await }
        };
        let answer = connection.read_logs(ask).await?;
        ProvenCheckpoint::try_from(answer).map_err(|_| Error::BadAnswer { what: "its checkpoint or proof is too long" })
    }

    /// Shows the agency a checkpoint of its own that it does not seem to know any more. One that restored a backup stops.
    async fn show(&self, connection: &Connection, origin: &str, seen: &Watched) {
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: seen.size, root: seen.root };
        let cosignature = self.cosigner.cosign(&checkpoint, now().unix());
        let request = pb::AddCosignatureRequest { note: without_cosignatures(&seen.note), cosignature };
        let mut logs = connection.logs();
        if let Err(status) = connection.in_time(logs.add_cosignature(request)).await {
            tracing::warn!(code = ?status.code(), log = origin, "the agency was shown a checkpoint that it signed before");
        }
    }

    /// Hands this platform's cosignature in. Somebody who does not take it does harm to nobody but himself.
    async fn hand_in(&self, connection: &Connection, origin: &str, note: &[u8], line: &str, now: u64) {
        let request = pb::AddCosignatureRequest { note: without_cosignatures(note), cosignature: line.to_owned() };
        let mut logs = connection.logs();
        match connection.in_time(logs.add_cosignature(request)).await {
            Ok(_) => {
                let taken = self.store.watched(origin).and_then(|watched| {
                    watched
                        .map_or(Ok(()), |watched| self.store.set_watched(origin, &Watched { cosigned: now, ..watched }))
                });
                if let Err(error) = taken {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a cosignature is handed in once more later"
                    );
                }
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), "the agency did not take a cosignature; it is handed in again later");
            }
        }
    }

    fn policy(&self) -> Result<Policy, Error> {
        let path = self.dir.policy();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        Policy::parse(&text).map_err(|error| Error::Config { path, why: error.to_string() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the newest cosignature that counted is too old.
fn is_stale(counted: u64, now: u64) -> bool {
    counted.saturating_add(FRESH) <= now
}

/// A checkpoint with the log's own signature line and no other.
fn without_cosignatures(note: &[u8]) -> Vec<u8> {
    let Ok(parsed) = Note::parse(note) else { return note.to_vec() };
    let origin = parsed.text().lines().next().unwrap_or_default();
    let own = parsed.lines().iter().filter(|line| line.name == origin);
    let lines: String = own.map(|line| note::signature_line(line.name, line.id, &line.signature)).collect();
    format!("{}\n{lines}", parsed.text()).into_bytes()
}

/// A checkpoint with one more signature line.
fn with_line(note: &[u8], line: &str) -> Vec<u8> {
    [note, line.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
