//! Cosignatures of witnesses (C2SP tlog-cosignature with Ed25519, SPEC §17.5).

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use veilmatch_protocol::note::{self, Note, Verifier};

use crate::{Error, checkpoint::Checkpoint};

/// Type byte of timestamped Ed25519 cosignatures in key ids and verifier keys.
pub(crate) const COSIGNATURE: u8 = 0x04;

/// Latest time that a cosignature may have: 2^63 − 1 s.
const MAX_TIME: u64 = u64::MAX >> 1;

/// A witness's name and its key, to sign with.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

impl Cosigner {
    /// The cosigner of this name.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the name is empty or has blanks or a plus sign.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, Error> {
        let witness = Witness::new(name, key.verifying_key())?;
        Ok(Self { name: witness.name, key })
    }

    /// What others verify its cosignatures with.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs a checkpoint at a time in Unix seconds; gives the signature line with its newline.
    ///
    /// # Security
    /// The caller has stored the checkpoint as the newest of its log, after it was shown to extend the one before.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> String {
        let signature = self.key.sign(message(&checkpoint.text(), time).as_bytes()).to_bytes();
        let id = note::key_id(&self.name, COSIGNATURE, self.key.verifying_key().as_bytes());
        note::signature_line(&self.name, id, &[&time.to_be_bytes()[..], &signature].concat())
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A witness's name and its public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    name: String,
    key: VerifyingKey,
}

impl Witness {
    /// The witness of `name` with `key`.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the name is empty or has blanks or a plus sign.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, Error> {
        Verifier::new(name, key).map_err(|_| Error::BadCheckpoint)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Reads a verifier key of type 0x04.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the form, the type or the key id is not right.
    pub fn parse(vkey: &str) -> Result<Self, Error> {
        let (name, kind, key) = note::read_vkey(vkey).map_err(|_| Error::BadCheckpoint)?;
        let key = VerifyingKey::try_from(&key[..]).map_err(|_| Error::BadCheckpoint)?;
        if kind == COSIGNATURE { Self::new(name, key) } else { Err(Error::BadCheckpoint) }
    }

    /// The name that its signature lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// First four bytes of SHA-256(name ‖ newline ‖ 0x04 ‖ key).
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        note::key_id(&self.name, COSIGNATURE, self.key.as_bytes())
    }

    /// The newest time at which this witness cosigned the note's text, or `None` if it has no line in it. A line that is
    /// later than `latest` is not counted; whether the text is a checkpoint of the right log, [`crate::checkpoint`] says.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if a line of this witness does not verify.
    pub fn cosigned(&self, note: &Note<'_>, latest: u64) -> Result<Option<u64>, Error> {
        let mut newest = None;
        for line in note.lines_of(&self.name, self.key_id()) {
            let (time, signature) = line.signature.split_first_chunk::<8>().ok_or(Error::BadCheckpoint)?;
            let time = u64::from_be_bytes(*time);
            let signature = Signature::from_slice(signature).map_err(|_| Error::BadCheckpoint)?;
            let message = message(note.text(), time);
            if time > MAX_TIME || self.key.verify_strict(message.as_bytes(), &signature).is_err() {
                return Err(Error::BadCheckpoint);
            }
            newest = newest.max((time <= latest).then_some(time));
        }
        Ok(newest)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&note::vkey(&self.name, COSIGNATURE, self.key.as_bytes()))
    }
}

fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

#[cfg(test)]
mod tests;
