//! What a path means: a checkpoint, a tile or a bundle of entries of one log. Nothing else is a path, and no file's name
//! comes from the request.

use std::path::PathBuf;

use veilmatch_audit::{origin::Shard, tile::TilePath};

use crate::state_dir::StateDir;

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    // None: the manifest log.
    shard: Option<Shard>,
    // None: the checkpoint.
    tile: Option<TilePath>,
}

impl Place {
    /// `/manifest/…` or `/query/<shard>/…`, in the one spelling that each has.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (shard, rest) = match path.split_once('/')? {
            ("manifest", rest) => (None, rest),
            ("query", rest) => {
                let (shard, rest) = rest.split_once('/')?;
                (Some(shard.parse().ok()?), rest)
            }
            _ => return None,
        };
        let tile = if rest == "checkpoint" { None } else { Some(rest.parse().ok()?) };
        Some(Self { shard, tile })
    }

    /// Whether auditors alone may read it: the entries of the query log.
    pub(super) fn is_restricted(&self) -> bool {
        self.shard.is_some() && matches!(self.tile, Some(TilePath::Entries(_)))
    }

    /// Whether it changes: the checkpoint alone does.
    pub(super) fn changes(&self) -> bool {
        self.tile.is_none()
    }

    /// Where it is.
    pub(super) fn file(&self, dir: &StateDir) -> PathBuf {
        let log = match self.shard {
            None => dir.logs().join("manifest"),
            Some(shard) => dir.logs().join("query").join(shard.to_string()),
        };
        log.join(self.tile.map_or_else(|| "checkpoint".to_owned(), |tile| tile.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_the_logs_are_understood_and_no_others() {
        // SPEC §20.1
        for (path, restricted) in [
            ("/manifest/checkpoint", false),
            ("/manifest/tile/0/000.p/3", false),
            ("/manifest/tile/entries/x001/x234/067", false),
            ("/query/2026h2/checkpoint", false),
            ("/query/2026h2.2/tile/1/000", false),
            ("/query/2026h2/tile/entries/000.p/7", true),
        ] {
            assert_eq!(Place::parse(path).unwrap().is_restricted(), restricted, "{path}");
        }
        for path in [
            "",
            "/",
            "/manifest",
            "/manifest/",
            "/manifest//checkpoint",
            "/manifest/checkpoint/",
            "/manifest/../checkpoint",
            "/manifest/tile/0/../../checkpoint",
            "/manifest/.drafts/x",
            "/manifest/%63heckpoint",
            "/manifest/tile/0/0",
            "/manifest/tile/0/000.p/0",
            "/manifest/tile/0/000.p/256",
            "/manifest/tile/9/000",
            "/query/checkpoint",
            "/query/2026/checkpoint",
            "/query/2026h3/checkpoint",
            "/query/../manifest/checkpoint",
            "/query.lock",
            "/other/checkpoint",
            "manifest/checkpoint",
        ] {
            assert_eq!(Place::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_is_below_the_folder_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::create(folder.path()).unwrap();
        let place = Place::parse("/query/2026h2/tile/entries/x001/067.p/9").unwrap();
        assert_eq!(place.file(&dir), folder.path().join("logs/query/2026h2/tile/entries/x001/067.p/9"));
        assert_eq!(
            Place::parse("/manifest/checkpoint").unwrap().file(&dir),
            folder.path().join("logs/manifest/checkpoint")
        );
    }
}
