//! Policies: whose cosignatures make a checkpoint count (C2SP tlog-policy, SPEC §17.5).

mod parse;
mod split;

use ed25519_dalek::VerifyingKey;
use veilmatch_protocol::note::{Note, Verifier};

use crate::{
    Error,
    checkpoint::{self, Checkpoint},
    cosignature::Witness,
};

/// Seconds that a cosignature may be ahead of the reader's clock.
pub const MAX_AHEAD: u64 = 30;

/// Known logs, known witnesses, and which of these together are enough.
#[derive(Debug, Clone)]
pub struct Policy {
    logs: Vec<Site<Verifier>>,
    witnesses: Vec<Named<Site<Witness>>>,
    groups: Vec<Named<Group>>,
    /// `None` for `quorum none`.
    quorum: Option<Member>,
}

/// A log or a witness, and where it is asked.
#[derive(Debug, Clone)]
pub struct Site<K> {
    /// Its key.
    pub key: K,
    /// The third word of its line.
    pub url: Option<String>,
}

#[derive(Debug, Clone)]
struct Named<T> {
    name: String,
    value: T,
}

#[derive(Debug, Clone)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// Place of a witness or of an earlier group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// What the cosignatures of a checkpoint come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Whether they make the quorum.
    pub met: bool,
    /// Unix seconds of the newest one that was counted.
    pub newest: Option<u64>,
    /// Key names of the witnesses that were counted, in the policy's order.
    pub names: Vec<String>,
}

impl Policy {
    /// Reads the lines `log`, `witness`, `group` and `quorum`.
    ///
    /// # Errors
    /// [`Error::BadPolicy`] for every cause: form, a name or key twice, a name that is not defined before, no quorum, more
    /// than 64 logs, witnesses or groups.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::policy(text)
    }

    /// The policy that one witness is enough, for whatever log.
    #[must_use]
    pub fn of(witness: Witness) -> Self {
        let witness = Named { name: witness.name().to_owned(), value: Site { key: witness, url: None } };
        Self { logs: Vec::new(), witnesses: vec![witness], groups: Vec::new(), quorum: Some(Member::Witness(0)) }
    }

    /// The logs whose checkpoints are accepted.
    #[must_use]
    pub fn logs(&self) -> &[Site<Verifier>] {
        &self.logs
    }

    /// Whether a line `log` names this log. A policy with such lines is about these logs alone.
    #[must_use]
    pub fn names(&self, origin: &str) -> bool {
        self.logs.iter().any(|log| log.key.name() == origin)
    }

    /// Whether a line `log` has this key.
    #[must_use]
    pub fn accepts(&self, key: &Verifier) -> bool {
        self.logs.iter().any(|log| log.key == *key)
    }

    /// Whether the policy is about this log, of those of its keeper: one without a line `log` is about all of them.
    #[must_use]
    pub fn is_about(&self, origin: &str) -> bool {
        self.logs.is_empty() || self.names(origin)
    }

    /// The known witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &Site<Witness>> {
        self.witnesses.iter().map(|witness| &witness.value)
    }

    /// Reads a checkpoint of one of the logs of this policy and counts its cosignatures.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if no log of the policy signed it, or as [`Policy::count`].
    pub fn open(&self, note: &[u8], now: u64) -> Result<(Checkpoint, Counted), Error> {
        let note = Note::parse(note).map_err(|_| Error::BadCheckpoint)?;
        let claimed = Checkpoint::parse(note.text())?;
        let mut logs = self.logs.iter().filter(|log| log.key.name() == claimed.origin);
        let opened = logs.find_map(|log| checkpoint::open_note(&note, &claimed.origin, &log.key).ok());
        Ok((opened.ok_or(Error::BadCheckpoint)?, self.count(&note, now)?))
    }

    /// Counts the cosignatures of a checkpoint at a time in Unix seconds. Not counted are those of unknown keys, those
    /// more than [`MAX_AHEAD`] in the future, and those of the log's own keeper: a witness with a log's key, or with a
    /// name of the same first part as the origin.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if a line of a known witness does not verify, or the text is no checkpoint.
    pub fn count(&self, note: &Note<'_>, now: u64) -> Result<Counted, Error> {
        let origin = Checkpoint::parse(note.text())?.origin;
        let latest = now.saturating_add(MAX_AHEAD);
        let times = self.witnesses().map(|witness| {
            let time = witness.key.cosigned(note, latest)?;
            Ok(time.filter(|_| !self.keeps(&witness.key, &origin)))
        });
        let times: Vec<Option<u64>> = times.collect::<Result<_, Error>>()?;
        let met = self.quorum.is_none_or(|member| self.met(member, &times));
        let counted = self.counted(&times, met);
        let names = self.witnesses().zip(&counted).filter(|(_, time)| time.is_some());
        let names = names.map(|(witness, _)| witness.key.name().to_owned()).collect();
        Ok(Counted { met, newest: counted.into_iter().flatten().max(), names })
    }

    /// The times of the witnesses that make the quorum: those below a group that is not met, or outside of the quorum, say
    /// nothing about its freshness. Without a quorum, or as long as it is not met, whoever is in it.
    fn counted(&self, times: &[Option<u64>], met: bool) -> Vec<Option<u64>> {
        let Some(quorum) = self.quorum else { return times.to_vec() };
        let mut counted = vec![None; times.len()];
        let mut open = vec![quorum];
        while let Some(member) = open.pop() {
            match member {
                Member::Witness(at) => counted[at] = times[at],
                Member::Group(at) => {
                    let members = self.groups[at].value.members.iter().copied();
                    open.extend(members.filter(|&member| !met || self.met(member, times)));
                }
            }
        }
        counted
    }

    /// Whether a witness belongs to whoever keeps the log.
    fn keeps(&self, witness: &Witness, origin: &str) -> bool {
        let is_log = |key: &VerifyingKey| self.logs.iter().any(|log| log.key.key() == key);
        keeper(witness.name()) == keeper(origin) || is_log(witness.key())
    }

    fn met(&self, member: Member, times: &[Option<u64>]) -> bool {
        match member {
            Member::Witness(at) => times[at].is_some(),
            Member::Group(at) => {
                let Group { threshold, members } = &self.groups[at].value;
                members.iter().filter(|&&member| self.met(member, times)).count() >= *threshold
            }
        }
    }
}

/// The party that a log or a witness belongs to: the first part of its name.
fn keeper(name: &str) -> &str {
    name.split_once('/').map_or(name, |(keeper, _)| keeper)
}

#[cfg(test)]
mod tests;
