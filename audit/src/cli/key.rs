//! The auditor's report key.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand::{TryRng, rngs::SysRng};
use veilmatch_protocol::note::Verifier;
use zeroize::Zeroizing;

use super::Failure;

/// First word of a key file, as in C2SP's note keys.
const PREFIX: &str = "PRIVATE+KEY+";

/// Makes a key, readable for its owner alone; gives the verifier key that others pin.
pub(super) fn make(name: &str, file: &Path) -> Result<String, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(&mut *seed).map_err(|error| Failure::file(file, std::io::Error::other(error)))?;
    let key = SigningKey::from_bytes(&seed);
    let verifier = verifier(name, &key)?;
    let text = Zeroizing::new(format!("{PREFIX}{name}+{}\n", STANDARD.encode(*seed)));
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| Failure::file(file, error))?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(|error| Failure::file(file, error))?;
    Ok(format!("{verifier}\n"))
}

/// Reads a key file: the name and the key.
pub(super) fn read(file: &Path) -> Result<(String, SigningKey), Failure> {
    let text = Zeroizing::new(fs::read_to_string(file).map_err(|error| Failure::file(file, error))?);
    let given =
        || Failure::Given { what: "report key", value: file.display().to_string(), why: "is not one of `new-key`" };
    let (name, seed) = text.trim_end().strip_prefix(PREFIX).and_then(|rest| rest.split_once('+')).ok_or_else(given)?;
    let seed = Zeroizing::new(STANDARD.decode(seed).map_err(|_| given())?);
    let key = SigningKey::try_from(&seed[..]).map_err(|_| given())?;
    verifier(name, &key)?;
    Ok((name.to_owned(), key))
}

fn verifier(name: &str, key: &SigningKey) -> Result<Verifier, Failure> {
    let given =
        |_| Failure::Given { what: "key name", value: name.to_owned(), why: "is empty or has blanks or a plus sign" };
    Verifier::new(name, key.verifying_key()).map_err(given)
}
