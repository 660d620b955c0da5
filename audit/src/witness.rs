//! The rule of a witness, and the texts that a log and a witness exchange (C2SP tlog-witness, SPEC §17.5, §20.2). Who sends
//! and stores them is the caller's business.

#[cfg(feature = "cli")]
pub mod key;
#[cfg(feature = "cli")]
pub mod register;
#[cfg(feature = "cli")]
pub mod service;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use veilmatch_protocol::note::{MAX_NOTE_LEN, Note, Verifier, read_signature_lines, signature_line};

use crate::{
    Error,
    checkpoint::{self, Checkpoint},
    cosignature::Witness,
    tree::{Hash, MAX_PROOF, empty_root, verify_consistency},
};

/// Content type of the size that goes with a [`Refusal::Stale`].
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// Longest request: the size, 63 hashes, a note.
pub const MAX_REQUEST: usize = 32 + MAX_PROOF * 45 + MAX_NOTE_LEN;

/// Where a witness shows what it cosigned last for a log, below its prefix.
#[must_use]
pub fn checkpoint_path(origin: &str) -> String {
    format!("{}/checkpoint", origin_hash(origin))
}

/// SHA-256 of an origin in hexadecimal.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a log asks a witness: to cosign a checkpoint that extends the tree of `old_size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the tree that the witness cosigned last.
    pub old_size: u64,
    /// Consistency proof from there.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Vec<u8>,
}

impl AddCheckpoint {
    /// The body of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let proof: String = self.proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        let mut body = format!("old {}\n{proof}\n", self.old_size).into_bytes();
        body.extend(&self.note);
        body
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for every cause: form, length, more than 63 hashes.
    pub fn decode(body: &[u8]) -> Result<Self, Refusal> {
        let split = body.windows(2).position(|pair| pair == b"\n\n").ok_or(Refusal::Malformed)?;
        let (head, note) = (&body[..split], &body[split + 2..]);
        let head = str::from_utf8(head).map_err(|_| Refusal::Malformed)?;
        if body.len() > MAX_REQUEST || head.len() > 32 + MAX_PROOF * 45 {
            return Err(Refusal::Malformed);
        }
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(Refusal::Malformed)?;
        let old_size: u64 = old.parse().map_err(|_| Refusal::Malformed)?;
        let hash = |line: &str| STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
        let proof: Vec<Hash> = lines.map(hash).collect::<Option<_>>().ok_or(Refusal::Malformed)?;
        if old_size.to_string() == old && proof.len() <= MAX_PROOF {
            Ok(Self { old_size, proof, note: note.to_vec() })
        } else {
            Err(Refusal::Malformed)
        }
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one, or its old size is larger than its checkpoint.
    Malformed,
    /// No known key of the log signed the checkpoint, or a line of a known key fails.
    NotSigned,
    /// The witness does not serve this log.
    UnknownLog,
    /// The old size is not that of the tree that the witness cosigned last, which has this size.
    Stale(u64),
    /// Another root for the size that the witness cosigned last: the log has forked.
    OtherRoot,
    /// The proof does not show that the new tree extends the old one.
    NotProven,
}

impl Refusal {
    /// The HTTP status of this refusal.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NotSigned => 403,
            Self::UnknownLog => 404,
            Self::Stale(_) | Self::OtherRoot => 409,
            Self::NotProven => 422,
        }
    }

    /// What to tell the log: for [`Refusal::Stale`] the size, as C2SP says.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Malformed => "the request is malformed\n".to_owned(),
            Self::NotSigned => "no known key of the log signed the checkpoint\n".to_owned(),
            Self::UnknownLog => "the log is not served here\n".to_owned(),
            Self::Stale(size) => format!("{size}\n"),
            Self::OtherRoot => "another root of this size was cosigned\n".to_owned(),
            Self::NotProven => "the consistency proof does not verify\n".to_owned(),
        }
    }
}

/// What must be stored, and then cosigned: only [`judge`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    checkpoint: Checkpoint,
    note: String,
}

impl Extension {
    /// The checkpoint that extends the last one.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint with the signatures of the log alone, which were verified.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// Judges a request by what the witness cosigned last for the log: `keys` are those known for an origin, none if the log
/// is not served; `last` gives the last checkpoint of that origin.
///
/// # Errors
/// What the witness must answer instead of cosigning, or what `last` fails with.
pub fn judge<'k, E: From<Refusal>>(
    request: &AddCheckpoint,
    keys: impl FnOnce(&str) -> &'k [Verifier],
    last: impl FnOnce(&str) -> Result<Option<Checkpoint>, E>,
) -> Result<Extension, E> {
    let note = Note::parse(&request.note).map_err(|_| Refusal::Malformed)?;
    let origin = Checkpoint::parse(note.text()).map_err(|_| Refusal::Malformed)?.origin;
    let keys = keys(&origin);
    if keys.is_empty() {
        return Err(Refusal::UnknownLog.into());
    }
    let (checkpoint, note) = verified(&note, &origin, keys)?;
    if request.old_size > checkpoint.size {
        return Err(Refusal::Malformed.into());
    }
    let last = last(&origin)?.unwrap_or_else(|| Checkpoint { origin, size: 0, root: empty_root() });
    extends(&last, request.old_size, &request.proof, &checkpoint)?;
    Ok(Extension { checkpoint, note })
}

/// The rule alone: whether a checkpoint of the log may be cosigned after `last`.
///
/// # Errors
/// [`Refusal::Stale`], [`Refusal::OtherRoot`] or [`Refusal::NotProven`].
pub fn extends(last: &Checkpoint, old_size: u64, proof: &[Hash], new: &Checkpoint) -> Result<(), Refusal> {
    if old_size != last.size {
        return Err(Refusal::Stale(last.size));
    }
    if new.size == last.size && new.root != last.root {
        return Err(Refusal::OtherRoot);
    }
    verify_consistency(old_size, &last.root, new.size, &new.root, proof).map_err(|_| Refusal::NotProven)
}

/// The checkpoint if a known key signed it and no line of a known key fails, and the note with these lines alone.
fn verified(note: &Note<'_>, origin: &str, keys: &[Verifier]) -> Result<(Checkpoint, String), Refusal> {
    let mut opened = None;
    let mut kept = format!("{}\n", note.text());
    for key in keys {
        let mut lines = note.lines_of(key.name(), key.key_id()).peekable();
        if lines.peek().is_none() {
            continue;
        }
        opened = Some(checkpoint::open_note(note, origin, key).map_err(|_| Refusal::NotSigned)?);
        kept.extend(lines.map(|line| signature_line(line.name, line.id, &line.signature)));
    }
    Ok((opened.ok_or(Refusal::NotSigned)?, kept))
}

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Signature lines, of which nothing is known yet: [`Answer::cosignature`].
    Cosigned(String),
    /// It cosigned a tree of this size last: ask again with a proof from there, unless the size is larger than the log's.
    Stale(u64),
    /// It does not cosign; the status says why.
    Refused(u16),
}

impl Answer {
    /// Reads a status and a body of at most [`MAX_NOTE_LEN`] bytes.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the body is not what the status calls for.
    pub fn read(status: u16, content_type: &str, body: &[u8]) -> Result<Self, Error> {
        let text = || str::from_utf8(body).ok().filter(|body| body.len() <= MAX_NOTE_LEN).ok_or(Error::BadCheckpoint);
        match status {
            200 => {
                let lines = text()?;
                read_signature_lines(lines).map_err(|_| Error::BadCheckpoint)?;
                Ok(Self::Cosigned(lines.to_owned()))
            }
            409 if content_type == SIZE_TYPE => {
                let size = text()?.strip_suffix('\n').ok_or(Error::BadCheckpoint)?;
                let number: u64 = size.parse().map_err(|_| Error::BadCheckpoint)?;
                if number.to_string() == size { Ok(Self::Stale(number)) } else { Err(Error::BadCheckpoint) }
            }
            _ => Ok(Self::Refused(status)),
        }
    }

    /// The lines of `witness` that cosign the checkpoint, to be put behind it, if there is one not later than `latest`.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if a line of the witness does not verify, or there is none.
    pub fn cosignature(&self, note: &str, witness: &Witness, latest: u64) -> Result<String, Error> {
        let Self::Cosigned(lines) = self else { return Err(Error::BadCheckpoint) };
        let text = Note::parse(note.as_bytes()).map_err(|_| Error::BadCheckpoint)?.text();
        let together = format!("{text}\n{lines}");
        let together = Note::parse(together.as_bytes()).map_err(|_| Error::BadCheckpoint)?;
        witness.cosigned(&together, latest)?.ok_or(Error::BadCheckpoint)?;
        let own = together.lines_of(witness.name(), witness.key_id());
        Ok(own.map(|line| signature_line(line.name, line.id, &line.signature)).collect())
    }
}

#[cfg(test)]
mod tests;
