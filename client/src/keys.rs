//! The platform's signing keys: each in a file of its own, made at `init`, wiped from memory when it is dropped.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::{
    Error,
    state_dir::{StateDir, read_secret, write_private},
};

/// What this platform signs with (SPEC §17.2). One key for one purpose.
pub(crate) struct Keys {
    /// Requests, and the enrolment.
    pub(crate) request: SigningKey,
    /// Checkpoints of the match log.
    pub(crate) match_log: SigningKey,
    /// Receipts and closing statements.
    pub(crate) receipt: SigningKey,
    /// Cosignatures of the agency's checkpoints.
    pub(crate) witness: SigningKey,
}

impl Keys {
    /// Makes all of them, in files that only the owner can read.
    pub(crate) fn make(dir: &StateDir) -> Result<Self, Error> {
        Ok(Self {
            request: make(&dir.request_key())?,
            match_log: make(&dir.match_log_key())?,
            receipt: make(&dir.receipt_key())?,
            witness: make(&dir.witness_key())?,
        })
    }

    /// Reads what `init` made.
    pub(crate) fn read(dir: &StateDir) -> Result<Self, Error> {
        Ok(Self {
            request: read(&dir.request_key())?,
            match_log: read(&dir.match_log_key())?,
            receipt: read(&dir.receipt_key())?,
            witness: read(&dir.witness_key())?,
        })
    }
}

fn make(path: &Path) -> Result<SigningKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(seed.as_mut_slice())
        .map_err(|error| Error::io("draw random bytes for", path)(std::io::Error::other(error)))?;
    write_private(path, Zeroizing::new(STANDARD.encode(seed.as_slice()) + "\n").as_bytes())?;
    Ok(SigningKey::from_bytes(&seed))
}

fn read(path: &Path) -> Result<SigningKey, Error> {
    let wrong = || Error::KeyFile { path: path.to_owned(), why: "is not 32 bytes of base64" };
    let text = read_secret(path)?;
    let seed = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| wrong())?);
    Ok(SigningKey::from_bytes(seed.as_slice().try_into().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_purpose_has_a_key_of_its_own_that_only_the_owner_reads() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::create(root.path()).unwrap();
        let made = Keys::make(&dir).unwrap();
        let Keys { request, match_log, receipt, witness } = Keys::read(&dir).unwrap();
        let all = [&request, &match_log, &receipt, &witness].map(|key| key.verifying_key().to_bytes());
        assert_eq!(all[0], made.request.verifying_key().to_bytes());
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one));
        }
        for file in std::fs::read_dir(dir.keys()).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
