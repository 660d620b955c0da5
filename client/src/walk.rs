//! Walks a folder in a fixed order, from its beginning or from where an earlier walk stood.
//!
//! Names are visited in the order of their bytes, a folder's content where the folder stands. So the last path visited
//! says everything about what was visited before it, and a walk needs no other memory to go on.

use std::{
    collections::{BinaryHeap, VecDeque},
    ffi::{OsStr, OsString},
    fs::{self, DirEntry, FileType},
    io,
    os::unix::fs::{DirEntryExt, FileTypeExt, MetadataExt},
    path::{Component, Path, PathBuf},
};

use crate::digest::{Links, Unread};

/// Most names of one folder held at a time. A larger folder is read again for the next ones, so that memory stays
/// bounded whatever the folder holds.
const NAMES: usize = 65_536;

/// What a walk finds.
#[derive(Debug)]
pub enum Found {
    /// A regular file, when its folder was listed, and how to open it.
    File(PathBuf, Links),
    /// Something that cannot be checked, or a folder that cannot be listed.
    Unread(PathBuf, Unread),
    /// Something of ours, such as the very file that the results go to: passed over.
    Own(PathBuf),
}

/// A file or folder by identity, whatever path leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of what stands at a path.
    ///
    /// # Errors
    /// When nothing does, or nobody may look.
    pub fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// From the numbers that the system gives for an open file.
    #[must_use]
    pub fn new(device: u64, inode: u64) -> Self {
        Self { device, inode }
    }
}

/// An iterator over everything below a path. Nothing ends it early: what cannot be visited is found as unread.
pub struct Walk {
    levels: Vec<Level>,
    own: Vec<Identity>,
    limit: usize,
    // Found already: the root itself, where it is no folder.
    next: Option<Found>,
}

/// A folder being visited.
struct Level {
    folder: PathBuf,
    // The next names, ascending.
    names: Names,
    // Whether there are more after these.
    more: bool,
    // Why there are none after these, though there should be. Told when the folder is left, so that everything at or
    // before the path told last was found.
    failed: Option<Unread>,
    // On the way back to where an earlier walk stood: the names still to go down, the next one first.
    way: VecDeque<OsString>,
}

/// Names of a folder with what they were, and their inodes, when it was listed.
type Names = VecDeque<(OsString, io::Result<FileType>, u64)>;

impl Walk {
    /// Everything at and below `root`, but what is our own. A root that is a symbolic link is followed.
    #[must_use]
    pub fn new(root: &Path, own: Vec<Identity>) -> Self {
        Self::start(root, own, VecDeque::new(), NAMES)
    }

    /// What a walk of the same root would find after `cursor`, the last path that one found. It need not exist any more.
    #[must_use]
    pub fn after(root: &Path, own: Vec<Identity>, cursor: &Path) -> Self {
        let below = cursor.strip_prefix(root).unwrap_or(Path::new(""));
        let way: VecDeque<OsString> = below
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_owned()),
                _ => None,
            })
            .collect();
        if way.is_empty() {
            // The root was all there was to find.
            return Self { levels: Vec::new(), own, limit: NAMES, next: None };
        }
        Self::start(root, own, way, NAMES)
    }

    fn start(root: &Path, own: Vec<Identity>, way: VecDeque<OsString>, limit: usize) -> Self {
        let mut walk = Self { levels: Vec::new(), own, limit, next: None };
        walk.next = match root.metadata() {
            Ok(metadata) if metadata.is_dir() => walk.descend(root.to_owned(), way),
            Ok(metadata) => Some(file(root.to_owned(), metadata.file_type(), Links::Follow)),
            Err(error) => Some(Found::Unread(root.to_owned(), error.into())),
        };
        walk
    }

    /// Enters a folder; gives what is found instead, if it cannot be listed.
    fn descend(&mut self, folder: PathBuf, way: VecDeque<OsString>) -> Option<Found> {
        // The last name on the way was found already; those before it are folders to go through once more.
        let after = way.front().map(|name| After { name, inclusive: way.len() > 1 });
        match list(&folder, after, self.limit) {
            Ok((names, more)) => {
                self.levels.push(Level { folder, names, more, failed: None, way });
                None
            }
            Err(error) => Some(Found::Unread(folder, error.into())),
        }
    }

    fn visit(&mut self, name: OsString, kind: io::Result<FileType>, inode: u64) -> Option<Found> {
        let level = self.levels.last_mut().expect("visited from a level");
        let path = level.folder.join(&name);
        let mut way = std::mem::take(&mut level.way);
        let kind = match kind {
            Ok(kind) => kind,
            Err(error) => return Some(Found::Unread(path, error.into())),
        };
        // The inode comes with the listing; the device is asked for only where the inode is the same.
        if self.own.iter().any(|own| own.inode == inode) && Identity::of(&path).is_ok_and(|it| self.own.contains(&it)) {
            return Some(Found::Own(path));
        }
        if !kind.is_dir() {
            return Some(file(path, kind, Links::Refuse));
        }
        // Only the first name visited can stand on the way; after it, every folder is entered from its beginning.
        if way.pop_front().is_none_or(|first| first != name) {
            way.clear();
        }
        self.descend(path, way)
    }

    /// The next name of the innermost folder, reading that folder further where what was held of it ends.
    fn step(&mut self) -> Step {
        let Some(level) = self.levels.last_mut() else { return Step::End };
        let Some(entry) = level.names.pop_front() else {
            let level = self.levels.pop().expect("looked at above");
            return level.failed.map_or(Step::Left, |unread| Step::Found(Found::Unread(level.folder, unread)));
        };
        if level.names.is_empty() && level.more {
            let after = After { name: &entry.0, inclusive: false };
            match list(&level.folder, Some(after), self.limit) {
                Ok((names, more)) => (level.names, level.more) = (names, more),
                Err(error) => (level.failed, level.more) = (Some(error.into()), false),
            }
        }
        Step::Entry(entry)
    }
}

enum Step {
    Entry((OsString, io::Result<FileType>, u64)),
    Found(Found),
    Left,
    End,
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if self.next.is_some() {
            return self.next.take();
        }
        loop {
            let found = match self.step() {
                Step::Entry((name, kind, inode)) => self.visit(name, kind, inode),
                Step::Found(found) => Some(found),
                Step::Left => None,
                Step::End => return None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

fn file(path: PathBuf, kind: FileType, links: Links) -> Found {
    let special = kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device();
    if kind.is_symlink() {
        Found::Unread(path, Unread::Symlink)
    } else if special {
        Found::Unread(path, Unread::NotAFile)
    } else {
        // Also what a filesystem has no word for: the digester looks again.
        Found::File(path, links)
    }
}

#[derive(Clone, Copy)]
struct After<'a> {
    name: &'a OsStr,
    inclusive: bool,
}

impl After<'_> {
    fn admits(self, name: &OsStr) -> bool {
        name > self.name || self.inclusive && name == self.name
    }
}

/// The first `limit` names of a folder after a name, ascending, and whether there are more.
fn list(folder: &Path, after: Option<After<'_>>, limit: usize) -> io::Result<(Names, bool)> {
    let mut first: BinaryHeap<Name> = BinaryHeap::new();
    let mut more = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if after.is_some_and(|after| !after.admits(&name)) {
            continue;
        }
        if first.len() == limit {
            more = true;
            if first.peek().is_some_and(|last| last.name < name) {
                continue;
            }
            first.pop();
        }
        first.push(Name { name, entry });
    }
    let names = first.into_sorted_vec().into_iter();
    Ok((names.map(|Name { name, entry }| (name, entry.file_type(), entry.ino())).collect(), more))
}

/// An entry ordered by its name.
struct Name {
    name: OsString,
    entry: DirEntry,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

#[cfg(test)]
mod tests;
