//! A walk through folders in one fixed order, so that a scan can go on where it stopped.
//!
//! Entries of a folder come by the bytes of their names, and what lies in a folder comes in its place. Memory holds the
//! names of the folders that are open, not of the tree.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::digest::Unreadable;

/// What the walk met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// Something that is not a folder; whether it is a readable file shows when it is opened.
    File(PathBuf),
    /// A folder that could not be read. What lies in it is *not checked*.
    Unreadable(PathBuf, Unreadable),
}

impl Met {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Unreadable(path, _) => path,
        }
    }
}

/// The walk. Symbolic links are met as files and not followed.
pub struct Walk {
    // Each open folder with its names that are still to come, the next one last.
    open: Vec<(PathBuf, Vec<OsString>)>,
    next: Option<Met>,
    root: PathBuf,
    after: Option<PathBuf>,
}

impl Walk {
    /// A walk through a folder, or past one file.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self::after(root, None)
    }

    /// The part of the walk that comes after a path that it met before; that path need not exist any more.
    #[must_use]
    pub fn after(root: &Path, last: Option<&Path>) -> Self {
        let mut walk = Self { open: Vec::new(), next: None, root: root.to_owned(), after: last.map(Path::to_owned) };
        walk.next = walk.enter(root.to_owned());
        walk
    }

    // Opens a folder; gives what is to be reported instead if it is none, or cannot be read.
    fn enter(&mut self, path: PathBuf) -> Option<Met> {
        let kind = if path == self.root { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        match kind {
            Ok(kind) if !kind.is_dir() => return Some(Met::File(path)),
            Ok(_) => {}
            Err(error) => return Some(Met::Unreadable(path, error.into())),
        }
        let names = fs::read_dir(&path).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>()
        });
        match names {
            Ok(mut names) => {
                names.sort_unstable_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
                self.open.push((path, names));
                None
            }
            Err(error) => Some(Met::Unreadable(path, error.into())),
        }
    }

    // Whether everything at or below this path was met before the cursor, the cursor included.
    fn is_past(&self, path: &Path) -> bool {
        let Some(last) = &self.after else { return false };
        let (path, last) = (path.components(), last.components());
        path.clone().cmp(last.clone()) != std::cmp::Ordering::Greater && !last.take(path.clone().count()).eq(path)
    }
}

impl Iterator for Walk {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        loop {
            if let Some(met) = self.next.take()
                && self.after.as_deref() != Some(met.path())
            {
                return Some(met);
            }
            let (folder, names) = self.open.last_mut()?;
            let Some(name) = names.pop() else {
                self.open.pop();
                continue;
            };
            let path = folder.join(name);
            if !self.is_past(&path) {
                self.next = self.enter(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in ["b/2", "b/1/z", "b/1/a", "b.txt", "a", "c/d/e/f", "b-/x"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("c/loop")).unwrap();
        dir
    }

    fn names(walk: Walk, dir: &tempfile::TempDir) -> Vec<String> {
        walk.map(|met| met.path().strip_prefix(dir.path()).unwrap().display().to_string()).collect()
    }

    const ORDER: [&str; 8] = ["a", "b/1/a", "b/1/z", "b/2", "b-/x", "b.txt", "c/d/e/f", "c/loop"];

    #[test]
    fn a_tree_is_walked_in_one_order_and_links_are_not_followed() {
        let dir = tree();
        assert_eq!(names(Walk::new(dir.path()), &dir), ORDER);
    }

    #[test]
    fn a_walk_goes_on_after_any_path_even_if_it_is_gone() {
        let dir = tree();
        for (at, name) in ORDER.iter().enumerate() {
            let cursor = dir.path().join(name);
            assert_eq!(names(Walk::after(dir.path(), Some(&cursor)), &dir), ORDER[at + 1..], "after {name}");
        }
        fs::remove_file(dir.path().join("b/1/z")).unwrap();
        assert_eq!(names(Walk::after(dir.path(), Some(&dir.path().join("b/1/z"))), &dir), ORDER[3..]);
        fs::remove_dir_all(dir.path().join("b/1")).unwrap();
        assert_eq!(names(Walk::after(dir.path(), Some(&dir.path().join("b/1/z"))), &dir), ORDER[3..]);
    }

    #[test]
    fn one_file_and_a_missing_root_are_met_as_such() {
        let dir = tree();
        let file = dir.path().join("a");
        assert_eq!(Walk::new(&file).collect::<Vec<_>>(), [Met::File(file)]);
        let gone = dir.path().join("gone");
        assert_eq!(Walk::new(&gone).collect::<Vec<_>>(), [Met::Unreadable(gone, Unreadable::Vanished)]);
    }
}
