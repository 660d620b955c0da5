//! A log that was lost goes on as another one, whose first leaf says what is missing (SPEC §17.1, §18.2).

use veilmatch_audit::{
    folder::LogFolder,
    leaf::{Action, Erase, Key, Leaf, Role, VerifierKey},
    origin::{LogOrigin, match_log_key},
};

use super::{LogName, MatchLog, nonce};
use crate::{Error, connection::Connection, frames::now, store::LogRow};

/// A log that goes on as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The one that was lost.
    pub lost: LogName,
    /// The one that it goes on as.
    pub log: LogName,
    /// First index that is lost.
    pub from: u64,
    /// First index behind what is lost.
    pub to: u64,
}

impl MatchLog {
    /// Ends every log of which more was signed than is here, as the agency or the log's own files say, and goes on with
    /// another one. What was never signed is taken along.
    ///
    /// # Errors
    /// [`Error::LogWhole`] if nothing is lost, and what keeps the agency from being asked.
    pub(crate) async fn recover(&self, connection: &Connection) -> Result<Vec<Recovered>, Error> {
        let _one = self.publishing.lock().await;
        let mut recovered = Vec::new();
        let logs = self.known_logs(now())?;
        for log in logs.iter().filter(|log| !log.lost) {
            let theirs = self.cosigned(connection, log).await?;
            let folder = LogFolder::new(self.folder_path(log.name()));
            match self.is_whole(log, theirs.as_ref()).and_then(|()| self.has_its_head(log, &folder)) {
                Err(Error::LogLost { cosigned, .. }) => recovered.push(self.go_on(log, cosigned)?),
                whole => whole?,
            }
        }
        if recovered.is_empty() {
            let log = logs.last().map_or_else(String::new, |log| self.origin(log.name()).to_string());
            return Err(Error::LogWhole { log });
        }
        Ok(recovered)
    }

    fn go_on(&self, log: &LogRow, cosigned: u64) -> Result<Recovered, Error> {
        // Where the agency has another tree than what was signed here, nobody knows from where on they differ.
        let from = if cosigned > log.size { log.size } else { 0 };
        let key = VerifierKey::signer(&match_log_key(&self.platform), self.key.verifying_key());
        let first = Key {
            cross: None,
            key: key.expect("a key of our own is not weak, and platforms have legal names"),
            lost_from: from,
            lost_to: cosigned,
            nonce: nonce(),
            old: None,
            previous: Some(self.origin(log.name())),
            role: Role::MatchLog,
            t: now(),
        };
        let first = first.encode().expect("what is lost begins before it ends");
        let way = Move { lost: self.origin(log.name()), new: self.origin(log.name().successor()), from: log.size };
        let new = self.store.go_on(log.id, log.size, &first, |leaf| way.moved(leaf))?;
        Ok(Recovered { lost: log.name(), log: self.store.log(new)?.name(), from, to: cosigned })
    }
}

/// Leaves that were never signed, on their way into a new log: the one at index `from` of the lost log becomes number 1.
struct Move {
    lost: LogOrigin,
    new: LogOrigin,
    from: u64,
}

impl Move {
    /// A leaf that names leaves that come along names them by their new places. What stays behind keeps its name; a leaf
    /// that names some of both becomes two.
    fn moved(&self, leaf: &[u8]) -> Vec<Vec<u8>> {
        let again = match Leaf::decode(leaf) {
            Ok(Leaf::Action(action)) if action.log == self.lost && action.index >= self.from => {
                vec![Action { index: self.place(action.index), log: self.new.clone(), ..action }.encode()]
            }
            Ok(Leaf::Erase(erase)) if erase.log == self.lost => {
                let (along, behind): (Vec<u64>, Vec<u64>) =
                    erase.indices.iter().partition(|index| **index >= self.from);
                let along = along.into_iter().map(|index| self.place(index)).collect();
                let parts = [(behind, &self.lost), (along, &self.new)].into_iter();
                let part = |(indices, log): (Vec<u64>, &LogOrigin)| {
                    Erase { basis: erase.basis.clone(), indices, log: log.clone(), nonce: nonce(), t: erase.t }.encode()
                };
                parts.filter(|(indices, _)| !indices.is_empty()).map(part).collect()
            }
            _ => return vec![leaf.to_vec()],
        };
        again.into_iter().map(|leaf| leaf.expect("other indices are as legal as those before, and no longer")).collect()
    }

    fn place(&self, index: u64) -> u64 {
        index - self.from + 1
    }
}
