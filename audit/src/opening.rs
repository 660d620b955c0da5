//! Openings: what stands behind a match leaf, handed on as one line of canonical JSON (SPEC §19.1).

mod line;

use veilmatch_protocol::{
    derive::MatchSecret,
    note::Verifier,
    receipt::{ElementOpening, Fault, Salt, SignedReceipt},
};
use zeroize::Zeroizing;

pub use line::MAX_LINE_LEN;

use crate::{
    Error,
    leaf::{Frame, FrameStatus, Match, Query, QueryStatus},
    origin::LogOrigin,
};

/// What opens a match leaf. Whoever has it can show the match, so it has no `Debug`, and its secrets are wiped.
#[derive(Clone)]
pub struct Opening {
    /// The match log.
    pub log: LogOrigin,
    /// Index of the match leaf.
    pub index: u64,
    /// The commitment's salt.
    pub salt: Salt,
    /// The receipt's note.
    pub receipt: String,
    /// The entry's match secret, if it is shown.
    pub secret: Option<MatchSecret>,
    /// The blind and the element that it opens, if level 2 is shown.
    pub element: Option<ElementOpening>,
}

impl Opening {
    /// The line, without its newline.
    ///
    /// # Errors
    /// [`Error::BadOpening`] if a member is outside its limits.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        line::encode(self).ok_or(Error::BadOpening)
    }

    /// Reads a line, without its newline: exactly the canonical bytes.
    ///
    /// # Errors
    /// [`Error::BadOpening`] for any other form.
    pub fn decode(line: &[u8]) -> Result<Self, Error> {
        line::decode(line).ok_or(Error::BadOpening)
    }

    /// Step 1 of SPEC §19.4: the receipt, if its signature verifies.
    ///
    /// # Errors
    /// [`Fault::Signature`].
    pub fn receipt(&self, receipt_key: &Verifier) -> Result<SignedReceipt, Fault> {
        SignedReceipt::open(self.receipt.as_bytes(), receipt_key)
    }

    /// Step 2 for who is not the agency: the secret that is shown is the entry's.
    ///
    /// # Errors
    /// [`Fault::Secret`], also where none is shown.
    pub fn verify_secret(&self, receipt: &SignedReceipt) -> Result<(), Fault> {
        self.secret.as_ref().ok_or(Fault::Secret).and_then(|secret| receipt.verify_secret(secret))
    }

    /// Step 4: the match leaf at [`Self::index`] of [`Self::log`] commits to this receipt, in the log that it belongs to.
    ///
    /// # Errors
    /// [`Fault::Commitment`].
    pub fn verify_commitment(&self, receipt: &SignedReceipt, leaf: &Match) -> Result<(), Fault> {
        let said = receipt.receipt();
        match &self.log {
            LogOrigin::Match(platform, agency, _) if said.platform == *platform && said.agency == *agency => {
                receipt.verify_commitment(&leaf.c, &leaf.batch, &self.salt)
            }
            _ => Err(Fault::Commitment),
        }
    }
}

/// Step 5: the frame that the receipt names is answered in the match log and in the query log, with equal digests, and has
/// the position.
///
/// # Errors
/// [`Fault::Frame`].
pub fn verify_frame(receipt: &SignedReceipt, frame: &Frame, query: &Query) -> Result<(), Fault> {
    let said = receipt.receipt();
    let named = frame.batch == said.batch
        && frame.list == said.list
        && frame.epoch == said.epoch
        && query.batch == said.batch
        && query.list == said.list
        && query.epoch == said.epoch
        && query.platform == said.platform;
    let answered = frame.status == FrameStatus::Answered && query.status == QueryStatus::Ok;
    let equal = frame.req == query.req && frame.resp == query.resp && frame.n == query.n;
    if named && answered && equal { receipt.verify_position(query.n) } else { Err(Fault::Frame) }
}

#[cfg(test)]
mod tests;
