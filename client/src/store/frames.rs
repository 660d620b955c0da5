//! Frames: the intent before sending, the end after verifying.

use rusqlite::{OptionalExtension, Transaction, params};
use veilmatch_audit::{closing::AnsweredFrame, reconcile::Acknowledged};
use veilmatch_protocol::{
    frame::{BatchId, FrameSize, RequestDigest, ResponseDigest},
    name::{Epoch, ListId, Version},
};

use super::{Flush, Found, NewBlock, Pending, Promise, Store, log, openings, promises, results::insert_block, totals};
use crate::Error;

/// A frame about to be sent.
pub(crate) struct Sent<'a> {
    pub(crate) batch: BatchId,
    pub(crate) list: &'a ListId,
    pub(crate) epoch: Epoch,
    pub(crate) version: Version,
    pub(crate) n: usize,
    pub(crate) req: RequestDigest,
    pub(crate) minute: u64,
}

/// How a frame ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Verified, proof and acknowledgement.
    Answered(Answered),
    /// Refused by the server, or its answer by us, and why.
    Refused(&'static str),
    /// Never finished.
    Abandoned,
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) resp: ResponseDigest,
    /// SHA-256 of the acknowledgement note.
    pub(crate) ack: [u8; 32],
    /// The day of the agency's record, `YYYY-MM-DD`.
    pub(crate) day: String,
    /// The agency's leaf, and the note that acknowledges it, as they came.
    pub(crate) acknowledged: (Vec<u8>, Vec<u8>),
    /// Where the agency promises to publish the leaf.
    pub(crate) promise: Promise,
}

/// The end of a frame, and what makes its leaf.
pub(crate) struct End<'a> {
    pub(crate) batch: BatchId,
    pub(crate) ended: &'a Ended,
    pub(crate) leaf: &'a dyn Fn(&FrameRow) -> Vec<u8>,
}

/// What is recorded together.
#[derive(Default)]
pub(crate) struct Entry<'a> {
    pub(crate) end: Option<End<'a>>,
    pub(crate) block: Option<&'a NewBlock>,
    pub(crate) found: Option<Found<'a>>,
}

/// An acknowledgement that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcknowledgedRow {
    pub(crate) id: i64,
    pub(crate) leaf: Vec<u8>,
    pub(crate) note: Vec<u8>,
}

impl AcknowledgedRow {
    /// One line of JSON without its newline, as SPEC §21.4 has it; nothing if what came with the answer is no text.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Acknowledged::new(text(&self.leaf)?, text(&self.note)?).encode()
    }
}

/// A frame as it was recorded before it was sent.
#[derive(Debug, Clone)]
pub(crate) struct FrameRow {
    pub(crate) batch: BatchId,
    pub(crate) list: ListId,
    pub(crate) epoch: Epoch,
    pub(crate) n: FrameSize,
    pub(crate) req: RequestDigest,
}

/// A day of a (list, epoch) that no closing statement covers.
pub(crate) struct OpenDay {
    pub(crate) list: ListId,
    pub(crate) epoch: Epoch,
    pub(crate) date: String,
}

fn frame(row: &rusqlite::Row<'_>) -> rusqlite::Result<FrameRow> {
    let list = ListId::parse(&row.get::<_, String>(1)?).map_err(|error| unreadable(1, error))?;
    Ok(FrameRow {
        batch: BatchId(row.get(0)?),
        list,
        epoch: Epoch(row.get(2)?),
        n: size(row, 3)?,
        req: RequestDigest(row.get(4)?),
    })
}

fn size(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<FrameSize> {
    FrameSize::try_from(usize::from(row.get::<_, u16>(at)?)).map_err(|error| unreadable(at, error))
}

fn unreadable(at: usize, error: veilmatch_protocol::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Null, Box::new(error))
}

const COLUMNS: &str = "batch, list, epoch, n, req";

fn append(
    t: &Transaction<'_>,
    (shard, date): (&str, &str),
    row: &FrameRow,
    leaf: impl Fn(&FrameRow) -> Vec<u8>,
) -> rusqlite::Result<()> {
    let current = log::current(t, shard)?;
    log::append(t, current, &leaf(row))?;
    totals::add(t, row.list.as_str(), date, "frames", 1)
}

fn end_frame(t: &Transaction<'_>, when: (&str, &str), end: &End<'_>) -> rusqlite::Result<()> {
    let (status, code, answered) = match end.ended {
        Ended::Answered(answered) => ("answered", "", Some(answered)),
        Ended::Refused(code) => ("refused", *code, None),
        Ended::Abandoned => ("abandoned", "", None),
    };
    let query = "UPDATE frame SET status = ?2, code = ?3, resp = ?4, ack = ?5, day = ?6
                 WHERE batch = ?1 AND status = 'sent' RETURNING batch, list, epoch, n, req";
    let (resp, ack) = (answered.map(|answered| answered.resp.0), answered.map(|answered| answered.ack));
    let day = answered.map(|answered| answered.day.as_str());
    let row =
        t.prepare_cached(query)?.query_row(params![end.batch.0, status, code, resp, ack, day], frame).optional()?;
    let Some(row) = row else { return Ok(()) };
    append(t, when, &row, end.leaf)?;
    let Some(Answered { day, acknowledged: (leaf, note), promise, .. }) = answered else { return Ok(()) };
    t.prepare_cached("INSERT INTO acknowledged (day, leaf, note) VALUES (?1, ?2, ?3)")?
        .execute(params![day, leaf, note])?;
    promises::insert(t, t.last_insert_rowid(), &end.batch, promise)
}

impl Store {
    /// Frames that a killed process left without an end become abandoned, each with a leaf; gives their number.
    pub(crate) fn abandon_unfinished(
        &self,
        when: (&str, &str),
        leaf: impl Fn(&FrameRow) -> Vec<u8>,
    ) -> Result<usize, Error> {
        self.write(|t| {
            let query = format!("SELECT {COLUMNS} FROM frame WHERE status = 'sent' ORDER BY minute, batch");
            let rows: Vec<FrameRow> = t.prepare(&query)?.query_map([], frame)?.collect::<Result<_, _>>()?;
            rows.iter().try_for_each(|row| append(t, when, row, &leaf))?;
            t.execute("UPDATE frame SET status = 'abandoned' WHERE status = 'sent'", [])
        })
    }

    /// Intent before sending, in one transaction with totals that wait: what is asked was offered.
    pub(crate) fn frame_sent(&self, frame: &Sent<'_>, pending: &Pending) -> Result<(), Error> {
        self.write(|t| {
            totals::add_all(t, pending)?;
            let mut insert = t.prepare_cached(
                "INSERT INTO frame (batch, list, epoch, version, n, req, minute, status)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'sent')",
            )?;
            insert
                .execute(params![
                    frame.batch.0,
                    frame.list.as_str(),
                    frame.epoch.0,
                    frame.version.0,
                    super::number(frame.n),
                    frame.req.0,
                    frame.minute.cast_signed()
                ])
                .map(drop)
        })
    }

    /// Records what came of a frame, or of its answers, with totals that wait, in one transaction.
    pub(crate) fn record(
        &self,
        when: (&str, &str),
        entry: &Entry<'_>,
        pending: &Pending,
        flush: Flush,
    ) -> Result<(), Error> {
        self.write_with(flush, |t| {
            entry.end.as_ref().map_or(Ok(()), |end| end_frame(t, when, end))?;
            entry.block.map_or(Ok(()), |block| insert_block(t, block))?;
            totals::add_all(t, pending)?;
            entry.found.as_ref().map_or(Ok(()), |found| openings::insert_new(t, when, found))
        })
    }

    /// So many acknowledgements behind one, of days from the first to the last, in the order in which they came.
    pub(crate) fn acknowledged(
        &self,
        (first, last): (&str, &str),
        behind: i64,
        most: usize,
    ) -> Result<Vec<AcknowledgedRow>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT id, leaf, note FROM acknowledged WHERE id > ?1 AND day BETWEEN ?2 AND ?3 ORDER BY id LIMIT ?4",
            )?;
            let row =
                |row: &rusqlite::Row<'_>| Ok(AcknowledgedRow { id: row.get(0)?, leaf: row.get(1)?, note: row.get(2)? });
            query.query_map(params![behind, first, last, super::number(most)], row)?.collect()
        })
    }

    /// Number of frames by how they ended.
    pub(crate) fn frames(&self) -> Result<Vec<(String, u64)>, Error> {
        self.read(|c| {
            let mut query = c.prepare("SELECT status, count(*) FROM frame GROUP BY status ORDER BY status")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
            rows.map(|row| row.map(|(status, count)| (status, count.cast_unsigned()))).collect()
        })
    }

    /// Days before this one with answered frames that no closing statement covers.
    pub(crate) fn not_closed(&self, before: &str) -> Result<Vec<OpenDay>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT DISTINCT list, epoch, day FROM frame WHERE day < ?1 AND NOT EXISTS
                 (SELECT 1 FROM closed WHERE list = frame.list AND epoch = frame.epoch AND date = frame.day)
                 ORDER BY day, list, epoch",
            )?;
            let rows = query.query_map([before], |row| {
                let list: String = row.get(0)?;
                Ok((ListId::parse(&list), Epoch(row.get(1)?), row.get(2)?))
            })?;
            rows.filter_map(|row| match row {
                Ok((list, epoch, date)) => list.ok().map(|list| Ok(OpenDay { list, epoch, date })),
                Err(error) => Some(Err(error)),
            })
            .collect()
        })
    }

    /// The answered frames of a day.
    pub(crate) fn answered_on(&self, day: &OpenDay) -> Result<Vec<AnsweredFrame>, Error> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT n, req, resp FROM frame WHERE list = ?1 AND epoch = ?2 AND day = ?3 AND status = 'answered'",
            )?;
            let rows = query.query_map(params![day.list.as_str(), day.epoch.0, day.date], |row| {
                let (req, resp) = (RequestDigest(row.get(1)?), ResponseDigest(row.get(2)?));
                Ok(AnsweredFrame { req, resp, n: size(row, 0)? })
            })?;
            rows.collect()
        })
    }

    /// Keeps a statement that both sides signed, with its leaf, once.
    pub(crate) fn close_day(&self, shard: &str, day: &OpenDay, statement: &[u8], leaf: &[u8]) -> Result<(), Error> {
        self.write(|t| {
            let query = "INSERT OR IGNORE INTO closed (list, epoch, date, statement) VALUES (?1, ?2, ?3, ?4)";
            if t.execute(query, params![day.list.as_str(), day.epoch.0, day.date, statement])? == 1 {
                let current = log::current(t, shard)?;
                log::append(t, current, leaf)?;
            }
            Ok(())
        })
    }
}
