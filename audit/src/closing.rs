//! Closing statements: what both sides sign about a day (SPEC §18.6).

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    frame::{FrameSize, RequestDigest, ResponseDigest},
    json,
    manifest::Hash,
    merkle,
    name::{AgencyName, Epoch, ListId, PlatformId},
    note::{self, Note, Verifier},
};

use crate::{Error, date::Date, origin};

/// First line.
const FIRST_LINE: &str = "veilmatch/close/v1\n";

/// What the two sides agree on about one day, list and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The agency.
    pub agency: AgencyName,
    /// The day.
    pub date: Date,
    /// Elements of the answered frames, dummies included.
    #[serde(with = "json::integer")]
    pub elements: u64,
    /// The epoch.
    pub epoch: Epoch,
    /// Answered frames.
    #[serde(with = "json::integer")]
    pub frames: u64,
    /// The list.
    pub list: ListId,
    /// The platform.
    pub platform: PlatformId,
    /// Tree over the answered frames.
    pub tree: Hash,
}

/// What a closing statement takes of an answered frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnsweredFrame {
    /// Names the frame.
    pub req: RequestDigest,
    /// Names the answer.
    pub resp: ResponseDigest,
    /// Elements.
    pub n: FrameSize,
}

/// Whose day it was, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The agency.
    pub agency: AgencyName,
    /// The platform.
    pub platform: PlatformId,
    /// The list.
    pub list: ListId,
    /// The epoch.
    pub epoch: Epoch,
    /// The day, by the time of the agency's leaves.
    pub date: Date,
}

impl Closing {
    /// The statement about a day's answered frames, in any order.
    #[must_use]
    pub fn of(day: Day, mut frames: Vec<AnsweredFrame>) -> Self {
        frames.sort_unstable();
        let leaf = |frame: &AnsweredFrame| merkle::leaf_hash(&[frame.req.0, frame.resp.0].concat());
        Self {
            agency: day.agency,
            date: day.date,
            elements: frames.iter().map(|frame| frame.n.len() as u64).sum(),
            epoch: day.epoch,
            frames: frames.len() as u64,
            list: day.list,
            platform: day.platform,
            tree: Hash(merkle::root(frames.iter().map(leaf))),
        }
    }

    /// The text: two lines with their newlines.
    ///
    /// # Errors
    /// [`Error::BadClosing`] if a number is 2^53 or more, or the epoch 0.
    pub fn text(&self) -> Result<String, Error> {
        let line = json::encode(self).filter(|_| self.epoch.0 >= 1).ok_or(Error::BadClosing)?;
        let line = String::from_utf8(line).map_err(|_| Error::BadClosing)?;
        Ok(format!("{FIRST_LINE}{line}\n"))
    }

    /// SHA-256 of the text: what the leaves of both logs have.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn digest(&self) -> Result<Hash, Error> {
        Ok(Hash(Sha256::digest(self.text()?).into()))
    }

    /// The note with the platform's line, made with its receipt key.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn sign(&self, receipt_key: &SigningKey) -> Result<String, Error> {
        let name = origin::receipt_key(&self.platform);
        note::sign(&self.text()?, &name, receipt_key).map_err(|_| Error::BadClosing)
    }

    /// The same note with the agency's line behind the platform's, made with its key for acknowledgements.
    ///
    /// # Security
    /// The caller has opened the note, and compared what it says with its own records.
    ///
    /// # Errors
    /// [`Error::BadClosing`] if the note is not one of this statement.
    pub fn countersign(&self, note: &str, ack_key: &SigningKey) -> Result<String, Error> {
        let (name, text) = (origin::ack_key(&self.agency), self.text()?);
        let parsed = Note::parse(note.as_bytes()).map_err(|_| Error::BadClosing)?;
        let signed = note::sign(&text, &name, ack_key).map_err(|_| Error::BadClosing)?;
        let line = signed.strip_prefix(&text).and_then(|rest| rest.strip_prefix('\n')).ok_or(Error::BadClosing)?;
        if parsed.text() == text { Ok(format!("{note}{line}")) } else { Err(Error::BadClosing) }
    }

    /// Reads a statement that the platform signed.
    ///
    /// # Errors
    /// [`Error::BadClosing`] for every cause: signature, form, a platform that is not the key's.
    pub fn open(note: &[u8], receipt_key: &Verifier) -> Result<Self, Error> {
        let note = Note::parse(note).map_err(|_| Error::BadClosing)?;
        let text = note.verify(receipt_key).map_err(|_| Error::BadClosing)?;
        let line = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_suffix('\n')).ok_or(Error::BadClosing)?;
        let statement: Self = json::decode(line.as_bytes()).ok_or(Error::BadClosing)?;
        let named = origin::receipt_key(&statement.platform) == receipt_key.name();
        if named && statement.epoch.0 >= 1 { Ok(statement) } else { Err(Error::BadClosing) }
    }

    /// Reads a statement that both sides signed.
    ///
    /// # Errors
    /// [`Error::BadClosing`] as [`Self::open`], and if the agency's signature is missing or fails.
    pub fn open_countersigned(note: &[u8], receipt_key: &Verifier, ack_key: &Verifier) -> Result<Self, Error> {
        let statement = Self::open(note, receipt_key)?;
        let named = origin::ack_key(&statement.agency) == ack_key.name();
        let signed = note::open(note, ack_key).is_ok();
        if named && signed { Ok(statement) } else { Err(Error::BadClosing) }
    }
}

#[cfg(test)]
mod tests;
