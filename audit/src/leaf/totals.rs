//! Leaves about a whole day (SPEC §18.5, §18.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    json::{self, MAX_INTEGER},
    manifest::{Hash, Timestamp},
    name::{AgencyName, Epoch, ListId, PlatformId},
};

use super::{Code, Nonce, leaf, member::is_word};
use crate::date::Date;

/// A platform's totals of one day and list; written even when all are zero, so that silence is a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/day/v1", deny_unknown_fields)]
pub struct Day {
    /// Actions by code: 1 to 32 of `a-z`, `0-9`, `-`.
    pub actions: BTreeMap<String, u64>,
    /// The day.
    pub date: Date,
    /// Frames that ended.
    #[serde(with = "json::integer")]
    pub frames: u64,
    /// The list.
    pub list: ListId,
    /// Matches.
    #[serde(with = "json::integer")]
    pub matches: u64,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Items that could not be checked, by reason.
    pub not_checked: BTreeMap<Code, u64>,
    /// Items offered to be checked.
    #[serde(with = "json::integer")]
    pub offered: u64,
    /// Items asked in frames.
    #[serde(with = "json::integer")]
    pub queried: u64,
    /// Receipts released.
    #[serde(with = "json::integer")]
    pub receipts: u64,
}

impl Day {
    fn within_limits(&self) -> bool {
        let mut counts = self.actions.values().chain(self.not_checked.values());
        self.actions.keys().all(|code| is_word(code)) && counts.all(|&count| count <= MAX_INTEGER)
    }
}

/// The closing statement of a day that both sides signed, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/close/v1", deny_unknown_fields)]
pub struct Close {
    /// The agency.
    pub agency: AgencyName,
    /// The day.
    pub date: Date,
    /// SHA-256 of the statement's text.
    pub digest: Hash,
    /// The epoch.
    pub epoch: Epoch,
    /// The list.
    pub list: ListId,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The platform.
    pub platform: PlatformId,
    /// When it was written.
    pub t: Timestamp,
}

impl Close {
    fn within_limits(&self) -> bool {
        self.epoch.0 >= 1
    }
}

leaf!(Day);
leaf!(Close);
