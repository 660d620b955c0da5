//! Closing a day (SPEC §18.6, §20.3): the platform's statement is compared with the agency's own records, countersigned,
//! and becomes a leaf of the query log.

use std::sync::Arc;

use veilmatch_audit::{
    closing::{Closing, Day},
    leaf::{Close, Nonce},
    origin::{LogOrigin, Shard},
};
use veilmatch_proto::Reason;
use veilmatch_protocol::{manifest::Timestamp, name::AgencyName};

use super::{LogKeys, reading::LogReader};
use crate::{
    catalogue::Client,
    clock::Clock,
    keys::draw,
    status::CallError,
    store::{ClosedDay, FrameWriter, NewLeaf, Recorded},
};

/// How long after its end a day can be closed: frames that were evaluated within it are recorded by then.
const SETTLED: u64 = 60;

/// Closes days.
pub struct ClosedDays {
    agency: AgencyName,
    keys: Arc<LogKeys>,
    reader: Arc<LogReader>,
    writer: Arc<FrameWriter>,
    clock: Arc<dyn Clock>,
}

// A statement that agrees with the records.
struct Agreed {
    statement: Closing,
    day: ClosedDay,
    leaf: NewLeaf,
}

impl ClosedDays {
    /// Compares with the records behind `reader`, and writes by `writer`.
    #[must_use]
    pub fn new(
        agency: AgencyName,
        keys: Arc<LogKeys>,
        reader: Arc<LogReader>,
        writer: Arc<FrameWriter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { agency, keys, reader, writer, clock }
    }

    /// Closes a day as the platform says it was, if our records say the same. Gives the agency's signature line; the same
    /// statement gets the same line again.
    ///
    /// # Errors
    /// [`CallError::Malformed`] if it is no statement of this platform's, [`CallError::CloseDiffers`], [`CallError::Store`],
    /// [`CallError::AuditUnavailable`].
    pub async fn close(self: &Arc<Self>, client: &Arc<Client>, note: Vec<u8>) -> Result<String, CallError> {
        self.reader.require_sound()?;
        let (days, client) = (Arc::clone(self), Arc::clone(client));
        let compared = tokio::task::spawn_blocking(move || days.compare(&client, note));
        let Agreed { statement, day, leaf } = compared.await.map_err(|_| CallError::Lost)??;
        let note = String::from_utf8(day.statement.clone()).map_err(|_| malformed())?;
        match self.writer.close(day, leaf).await {
            Recorded::Durable(..) | Recorded::AlreadyAnswered => {}
            Recorded::Differs => return Err(CallError::CloseDiffers),
            _ => return Err(CallError::AuditUnavailable),
        }
        // It may have ended meanwhile.
        self.reader.require_sound()?;
        let signed = statement.countersign(&note, &self.keys.ack).map_err(|_| malformed())?;
        Ok(signed[note.len()..].to_owned())
    }

    fn compare(&self, client: &Client, note: Vec<u8>) -> Result<Agreed, CallError> {
        let platform = &client.row.platform;
        let keys = client.row.evidence_keys.ok_or_else(malformed)?;
        let verifier = keys.receipt_verifier(platform)?;
        let statement = Closing::open(&note, &verifier).map_err(|_| malformed())?;
        if statement.agency != self.agency {
            return Err(malformed());
        }
        let now = self.clock.now();
        if now < statement.date.next().start().unix() + SETTLED {
            return Err(CallError::CloseDiffers);
        }
        let minutes = statement.date.start().unix() / 60..statement.date.next().start().unix() / 60;
        let mut day = ClosedDay {
            platform: platform.clone(),
            list: statement.list.clone(),
            epoch: statement.epoch,
            date: statement.date.to_string(),
            minutes: minutes.clone(),
            frames: 0,
            statement: note,
        };
        self.reader.stores().with(|store| {
            let frames = store.answered_frames(platform, &statement.list, statement.epoch, minutes)?;
            day.frames = frames.len() as u64;
            let any = !frames.is_empty();
            let of = Day {
                agency: self.agency.clone(),
                platform: platform.clone(),
                list: statement.list.clone(),
                epoch: statement.epoch,
                date: statement.date,
            };
            if any && Closing::of(of, frames) == statement {
                return Ok(());
            }
            if any {
                store.keep_refused_closing(&day)?;
            }
            Err(CallError::CloseDiffers)
        })?;
        let leaf = self.leaf(&statement, now)?;
        Ok(Agreed { statement, day, leaf })
    }

    fn leaf(&self, statement: &Closing, now: u64) -> Result<NewLeaf, CallError> {
        let t = Timestamp::from_unix(now / 60 * 60);
        let leaf = Close {
            agency: self.agency.clone(),
            date: statement.date,
            digest: statement.digest().map_err(|_| malformed())?,
            epoch: statement.epoch,
            list: statement.list.clone(),
            nonce: Nonce(*draw::<16>()?),
            platform: statement.platform.clone(),
            t,
        };
        let origin = LogOrigin::Query(self.agency.clone(), Shard::of(t)).to_string();
        let bytes = leaf.encode().map_err(crate::Error::from)?;
        Ok(NewLeaf { origin, platform: statement.platform.clone(), bytes })
    }
}

fn malformed() -> CallError {
    CallError::Malformed(Reason::BadRequest.into())
}
