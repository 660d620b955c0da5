//! How people name a log and a leaf: `17` in the newest log, `2026h2/17` in any.

use std::{fmt, str::FromStr};

use veilmatch_audit::origin::{LogOrigin, Shard};

use super::MatchLog;
use crate::{Error, store::LogRow};

/// A log by its half-year and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogName(Shard);

impl LogName {
    /// The log that goes on from this one, once it is lost.
    pub(super) fn successor(self) -> Self {
        Self(self.0.successor())
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a leaf stands: in the newest log unless another is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The log; the newest one if it is not named.
    pub log: Option<LogName>,
    /// The index of the leaf.
    pub index: u64,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is not an index such as 17 or 2026h2/17".to_owned();
        let (log, index) = match text.split_once('/') {
            Some((log, index)) => (Some(LogName(log.parse().map_err(|_| wrong())?)), index),
            None => (None, text),
        };
        Ok(Self { log, index: index.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.log {
            Some(log) => write!(f, "{log}/{}", self.index),
            None => write!(f, "{}", self.index),
        }
    }
}

impl LogRow {
    pub(crate) fn name(&self) -> LogName {
        let generation = if self.generation == 1 { String::new() } else { format!(".{}", self.generation) };
        LogName(format!("{}{generation}", self.shard).parse().expect("shards were written by this program"))
    }
}

impl MatchLog {
    pub(crate) fn origin(&self, log: LogName) -> LogOrigin {
        LogOrigin::Match(self.platform.clone(), self.agency.clone(), log.0)
    }

    /// The log that is meant.
    pub(crate) fn find(&self, place: Place) -> Result<LogRow, Error> {
        let logs = self.store.logs()?;
        let found = match place.log {
            Some(name) => logs.into_iter().find(|log| log.name() == name),
            None => logs.into_iter().next_back(),
        };
        found.filter(|log| place.index < log.leaves).ok_or(Error::NoRecord { index: place.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_named_by_its_index_or_by_log_and_index() {
        for text in ["0", "17", "2026h2/17", "2026h1.2/0"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in ["", "-1", "2026h2/", "2026h3/1", "2026/1", "1/2/3", "x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
