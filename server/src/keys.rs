//! Key files: the signing key of the manifest log, and the seeds of each epoch.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand::{TryRng, rngs::SysRng};
use veilmatch_protocol::{
    name::{Epoch, ListId},
    oprf::SecretKey,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Error,
    state_dir::{read_secret, write_private},
};

/// First line of a signing key's file.
const SIGNING_KEY: &str = "veilmatch-signing-key/v1";

/// First line of an epoch's file.
const EPOCH_SEEDS: &str = "veilmatch-epoch-seeds/v1";

/// Fills an array from the operating system's generator. A key is drawn from nothing else.
///
/// # Errors
/// [`Error::Io`] if the generator fails: nothing goes on without randomness.
pub fn draw<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| {
        Error::io("draw random bytes from", Path::new("the operating system"))(std::io::Error::other(error))
    })?;
    Ok(bytes)
}

/// Draws a signing key and writes it.
///
/// # Errors
/// [`Error::Io`].
pub fn create_signing_key(path: &Path) -> Result<SigningKey, Error> {
    let secret = draw::<32>()?;
    write_secret_file(path, SIGNING_KEY, secret.as_slice())?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Reads a signing key.
///
/// # Errors
/// [`Error::KeyFileMode`], [`Error::KeyFile`], [`Error::Io`].
pub fn read_signing_key(path: &Path) -> Result<SigningKey, Error> {
    Ok(SigningKey::from_bytes(&*read_secret_file::<32>(path, SIGNING_KEY)?))
}

/// What an epoch's secrets follow from: the key's seed and, independent of it, the dummies' seed, so that one can be
/// shown to a certifier without the other.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochSeeds {
    key: [u8; 32],
    dummies: [u8; 32],
}

impl EpochSeeds {
    /// Draws fresh seeds and writes them. A leftover of a command that was killed before it recorded the epoch is
    /// replaced: no key was ever published from it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: &Path) -> Result<Self, Error> {
        let drawn = draw::<64>()?;
        write_secret_file(path, EPOCH_SEEDS, drawn.as_slice())?;
        Ok(Self::from_bytes(&drawn))
    }

    /// Reads an epoch's seeds.
    ///
    /// # Errors
    /// [`Error::KeyFileMode`], [`Error::KeyFile`], [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self::from_bytes(&*read_secret_file::<64>(path, EPOCH_SEEDS)?))
    }

    fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut key, mut dummies) = ([0; 32], [0; 32]);
        key.copy_from_slice(&bytes[..32]);
        dummies.copy_from_slice(&bytes[32..]);
        Self { key, dummies }
    }

    /// The evaluation key.
    ///
    /// # Errors
    /// [`Error::Protocol`], which nobody will see.
    pub fn secret_key(&self, list: &ListId, epoch: Epoch) -> Result<SecretKey, Error> {
        Ok(SecretKey::for_epoch(&self.key, list, epoch)?)
    }

    /// The seed of the dummy records.
    #[must_use]
    pub fn dummies(&self) -> &[u8; 32] {
        &self.dummies
    }
}

fn write_secret_file(path: &Path, head: &str, secret: &[u8]) -> Result<(), Error> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(head);
    text.push('\n');
    STANDARD.encode_string(secret, &mut text);
    text.push('\n');
    write_private(path, text.as_bytes())
}

fn read_secret_file<const N: usize>(path: &Path, head: &str) -> Result<Zeroizing<[u8; N]>, Error> {
    let wrong = |why| Error::KeyFile { path: path.to_owned(), why };
    let bytes = read_secret(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not text"))?;
    let (found, body) = text.split_once('\n').ok_or(wrong("has no second line"))?;
    if found != head {
        return Err(wrong("is of another kind"));
    }
    let decoded = Zeroizing::new(STANDARD.decode(body.trim_end()).map_err(|_| wrong("is not base64"))?);
    let mut secret = Zeroizing::new([0; N]);
    if decoded.len() != N {
        return Err(wrong("has another length"));
    }
    secret.copy_from_slice(&decoded);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_as_they_were_made() {
        let dir = tempfile::tempdir().unwrap();
        let (signing, seeds) = (dir.path().join("a.key"), dir.path().join("b.seed"));
        let made = create_signing_key(&signing).unwrap();
        assert_eq!(read_signing_key(&signing).unwrap().to_bytes(), made.to_bytes());

        let list = ListId::parse("baseline").unwrap();
        let made = EpochSeeds::create(&seeds).unwrap();
        let read = EpochSeeds::read(&seeds).unwrap();
        let public = |seeds: &EpochSeeds| *seeds.secret_key(&list, Epoch(1)).unwrap().public().as_bytes();
        assert_eq!(public(&made), public(&read));
        assert_eq!(made.dummies(), read.dummies());
        assert_ne!(made.dummies(), &made.key);
    }

    #[test]
    fn a_file_of_another_kind_or_length_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        let cases: [&[u8]; 5] = [
            b"",
            b"veilmatch-signing-key/v1",
            b"veilmatch-signing-key/v1\nAAAA\n",
            b"veilmatch-signing-key/v1\n!\n",
            b"veilmatch-epoch-seeds/v1\nAAAA\n",
        ];
        for case in cases {
            write_private(&path, case).unwrap();
            assert_eq!(read_signing_key(&path).unwrap_err().reason(), "BAD_KEY_FILE");
        }
    }
}
