//! Receipts that are handed out: openings as one line of canonical JSON (SPEC §19.1, §19.3).

use std::{ops::RangeInclusive, path::PathBuf, sync::Arc};

use veilmatch_audit::{date::Date, opening::Opening, origin::receipt_key};
use veilmatch_protocol::{
    derive::MatchSecret,
    name::PlatformId,
    note::Verifier,
    receipt::{self, ElementOpening, Receipt, Salt, SignedReceipt},
};

use super::{
    LogKeys, MatchLog, Place, date,
    read::Opened,
    record::{MatchRecord, OpenedBlind},
};
use crate::{
    Error,
    config::Config,
    enrol::Invitation,
    frames::now,
    keys::Keys,
    state_dir::StateDir,
    store::{HandedOut, Store},
};

/// Acknowledgements that are read at once.
const ACKNOWLEDGEMENTS: usize = 1_000;

impl MatchLog {
    /// The match log of a directory, for commands that may run beside a client.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], [`Error::NotJoined`], and what reading the files gives.
    pub(crate) fn of(root: &std::path::Path) -> Result<Self, Error> {
        let dir = StateDir::open(root)?;
        let platform = Config::read(&dir)?.platform()?;
        let agency = Invitation::of(root)?.agency();
        let Keys { match_log, receipt, .. } = Keys::read(&dir)?;
        let keys = LogKeys { log: match_log, receipts: receipt };
        Self::open(&dir, Arc::new(Store::open(&dir.database())?), (platform, agency), keys)
    }

    /// The platform whose log it is.
    pub(crate) fn platform(&self) -> &PlatformId {
        &self.platform
    }

    /// Name and folder of each log.
    pub(crate) fn folders(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let logs = self.store.logs()?;
        Ok(logs.iter().map(|log| (log.name().to_string(), self.folder_path(log.name()))).collect())
    }

    /// The newest checkpoint that was verified of each of the agency's logs, by a name for a file: `manifest`, `query-2026h2`.
    pub(crate) fn seen(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut seen = Vec::new();
        for origin in self.store.watched_origins()? {
            let Some(watched) = self.store.watched(&origin)? else { continue };
            let name = origin.split_once("/veilmatch/").map_or(&origin[..], |(_, name)| name).replace('/', "-");
            seen.push((name, watched.note));
        }
        Ok(seen)
    }

    /// The opening of a match, of a level and with or without the entry's secret. From then on it counts as handed out.
    ///
    /// # Errors
    /// [`Error::NoBlind`] if level 2 is asked for and the blind is gone, [`Error::NoRecord`], [`Error::Erased`],
    /// [`Error::RecordDamaged`].
    pub(crate) fn hand_out(&self, place: Place, level: u8, secret: bool) -> Result<String, Error> {
        let opened = self.one_match(place)?;
        let handed_out = HandedOut { level, secret };
        let line = self.opening_line(&opened, handed_out)?;
        let (now, place) = (now(), (opened.log.id, opened.index));
        self.store.release(place, handed_out, (opened.receipt.list.as_str(), &date(now)), now.unix())?;
        Ok(line)
    }

    /// An opening as it is handed on, with its newline.
    ///
    /// # Errors
    /// [`Error::NoBlind`], [`Error::RecordDamaged`].
    pub(crate) fn opening_line(&self, opened: &Opened, handed_out: HandedOut) -> Result<String, Error> {
        let HandedOut { level, secret } = handed_out;
        let damaged = || Error::RecordDamaged { index: opened.view.place.clone() };
        let MatchRecord { salt, receipt, secret: shown, blind, .. } = &opened.record;
        let element = match blind {
            _ if level < 2 => None,
            None => return Err(Error::NoBlind { index: opened.view.place.clone() }),
            Some(blind) => {
                let OpenedBlind { form, blind, element, path } = blind;
                let blind = receipt::OpenedBlind::danger_from_bytes(form, *blind).ok_or_else(damaged)?;
                Some(ElementOpening { blind, element: *element, path: path.clone() })
            }
        };
        let opening = Opening {
            log: self.origin(opened.log.name()),
            index: opened.index,
            salt: Salt::danger_from_bytes(*salt),
            receipt: receipt.clone(),
            secret: secret.then(|| MatchSecret::danger_from_bytes(*shown)),
            element,
        };
        let line = opening.encode().map_err(|_| damaged())?;
        Ok(String::from_utf8(line.to_vec()).map_err(|_| damaged())? + "\n")
    }

    /// Every acknowledgement of a period, as the line that it is handed on as.
    ///
    /// # Errors
    /// [`Error::Database`], and what `show` fails with.
    pub(crate) fn each_acknowledgement(
        &self,
        days: &RangeInclusive<Date>,
        mut show: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (first, last) = (days.start().to_string(), days.end().to_string());
        let mut behind = 0;
        loop {
            let rows = self.store.acknowledged((&first, &last), behind, ACKNOWLEDGEMENTS)?;
            let Some(end) = rows.last().map(|row| row.id) else { return Ok(()) };
            behind = end;
            for row in rows {
                show(&row.line().expect("both were read as text before they were kept"))?;
            }
        }
    }

    /// The receipt of an opened record.
    pub(super) fn receipt_of(&self, place: Place, record: &MatchRecord) -> Result<Receipt, Error> {
        let key = Verifier::new(&receipt_key(&self.platform), self.receipts.verifying_key());
        let signed = SignedReceipt::open(record.receipt.as_bytes(), &key.expect("names of platforms are legal"));
        let damaged = |_| Error::RecordDamaged { index: place.to_string() };
        signed.map(|signed| signed.receipt().clone()).map_err(damaged)
    }
}
