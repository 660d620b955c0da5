//! Prints answers: a table for people, JSON Lines and CSV for programs. The fields are described in docs/output.md.

use std::io::{self, Write};

use crate::Outcome;
use clap::ValueEnum;

mod answer;
mod csv;
mod jsonl;
mod table;
mod text;

pub use answer::{Answer, Origin};
pub use jsonl::{Record, record};
pub use text::printable_label;

/// What the answers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One aligned line per answer, for people; control characters in names are escaped.
    Table,
    /// One JSON object per line.
    #[value(alias = "json")]
    Jsonl,
    /// Comma-separated values under a header line.
    Csv,
}

/// Writes answers in one format.
pub struct Printer<W: Write> {
    form: Form<W>,
    all: bool,
}

enum Form<W: Write> {
    Table(table::Table<W>),
    Jsonl(W),
    Csv(Box<csv::Csv<W>>),
}

impl<W: Write> Printer<W> {
    /// Prints to `out`. A table leaves out *no match* unless `all` is set; the formats for programs have every answer.
    pub fn new(format: Format, all: bool, out: W) -> Self {
        match format {
            Format::Table => Self { form: Form::Table(table::Table::new(out)), all },
            Format::Jsonl => Self { form: Form::Jsonl(out), all: true },
            Format::Csv => Self { form: Form::Csv(Box::new(csv::Csv::new(out))), all: true },
        }
    }

    /// Prints one answer.
    ///
    /// # Errors
    /// What writing gave.
    pub fn answer(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        if !self.all && matches!(answer.outcome, Outcome::NoMatch { .. }) {
            return Ok(());
        }
        match &mut self.form {
            Form::Table(table) => table.answer(answer),
            Form::Jsonl(out) => jsonl::write(out, answer),
            Form::Csv(csv) => csv.answer(answer),
        }
    }

    /// Hands over everything printed so far.
    ///
    /// # Errors
    /// What writing gave.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Table(table) => table.flush(),
            Form::Jsonl(out) => out.flush(),
            Form::Csv(csv) => csv.flush(),
        }
    }
}

#[cfg(test)]
mod tests;
