//! A tree of a given size, read from its files wherever these are.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use super::{Growth, Tile, TilePath, WIDTH, decode_entries};
use crate::{
    Error,
    tree::{Hash, Nodes},
};

/// Who has the files of a log: a folder, or a site.
pub trait Files {
    /// Why a file could not be read.
    type Error: From<Error>;

    /// The bytes of the file at this path below the log's prefix, or `None` if there is no such file. Of a file that has
    /// more than `limit` bytes one more is given, so that it is not taken for what was asked for, and no further one read.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<F: Files + ?Sized> Files for &F {
    type Error = F::Error;

    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Self::Error> {
        (**self).read(path, limit)
    }
}

/// The tree of the first `size` leaves of a log. It keeps the tiles that it read: make one per question, not one for ever.
///
/// # Security
/// What it gives is what the files say. Compare the root, or verify the proof.
#[derive(Debug)]
pub struct View<F> {
    files: F,
    size: u64,
    read: RefCell<BTreeMap<Tile, Vec<Hash>>>,
}

impl<F: Files> View<F> {
    /// The tree of the first `size` leaves.
    pub fn new(files: F, size: u64) -> Self {
        Self { files, size, read: RefCell::default() }
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the tile with this number on this level, as many as this tree has of it.
    ///
    /// # Errors
    /// [`Error::NotInTree`] if the tree has no such tile, [`Error::BadTile`] if it is missing or has another length.
    pub fn hashes(&self, level: u8, index: u64) -> Result<Vec<Hash>, F::Error> {
        let tile = Tile::of(level, index, self.size).ok_or(Error::NotInTree)?;
        if let Some(hashes) = self.read.borrow().get(&tile) {
            return Ok(hashes.clone());
        }
        let (bytes, found) = self.file(TilePath::Hashes(tile))?;
        let mut hashes = found.decode(&bytes)?;
        hashes.truncate(tile.width.into());
        self.read.borrow_mut().insert(tile, hashes.clone());
        Ok(hashes)
    }

    /// The entries with the numbers `index · 256` and following, up to 256 of them, as many as this tree has.
    ///
    /// # Errors
    /// As [`View::hashes`].
    pub fn entries(&self, index: u64) -> Result<Vec<Vec<u8>>, F::Error> {
        let tile = Tile::of(0, index, self.size).ok_or(Error::NotInTree)?;
        let (bytes, found) = self.file(TilePath::Entries(tile))?;
        let entries = decode_entries(&bytes, found.width)?;
        Ok(entries.into_iter().take(tile.width.into()).map(<[u8]>::to_vec).collect())
    }

    /// Number and bytes of each entry of a range of the tree, bundle by bundle. It ends after the first error.
    pub fn leaves(&self, range: Range<u64>) -> impl Iterator<Item = Result<(u64, Vec<u8>), F::Error>> {
        let width = u64::from(WIDTH);
        let first = range.start / width;
        let bundles = first..range.end.div_ceil(width).max(first);
        let read = bundles.scan(false, move |failed, index| {
            if *failed {
                return None;
            }
            match self.entries(index) {
                Ok(entries) => Some((index * width..).zip(entries).map(Ok).collect::<Vec<_>>()),
                Err(error) => {
                    *failed = true;
                    Some(vec![Err(error)])
                }
            }
        });
        read.flatten().filter(move |leaf| leaf.as_ref().map_or(true, |(at, _)| range.contains(at)))
    }

    /// The right edge with the unfinished files, to append to. Compare its root with the signed one.
    ///
    /// # Errors
    /// [`Error::BadTile`] if a file of the edge is missing or does not fit the others.
    pub fn growth(&self) -> Result<Growth, F::Error> {
        let edge = |level: u8| match self.size >> (8 * level) {
            nodes if nodes % u64::from(WIDTH) == 0 => Ok(Vec::new()),
            nodes => self.hashes(level, nodes / u64::from(WIDTH)),
        };
        let tiles = (0..super::LEVELS).map(edge).collect::<Result<Vec<_>, _>>()?;
        let entries = match Tile::of(0, self.size / u64::from(WIDTH), self.size) {
            None => Vec::new(),
            Some(tile) => super::encode_entries(self.entries(tile.index)?)?,
        };
        Ok(Growth::resume(self.size, tiles, entries)?)
    }

    /// The file, or that of the full tile: a partial one may be gone once the full one is there.
    fn file(&self, path: TilePath) -> Result<(Vec<u8>, Tile), F::Error> {
        for path in [path, path.full()] {
            if let Some(bytes) = self.files.read(&path.to_string(), path.limit())? {
                return Ok((bytes, path.tile()));
            }
        }
        Err(Error::BadTile.into())
    }
}

impl<F: Files> Nodes for View<F> {
    type Error = F::Error;

    fn node(&self, level: u8, index: u64) -> Result<Hash, F::Error> {
        // A level of tiles has eight levels of nodes; all but the lowest of them are hashed anew.
        let (tile_level, above) = (level / 8, level % 8);
        let first = index.checked_shl(above.into()).filter(|first| first >> above == index).ok_or(Error::NotInTree)?;
        let hashes = self.hashes(tile_level, first / u64::from(WIDTH))?;
        let start = usize::try_from(first % u64::from(WIDTH)).expect("less than 256");
        Ok(hashes.get(start..start + (1 << above)).ok_or(Error::NotInTree)?.node(above, 0)?)
    }
}
