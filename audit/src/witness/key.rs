//! The file with a witness's key, in the form of Go's signed notes: `PRIVATE+KEY+<name>+<id>+<base64(type ‖ seed)>`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use veilmatch_protocol::note;
use zeroize::Zeroizing;

use crate::cosignature::{COSIGNATURE, Cosigner, Witness};

const PREFIX: &str = "PRIVATE+KEY+";

/// Longest key file that is read.
const MAX_LEN: u64 = 1_024;

/// Writes the key of a new witness to a file that is not there yet, for its owner alone.
///
/// # Errors
/// If the name cannot be one, or the file is there or cannot be written.
pub fn create(path: &Path, name: &str, seed: &Zeroizing<[u8; 32]>) -> io::Result<Witness> {
    let key = SigningKey::from_bytes(seed);
    let witness = Witness::new(name, key.verifying_key()).map_err(|_| invalid("the name has blanks or a plus sign"))?;
    let bytes = Zeroizing::new([&[COSIGNATURE][..], &seed[..]].concat());
    let encoded = Zeroizing::new(STANDARD.encode(&*bytes));
    let id = u32::from_be_bytes(witness.key_id());
    let text = Zeroizing::new(format!("{PREFIX}{name}+{id:08x}+{}\n", *encoded));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()?;
    Ok(witness)
}

/// Reads the key of a witness.
///
/// # Errors
/// If the file cannot be read, others than its owner may read it, or it is not such a key.
pub fn read(path: &Path) -> io::Result<Cosigner> {
    let found = fs::metadata(path)?;
    if found.mode() & 0o077 != 0 {
        return Err(invalid("others may read it: chmod 600"));
    }
    if !found.is_file() || found.len() > MAX_LEN {
        return Err(invalid("it is not the key of a witness"));
    }
    let text = Zeroizing::new(fs::read_to_string(path)?);
    parse(text.trim_end_matches('\n')).ok_or_else(|| invalid("it is not the key of a witness"))
}

fn parse(text: &str) -> Option<Cosigner> {
    let mut parts = text.strip_prefix(PREFIX)?.splitn(3, '+');
    let (name, id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (kind, seed) = bytes.split_first()?;
    let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).ok()?);
    let key = SigningKey::from_bytes(&seed);
    let known = note::key_id(name, COSIGNATURE, key.verifying_key().as_bytes());
    let right = *kind == COSIGNATURE && format!("{:08x}", u32::from_be_bytes(known)) == id;
    Cosigner::new(name, key).ok().filter(|_| right)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn seed() -> Zeroizing<[u8; 32]> {
        Zeroizing::new([7; 32])
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_written_over() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("witness.key");
        let witness = create(&path, "w.example/a", &seed()).unwrap();
        assert_eq!(read(&path).unwrap().witness(), witness);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(create(&path, "w.example/a", &seed()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(create(&dir.path().join("other"), "two words", &seed()).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("witness.key");
        create(&path, "w.example/a", &seed()).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            String::new(),
            good.replace("PRIVATE", "PUBLIC"),
            good.replace("w.example/a", "w.example/b"),
            good.replace("+B", "+A"),
            good[..good.len() - 8].to_owned(),
            "x".repeat(2_000),
        ] {
            fs::write(&path, bad).unwrap();
            assert!(read(&path).is_err());
        }
        fs::write(&path, good).unwrap();
        assert!(read(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).is_err());
    }
}
