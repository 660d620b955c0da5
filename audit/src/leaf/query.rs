//! The leaf of the query log (SPEC §18.3).

use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    frame::{BatchId, FrameSize, RequestDigest, ResponseDigest, View, signed_message},
    json,
    manifest::Timestamp,
    name::{Epoch, ListId, PlatformId, Version},
    prepared::PreparedKey,
};

use super::{Code, Nonce, Signature, leaf, member::counted};
use crate::Error;

/// One frame that the agency answered, or refused after its signature had verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/query/v1", deny_unknown_fields)]
pub struct Query {
    /// The frame's id.
    pub batch: BatchId,
    /// Why it was refused; none of an answered one.
    #[serde(with = "json::maybe")]
    pub code: Option<Code>,
    /// The epoch asked.
    pub epoch: Epoch,
    /// The list.
    pub list: ListId,
    /// The platform's minute of Unix time.
    #[serde(with = "json::integer")]
    pub minute: u64,
    /// Elements, dummies included.
    pub n: FrameSize,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Who asked.
    pub platform: PlatformId,
    /// Names the frame.
    pub req: RequestDigest,
    /// The platform's signature of the request.
    pub req_sig: Signature,
    /// Names the answer; none of a refused frame.
    #[serde(with = "json::maybe")]
    pub resp: Option<ResponseDigest>,
    /// Whether it was answered.
    pub status: QueryStatus,
    /// The server's minute.
    pub t: Timestamp,
    /// The version that the platform worked with.
    pub version: Version,
    /// What the platform had seen of the manifest log.
    pub view: View,
}

/// What became of a frame at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryStatus {
    /// Answered.
    Ok,
    /// Refused.
    Refused,
}

impl Query {
    /// Verifies the platform's signature with what stands in the leaf: the agency cannot invent a query.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if it does not verify under the platform's request key.
    pub fn verify_signature(&self, request_key: &PreparedKey) -> Result<(), Error> {
        let message = signed_message(&self.req, &self.view, self.version, self.minute);
        let signature = ed25519_dalek::Signature::from_bytes(&self.req_sig.0);
        if request_key.verifies(&message, &signature) { Ok(()) } else { Err(Error::BadLeaf) }
    }

    fn within_limits(&self) -> bool {
        let answered = self.status == QueryStatus::Ok;
        // A refused frame may name an epoch or version that never was, but none below 1.
        self.code.is_none() == answered
            && self.resp.is_some() == answered
            && self.epoch.0 >= 1
            && self.version.0 >= 1
            && (!answered || counted(self.epoch, self.version))
            && self.view.size >= 1
            && self.t == self.t.minute()
    }
}

leaf!(Query);
