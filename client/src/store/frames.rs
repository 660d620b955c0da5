//! Frames: the intent before sending, the end after verifying.

use rusqlite::params;
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest},
    name::{Epoch, ListId, Version},
};

use super::{NewBlock, Store, results::insert_block};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Verified.
    Answered(ResponseDigest),
    /// Refused by the server, or its answer by us.
    Refused,
    /// Never finished.
    Abandoned,
}

impl Store {
    /// Frames that a killed process left without an end become abandoned; gives their number.
    pub(crate) fn abandon_unfinished(&self) -> Result<usize, Error> {
        self.write(|t| t.execute("UPDATE frame SET status = 'abandoned' WHERE status = 'sent'", []))
    }

    /// Intent before sending.
    pub(crate) fn frame_sent(&self, frame: &Sent<'_>) -> Result<(), Error> {
        self.write(|t| {
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

    /// The end of a frame, in one transaction with the results that it gave.
    pub(crate) fn frame_ended(&self, batch: BatchId, ended: Ended, block: Option<&NewBlock>) -> Result<(), Error> {
        let (status, resp) = match ended {
            Ended::Answered(resp) => ("answered", Some(resp.0)),
            Ended::Refused => ("refused", None),
            Ended::Abandoned => ("abandoned", None),
        };
        self.write(|t| {
            t.prepare_cached("UPDATE frame SET status = ?2, resp = ?3 WHERE batch = ?1")?
                .execute(params![batch.0, status, resp])?;
            block.map_or(Ok(()), |block| insert_block(t, block))
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
}
