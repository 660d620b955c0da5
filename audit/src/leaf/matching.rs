//! Leaves of the match log about versions, frames and matches (SPEC §18.5).

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    frame::{BatchId, FrameSize, RequestDigest, ResponseDigest, View},
    json::{self, MAX_INTEGER},
    manifest::{Hash, Timestamp},
    name::{AgencyName, Epoch, ListId, Version},
};

use super::{
    Code, Nonce, leaf,
    member::{counted, is_word},
};
use crate::origin::LogOrigin;

/// When a platform began to use a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/adopt/v1", deny_unknown_fields)]
pub struct Adopt {
    /// The agency.
    pub agency: AgencyName,
    /// The epoch.
    pub epoch: Epoch,
    /// The list.
    pub list: ListId,
    /// Leaf hash of the version's manifest.
    pub manifest: Hash,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// When.
    pub t: Timestamp,
    /// The version.
    pub version: Version,
    /// What the platform had seen of the manifest log.
    pub view: View,
}

impl Adopt {
    fn within_limits(&self) -> bool {
        counted(self.epoch, self.version) && self.view.size >= 1
    }
}

/// A frame that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/frame/v1", deny_unknown_fields)]
pub struct Frame {
    /// SHA-256 of the acknowledgement note; none unless answered.
    #[serde(with = "json::maybe")]
    pub ack: Option<Hash>,
    /// The frame's id.
    pub batch: BatchId,
    /// Why it was refused; none unless refused.
    #[serde(with = "json::maybe")]
    pub code: Option<Code>,
    /// The epoch asked.
    pub epoch: Epoch,
    /// The list.
    pub list: ListId,
    /// Elements, dummies included.
    pub n: FrameSize,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Names the frame.
    pub req: RequestDigest,
    /// Names the answer; none unless answered.
    #[serde(with = "json::maybe")]
    pub resp: Option<ResponseDigest>,
    /// How it ended.
    pub status: FrameStatus,
    /// The hour.
    pub t: Timestamp,
}

/// How a frame ended for the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameStatus {
    /// Answered, and the answer verified.
    Answered,
    /// Refused by the server.
    Refused,
    /// Asked for and never finished.
    Abandoned,
}

impl Frame {
    fn within_limits(&self) -> bool {
        let answered = self.status == FrameStatus::Answered;
        self.resp.is_some() == answered
            && self.ack.is_some() == answered
            && self.code.is_some() == (self.status == FrameStatus::Refused)
            && self.epoch.0 >= 1
            && self.t == self.t.hour()
    }
}

/// A match, as a salted commitment to its receipt: nothing else in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/match/v1", deny_unknown_fields)]
pub struct Match {
    /// The frame that evaluated the item.
    pub batch: BatchId,
    /// The commitment.
    pub c: Hash,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The day.
    pub t: Timestamp,
}

impl Match {
    fn within_limits(&self) -> bool {
        self.t == self.t.day()
    }
}

/// What was done about a match, as a salted commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/action/v1", deny_unknown_fields)]
pub struct Action {
    /// The commitment to the action record.
    pub c: Hash,
    /// Index of the match leaf.
    #[serde(with = "json::integer")]
    pub index: u64,
    /// Origin of the log that has it: this one, or an earlier one of the same platform about the same agency.
    pub log: LogOrigin,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The day.
    pub t: Timestamp,
}

impl Action {
    fn within_limits(&self) -> bool {
        matches!(self.log, LogOrigin::Match(..)) && self.t == self.t.day()
    }
}

/// Salt, note and key of these openings are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/erase/v1", deny_unknown_fields)]
pub struct Erase {
    /// Why: 1 to 32 of `a-z`, `0-9`, `-`.
    pub basis: String,
    /// Indices of the match leaves, ascending.
    pub indices: Vec<u64>,
    /// Origin of the log that has them: this one, or an earlier one of the same platform about the same agency.
    pub log: LogOrigin,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The day.
    pub t: Timestamp,
}

impl Erase {
    fn within_limits(&self) -> bool {
        is_word(&self.basis)
            && matches!(self.log, LogOrigin::Match(..))
            && self.indices.is_sorted_by(|a, b| a < b)
            && self.indices.last().is_some_and(|&last| last <= MAX_INTEGER)
            && self.t == self.t.day()
    }
}

/// Filler, so that growth does not show the number of matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/pad/v1", deny_unknown_fields)]
pub struct Pad {
    /// 16 random bytes.
    pub nonce: Nonce,
}

impl Pad {
    fn within_limits(&self) -> bool {
        true
    }
}

leaf!(Adopt);
leaf!(Frame);
leaf!(Match);
leaf!(Action);
leaf!(Erase);
leaf!(Pad);
