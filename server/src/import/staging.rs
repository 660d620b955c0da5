//! An import that is killed goes on where it was.
//!
//! While it reads, the sorted runs lie in a folder of the agency's directory, and whenever they are put down a file says how
//! far that is and of what import. The same import, given again, goes on there: it reads past what it had read, which must
//! have the digest that it had. Another one throws it away. What follows the reading is one transaction, and begins anew.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use veilmatch_lists::{Place, Quarantine};

use super::{
    Feed, ImportStage, Intake, ListFile, OnImport,
    file::Upto,
    sorter::{KeptRun, Sorter},
    stage::Staged,
};
use crate::{
    Error,
    clock::DAY,
    state_dir::{StateDir, create_private_dir, write_private},
    store::{Categories, CategoryRow, Quarantined, Tally},
};

/// Name of the file that says how far it is. Written after the runs.
const STATE: &str = "state.json";

/// Why what another process had read is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Of another list, source or file name, under other options, or by another version of the program.
    Command,
    /// What the list has says otherwise what rows mean.
    List,
    /// The file does not begin with what was read.
    File,
    /// More than a day has passed.
    Old,
    /// It is not what was written.
    Damaged,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "it was another command",
            Self::List => "the list has changed",
            Self::File => "the file has changed",
            Self::Old => "it was more than a day ago",
            Self::Damaged => "it cannot be read back",
        })
    }
}

/// What an import puts down of its reading.
pub(super) struct Staging {
    folder: PathBuf,
    question: Question,
    began: u64,
    run_bytes: usize,
    found: Option<State>,
}

/// Everything that decides what becomes of a row when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    command: Command,
    list: ListState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    software: String,
    list: String,
    file: String,
    options: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListState {
    /// Categories have numbers in what is sorted.
    categories: usize,
    /// The last change, where digests are set aside that are known to be harmless, or withdrawn.
    change: Option<i64>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    question: Question,
    /// When the reading began, in seconds since 1970.
    began: u64,
    upto: Upto,
    number: u64,
    counts: Counts,
    /// Categories that the file adds: scheme, code, action, number.
    categories: Vec<(String, String, String, u16)>,
    loose: Vec<KeptRun>,
    keyed: Vec<KeptRun>,
}

/// What reading counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    read: u64,
    retracted: u64,
    reasons: BTreeMap<String, u64>,
    /// Row, offset and reason.
    rows: Vec<(u64, u64, String)>,
}

/// What was read another time.
pub(super) struct Restored {
    pub(super) staged: Staged,
    pub(super) categories: Categories,
    pub(super) tally: Tally,
    /// Rows so far.
    pub(super) number: u64,
    /// When the reading began: what rows of the future are taken for goes by that.
    pub(super) began: u64,
    /// Whether the file was read to its end.
    pub(super) at_end: bool,
}

impl Staging {
    /// Looks for what the same import had read when it was killed. What else there is, is thrown away.
    pub(super) fn open(
        intake: &Intake<'_>,
        feed: &Feed<'_>,
        file: &ListFile,
        categories: &Categories,
        progress: OnImport<'_>,
    ) -> Result<Self, Error> {
        let question = Question::new(intake, feed, file, categories)?;
        let mut staging = Self {
            folder: intake.dir.staged(),
            question,
            began: intake.now,
            run_bytes: intake.portion.run,
            found: None,
        };
        match read(&staging.folder) {
            Some(state) => match state.stale(&staging.question, intake.now) {
                Some(stale) => staging.discard(stale, progress)?,
                None => staging.found = Some(state),
            },
            // Runs of one that was killed before it had put anything down.
            None => forget(intake.dir)?,
        }
        create_private_dir(&staging.folder)?;
        Ok(staging)
    }

    fn discard(&self, stale: Stale, progress: OnImport<'_>) -> Result<(), Error> {
        progress(ImportStage::Discard(stale), 0, None);
        remove(&self.folder)
    }

    /// Rows that are kept where the next process finds them.
    pub(super) fn staged(&self) -> Staged {
        let kept = |name| Sorter::kept(&self.folder, name, self.run_bytes);
        Staged { loose: kept("loose"), keyed: kept("keyed") }
    }

    /// What was found, if the file begins with what was read. Its rows go on behind that.
    pub(super) fn go_on(
        &mut self,
        file: &mut ListFile,
        categories: &Categories,
        progress: OnImport<'_>,
    ) -> Result<Option<Restored>, Error> {
        let Some(state) = self.found.take() else { return Ok(None) };
        let stale = match self.restored(&state, categories) {
            Some(restored) if file.go_on(&state.upto, progress)? => {
                let (done, all) = file.bytes().done();
                progress(ImportStage::Continue, done, Some(all));
                self.began = state.began;
                return Ok(Some(restored));
            }
            Some(_) => Stale::File,
            None => Stale::Damaged,
        };
        self.discard(stale, progress)?;
        create_private_dir(&self.folder)?;
        Ok(None)
    }

    fn restored(&self, state: &State, categories: &Categories) -> Option<Restored> {
        let mut staged = self.staged();
        let whole = staged.loose.take_up(&state.loose).ok()? && staged.keyed.take_up(&state.keyed).ok()?;
        let mut categories = categories.clone();
        for (scheme, code, action, number) in &state.categories {
            categories.number(scheme, code, action).ok().filter(|given| given == number)?;
        }
        let (tally, number, began) = (state.counts.tally()?, state.number, state.began);
        whole.then_some(Restored { staged, categories, tally, number, began, at_end: state.upto.is_end() })
    }

    /// Puts down what was read so far: rows, and what they count.
    pub(super) fn put_down(
        &self,
        staged: &mut Staged,
        (number, tally, categories): (u64, &Tally, &Categories),
        upto: Upto,
    ) -> Result<(), Error> {
        let category = |row: &CategoryRow| (row.scheme.clone(), row.code.clone(), row.action.clone(), row.number);
        let state = State {
            question: self.question.clone(),
            began: self.began,
            loose: staged.loose.put_down()?,
            keyed: staged.keyed.put_down()?,
            upto,
            number,
            counts: Counts::of(tally),
            categories: categories.added().iter().map(category).collect(),
        };
        let text = serde_json::to_vec(&state).map_err(|_| Error::Internal("a state that is no JSON"))?;
        write_private(&self.folder.join(STATE), &text)
    }
}

impl Question {
    fn new(intake: &Intake<'_>, feed: &Feed<'_>, file: &ListFile, categories: &Categories) -> Result<Self, Error> {
        let command = Command {
            software: crate::publish::SOFTWARE.to_owned(),
            list: intake.list.list.to_string(),
            file: file.name(),
            options: format!("{:?}", intake.options),
        };
        let asks = feed.ledger.knows_files()? || feed.ledger.has_withdrawn(feed.source.id)?;
        let change = asks.then(|| feed.ledger.last_change());
        Ok(Self { command, list: ListState { categories: categories.count(), change } })
    }
}

impl State {
    fn stale(&self, question: &Question, now: u64) -> Option<Stale> {
        if self.question.command != question.command {
            Some(Stale::Command)
        } else if self.question.list != question.list {
            Some(Stale::List)
        } else if is_old(self.began, now) {
            Some(Stale::Old)
        } else {
            None
        }
    }
}

// A clock that was set back makes it old, too.
fn is_old(began: u64, now: u64) -> bool {
    now.checked_sub(began).is_none_or(|age| age > DAY)
}

impl Counts {
    // Everything else is counted when the reading has ended.
    fn of(tally: &Tally) -> Self {
        let reasons = tally.reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        let row = |row: &Quarantined| (row.place.row, row.place.offset, row.reason.to_owned());
        Self { read: tally.read, retracted: tally.retracted, reasons, rows: tally.rows.iter().map(row).collect() }
    }

    fn tally(&self) -> Option<Tally> {
        let named = |name: &str| Quarantine::ALL.iter().map(|reason| reason.reason()).find(|reason| *reason == name);
        let reasons = self.reasons.iter().map(|(name, count)| Some((named(name)?, *count)));
        let reasons: BTreeMap<_, _> = reasons.collect::<Option<_>>()?;
        let row = |(row, offset, name): &(u64, u64, String)| {
            Some(Quarantined { place: Place { row: *row, offset: *offset }, reason: named(name)? })
        };
        let rows = self.rows.iter().map(row).collect::<Option<_>>()?;
        Some(Tally {
            read: self.read,
            retracted: self.retracted,
            quarantined: reasons.values().sum(),
            reasons,
            rows,
            ..Tally::default()
        })
    }
}

/// Removes what an import has read so far: it has happened, or it failed.
pub(super) fn forget(dir: &StateDir) -> Result<(), Error> {
    remove(&dir.staged())
}

/// Removes what a killed import had read more than a day ago: nobody goes on with that.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn forget_old(dir: &StateDir, now: u64) -> Result<(), Error> {
    let folder = dir.staged();
    match read(&folder) {
        Some(state) if !is_old(state.began, now) => Ok(()),
        _ => remove(&folder),
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    if !folder.is_dir() {
        return Ok(());
    }
    // Without it the rest is nothing.
    match fs::remove_file(folder.join(STATE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", folder)(error)),
        _ => {}
    }
    fs::remove_dir_all(folder).map_err(Error::io("remove", folder))
}

fn read(folder: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(folder.join(STATE)).ok()?).ok()
}

#[cfg(test)]
mod tests;
