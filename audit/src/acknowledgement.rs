//! Acknowledgements: the agency's signed promise that a leaf is in its query log (SPEC §18.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use veilmatch_protocol::{
    frame::BatchId,
    manifest::{Hash, Timestamp},
    note::{self, Verifier},
};

use crate::{
    Error,
    leaf::{self, Query},
    origin::{self, LogOrigin},
};

/// First line.
const FIRST_LINE: &str = "veilmatch/ack/v1";

/// Longest acknowledgement on the wire (SPEC §9.4).
pub const MAX_LEN: usize = 4_096;

/// What an acknowledgement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The query log.
    pub origin: LogOrigin,
    /// The leaf's index, for ever.
    pub index: u64,
    /// The leaf's hash.
    pub leaf_hash: Hash,
    /// The frame's id.
    pub batch: BatchId,
    /// The leaf's time.
    pub t: Timestamp,
}

impl Acknowledgement {
    /// Promises a leaf.
    ///
    /// # Security
    /// The leaf is durable under this index before the note leaves (SPEC §17.7).
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if the leaf does not encode.
    pub fn of(origin: LogOrigin, index: u64, leaf: &Query) -> Result<Self, Error> {
        let leaf_hash = Hash(leaf::hash(&leaf.encode()?));
        Ok(Self { origin, index, leaf_hash, batch: leaf.batch, t: leaf.t })
    }

    /// The note, signed with the agency's key for acknowledgements.
    ///
    /// # Errors
    /// [`Error::BadAcknowledgement`] if the origin is not that of a query log, or the leaf's time is not of its shard.
    pub fn sign(&self, key: &SigningKey) -> Result<String, Error> {
        if !self.within_limits() {
            return Err(Error::BadAcknowledgement);
        }
        let name = origin::ack_key(self.origin.agency());
        note::sign(&self.text(), &name, key).map_err(|_| Error::BadAcknowledgement)
    }

    /// Reads a note that the pinned key signed.
    ///
    /// # Errors
    /// [`Error::BadAcknowledgement`] for every cause: length, signature, form, a log that is not the key's agency's.
    pub fn open(note: &[u8], ack_key: &Verifier) -> Result<Self, Error> {
        if note.len() > MAX_LEN {
            return Err(Error::BadAcknowledgement);
        }
        let text = note::open(note, ack_key).map_err(|_| Error::BadAcknowledgement)?;
        let said = Self::read(text).ok_or(Error::BadAcknowledgement)?;
        let named = origin::ack_key(said.origin.agency()) == ack_key.name();
        // Writing it again refuses a line more, zeros in front and other spellings.
        if named && said.within_limits() && said.text() == text { Ok(said) } else { Err(Error::BadAcknowledgement) }
    }

    /// Whether it promises this leaf, by the leaf's exact bytes.
    ///
    /// # Errors
    /// [`Error::BadAcknowledgement`] if hash, batch or time are another's.
    pub fn promises(&self, bytes: &[u8], leaf: &Query) -> Result<(), Error> {
        let same = self.leaf_hash.0 == leaf::hash(bytes) && self.batch == leaf.batch && self.t == leaf.t;
        if same { Ok(()) } else { Err(Error::BadAcknowledgement) }
    }

    fn read(text: &str) -> Option<Self> {
        let lines: [&str; 6] = text.strip_suffix('\n')?.split('\n').collect::<Vec<_>>().try_into().ok()?;
        let [FIRST_LINE, origin, index, leaf_hash, batch, t] = lines else { return None };
        Some(Self {
            origin: LogOrigin::parse(origin).ok()?,
            index: index.parse().ok()?,
            leaf_hash: Hash(STANDARD.decode(leaf_hash).ok()?.try_into().ok()?),
            batch: BatchId(STANDARD.decode(batch).ok()?.try_into().ok()?),
            t: Timestamp::parse(t).ok()?,
        })
    }

    fn text(&self) -> String {
        let (hash, batch) = (STANDARD.encode(self.leaf_hash.0), STANDARD.encode(self.batch.0));
        format!("{FIRST_LINE}\n{}\n{}\n{hash}\n{batch}\n{}\n", self.origin, self.index, self.t)
    }

    fn within_limits(&self) -> bool {
        let LogOrigin::Query(_, shard) = &self.origin else { return false };
        shard.contains(self.t) && self.t == self.t.minute() && self.index <= veilmatch_protocol::json::MAX_INTEGER
    }
}

#[cfg(test)]
mod tests;
