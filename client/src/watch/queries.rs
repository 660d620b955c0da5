//! The query log: its checkpoints must extend each other, and are cosigned.

use veilmatch_audit::origin::{LogOrigin, Shard};
use veilmatch_proto::Reason;

use super::{COSIGN_AGAIN, Watch};
use crate::{Error, connection::Connection, frames::now, store::Watched};

impl Watch {
    /// Takes note of the log that an acknowledgement is of: the newest one is watched.
    pub(crate) fn acknowledged_in(&self, origin: &LogOrigin) {
        let mut state = self.state();
        if state.query_log.as_ref().is_none_or(|known| known.shard() < origin.shard()) {
            state.query_log = Some(origin.clone());
        }
    }

    /// Verifies and cosigns the newest checkpoint of the newest query log that is known.
    ///
    /// # Errors
    /// [`Error::LogFork`], [`Error::LogRollback`], [`Error::UnprovenLog`], and what keeps it from being asked.
    pub(crate) async fn watch_queries(&self, connection: &Connection) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let log = self.query_log()?;
        let (origin, verifier) =
            (log.to_string(), log.verifier(&self.queries).expect("the name was checked when it was pinned"));
        let before = self.store.watched(&origin)?;
        let next = match self.next(connection, &origin, &verifier, before.as_ref()).await {
            // A half-year begins with the first frame.
            Err(Error::Refused(refused)) if refused.reason == Reason::UnknownLog && before.is_none() => return Ok(()),
            next => next,
        };
        let (note, checkpoint) = next?;
        let now = now().unix();
        let same = before.filter(|before| before.size == checkpoint.size);
        let handed_in = same.map_or(0, |same| same.cosigned);
        let watched = Watched {
            size: checkpoint.size,
            root: checkpoint.root,
            note: note.clone(),
            counted: 0,
            cosigned: handed_in,
        };
        self.store.set_watched(&origin, &watched)?;
        if handed_in + COSIGN_AGAIN <= now {
            let line = self.cosigner.cosign(&checkpoint, now);
            self.hand_in(connection, &origin, &note, &line, now).await;
        }
        Ok(())
    }

    fn query_log(&self) -> Result<LogOrigin, Error> {
        let mut newest = LogOrigin::Query(self.agency.clone(), Shard::of(now()));
        let kept = self.store.watched_origins()?;
        let kept = kept.iter().filter_map(|origin| LogOrigin::parse(origin).ok());
        for known in kept.chain(self.state().query_log.clone()) {
            let is_query = matches!(known, LogOrigin::Query(..)) && known.agency() == &self.agency;
            if is_query && known.shard() > newest.shard() {
                newest = known;
            }
        }
        Ok(newest)
    }
}
