//! Closing statements: what both sides sign about a day that is over (SPEC §18.6, §20.3).

use veilmatch_audit::{
    closing::{AnsweredFrame, Closing, Day},
    date::Date,
    leaf::Close,
};
use veilmatch_proto::{Reason, pb, signature_line};
use veilmatch_protocol::{manifest::Timestamp, note::Verifier};

use super::{MatchLog, nonce, shard};
use crate::{
    Error,
    connection::Connection,
    evidence::{self, About},
    frames::now,
    store::OpenDay,
};

/// The agency's clock may be this much behind: a day is closed when it is over there, too.
const CLOCKS: u64 = 600;

impl MatchLog {
    /// Closes the days that are over and are not closed yet. A statement that the agency contradicts is kept, and asked
    /// about again the next time.
    ///
    /// # Errors
    /// What keeps the agency from being asked, and [`Error::Database`].
    pub(crate) async fn close_days(&self, connection: &Connection, ack_key: &Verifier) -> Result<(), Error> {
        let today = Date::of(Timestamp::from_unix(now().unix().saturating_sub(CLOCKS)));
        for day in self.store.not_closed(&today.to_string())? {
            let Ok(date) = Date::parse(&day.date) else { continue };
            self.close_day(connection, ack_key, &day, date).await?;
        }
        Ok(())
    }

    async fn close_day(
        &self,
        connection: &Connection,
        ack_key: &Verifier,
        day: &OpenDay,
        date: Date,
    ) -> Result<(), Error> {
        let frames: Vec<AnsweredFrame> = self.store.answered_on(day)?;
        let (agency, platform) = (self.agency.clone(), self.platform.clone());
        let whose = Day { agency, platform, list: day.list.clone(), epoch: day.epoch, date };
        let closing = Closing::of(whose, frames);
        let statement = closing.sign(&self.receipts).expect("counts of frames and legal names");
        let request = pb::CloseDayRequest { statement: statement.clone().into_bytes() };
        let mut logs = connection.logs();
        let answer = match connection.in_time(logs.close_day(request)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                return match connection.failure(status) {
                    Error::Refused(refused) if refused.reason == Reason::CloseDiffers => {
                        self.contradicted(day, &statement);
                        Ok(())
                    }
                    failure => Err(failure),
                };
            }
        };
        let bad = || Error::BadAnswer { what: "its signature of a closing statement does not verify" };
        let line = signature_line(answer.signature).map_err(|_| bad())?;
        let note = statement + &line;
        let ours = Verifier::new(&veilmatch_audit::origin::receipt_key(&self.platform), self.receipts.verifying_key());
        let ours = ours.expect("names of platforms are legal");
        Closing::open_countersigned(note.as_bytes(), &ours, ack_key).map_err(|_| bad())?;
        let (now, digest) = (now(), closing.digest().expect("it was signed"));
        let leaf = Close {
            agency: self.agency.clone(),
            date,
            digest,
            epoch: day.epoch,
            list: day.list.clone(),
            nonce: nonce(),
            platform: self.platform.clone(),
            t: now,
        };
        let leaf = leaf.encode().expect("an epoch that was asked is one");
        self.store.close_day(&shard(now), day, note.as_bytes(), &leaf)
    }

    fn contradicted(&self, day: &OpenDay, statement: &str) {
        let OpenDay { list, epoch, date } = day;
        tracing::error!(%list, epoch = epoch.0, date, "CLOSE_DIFFERS: the agency's records of the day are others");
        let name = format!("{list}-{}-{date}.note", epoch.0);
        evidence::keep(&self.dir, About::Closing, &name, statement.as_bytes());
    }
}
