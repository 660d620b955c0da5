//! The query log: its checkpoints must extend each other, and are cosigned. One that was lost is left for the one that says so.
//! What the agency acknowledged is asked for (SPEC §17.7).

use tonic::transport::Channel;
use veilmatch_audit::{
    leaf::{Key, Leaf, Role},
    origin::{LogOrigin, Shard},
};
use veilmatch_proto::{
    ListedLeaves, Reason,
    pb::{self, logs_client::LogsClient},
};
use veilmatch_protocol::{merkle, note::Verifier};

use super::{COSIGN_AGAIN, Watch};
use crate::{Error, connection::Connection, frames::now, store::Watched};

/// Most logs that one half-year is looked for in: nobody loses so many.
const MOST_SUCCESSORS: usize = 16;

impl Watch {
    /// Takes note of the log that an acknowledgement is of: the newest one is watched.
    pub(crate) fn acknowledged_in(&self, origin: &LogOrigin) {
        let mut state = self.state();
        if state.query_log.as_ref().is_none_or(|known| known.shard() < origin.shard()) {
            state.query_log = Some(origin.clone());
        }
    }

    /// Verifies and cosigns the newest checkpoint of the newest query log that is known, and of those in which something is
    /// promised still; then looks whether they have what they must have.
    ///
    /// # Errors
    /// [`Error::LogFork`], [`Error::LogRollback`], [`Error::UnprovenLog`], and what keeps it from being asked.
    pub(crate) async fn watch_queries(&self, connection: &Connection) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let (began, mut log) = (now().unix(), self.query_log()?);
        let tree = loop {
            match self.watch_one(connection, &log).await {
                Err(lost @ Error::LogRollback { .. }) => {
                    log = self.successor(connection, &log).await?.ok_or(lost)?;
                }
                tree => break tree?,
            }
        };
        self.hold_to_promises(connection, &log, tree.as_ref(), began).await?;
        for promised in self.store.promised_in()?.iter().filter_map(|origin| LogOrigin::parse(origin).ok()) {
            let began = now().unix();
            if promised == log {
                continue;
            }
            match self.watch_one(connection, &promised).await {
                Err(Error::LogRollback { .. }) => self.lost_with(&promised)?,
                tree => self.hold_to_promises(connection, &promised, tree?.as_ref(), began).await?,
            }
        }
        Ok(())
    }

    /// Gives the newest checkpoint of a log, if there is one.
    async fn watch_one(&self, connection: &Connection, log: &LogOrigin) -> Result<Option<Watched>, Error> {
        let (origin, verifier) = (log.to_string(), self.verifier(log));
        let before = self.store.watched(&origin)?;
        let next = match self.next(connection, &origin, &verifier, before.as_ref()).await {
            Err(Error::Refused(refused)) if refused.reason == Reason::UnknownLog => {
                // A half-year begins with the first frame.
                let Some(before) = &before else { return Ok(None) };
                self.show(connection, &origin, before).await;
                Err(self.rollback(&origin, &[], before))
            }
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
        Ok(Some(watched))
    }

    /// The log that goes on from one of which less is shown than was seen: its first leaf says that all of that is lost.
    async fn successor(&self, connection: &Connection, lost: &LogOrigin) -> Result<Option<LogOrigin>, Error> {
        let Some(seen) = self.store.watched(&lost.to_string())? else { return Ok(None) };
        let Some(mut shard) = lost.shard() else { return Ok(None) };
        for _ in 0..MOST_SUCCESSORS {
            shard = shard.successor();
            let next = LogOrigin::Query(self.agency.clone(), shard);
            let first = match self.first_leaf(connection, &next).await {
                Err(Error::Refused(refused)) if refused.reason == Reason::UnknownLog => return Ok(None),
                first => first?,
            };
            if first.is_some_and(|first| self.states(&first, lost, seen.size)) {
                tracing::warn!(lost = %lost, log = %next, seen = seen.size, "the agency has lost a part of its query log, and says so");
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    fn states(&self, first: &Key, lost: &LogOrigin, seen: u64) -> bool {
        first.role == Role::QueryLog
            && first.key.key() == self.queries.key()
            && first.previous.as_ref() == Some(lost)
            && first.lost_to >= seen
    }

    /// The first leaf of a log, proven to be in it, if it is about a key.
    async fn first_leaf(&self, connection: &Connection, log: &LogOrigin) -> Result<Option<Key>, Error> {
        let origin = log.to_string();
        let (note, checkpoint) = self.next(connection, &origin, &self.verifier(log), None).await?;
        let request = pb::ListLeavesRequest { origin, from: 0 };
        let ask = |mut logs: LogsClient<Channel>| {
            let request = request.clone();
            async move { logs.list_leaves(request).await }
        };
        let listed = ListedLeaves::decode(connection.read_logs(ask).await?, 0);
        let listed =
            listed.map_err(|_| Error::BadAnswer { what: "its leaves are too many, too long or out of order" })?;
        let Some((0, leaf)) = listed.leaves.into_iter().next() else { return Ok(None) };
        let index = self.included(connection, &note, &checkpoint, &merkle::leaf_hash(&leaf)).await?;
        let Ok(Leaf::Key(key)) = Leaf::decode(&leaf) else { return Ok(None) };
        Ok((index == 0).then_some(key))
    }

    fn verifier(&self, log: &LogOrigin) -> Verifier {
        log.verifier(&self.queries).expect("the name was checked when it was pinned")
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
