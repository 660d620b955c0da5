//! What was done about a match: a record of its own, with a commitment in the log (SPEC §18.5).

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use veilmatch_audit::{
    leaf::{self, Leaf},
    origin::LogOrigin,
};
use veilmatch_protocol::{json, manifest::Timestamp, receipt::commit};

use super::{
    MatchLog, Place, date, nonce,
    record::{ActionRecord, MatchRecord, Record, salt},
    shard,
};
use crate::{
    Error,
    frames::now,
    store::{LogRow, OpeningRow},
};

/// Longest number of a report.
const MAX_REPORT: usize = 128;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Taken {
    /// Reported to the body that the law names.
    Reported,
    /// Taken off the service.
    Removed,
    /// A person looked at it and found that it is not what the list says.
    Rejected,
}

impl Taken {
    /// The word that stands in totals and records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Removed => "removed",
            Self::Rejected => "rejected",
        }
    }
}

/// The record of an action: canonical JSON, which the leaf commits to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What was done.
    pub code: String,
    /// Index of the match leaf.
    #[serde(with = "json::integer")]
    pub index: u64,
    /// The log.
    pub log: LogOrigin,
    /// Number of the report, or nothing.
    pub report: String,
    /// When.
    pub t: Timestamp,
    r#type: String,
}

/// `type` of an action record.
const TYPE: &str = "veilmatch/action-record/v1";

impl MatchLog {
    /// Records what was done about a match, in the newest log whichever has the match; gives where the leaf stands.
    ///
    /// # Errors
    /// [`Error::NoRecord`], [`Error::Erased`], [`Error::RecordDamaged`], [`Error::Database`].
    pub(crate) fn act(&self, place: Place, taken: Taken, report: &str) -> Result<Place, Error> {
        if report.len() > MAX_REPORT || report.chars().any(char::is_control) {
            return Err(Error::LogWord { what: "report", word: report.to_owned() });
        }
        let (log, opening) = self.opening_of_match(place)?;
        let record = self.open_match(place, &opening)?;
        let list = self.receipt_of(place, &record)?.list.clone();
        let (now, salt) = (now(), salt());
        let (code, index, origin) = (taken.code().to_owned(), place.index, self.origin(log.name()));
        let (report, r#type) = (report.to_owned(), TYPE.to_owned());
        let action = Action { code, index, log: origin.clone(), report, t: now, r#type };
        let text = json::encode(&action).expect("texts and an index of a leaf always serialise");
        let c = commit(&salt, &text);
        let leaf = leaf::Action { c, index, log: origin, nonce: nonce(), t: now.day() };
        let leaf = leaf.encode().expect("the start of a day is one, and the log a match log");
        let text = String::from_utf8(text).expect("JSON is text");
        let sealed = self.vault.seal(&Record::Action(ActionRecord { salt: *salt.danger_as_bytes(), text }).encode());
        let (shard, date) = (shard(now), date(now));
        let what = (list.as_str(), &date[..], taken.code());
        let (log, index) = self.store.record_action(&shard, (log.id, index), what, &leaf, &sealed)?;
        Ok(Place { log: Some(self.store.log(log)?.name()), index })
    }

    /// The log of a match and its opening, still sealed.
    pub(super) fn opening_of_match(&self, place: Place) -> Result<(LogRow, OpeningRow), Error> {
        let log = self.find(place)?;
        let none = || Error::NoRecord { index: place.to_string() };
        let leaf = self.store.leaves(log.id, place.index, place.index + 1)?.pop().ok_or_else(none)?;
        if !matches!(Leaf::decode(&leaf), Ok(Leaf::Match(_))) {
            return Err(none());
        }
        let opening = self.store.opening(log.id, place.index)?;
        Ok((log, opening.ok_or_else(|| Error::Erased { index: place.to_string() })?))
    }

    /// The record of a match, opened.
    pub(super) fn open_match(&self, place: Place, opening: &OpeningRow) -> Result<MatchRecord, Error> {
        let bytes = self.vault.unseal(&opening.sealed);
        match bytes.and_then(|bytes| Record::decode(&bytes)) {
            Some(Record::Match(record)) => Ok(*record),
            _ => Err(Error::RecordDamaged { index: place.to_string() }),
        }
    }

    /// What was done, from an opened record.
    pub(super) fn open_action(&self, opening: &OpeningRow) -> Option<Action> {
        match Record::decode(&self.vault.unseal(&opening.sealed)?)? {
            Record::Action(record) => {
                json::decode(record.text.as_bytes()).filter(|action: &Action| action.r#type == TYPE)
            }
            Record::Match(_) => None,
        }
    }
}

/// Whether a word may stand in a leaf.
pub(super) fn check_word(what: &'static str, word: &str) -> Result<(), Error> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&word.len()) && word.bytes().all(legal) {
        return Ok(());
    }
    Err(Error::LogWord { what, word: word.to_owned() })
}
