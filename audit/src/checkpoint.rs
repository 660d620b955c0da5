//! Checkpoints: what a log signs (C2SP tlog-checkpoint, SPEC §17.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use veilmatch_protocol::note::{self, Note, Verifier};

use crate::{Error, tree::Hash};

/// What a checkpoint says: this log has a tree of this size with this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, unique in the world.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The three lines that are signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] unless it is the text that [`Checkpoint::text`] writes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(Error::BadCheckpoint);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = size.parse().map_err(|_| Error::BadCheckpoint)?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(Error::BadCheckpoint)?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        // A sign, a zero in front, a fourth line: nothing of that is written again.
        if !origin.is_empty() && checkpoint.text() == text { Ok(checkpoint) } else { Err(Error::BadCheckpoint) }
    }
}

/// Signs a checkpoint with the log's key; the signature line has the origin as its name.
///
/// # Errors
/// [`Error::BadCheckpoint`] if the origin cannot be a name.
pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> Result<String, Error> {
    note::sign(&checkpoint.text(), &checkpoint.origin, key).map_err(|_| Error::BadCheckpoint)
}

/// Reads a checkpoint of the log `origin` that `verifier` signed. Other signature lines are not looked at.
///
/// # Errors
/// [`Error::BadCheckpoint`] for every cause.
pub fn open(note: &[u8], origin: &str, verifier: &Verifier) -> Result<Checkpoint, Error> {
    open_note(&Note::parse(note).map_err(|_| Error::BadCheckpoint)?, origin, verifier)
}

/// As [`open`], of a note whose form was checked.
///
/// # Errors
/// [`Error::BadCheckpoint`] for every cause.
pub fn open_note(note: &Note<'_>, origin: &str, verifier: &Verifier) -> Result<Checkpoint, Error> {
    let checkpoint = Checkpoint::parse(note.verify(verifier).map_err(|_| Error::BadCheckpoint)?)?;
    if checkpoint.origin == origin { Ok(checkpoint) } else { Err(Error::BadCheckpoint) }
}

/// The origin that a note claims, to find the key that it must be verified with.
///
/// # Errors
/// [`Error::BadCheckpoint`] if it is not a checkpoint by its form.
pub fn claimed_origin(note: &[u8]) -> Result<String, Error> {
    let note = Note::parse(note).map_err(|_| Error::BadCheckpoint)?;
    Ok(Checkpoint::parse(note.text())?.origin)
}

#[cfg(test)]
mod tests;
