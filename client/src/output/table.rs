//! A table for people: what came out, label or reason, kind, and the name last, so that nothing has to be cut.

use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt,
};

use crate::{Label, Meaning, Outcome};

use super::{Answer, Origin, printable_label, text::escaped};

/// Column widths that hold the usual words; longer ones move the rest of their line.
const OUTCOME: usize = "not checked".len();
const WHAT: usize = "KIND_NOT_LISTED".len();
const KIND: usize = "sha256".len();

pub struct Table<W: Write> {
    out: W,
    headed: bool,
}

impl<W: Write> Table<W> {
    pub fn new(out: W) -> Self {
        Self { out, headed: false }
    }

    pub fn answer(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        if !std::mem::replace(&mut self.headed, true) {
            self.row("OUTCOME", "LABEL OR REASON", "KIND", "WHAT")?;
        }
        let (outcome, what, kind) = match answer.outcome {
            Outcome::Match { label, kind, weak_only, .. } => {
                // It begins like any other match: whoever looks for matches finds it.
                (if *weak_only { "match weak" } else { "match" }, label_text(label), kind.name())
            }
            Outcome::NoMatch { .. } => ("no match", "-".to_owned(), "-"),
            Outcome::NotChecked(why) => ("not checked", why.reason().to_owned(), "-"),
        };
        let mut name = subject(answer.origin);
        if let Outcome::Match { label, weak_only, .. } = answer.outcome {
            name.push_str(&more(label));
            if *weak_only {
                name.push_str(" (weak kinds only: perhaps a planted collision, let a person look at it)");
            }
        }
        if let Some(detail) = answer.full_detail() {
            name.push_str(&format!(" ({})", escaped(detail.as_bytes())));
        }
        if answer.new == Some(true) {
            name.push_str(" (new)");
        }
        self.row(outcome, &what, kind, &name)
    }

    fn row(&mut self, outcome: &str, what: &str, kind: &str, name: &str) -> io::Result<()> {
        writeln!(self.out, "{outcome:OUTCOME$}  {what:WHAT$}  {kind:KIND$}  {name}")
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn label_text(label: &Label) -> String {
    match printable_label(label).as_deref() {
        Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
        None => format!("0x{}", hex::encode(label)),
    }
}

/// What a label says beside its category.
fn more(label: &Label) -> String {
    let mut said = Vec::new();
    said.extend(label.source().map(|source| format!("source {source}")));
    said.extend(label.reference().map(|reference| format!("reference {}", escaped(reference.as_bytes()))));
    // Where the category could not be shown, its column has the bytes.
    let unknown = label.meaning().is_some_and(Meaning::is_in_part_unknown) && printable_label(label).is_some();
    said.extend(unknown.then(|| format!("label 0x{}", hex::encode(label))));
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn subject(origin: &Origin) -> String {
    match origin {
        Origin::Path(path) => escaped(path.as_os_str().as_bytes()),
        Origin::Name(name) => escaped(name),
        Origin::Line { number, name: Some(name), .. } => format!("line {number}: {}", escaped(name)),
        Origin::Line { number, name: None, items } => match items.first() {
            Some(item) => format!("line {number}: {}", hex::encode(item.digest())),
            None => format!("line {number}"),
        },
    }
}
