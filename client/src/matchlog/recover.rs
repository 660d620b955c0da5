//! A log that was lost goes on as another one, whose first leaf says what is missing (SPEC §17.1, §18.2).

use veilmatch_audit::{
    leaf::{Action, Erase, Key, Leaf, Role, VerifierKey},
    origin::match_log_key,
};

use super::{LogName, MatchLog, nonce, pad};
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
    /// Ends every log of which the agency cosigned more than is here, and goes on with another one. What was never signed is
    /// taken along.
    ///
    /// # Errors
    /// [`Error::LogWhole`] if nothing is lost, and what keeps the agency from being asked.
    pub(crate) async fn recover(&self, connection: &Connection) -> Result<Vec<Recovered>, Error> {
        let _one = self.publishing.lock().await;
        let mut recovered = Vec::new();
        let logs = self.known_logs()?;
        for log in logs.iter().filter(|log| !log.lost) {
            let theirs = self.cosigned(connection, log).await?;
            match (self.is_whole(log, theirs.as_ref()), theirs) {
                (Err(Error::LogLost { .. }), Some(theirs)) => recovered.push(self.go_on(log, theirs.size)?),
                (other, _) => other?,
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
        let moved = |leaf: &[u8]| moved(leaf, log.size);
        let new = self.store.go_on(log.id, log.size, &first, moved)?;
        Ok(Recovered { lost: log.name(), log: self.store.log(new)?.name(), from, to: cosigned })
    }
}

/// A leaf that was never signed, in the new log, where its neighbour from index `from` on is number 1. What it says about
/// leaves that stay behind cannot be said there.
fn moved(leaf: &[u8], from: u64) -> Vec<u8> {
    let index = |index: u64| index.checked_sub(from).map(|index| index + 1);
    let again = match Leaf::decode(leaf) {
        Ok(Leaf::Action(action)) => index(action.index).and_then(|index| Action { index, ..action }.encode().ok()),
        Ok(Leaf::Erase(erase)) => {
            let indices = erase.indices.iter().copied().filter_map(index).collect();
            Erase { indices, ..erase }.encode().ok()
        }
        _ => Some(leaf.to_vec()),
    };
    again.unwrap_or_else(pad)
}
