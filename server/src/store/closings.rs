//! Days that were closed, and the records that they are compared with.

use std::ops::Range;

use rusqlite::{Transaction, types::Type};
use veilmatch_audit::closing::AnsweredFrame;
use veilmatch_protocol::{
    frame::{FrameSize, RequestDigest, ResponseDigest},
    name::{Epoch, ListId, PlatformId},
};

use super::{Store, signed, unsigned};
use crate::Error;

/// A closing statement, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedDay {
    /// The platform.
    pub platform: PlatformId,
    /// The list.
    pub list: ListId,
    /// The epoch.
    pub epoch: Epoch,
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// Its minutes.
    pub minutes: Range<u64>,
    /// How many answered frames the statement was compared with.
    pub frames: u64,
    /// The note as the platform signed it.
    pub statement: Vec<u8>,
}

// The answered frames of a platform, a list and an epoch in a range of minutes: those of published leaves by their index,
// and the few behind it.
const OF_MINUTES: &str = "
    SELECT frame FROM frame_minute JOIN asker ON asker.id = asker
    WHERE platform = ?1 AND list = ?2 AND epoch = ?3 AND t >= ?4 AND t < ?5
    UNION
    SELECT frame.id FROM log
    JOIN frame ON frame.id >= log.id * 1099511627776 + published_size AND frame.id < (log.id + 1) * 1099511627776
    JOIN asker ON asker.id = asker
    WHERE platform = ?1 AND list = ?2 AND epoch = ?3 AND t >= ?4 AND t < ?5 AND status = 'ok'";

impl Store {
    /// The answered frames of a platform whose minute is in a range.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn answered_frames(
        &self,
        platform: &PlatformId,
        list: &ListId,
        epoch: Epoch,
        minutes: Range<u64>,
    ) -> Result<Vec<AnsweredFrame>, Error> {
        let sql = format!("SELECT req, resp, n FROM frame WHERE id IN ({OF_MINUTES})");
        let mut rows = self.connection.prepare_cached(&sql)?;
        let (from, to) = (signed(minutes.start), signed(minutes.end));
        let rows = rows.query_map((platform.as_str(), list.as_str(), epoch.0, from, to), |row| {
            let n = FrameSize::try_from(usize::from(row.get::<_, u16>(2)?));
            let n = n.map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Integer, Box::new(error)))?;
            Ok(AnsweredFrame { req: RequestDigest(row.get(0)?), resp: ResponseDigest(row.get(1)?), n })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a statement that was refused, in the place of an earlier one that was. One that was accepted stays.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep_refused_closing(&mut self, day: &ClosedDay) -> Result<(), Error> {
        self.connection.execute(
            "INSERT INTO closing (platform, list, epoch, date, accepted, statement) VALUES (?1, ?2, ?3, ?4, 0, ?5)
             ON CONFLICT (platform, list, epoch, date) DO UPDATE SET statement = excluded.statement WHERE accepted = 0",
            (day.platform.as_str(), day.list.as_str(), day.epoch.0, &day.date, &day.statement),
        )?;
        Ok(())
    }
}

/// Whether the day has the frames that its statement was compared with: they are never taken away, so their number says it.
pub(super) fn is_as_compared(tx: &Transaction<'_>, day: &ClosedDay) -> rusqlite::Result<bool> {
    let sql = format!("SELECT count(*) FROM ({OF_MINUTES})");
    let (from, to) = (signed(day.minutes.start), signed(day.minutes.end));
    let of = (day.platform.as_str(), day.list.as_str(), day.epoch.0, from, to);
    let frames = tx.prepare_cached(&sql)?.query_row(of, |row| row.get(0))?;
    Ok(unsigned(frames) == day.frames)
}

/// Writes an accepted statement; gives whether the day was not closed before.
pub(super) fn insert(tx: &Transaction<'_>, day: &ClosedDay) -> rusqlite::Result<bool> {
    let written = tx.execute(
        "INSERT INTO closing (platform, list, epoch, date, accepted, statement) VALUES (?1, ?2, ?3, ?4, 1, ?5)
         ON CONFLICT (platform, list, epoch, date)
         DO UPDATE SET statement = excluded.statement, accepted = 1 WHERE accepted = 0",
        (day.platform.as_str(), day.list.as_str(), day.epoch.0, &day.date, &day.statement),
    )?;
    Ok(written == 1)
}
