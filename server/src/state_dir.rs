//! The agency's directory: what lies where, who may read it, and how a file comes to be there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;
use veilmatch_protocol::name::{Epoch, ListId, Version};
use zeroize::Zeroizing;

use crate::Error;

const SERVING: &str = "serve.lock";

/// How often a start tries to take the server's lock, and after what time again: a command may be looking whether it is
/// held.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(10);

/// Paths inside an agency's directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory that `init` made.
    ///
    /// # Errors
    /// [`Error::NotInitialised`] if it holds no configuration.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let dir = Self { root: root.to_owned() };
        if dir.config().is_file() { Ok(dir) } else { Err(Error::NotInitialised { dir: root.to_owned() }) }
    }

    /// Makes the directory with its folders, readable by its owner alone. An empty one that exists is closed to others;
    /// one with other things in it is left as it is, since it may be somebody's home.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialised`] if it holds a configuration, [`Error::DirectoryMode`], [`Error::Io`].
    pub fn create(root: &Path) -> Result<Self, Error> {
        let dir = Self { root: root.to_owned() };
        if dir.config().exists() {
            return Err(Error::AlreadyInitialised { dir: root.to_owned() });
        }
        create_private_dir(root)?;
        close(root)?;
        for folder in [dir.keys(), dir.keys().join("oprf"), dir.root.join("lists"), dir.logs()] {
            create_private_dir(&folder)?;
        }
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

    /// The database of everything that the server serves and records.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("veilmatch.db")
    }

    /// The database of the list's entries in clear. The running server opens it to publish on schedule, and for nothing else.
    #[must_use]
    pub fn entries_database(&self) -> PathBuf {
        self.root.join("entries.db")
    }

    /// The folder of what an import has read so far: digests in clear. It is there while one runs, or was killed.
    #[must_use]
    pub fn staged(&self) -> PathBuf {
        self.root.join("staged")
    }

    /// The folder of keys and certificates.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The signing key of the manifest log.
    #[must_use]
    pub fn manifest_key(&self) -> PathBuf {
        self.keys().join("manifest-log.key")
    }

    /// The signing key of the query log.
    #[must_use]
    pub fn query_log_key(&self) -> PathBuf {
        self.keys().join("query-log.key")
    }

    /// The signing key of acknowledgements.
    #[must_use]
    pub fn ack_key(&self) -> PathBuf {
        self.keys().join("ack.key")
    }

    /// The key that cosigns the platforms' checkpoints.
    #[must_use]
    pub fn witness_key(&self) -> PathBuf {
        self.keys().join("witness.key")
    }

    /// The folder of the logs' files: `manifest/` and `query/<shard>/` below it.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The seeds of an epoch: destroying this file destroys the epoch's key.
    #[must_use]
    pub fn epoch_seed(&self, list: &ListId, epoch: Epoch) -> PathBuf {
        self.keys().join("oprf").join(format!("{list}-{}.seed", epoch.0))
    }

    /// The folder of a list's published files.
    #[must_use]
    pub fn list(&self, list: &ListId) -> PathBuf {
        self.root.join("lists").join(list.as_str())
    }

    /// The artifact of a version.
    #[must_use]
    pub fn artifact(&self, list: &ListId, version: Version) -> PathBuf {
        self.list(list).join(format!("{}.vml", version.0))
    }

    /// The delta that leads to a version.
    #[must_use]
    pub fn delta(&self, list: &ListId, version: Version) -> PathBuf {
        self.list(list).join(format!("{}.delta", version.0))
    }

    /// The code book of a version.
    #[must_use]
    pub fn code_book(&self, list: &ListId, version: Version) -> PathBuf {
        self.list(list).join(format!("{}.codebook", version.0))
    }

    /// A path from the configuration: absolute, or relative to this directory.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Takes the lock of commands that change lists, clients or keys. It is free again when the guard is dropped or the
    /// process ends, however it ends.
    ///
    /// # Errors
    /// [`Error::Busy`] if somebody holds it.
    pub fn lock_changes(&self) -> Result<DirLock, Error> {
        self.lock("change.lock")?.ok_or(Error::Busy)
    }

    /// Takes the lock of the running server.
    ///
    /// # Errors
    /// [`Error::AlreadyServing`] if somebody holds it.
    pub fn lock_serving(&self) -> Result<DirLock, Error> {
        for _ in 0..LOOKS {
            if let Some(lock) = self.lock(SERVING)? {
                return Ok(lock);
            }
            thread::sleep(LOOK);
        }
        Err(Error::AlreadyServing)
    }

    /// Whether a server runs, now. It takes that server's lock for an instant to see.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_serving(&self) -> Result<bool, Error> {
        Ok(self.lock(SERVING)?.is_none())
    }

    /// Waits for a lock that is held for moments.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn wait_for_lock(&self, name: &Path) -> Result<DirLock, Error> {
        let path = self.root.join(name);
        let file = lock_file(&path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|errno| Error::io("lock", &path)(errno.into()))?;
        Ok(DirLock { file })
    }

    fn lock(&self, name: &str) -> Result<Option<DirLock>, Error> {
        let path = self.root.join(name);
        let file = lock_file(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(DirLock { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::io("lock", &path)(errno.into())),
        }
    }
}

fn lock_file(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    opened.map_err(Error::io("open", path))
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

/// Makes a folder that its owner alone can enter; an existing one is kept.
///
/// # Errors
/// [`Error::Io`].
pub fn create_private_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

// Closes a folder that was there to everybody but its owner, if nothing is in it yet.
fn close(folder: &Path) -> Result<(), Error> {
    let read = |error| Error::io("read", folder)(error);
    let mode = fs::metadata(folder).map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if fs::read_dir(folder).map_err(read)?.next().is_some() {
        return Err(Error::DirectoryMode { path: folder.to_owned(), mode });
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(Error::io("close", folder))
}

/// Reads a key file, which its owner alone may read: ourselves, or root who put it there for us. Whoever owns a file can
/// change it, whatever its mode.
///
/// # Errors
/// [`Error::KeyFileMode`] if group or others have any right to it, [`Error::KeyFile`] if it belongs to another user,
/// [`Error::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let metadata = file.metadata().map_err(Error::io("read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::KeyFileMode { path: path.to_owned(), mode });
    }
    if !is_ours(metadata.uid()) {
        return Err(Error::KeyFile { path: path.to_owned(), why: "belongs to another user" });
    }
    // Reserved in one piece, so that no growth leaves a copy behind.
    let len = usize::try_from(metadata.len()).unwrap_or(0).min(1 << 20);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

fn is_ours(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// Writes a file readable by its owner alone, durably and in one step: it is there whole or it is not there.
///
/// # Errors
/// [`Error::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, 0o600)
}

/// Writes a file that others may read (a certificate, an invitation), durably and in one step.
///
/// # Errors
/// [`Error::Io`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_whole(path, bytes, 0o644)
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    prepare(path, bytes, mode)?.put_in_place()
}

/// Writes what [`write_private`] writes, all but its name: what can fail for want of space or rights has happened.
///
/// # Errors
/// [`Error::Io`].
pub fn prepare_private(path: &Path, bytes: &[u8]) -> Result<Prepared, Error> {
    prepare(path, bytes, 0o600)
}

/// A file on the disk that has not got its name yet, and is gone if it never gets it.
pub struct Prepared {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl Prepared {
    /// Gives it its name, in place of what had it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put_in_place(self) -> Result<(), Error> {
        let Self { temporary, path } = self;
        temporary.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        sync_dir(parent(&path))
    }
}

fn prepare(path: &Path, bytes: &[u8], mode: u32) -> Result<Prepared, Error> {
    let parent = parent(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(parent)
        .map_err(Error::io("write", path))?;
    temporary.write_all(bytes).map_err(Error::io("write", path))?;
    temporary.as_file().sync_all().map_err(Error::io("write", path))?;
    Ok(Prepared { temporary, path: path.to_owned() })
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::io("flush", path))
}

/// Overwrites and removes a key file. Absence is fine: the step may have been interrupted after the removal.
///
/// # Errors
/// [`Error::Io`].
pub fn destroy_secret(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            // A journalling or copying file system may keep old blocks; the unlink is what counts, this is what we can add.
            let len = file.metadata().map_err(Error::io("destroy", path))?.len();
            let zeros = vec![0; usize::try_from(len).unwrap_or(0).min(1 << 20)];
            file.write_all(&zeros).and_then(|()| file.sync_all()).map_err(Error::io("destroy", path))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("destroy", path)(error)),
    }
    fs::remove_file(path).map_err(Error::io("destroy", path))?;
    sync_dir(parent(path))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o610, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_secret(&path).unwrap_err();
            assert!(matches!(refused, Error::KeyFileMode { mode: found, .. } if found == mode), "{refused}");
        }
    }

    #[test]
    fn a_key_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        write_private(&path, b"secret").unwrap();
        // Only root can give a file away; everybody else is told by the rule alone.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1), None).unwrap();
            let refused = read_secret(&path).unwrap_err();
            assert_eq!(refused.reason(), "BAD_KEY_FILE");
            assert!(refused.to_string().contains("another user"), "{refused}");
        }
        let ourselves = rustix::process::geteuid().as_raw();
        assert!(is_ours(0) && is_ours(ourselves) && !is_ours(ourselves + 1));
    }

    #[test]
    fn a_directory_is_made_once_and_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("agency");
        assert_eq!(StateDir::open(&root).unwrap_err().reason(), "NOT_INITIALISED");
        let dir = StateDir::create(&root).unwrap();
        write_public(&dir.config(), b"").unwrap();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(StateDir::create(&root).unwrap_err().reason(), "ALREADY_INITIALISED");
        StateDir::open(&root).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_enter_is_closed_if_it_is_empty_and_refused_if_not() {
        // An existing directory kept its mode and the databases got the umask's: the list in clear could be read by all.
        let parent = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let root = parent.path().join(name);
            fs::create_dir(&root).unwrap();
            fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
            root
        };
        let empty = open("empty");
        StateDir::create(&empty).unwrap();
        assert_eq!(fs::metadata(&empty).unwrap().permissions().mode() & 0o777, 0o700);

        let home = open("home");
        fs::write(home.join("letter"), b"").unwrap();
        let refused = StateDir::create(&home).unwrap_err();
        assert_eq!(refused.reason(), "DIRECTORY_MODE");
        assert_eq!(refused.hint(), format!("chmod 700 {}, or choose another --dir", home.display()));
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(!home.join("keys").exists());
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        StateDir::create(&home).unwrap();
    }

    #[test]
    fn one_holder_at_a_time_has_a_lock() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::create(parent.path()).unwrap();
        let held = dir.lock_changes().unwrap();
        assert_eq!(dir.lock_changes().unwrap_err().reason(), "BUSY");
        let serving = dir.lock_serving().unwrap();
        assert!(dir.is_serving().unwrap());
        assert_eq!(dir.lock_serving().unwrap_err().reason(), "ALREADY_SERVING");
        drop((held, serving));
        assert!(!dir.is_serving().unwrap());
        dir.lock_changes().unwrap();
    }

    #[test]
    fn a_destroyed_key_is_gone_and_destroying_it_again_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.seed");
        write_private(&path, b"secret").unwrap();
        destroy_secret(&path).unwrap();
        assert!(!path.exists());
        destroy_secret(&path).unwrap();
    }
}
