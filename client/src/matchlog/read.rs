//! What people and auditors are shown of matches.

use serde::Serialize;
use veilmatch_audit::date::Date;
use veilmatch_protocol::receipt::Receipt;

use super::{MatchLog, Place, record::MatchRecord};
use crate::{
    Error,
    store::{HandedOut, LogRow, OpeningRow},
};

/// Records that are read at once.
const BATCH: u32 = 256;

/// The record of a match, as people see it. No digest, and no secret of the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatchView {
    /// Where it stands: log and index.
    pub place: String,
    /// Minute in which it was found.
    pub matched: String,
    /// The list.
    pub list: String,
    /// Its epoch.
    pub epoch: u32,
    /// The version that has the entry.
    pub version: u32,
    /// Root of that version's artifact.
    pub root: String,
    /// The kind of the digest that matched.
    pub kind: String,
    /// The label's bytes.
    pub label_hex: String,
    /// Whose code the category is; empty where there is none.
    pub scheme: String,
    /// The category's code.
    pub code: String,
    /// Who the entry comes from.
    pub source: String,
    /// What they call it.
    pub reference: String,
    /// The frame that evaluated the item.
    pub batch: String,
    /// Its place in the frame.
    pub position: u16,
    /// The highest level that can be handed out: 2 where the blind is kept, else 1.
    pub level: u8,
    /// Whether a receipt was handed out.
    pub released: bool,
    /// What was done about it, in order.
    pub actions: Vec<ActionView>,
}

/// What was done about a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionView {
    /// `reported`, `removed` or `rejected`.
    pub taken: String,
    /// Number of the report, or nothing.
    pub report: String,
    /// When.
    pub t: String,
}

/// A match with everything that an opening shows.
pub(crate) struct Opened {
    pub(crate) view: MatchView,
    pub(crate) log: LogRow,
    pub(crate) index: u64,
    pub(crate) record: MatchRecord,
    pub(crate) receipt: Receipt,
    pub(crate) handed_out: Option<HandedOut>,
}

impl MatchLog {
    /// Shows every match whose record opens, oldest first, found on or after the first day and on or before the last.
    pub(crate) fn each_match(
        &self,
        days: std::ops::RangeInclusive<Date>,
        mut show: impl FnMut(Opened) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for log in self.store.logs()? {
            let mut from = 0;
            loop {
                let rows = self.store.openings(log.id, from, BATCH)?;
                let Some(last) = rows.last() else { break };
                from = last.number + 1;
                for row in &rows {
                    let opened = self.opened(&log, row)?;
                    if days.contains(&Date::of(opened.receipt.matched)) {
                        show(opened)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One match.
    pub(crate) fn one_match(&self, place: Place) -> Result<Opened, Error> {
        let (log, row) = self.opening_of_match(place)?;
        self.opened(&log, &row)
    }

    fn opened(&self, log: &LogRow, row: &OpeningRow) -> Result<Opened, Error> {
        let place = Place { log: Some(log.name()), index: row.number };
        let record = self.open_match(place, row)?;
        let receipt = self.receipt_of(place, &record)?;
        let done = self.store.openings_of(log.id, row.number)?;
        let actions = done.iter().filter(|action| action.number != row.number).filter_map(|row| self.open_action(row));
        let actions =
            actions.map(|action| ActionView { taken: action.code, report: action.report, t: action.t.to_string() });
        let view = MatchView {
            place: place.to_string(),
            matched: receipt.matched.to_string(),
            list: receipt.list.to_string(),
            epoch: receipt.epoch.0,
            version: receipt.version.0,
            root: hex::encode(record.root),
            kind: record.kind.clone(),
            label_hex: hex::encode(&receipt.label),
            scheme: record.label.scheme.clone(),
            code: record.label.code.clone(),
            source: record.label.source.clone(),
            reference: record.label.reference.clone(),
            batch: hex::encode(receipt.batch.0),
            position: receipt.position,
            level: if record.blind.is_some() { 2 } else { 1 },
            released: row.handed_out.is_some(),
            actions: actions.collect(),
        };
        Ok(Opened { view, log: log.clone(), index: row.number, record, receipt, handed_out: row.handed_out })
    }
}
