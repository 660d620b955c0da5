//! A platform's directory opened for one command: the client, the list that was meant, what to pass over.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use veilmatch_protocol::{item::Kind, name::ListId};

use super::failure::Failure;
use crate::{Client, Error, walk::Identity};

/// What a command that checks something works with.
pub struct Session {
    /// The client.
    pub client: Client,
    /// The list.
    pub list: ListId,
    /// The kinds of its digests.
    pub kinds: Vec<Kind>,
}

impl Session {
    /// Opens the directory and finds the list: the named one, or the only one.
    pub fn open(dir: &Path, list: Option<ListId>) -> Result<Self, Failure> {
        let client = Client::open(dir)?;
        let list = which(&client, list)?;
        let kinds = client.kinds(&list);
        if kinds.is_empty() {
            return Err(Error::NoVersion { list: list.to_string(), dir: dir.to_owned() }.into());
        }
        Ok(Self { client, list, kinds })
    }
}

/// The named list, or the only one.
pub fn which(client: &Client, list: Option<ListId>) -> Result<ListId, Failure> {
    let lists = client.lists();
    match list {
        Some(list) if lists.contains(&list) => Ok(list),
        Some(list) => Err(Error::UnknownList { list: list.to_string() }.into()),
        None if lists.len() == 1 => Ok(lists.into_iter().next().expect("there is one")),
        None => Err(Failure::WhichList { lists }),
    }
}

/// What a walk passes over: the platform's directory, and the files that this command writes.
pub fn own(dir: &Path, out: Option<&Path>) -> Vec<Identity> {
    let paths = [Some(dir), out].into_iter().flatten();
    paths.filter_map(|path| Identity::of(path).ok()).chain(stdout_file()).collect()
}

/// Standard output, where it goes to a file.
fn stdout_file() -> Option<Identity> {
    let stat = fstat(std::io::stdout()).ok()?;
    // The widths of these fields differ between systems.
    #[allow(clippy::unnecessary_cast)]
    let identity = Identity::new(stat.st_dev as u64, stat.st_ino as u64);
    (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(identity)
}

/// The directory of `--dir`, or the one that the environment suggests.
pub fn directory(dir: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    dir.or_else(|| absolute("XDG_STATE_HOME").map(|state| state.join("veilmatch")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/veilmatch")))
        .ok_or(Failure::NoHome)
}
