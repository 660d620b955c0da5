//! Which log a thing is about, and the names that keys sign under (SPEC §17.1, §17.2).

mod shard;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use veilmatch_protocol::{
    name::{AgencyName, PlatformId},
    note::Verifier,
};

pub use shard::Shard;

use crate::Error;

/// The origin of a log: what its checkpoints name, and what its signature lines are named for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogOrigin {
    /// An agency's manifest log.
    Manifest(AgencyName),
    /// A shard of an agency's query log.
    Query(AgencyName, Shard),
    /// A shard of a platform's match log about an agency.
    Match(PlatformId, AgencyName, Shard),
}

impl LogOrigin {
    /// Reads an origin.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] for any other form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.splitn(6, '/').collect();
        let agency = |name: &str| AgencyName::parse(name).map_err(|_| Error::BadCheckpoint);
        match parts[..] {
            [owner, "veilmatch", "manifest"] => Ok(Self::Manifest(agency(owner)?)),
            [owner, "veilmatch", "query", shard] => Ok(Self::Query(agency(owner)?, shard.parse()?)),
            [owner, "veilmatch", "match", about, shard] => {
                let platform = PlatformId::parse(owner).map_err(|_| Error::BadCheckpoint)?;
                Ok(Self::Match(platform, agency(about)?, shard.parse()?))
            }
            _ => Err(Error::BadCheckpoint),
        }
    }

    /// The shard; a manifest log has none.
    #[must_use]
    pub fn shard(&self) -> Option<Shard> {
        match self {
            Self::Manifest(_) => None,
            Self::Query(_, shard) | Self::Match(_, _, shard) => Some(*shard),
        }
    }

    /// The same log in another shard; a manifest log stays.
    #[must_use]
    pub fn in_shard(&self, shard: Shard) -> Self {
        match self {
            Self::Manifest(agency) => Self::Manifest(agency.clone()),
            Self::Query(agency, _) => Self::Query(agency.clone(), shard),
            Self::Match(platform, agency, _) => Self::Match(platform.clone(), agency.clone(), shard),
        }
    }

    /// The log that this one goes on from, if its name says that it does.
    #[must_use]
    pub fn predecessor(&self) -> Option<Self> {
        Some(self.in_shard(self.shard()?.predecessor()?))
    }

    /// The agency whose log it is, or whom it is about.
    #[must_use]
    pub fn agency(&self) -> &AgencyName {
        match self {
            Self::Manifest(agency) | Self::Query(agency, _) | Self::Match(_, agency, _) => agency,
        }
    }

    /// The name of the key that was pinned for all shards of this log.
    #[must_use]
    pub fn key_name(&self) -> String {
        match self {
            Self::Manifest(_) => self.to_string(),
            Self::Query(agency, _) => query_log_key(agency),
            Self::Match(platform, _, _) => match_log_key(platform),
        }
    }

    /// The verifier of this log's checkpoints, from the pinned one of all its shards: the same key, and the origin as name.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if what is pinned is the key of another log.
    pub fn verifier(&self, pinned: &Verifier) -> Result<Verifier, Error> {
        if pinned.name() != self.key_name() {
            return Err(Error::BadCheckpoint);
        }
        pinned.renamed(&self.to_string()).map_err(|_| Error::BadCheckpoint)
    }
}

impl fmt::Display for LogOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(agency) => write!(f, "{agency}/veilmatch/manifest"),
            Self::Query(agency, shard) => write!(f, "{agency}/veilmatch/query/{shard}"),
            Self::Match(platform, agency, shard) => write!(f, "{platform}/veilmatch/match/{agency}/{shard}"),
        }
    }
}

impl FromStr for LogOrigin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for LogOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Name of the verifier key that is pinned for all shards of an agency's query log.
#[must_use]
pub fn query_log_key(agency: &AgencyName) -> String {
    format!("{agency}/veilmatch/query")
}

/// Name of the verifier key that is pinned for all of a platform's match logs.
#[must_use]
pub fn match_log_key(platform: &PlatformId) -> String {
    format!("{platform}/veilmatch/match")
}

/// Name of the key that acknowledges frames.
#[must_use]
pub fn ack_key(agency: &AgencyName) -> String {
    format!("{agency}/veilmatch/ack")
}

/// Name of the key that signs receipts.
pub use veilmatch_protocol::receipt::key_name as receipt_key;

/// Name of the key that an agency cosigns with.
#[must_use]
pub fn agency_witness_key(agency: &AgencyName) -> String {
    format!("{agency}/veilmatch/witness")
}

/// Name of the key that a platform cosigns with.
#[must_use]
pub fn platform_witness_key(platform: &PlatformId) -> String {
    format!("{platform}/veilmatch/witness")
}

/// Name of the key that a platform signs requests with, where a `key` leaf states it: no note has a line of it.
#[must_use]
pub fn request_key(platform: &PlatformId) -> String {
    format!("{platform}/veilmatch/request")
}

#[cfg(test)]
mod tests;
