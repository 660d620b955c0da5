//! Imports and retractions: rows of a file become claims of a source, all of them or none.
//!
//! ```text
//! rows → sorted by key → compared with what the source said before → steps, sorted by item → written
//!        └ stage.rs ─┘   └ resolve.rs ──────────────────────────┘                            └ apply.rs
//! ```
//! Memory is bounded at every size: what is sorted waits in files of the agency's directory, and the claims are visited in
//! the order in which they lie. Of the files of a killed import the same import makes use again (staging.rs).

mod apply;
mod body;
mod content;
mod digests;
mod file;
mod known;
mod pace;
mod resolve;
mod retract;
mod sorter;
mod stage;
mod staging;

use veilmatch_lists::{Category, Format, Options};
use veilmatch_protocol::{codebook::MAX_CODE_LEN, item::Kind, label::FIELDS_LEN};

pub(crate) use file::ListFile;
pub use known::Excluded;
pub(crate) use retract::Digests;
pub use retract::Withdrawal;
pub use staging::Stale;
pub(crate) use staging::forget_old;

use crate::{
    Error,
    config::Import as Limits,
    state_dir::StateDir,
    store::{Change, ChangeRow, Ledger, ListRow, SourceRow, Tally},
};

/// The source of files that are imported without one.
pub const LOCAL: &str = "local";

/// Steps of a change that are told item by item to the next publication; beyond it, that looks at all claims.
const TOUCHED: u64 = 200_000;

/// What is to be taken of a file.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Layout and kind, where the file does not tell, and which rows are wanted.
    pub reading: Options,
    /// Who says so. A named source's file replaces what the source said before, unless its format tells of changes only.
    pub source: Option<String>,
    /// Add to what the source said before, whatever the format.
    pub add: bool,
    /// The category of every row, in place of the file's own.
    pub category: Option<Category>,
    /// What the agency asks platforms to do.
    pub action: String,
    /// The case or series of rows that name none.
    pub reference: String,
    /// From when rows are listed that do not say so themselves, in seconds since 1970.
    pub valid_from: Option<u64>,
    /// Until when.
    pub valid_until: Option<u64>,
    /// Take the file even if the source grows or shrinks suddenly.
    pub allow_jump: bool,
    /// Count, and change nothing.
    pub dry_run: bool,
    /// The file to read in an archive with several.
    pub member: Option<String>,
}

/// Where an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportStage {
    /// What another import had read when it was killed is thrown away.
    Discard(Stale),
    /// Going on where the same import was killed: in bytes of the file.
    Continue,
    /// Reading the file: in bytes.
    Read,
    /// Comparing them with what the source said before.
    Compare,
    /// Writing what is new.
    Write,
}

/// Hears how far an import is: a stage, what is done of it, and how much there is, if that is known.
pub type OnImport<'a> = &'a mut dyn FnMut(ImportStage, u64, Option<u64>);

/// A source, and the change in which its file is taken.
struct Feed<'a> {
    ledger: &'a Ledger<'a>,
    source: &'a SourceRow,
}

/// What is imported into, or taken out of: a list of an agency.
pub(crate) struct Intake<'a> {
    pub(crate) dir: &'a StateDir,
    pub(crate) list: &'a ListRow,
    pub(crate) limits: &'a Limits,
    pub(crate) options: &'a ImportOptions,
    pub(crate) now: u64,
    pub(crate) portion: Portion,
}

/// How much is worked on at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    /// Rows that travel together from the thread that reads to the one that sorts.
    pub(crate) rows: usize,
    /// Bytes of a sorted run.
    pub(crate) run: usize,
}

impl Default for Portion {
    fn default() -> Self {
        Self { rows: 1_024, run: sorter::RUN_BYTES }
    }
}

impl Intake<'_> {
    /// Takes the rows of a file.
    ///
    /// # Errors
    /// [`Error::Jump`], [`Error::LabelTooLong`], [`Error::HashList`], [`Error::Store`], [`Error::Io`].
    pub(crate) fn import(&self, ledger: Ledger<'_>, file: ListFile, progress: OnImport<'_>) -> Result<Change, Error> {
        self.check_label()?;
        if file.format() == Format::Nsrl {
            let why = "is a list of known files, most of them harmless; `list exclude` takes it";
            return Err(Error::argument("FILE", why));
        }
        let change = self.take(ledger, file, progress);
        if !self.options.dry_run {
            // Only one that was killed is gone on with. If this fails, the next import or publication removes it.
            let _ = staging::forget(self.dir);
        }
        change
    }

    fn take(&self, ledger: Ledger<'_>, file: ListFile, progress: OnImport<'_>) -> Result<Change, Error> {
        let name = self.options.source.as_deref().unwrap_or(LOCAL);
        let source = ledger.source(name)?;
        let feed = Feed { ledger: &ledger, source: &source };
        let snapshot = self.options.source.is_some() && !self.options.add && !tells_changes(file.format());
        let file_name = file.name();
        let mut tally = Tally::default();
        let mut categories = ledger.categories()?;
        let staged = stage::stage(self, &feed, file, &mut categories, &mut tally, progress)?;
        ledger.put_categories(&categories)?;
        let steps = resolve::resolve(self, &feed, snapshot, staged, &mut tally, progress)?;
        if self.options.source.is_some() && !self.options.allow_jump && !self.options.dry_run {
            self.check_jump(name, source.size, (source.size + steps.claims).saturating_sub(steps.unclaims))?;
        }
        // What a record's time is counts, even where it says nothing else.
        let (whole, renewed) = (steps.count() > TOUCHED, steps.records.count() > 0);
        apply::apply(&feed, steps, whole, &mut tally, progress)?;
        if !tally.adds_up() {
            return Err(Error::Internal("the counts of an import do not add up; nothing was taken"));
        }
        let worth = renewed || !tally.is_empty();
        keep(ledger, self.row("import", &file_name, name, tally), whole, worth)
    }

    // Tells the operator before any row is read; each row is looked at as well.
    fn check_label(&self) -> Result<(), Error> {
        let room = self.room();
        match &self.options.category {
            Some(Category { code, .. }) if code.len() > room => Err(Error::LabelTooLong { given: code.len(), room }),
            _ => Ok(()),
        }
    }

    // Bytes that a category's code may have. A label without room for numbers is the code itself.
    fn room(&self) -> usize {
        let label_bytes = usize::from(self.list.label_bytes);
        match label_bytes {
            // Without labels a category says nothing to anybody.
            0 if self.options.category.is_none() => MAX_CODE_LEN,
            _ if label_bytes < FIELDS_LEN => label_bytes,
            _ => MAX_CODE_LEN,
        }
    }

    fn row(&self, kind: &str, file: &str, source: &str, tally: Tally) -> ChangeRow {
        ChangeRow { id: 0, kind: kind.into(), file: file.into(), source: source.into(), at: self.now, tally }
    }

    // A feed that is suddenly much larger or smaller is more often a mistake than the world.
    fn check_jump(&self, source: &str, before: u64, after: u64) -> Result<(), Error> {
        let percent = |share: u32| before.saturating_mul(share.into()) / 100;
        let least = before - percent(self.limits.shrink_percent.min(100));
        let most = before.saturating_add(percent(self.limits.growth_percent));
        if before < self.limits.jump_from || (least..=most).contains(&after) {
            return Ok(());
        }
        Err(Error::Jump { source_name: source.to_owned(), before, after, least, most })
    }
}

/// Keeps a change if it is worth it. Of a dry run nothing is kept.
fn keep(ledger: Ledger<'_>, row: ChangeRow, whole: bool, worth: bool) -> Result<Change, Error> {
    let id = if worth { ledger.keep(&row, whole)? } else { 0 };
    Ok(Change { id, source: row.source, tally: row.tally })
}

/// Whether a format tells what changed, withdrawals included, and not everything that its source has.
fn tells_changes(format: Format) -> bool {
    matches!(format, Format::Ncmec | Format::Stopncii)
}

/// The stronger of kinds: the later ones of SPEC §3.1.
fn is_stronger(one: Kind, other: Kind) -> bool {
    one.id() > other.id()
}

#[cfg(test)]
mod tests;
