//! The record of a frame as a leaf of the query log (SPEC §18.3), and its acknowledgement (SPEC §18.4).

use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    leaf::{Code, Nonce, Query, QueryStatus, Signature},
    origin::{LogOrigin, Shard},
};
use veilmatch_protocol::{
    frame::{BatchId, FrameSize},
    manifest::{Hash, Timestamp},
    merkle::leaf_hash,
    name::AgencyName,
};

use super::LogKeys;
use crate::{
    Error,
    store::{FrameRecord, FrameStatus, LoggedLeaf, NewLeaf},
};

/// The leaf of a frame, in the shard of its minute.
///
/// # Errors
/// [`Error::Log`] if a member is outside its limits, which the wire's conversion has refused before.
pub fn leaf(agency: &AgencyName, record: &FrameRecord) -> Result<NewLeaf, Error> {
    let t = Timestamp::from_unix(record.minute * 60);
    let (status, code, resp) = match record.status {
        FrameStatus::Answered { response, .. } => (QueryStatus::Ok, None, Some(response)),
        FrameStatus::Refused(code) => (QueryStatus::Refused, Some(Code::parse(code)?), None),
    };
    let n = usize::try_from(record.n).ok().and_then(|n| FrameSize::try_from(n).ok());
    let query = Query {
        batch: record.key.batch,
        code,
        epoch: record.key.epoch,
        list: record.key.list.clone(),
        minute: record.platform_minute,
        n: n.ok_or(Error::Internal("a recorded frame has no size class"))?,
        nonce: Nonce(record.nonce),
        platform: record.key.platform.clone(),
        req: record.request,
        req_sig: Signature(record.signature),
        resp,
        status,
        t,
        version: record.version,
        view: record.view,
    };
    let origin = LogOrigin::Query(agency.clone(), Shard::of(t)).to_string();
    Ok(NewLeaf { origin, platform: record.key.platform.clone(), bytes: query.encode()? })
}

/// The signed promise of a frame's leaf, which is durable.
///
/// # Errors
/// [`Error::Log`], which nobody will see.
pub fn acknowledge(leaf: &LoggedLeaf, batch: BatchId, minute: u64, keys: &LogKeys) -> Result<Vec<u8>, Error> {
    let promise = Acknowledgement {
        origin: LogOrigin::parse(&leaf.origin)?,
        index: leaf.index,
        leaf_hash: Hash(leaf_hash(&leaf.bytes)),
        batch,
        t: Timestamp::from_unix(minute * 60),
    };
    Ok(promise.sign(&keys.ack)?.into_bytes())
}
