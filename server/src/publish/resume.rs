//! A publication that is killed while it evaluates goes on where it was.
//!
//! Every so many entries what was evaluated is put down in sorted runs of a folder of its own, and then a file says how far
//! that is and of what publication. Another question (another change, rule, key or base) begins anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{item::Item, name::Epoch};

use super::{files, sorting::Changes};
use crate::{
    Error,
    clock::DAY,
    state_dir::{create_private_dir, write_private},
    store::{Edition, Rule},
};

/// Name of the folder, before the epoch.
const FOLDER: &str = ".evaluated-";

/// Name of the file that says how far it is. Written after the runs.
const STATE: &str = "state.json";

/// Evaluated entries on their way into a version of one epoch.
pub(super) struct Resume {
    folder: PathBuf,
    every: u64,
    state: State,
    // Entries since the runs were last put down.
    since: u64,
}

/// What is evaluated, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    question: Question,
    /// The last item, in hexadecimal.
    last: String,
    added: u64,
    removed: u64,
    /// Runs of records that come and of tags that go.
    runs: [Vec<u32>; 2],
}

/// Everything that decides what is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    change: i64,
    at: u64,
    min_sources: u32,
    strongest: bool,
    /// The version that it builds upon; 0 for none.
    base: u32,
    label_bytes: u8,
    public_key: String,
}

impl Question {
    pub(super) fn new(edition: &Edition, base: u32, label_bytes: u8, public_key: &[u8; 32]) -> Self {
        let Edition { change, at, rule: Rule { min_sources, strongest } } = *edition;
        Self { change, at, min_sources, strongest, base, label_bytes, public_key: hex::encode(public_key) }
    }
}

impl Resume {
    /// Takes up what was put down for this question, if anything was. `every`: entries between two times of putting down.
    pub(super) fn open(
        list: &Path,
        epoch: Epoch,
        question: Question,
        every: u64,
        changes: &mut Changes,
    ) -> Result<Self, Error> {
        let folder = folder(list, epoch);
        if let Some(state) = read(&folder).filter(|state| state.question == question) {
            if take_up(&folder, &state, changes).is_ok() {
                return Ok(Self { folder, every, state, since: 0 });
            }
            // What cannot be read is evaluated again.
            changes.clear()?;
        }
        forget(list, epoch)?;
        let state = State { question, last: String::new(), added: 0, removed: 0, runs: [Vec::new(), Vec::new()] };
        Ok(Self { folder, every, state, since: 0 })
    }

    /// The last item that needs no evaluation.
    pub(super) fn last(&self) -> Result<Option<Item>, Error> {
        if self.state.last.is_empty() {
            return Ok(None);
        }
        let bytes =
            hex::decode(&self.state.last).map_err(|_| Error::Internal("a file of ours is not what we wrote"))?;
        Ok(Some(Item::from_bytes(&bytes)?))
    }

    /// Entries that came and that went so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.state.added, self.state.removed)
    }

    /// Hears that entries up to `last` are in `changes`; puts them down if they are enough.
    pub(super) fn evaluated(
        &mut self,
        entries: u64,
        (added, removed): (u64, u64),
        last: &Item,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        self.state.added += added;
        self.state.removed += removed;
        self.since += entries;
        if self.since < self.every {
            return Ok(());
        }
        self.since = 0;
        create_private_dir(&self.folder)?;
        for (sorting, runs) in [&mut changes.added, &mut changes.removed].into_iter().zip(0..) {
            let number = u32::try_from(self.state.runs[runs].len()).unwrap_or(u32::MAX) * 2 + u32::from(runs == 1);
            if sorting.put_down(&self.folder.join(number.to_string()))? {
                self.state.runs[runs].push(number);
            }
        }
        self.state.last = hex::encode(last.as_bytes());
        let text = serde_json::to_vec(&self.state).map_err(|_| Error::Internal("a state that is no JSON"))?;
        write_private(&self.folder.join(STATE), &text)
    }
}

fn take_up(folder: &Path, state: &State, changes: &mut Changes) -> Result<(), Error> {
    hex::decode(&state.last).map_err(|_| Error::Internal("a file of ours is not what we wrote"))?;
    for (sorting, runs) in [&mut changes.added, &mut changes.removed].into_iter().zip(&state.runs) {
        runs.iter().try_for_each(|run| sorting.take_up(&folder.join(run.to_string())))?;
    }
    Ok(())
}

/// The time of an edition that a killed publication upon this base was to have: it goes on with that.
pub(super) fn began_at(list: &Path, epoch: Epoch, edition: &Edition, base: u32) -> Option<u64> {
    let question = read(&folder(list, epoch))?.question;
    let same = (question.change, question.min_sources, question.strongest, question.base)
        == (edition.change, edition.rule.min_sources, edition.rule.strongest, base);
    (same && question.at <= edition.at && edition.at - question.at < DAY).then_some(question.at)
}

/// Removes what was put down for an epoch.
pub(super) fn forget(list: &Path, epoch: Epoch) -> Result<(), Error> {
    let folder = folder(list, epoch);
    if !folder.is_dir() {
        return Ok(());
    }
    // Without it the rest is nothing.
    files::remove(&folder.join(STATE))?;
    fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))
}

fn folder(list: &Path, epoch: Epoch) -> PathBuf {
    list.join(format!("{FOLDER}{}", epoch.0))
}

fn read(folder: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(folder.join(STATE)).ok()?).ok()
}
