//! Comma-separated values (RFC 4180), names byte for byte as they are.

use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt,
};

use crate::Outcome;

use super::{Answer, Origin, printable_label};

/// The header line.
pub const COLUMNS: [&str; 19] = [
    "outcome",
    "path",
    "line",
    "name",
    "digests",
    "list",
    "version",
    "kind",
    "label",
    "label_hex",
    "new",
    "reason",
    "detail",
    "scheme",
    "code",
    "action",
    "source",
    "reference",
    "weak_only",
];

pub struct Csv<W: Write> {
    writer: ::csv::Writer<W>,
    headed: bool,
}

impl<W: Write> Csv<W> {
    pub fn new(out: W) -> Self {
        Self { writer: ::csv::Writer::from_writer(out), headed: false }
    }

    pub fn answer(&mut self, answer: &Answer<'_>) -> io::Result<()> {
        self.head()?;
        let mut row: [Vec<u8>; COLUMNS.len()] = Default::default();
        let [
            outcome,
            path,
            line,
            name,
            digests,
            list,
            version,
            kind,
            label,
            label_hex,
            new,
            reason,
            detail,
            coded @ ..,
        ] = &mut row;
        *outcome = answer.word().into();
        *list = answer.list.as_str().into();
        *version = answer.version().map(|version| version.to_string()).unwrap_or_default().into();
        match answer.origin {
            Origin::Path(is) => *path = is.as_os_str().as_bytes().to_vec(),
            Origin::Name(is) => *name = is.clone(),
            Origin::Line { number, name: is, items } => {
                *line = number.to_string().into();
                *name = is.clone().unwrap_or_default();
                let hex = items.iter().map(|item| format!("{}:{}", item.kind().name(), hex::encode(item.digest())));
                *digests = hex.collect::<Vec<_>>().join(" ").into();
            }
        }
        if let Outcome::Match { label: is, kind: matched, weak_only, .. } = answer.outcome {
            *kind = matched.name().into();
            *label = printable_label(is).unwrap_or_default().as_bytes().to_vec();
            *label_hex = hex::encode(is).into();
            let [scheme, code, action, source, reference, weak] = coded;
            if let Some(category) = is.category() {
                *scheme = category.scheme.clone().into();
                *code = category.code.clone().into();
                *action = category.action.clone().into();
            }
            *weak = weak_only.to_string().into();
            *source = is.source().unwrap_or_default().into();
            *reference = is.reference().unwrap_or_default().into();
        }
        *new = answer.new.map(|new| new.to_string()).unwrap_or_default().into();
        *reason = answer.not_checked().map(|why| why.reason()).unwrap_or_default().into();
        *detail = answer.full_detail().unwrap_or_default().into();
        self.writer.write_record(&row).map_err(io::Error::from)
    }

    fn head(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.headed, true) {
            self.writer.write_record(COLUMNS)?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        // Also with no answer at all: a table without rows still has its columns.
        self.head()?;
        self.writer.flush()
    }
}
