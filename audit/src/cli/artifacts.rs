//! The published files that are at hand, mapped: `<list>/<version>.artifact`, `.delta`, `.codes`.

use std::{collections::HashMap, fs, path::Path};

use mmap_guard::FileData;

use super::Failure;
use crate::reconcile::Artifacts;

/// Files of a folder by list, version and kind.
#[derive(Default)]
pub(super) struct Folder(HashMap<(String, u32, String), FileData>);

impl Folder {
    /// Maps what is there.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let mut files = HashMap::new();
        for list in read_dir(dir)? {
            if !list.is_dir() {
                continue;
            }
            for file in read_dir(&list)? {
                let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
                let (list, kind) = (text(list.file_name()), text(file.extension()));
                let version = text(file.file_stem()).and_then(|stem| stem.parse().ok());
                let (Some(list), Some(kind), Some(version)) = (list, kind, version) else { continue };
                let data = mmap_guard::map_file(&file).map_err(|error| Failure::file(&file, error))?;
                files.insert((list, version, kind), data);
            }
        }
        Ok(Self(files))
    }

    fn of(&self, list: &str, version: u32, kind: &str) -> Option<&[u8]> {
        self.0.get(&(list.to_owned(), version, kind.to_owned())).map(|data| &**data)
    }
}

impl Artifacts for Folder {
    fn artifact(&self, list: &str, version: u32) -> Option<&[u8]> {
        self.of(list, version, "artifact")
    }

    fn delta(&self, list: &str, version: u32) -> Option<&[u8]> {
        self.of(list, version, "delta")
    }

    fn code_book(&self, list: &str, version: u32) -> Option<&[u8]> {
        self.of(list, version, "codes")
    }
}

fn read_dir(dir: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| Failure::file(dir, error))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| Failure::file(dir, error))).collect()
}
