//! The platform's directory: what lies where, who may read it, and how a file comes to be there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use veilmatch_protocol::{
    manifest::Hash,
    name::{AgencyName, Epoch, ListId, Version},
};
use zeroize::Zeroizing;

use crate::Error;

/// Paths inside a platform's directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory that `init` made.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], [`Error::DirectoryMode`] if others may enter it.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let dir = Self { root: root.to_owned() };
        if !dir.config().is_file() {
            return Err(Error::NotInitialised { dir: root.to_owned() });
        }
        let mode = fs::metadata(root).map_err(Error::io("read", root))?.permissions().mode() & 0o7777;
        if mode & 0o077 == 0 { Ok(dir) } else { Err(Error::DirectoryMode { path: root.to_owned(), mode }) }
    }

    /// Makes the directory with its folders, readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialised`] if it holds a configuration, [`Error::Io`].
    pub fn create(root: &Path) -> Result<Self, Error> {
        let dir = Self { root: root.to_owned() };
        if dir.config().exists() {
            return Err(Error::AlreadyInitialised { dir: root.to_owned() });
        }
        for folder in [dir.root.clone(), dir.keys(), dir.root.join("lists"), dir.evidence()] {
            create_private_dir(&folder)?;
        }
        // The directory may have been there before, with other rights.
        fs::set_permissions(root, fs::Permissions::from_mode(0o700)).map_err(Error::io("change the mode of", root))?;
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration. Written last by `init`, so its presence means that the directory is whole.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The request file that goes to the agency.
    #[must_use]
    pub fn request(&self) -> PathBuf {
        self.root.join("request.json")
    }

    /// What `join` took over from the invitation.
    #[must_use]
    pub fn invitation(&self) -> PathBuf {
        self.root.join("invitation.json")
    }

    /// The folder of keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The private key of the TLS certificate.
    #[must_use]
    pub fn tls_key(&self) -> PathBuf {
        self.keys().join("tls.key.pem")
    }

    /// The key that signs requests.
    #[must_use]
    pub fn request_key(&self) -> PathBuf {
        self.keys().join("request.key")
    }

    /// The key that signs checkpoints of the match log.
    #[must_use]
    pub fn match_log_key(&self) -> PathBuf {
        self.keys().join("match-log.key")
    }

    /// The key that signs receipts and closing statements.
    #[must_use]
    pub fn receipt_key(&self) -> PathBuf {
        self.keys().join("receipt.key")
    }

    /// The key that cosigns the agency's checkpoints.
    #[must_use]
    pub fn witness_key(&self) -> PathBuf {
        self.keys().join("witness.key")
    }

    /// The key that the keys of openings are sealed with: without this file no record of a match opens any more.
    #[must_use]
    pub fn openings_key(&self) -> PathBuf {
        self.keys().join("openings.key")
    }

    /// Whose cosignatures the agency's manifest log must have.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.root.join("policy.txt")
    }

    /// The files of the match log of an agency: a folder for each of its shards.
    #[must_use]
    pub fn match_logs(&self, agency: &AgencyName) -> PathBuf {
        self.root.join("logs").join("match").join(agency.as_str())
    }

    /// The key that seals the results of an epoch: destroying this file destroys them.
    #[must_use]
    pub fn results_key(&self, list: &ListId, epoch: Epoch) -> PathBuf {
        self.keys().join(format!("results-{list}-{}.key", epoch.0))
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// The folder of a list's files.
    #[must_use]
    pub fn list(&self, list: &ListId) -> PathBuf {
        self.root.join("lists").join(list.as_str())
    }

    /// The artifact of a version.
    #[must_use]
    pub fn artifact(&self, list: &ListId, version: Version) -> PathBuf {
        self.list(list).join(format!("{}.vml", version.0))
    }

    /// A code book of a list. Versions come and go, and most name the one of the version before: it is called by its digest.
    #[must_use]
    pub fn code_book(&self, list: &ListId, sha256: &Hash) -> PathBuf {
        self.list(list).join(format!("{}.codebook", hex::encode(sha256.0)))
    }

    /// The folder where frames and manifests that did not verify are kept.
    #[must_use]
    pub fn evidence(&self) -> PathBuf {
        self.root.join("evidence")
    }

    /// Takes the directory for this process; free again when the guard is dropped or the process ends.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process has it.
    pub fn lock(&self) -> Result<DirLock, Error> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy { dir: self.root.clone() }),
            Err(errno) => Err(Error::io("lock", &path)(errno.into())),
        }
    }
}

/// A held lock.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that another thread is just starting holds a copy until it runs.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Makes a folder with mode 0700, and its parents.
///
/// # Errors
/// [`Error::Io`].
pub fn create_private_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

/// Writes a file with mode 0600 under a temporary name, syncs it and renames it into place.
///
/// # Errors
/// [`Error::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", &temporary))?;
    rename_synced(&temporary, path)
}

/// Renames a synced file into place and syncs the folder, so that the name survives a loss of power.
///
/// # Errors
/// [`Error::Io`].
pub fn rename_synced(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("rename", from))?;
    let folder = to.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

/// Removes a file; one that is gone already is as good.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Reads a secret file that nobody else can read.
///
/// # Errors
/// [`Error::KeyFileMode`] if group or others have any right to it, [`Error::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mode = file.metadata().map_err(Error::io("read", path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::KeyFileMode { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1_024));
    Read::by_ref(&mut file).take(64 * 1_024).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read_secret(&path), Err(Error::KeyFileMode { mode: found, .. }) if found == mode));
        }
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = StateDir::create(dir.path()).unwrap();
        write_private(&state.config(), b"").unwrap();
        assert!(StateDir::open(dir.path()).is_ok(), "init closes it");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o710)).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(Error::DirectoryMode { mode: 0o710, .. })));
    }

    #[test]
    fn a_second_process_finds_the_directory_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path()).unwrap();
        let lock = state.lock().unwrap();
        assert!(matches!(state.lock(), Err(Error::Busy { .. })));
        drop(lock);
        assert!(state.lock().is_ok());
    }
}
