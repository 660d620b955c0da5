//! The record of every frame, and what its platform has used.

use rusqlite::{Connection, OptionalExtension};
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest, View},
    name::{Epoch, ListId, PlatformId, Version},
};

use super::{LoggedLeaf, Store, logs::index, signed, unsigned};
use crate::Error;

/// What names a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FrameKey {
    /// Who asked.
    pub platform: PlatformId,
    /// Which list.
    pub list: ListId,
    /// Under which epoch's key.
    pub epoch: Epoch,
    /// The platform's id of the frame.
    pub batch: BatchId,
}

/// How a frame ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStatus {
    /// Answered.
    Answered {
        /// Digest of the answer.
        response: ResponseDigest,
        /// c ‖ s.
        proof: [u8; 64],
    },
    /// Refused after its signature verified, for the reason of this name.
    Refused(&'static str),
}

/// Every member of `veilmatch/query/v1`, and the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRecord {
    /// Platform, list, epoch, batch.
    pub key: FrameKey,
    /// The version that the platform held.
    pub version: Version,
    /// The manifests that it had seen.
    pub view: View,
    /// Size class.
    pub n: u32,
    /// `req`.
    pub request: RequestDigest,
    /// `req_sig`.
    pub signature: [u8; 64],
    /// The platform's minute.
    pub platform_minute: u64,
    /// `status`, `code`, `resp`.
    pub status: FrameStatus,
    /// `t`: the server's minute.
    pub minute: u64,
    /// 16 random bytes, so that the leaf's hash cannot be guessed.
    pub nonce: [u8; 16],
}

/// What a retry of an answered frame needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredFrame {
    /// Digest of the request that was answered.
    pub request: RequestDigest,
    /// Digest of the answer.
    pub response: ResponseDigest,
    /// The proof's bytes.
    pub proof: [u8; 64],
    /// When it was answered, in minutes.
    pub minute: u64,
    /// How often it was answered again.
    pub retries: u32,
    /// Whether the answer could not be repeated, and the charge was given back.
    pub refunded: bool,
    /// Its leaf; `None` if it was answered before there was a log.
    pub leaf: Option<LoggedLeaf>,
}

/// What a platform has used of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetUse {
    /// Elements.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

impl Store {
    /// The answered frame under this key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn answered(&self, key: &FrameKey) -> Result<Option<AnsweredFrame>, Error> {
        let found = self
            .connection
            .prepare_cached(ANSWERED)?
            .query_row((key.platform.as_str(), key.list.as_str(), key.epoch.0, key.batch.0), |row| {
                Ok(AnsweredFrame {
                    request: RequestDigest(row.get(0)?),
                    response: ResponseDigest(row.get(1)?),
                    proof: row.get(2)?,
                    minute: unsigned(row.get(3)?),
                    retries: row.get(4)?,
                    refunded: row.get(5)?,
                    leaf: match (row.get(7)?, row.get(8)?) {
                        (Some(origin), Some(bytes)) => Some(LoggedLeaf { origin, index: index(row.get(6)?), bytes }),
                        _ => None,
                    },
                })
            })
            .optional();
        Ok(found?)
    }

    /// The whole record of the answered frame under this key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn recorded(&self, key: &FrameKey) -> Result<Option<FrameRecord>, Error> {
        let sql = "SELECT version, view_size, view_root, n, req, resp, req_sig, minute, t, nonce, proof FROM frame
                   WHERE asker = (SELECT id FROM asker WHERE platform = ?1 AND list = ?2 AND epoch = ?3)
                     AND batch = ?4 AND status = 'ok'";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row((key.platform.as_str(), key.list.as_str(), key.epoch.0, key.batch.0), |row| {
            Ok(FrameRecord {
                key: key.clone(),
                version: Version(row.get(0)?),
                view: View { size: unsigned(row.get(1)?), root: row.get(2)? },
                n: row.get(3)?,
                request: RequestDigest(row.get(4)?),
                status: FrameStatus::Answered { response: ResponseDigest(row.get(5)?), proof: row.get(10)? },
                signature: row.get(6)?,
                platform_minute: unsigned(row.get(7)?),
                minute: unsigned(row.get(8)?),
                nonce: row.get(9)?,
            })
        });
        Ok(found.optional()?)
    }

    /// What a platform has used of a UTC day (days since 1970).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn budget_use(&self, platform: &PlatformId, list: &ListId, day: u64) -> Result<BudgetUse, Error> {
        let sql = "SELECT elements, frames FROM budget WHERE platform = ?1 AND list = ?2 AND day = ?3";
        let used = self
            .connection
            .prepare_cached(sql)?
            .query_row((platform.as_str(), list.as_str(), signed(day)), |row| {
                Ok(BudgetUse { elements: unsigned(row.get(0)?), frames: unsigned(row.get(1)?) })
            })
            .optional()?;
        Ok(used.unwrap_or_default())
    }

    /// How many answered and how many refused frames are on record.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_frames(&self) -> Result<(u64, u64), Error> {
        let count = |status: &str| -> rusqlite::Result<i64> {
            let mut rows = self.connection.prepare_cached("SELECT count(*) FROM frame WHERE status = ?1")?;
            rows.query_row([status], |row| row.get(0))
        };
        Ok((unsigned(count("ok")?), unsigned(count("refused")?)))
    }

    /// Evaluations made under an epoch's key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn evaluations(&self, list: &ListId, epoch: Epoch) -> Result<u64, Error> {
        let sql = "SELECT elements FROM evaluations WHERE list = ?1 AND epoch = ?2";
        let made = self.connection.prepare_cached(sql)?.query_row((list.as_str(), epoch.0), |row| row.get(0));
        Ok(unsigned(made.optional()?.unwrap_or(0)))
    }
}

/// Finds the answered frame of a platform, a list, an epoch and a batch.
pub(super) const ANSWERED: &str = "SELECT req, resp, proof, t, retries, refunded, frame.id, origin, leaf
    FROM frame LEFT JOIN log ON log.id = frame.id / 1099511627776 LEFT JOIN log_leaf ON log_leaf.id = frame.id
    WHERE asker = (SELECT id FROM asker WHERE platform = ?1 AND list = ?2 AND epoch = ?3)
      AND batch = ?4 AND status = 'ok'";

/// Writes a record in the place of its leaf; gives whether there was no answered frame under its key before.
pub(super) fn insert(connection: &Connection, record: &FrameRecord, asker: i64, place: i64) -> rusqlite::Result<bool> {
    let sql =
        "INSERT INTO frame (id, asker, batch, version, view_size, view_root, n, req, resp, req_sig, minute, status,
                   code, t, nonce, proof)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
               ON CONFLICT (asker, batch) WHERE status = 'ok' DO NOTHING";
    let (status, code, response, proof): (_, _, &[u8], &[u8]) = match &record.status {
        FrameStatus::Answered { response, proof } => ("ok", "", &response.0, proof),
        FrameStatus::Refused(code) => ("refused", *code, &[], &[]),
    };
    let inserted = connection.prepare_cached(sql)?.execute(rusqlite::params![
        place,
        asker,
        record.key.batch.0,
        record.version.0,
        signed(record.view.size),
        record.view.root,
        record.n,
        record.request.0,
        response,
        record.signature,
        signed(record.platform_minute),
        status,
        code,
        signed(record.minute),
        record.nonce,
        proof,
    ])?;
    Ok(inserted == 1)
}

/// The number of a frame's platform, list and epoch, which it gets with its first frame.
pub(super) fn asker(connection: &Connection, key: &FrameKey) -> rusqlite::Result<i64> {
    let asker = (key.platform.as_str(), key.list.as_str(), key.epoch.0);
    let sql = "SELECT id FROM asker WHERE platform = ?1 AND list = ?2 AND epoch = ?3";
    if let Some(number) = connection.prepare_cached(sql)?.query_row(asker, |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let sql = "INSERT INTO asker (platform, list, epoch) VALUES (?1, ?2, ?3) RETURNING id";
    connection.prepare_cached(sql)?.query_row(asker, |row| row.get(0))
}

/// Adds to what a platform has used of a day.
pub(super) fn charge(
    connection: &Connection,
    (platform, list, day): (&PlatformId, &ListId, u64),
    used: BudgetUse,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO budget (platform, list, day, elements, frames) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (platform, list, day)
               DO UPDATE SET elements = budget.elements + excluded.elements, frames = budget.frames + excluded.frames";
    let row = (platform.as_str(), list.as_str(), signed(day), signed(used.elements), signed(used.frames));
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Adds to the evaluations under a key.
pub(super) fn count_evaluations(
    connection: &Connection,
    (list, epoch): (&ListId, Epoch),
    elements: u64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO evaluations (list, epoch, elements) VALUES (?1, ?2, ?3)
               ON CONFLICT (list, epoch) DO UPDATE SET elements = evaluations.elements + excluded.elements";
    connection.prepare_cached(sql)?.execute((list.as_str(), epoch.0, signed(elements)))?;
    Ok(())
}

// Counts one more answer to an answered frame.
pub(super) fn count_retry(connection: &Connection, key: &FrameKey, most: u32) -> rusqlite::Result<bool> {
    let sql = "UPDATE frame SET retries = retries + 1
               WHERE asker = (SELECT id FROM asker WHERE platform = ?1 AND list = ?2 AND epoch = ?3)
                 AND batch = ?4 AND status = 'ok' AND retries < ?5";
    let counted = connection.prepare_cached(sql)?.execute((
        key.platform.as_str(),
        key.list.as_str(),
        key.epoch.0,
        key.batch.0,
        most,
    ))?;
    Ok(counted == 1)
}

// Gives back what an answered frame was charged, if it was not given back before, and counts the retry that found it so.
// The key's evaluations stay counted: they were made.
pub(super) fn refund(connection: &Connection, key: &FrameKey, day: u64) -> rusqlite::Result<bool> {
    let sql = "UPDATE frame SET refunded = 1, retries = retries + 1
               WHERE asker = (SELECT id FROM asker WHERE platform = ?1 AND list = ?2 AND epoch = ?3)
                 AND batch = ?4 AND status = 'ok' AND refunded = 0
               RETURNING n";
    let frame = (key.platform.as_str(), key.list.as_str(), key.epoch.0, key.batch.0);
    let charged: Option<u32> = connection.prepare_cached(sql)?.query_row(frame, |row| row.get(0)).optional()?;
    let Some(elements) = charged else { return Ok(false) };
    connection
        .prepare_cached(
            "UPDATE budget SET elements = elements - ?4, frames = frames - 1
             WHERE platform = ?1 AND list = ?2 AND day = ?3",
        )?
        .execute((key.platform.as_str(), key.list.as_str(), signed(day), elements))?;
    Ok(true)
}
