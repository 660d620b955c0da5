//! Imports and retractions: rows of a file become claims of a source, all of them or none.
//!
//! ```text
//! rows → sorted by key → compared with what the source said before → steps, sorted by item → written
//!        └ stage.rs ─┘   └ resolve.rs ──────────────────────────┘                            └ apply.rs
//! ```
//! Memory is bounded at every size: what is sorted waits in unnamed files of the agency's directory, and the claims are
//! visited in the order in which they lie.

mod apply;
mod body;
mod digests;
mod known;
mod resolve;
mod retract;
mod sorter;
mod stage;

use std::{
    io::BufRead,
    sync::atomic::{AtomicU64, Ordering},
};

use veilmatch_lists::{Category, Format, Options, Rows};
use veilmatch_protocol::{codebook::MAX_CODE_LEN, item::Kind, label::FIELDS_LEN};

pub use known::Excluded;
pub use retract::Withdrawal;

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

/// A file on its way into a list.
pub(crate) struct Intake<'a> {
    pub(crate) dir: &'a StateDir,
    pub(crate) list: &'a ListRow,
    pub(crate) limits: &'a Limits,
    pub(crate) file: &'a str,
    /// How much of the file there is, and how much of it was read.
    pub(crate) bytes: (u64, &'a AtomicU64),
    pub(crate) options: &'a ImportOptions,
    pub(crate) now: u64,
}

impl Intake<'_> {
    /// Takes the rows of a file.
    ///
    /// # Errors
    /// [`Error::Jump`], [`Error::Store`], [`Error::Io`], and what `refuse` makes of the file's own errors.
    pub(crate) fn import(
        &self,
        ledger: Ledger<'_>,
        input: impl BufRead + Send,
        refuse: &(dyn Fn(veilmatch_lists::Error) -> Error + Sync),
        progress: OnImport<'_>,
    ) -> Result<Change, Error> {
        self.check_label()?;
        let name = self.options.source.as_deref().unwrap_or(LOCAL);
        let source = ledger.source(name)?;
        let rows = Rows::open(input, &self.options.reading).map_err(refuse)?;
        if rows.format() == Format::Nsrl {
            let why = "is a list of known files, most of them harmless; `list exclude` takes it";
            return Err(Error::argument("FILE", why));
        }
        let snapshot = self.options.source.is_some() && !self.options.add && !tells_changes(rows.format());
        let mut tally = Tally::default();
        let mut categories = ledger.categories()?;
        let staged = stage::stage(
            self,
            &Feed { ledger: &ledger, source: &source },
            rows,
            refuse,
            &mut categories,
            &mut tally,
            progress,
        )?;
        ledger.put_categories(&categories)?;
        let steps = resolve::resolve(self, &ledger, &source, snapshot, staged, &mut tally, progress)?;
        if self.options.source.is_some() && !self.options.allow_jump && !self.options.dry_run {
            self.check_jump(name, source.size, (source.size + steps.claims).saturating_sub(steps.unclaims))?;
        }
        // What a record's time is counts, even where it says nothing else.
        let (whole, renewed) = (steps.count() > TOUCHED, steps.records.count() > 0);
        apply::apply(&ledger, &source, steps, whole, &mut tally, progress)?;
        if !tally.adds_up() {
            return Err(Error::Internal("the counts of an import do not add up; nothing was taken"));
        }
        if self.options.dry_run || tally.is_empty() && !renewed {
            return Ok(Change { id: 0, source: name.to_owned(), tally });
        }
        kept(ledger, self.row("import", name, tally), whole)
    }

    fn read(&self, progress: OnImport<'_>) {
        let (all, read) = self.bytes;
        progress(ImportStage::Read, read.load(Ordering::Relaxed).min(all), Some(all));
    }

    // A label without room for numbers is the code itself.
    fn check_label(&self) -> Result<(), Error> {
        let room = self.room();
        match &self.options.category {
            Some(Category { code, .. }) if code.len() > room => Err(Error::LabelTooLong { given: code.len(), room }),
            _ => Ok(()),
        }
    }

    fn room(&self) -> usize {
        let label_bytes = usize::from(self.list.label_bytes);
        match label_bytes {
            // Without labels a category says nothing to anybody.
            0 if self.options.category.is_none() => MAX_CODE_LEN,
            _ if label_bytes < FIELDS_LEN => label_bytes,
            _ => MAX_CODE_LEN,
        }
    }

    fn row(&self, kind: &str, source: &str, tally: Tally) -> ChangeRow {
        ChangeRow { id: 0, kind: kind.into(), file: self.file.into(), source: source.into(), at: self.now, tally }
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

/// Keeps a change, unless nothing is to be kept of it.
fn keep(ledger: Ledger<'_>, row: ChangeRow, whole: bool, dry_run: bool) -> Result<Change, Error> {
    if dry_run || row.tally.is_empty() {
        return Ok(Change { id: 0, source: row.source, tally: row.tally });
    }
    kept(ledger, row, whole)
}

fn kept(ledger: Ledger<'_>, row: ChangeRow, whole: bool) -> Result<Change, Error> {
    let id = ledger.keep(&row, whole)?;
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
