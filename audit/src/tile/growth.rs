//! A log that grows: leaves in, files and root out.

use veilmatch_protocol::merkle::{leaf_hash, root};

use super::{MAX_ENTRY, Tile, TilePath, WIDTH};
use crate::{
    Error,
    tree::{Edge, Hash},
};

/// A file to be written: where, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it stands below the log's prefix.
    pub path: TilePath,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The right edge of a log with what its unfinished files hold. It takes leaves and gives the root to sign and the files
/// to write; it opens nothing.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    edge: Edge,
    /// Hashes of the unfinished tile of each level.
    tiles: Vec<Vec<Hash>>,
    /// Bytes of the unfinished entry bundle.
    entries: Vec<u8>,
    /// Size at which the files were taken last.
    taken: u64,
    /// Files that were finished since.
    full: Vec<File>,
}

impl Growth {
    /// A log without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A log of `size` leaves whose files are written: `tiles` has the hashes of the partial tile of each level, none
    /// where there is no such tile, `entries` the bytes of the partial bundle. Compare [`Growth::root`] before signing.
    ///
    /// # Errors
    /// [`Error::BadTile`] if a tile has another number of hashes than the size says, or the bundle does not hash to it.
    pub fn resume(size: u64, tiles: Vec<Vec<Hash>>, entries: Vec<u8>) -> Result<Self, Error> {
        let mut hashes = Vec::new();
        for level in (0..super::LEVELS).rev() {
            let tile = tiles.get(usize::from(level)).map_or(&[][..], Vec::as_slice);
            let width = (size >> (8 * level)) % u64::from(WIDTH);
            if tile.len() as u64 != width {
                return Err(Error::BadTile);
            }
            let mut rest = tile;
            for bit in (0..8).rev().filter(|bit| width >> bit & 1 == 1) {
                let (subtree, right) = rest.split_at(1 << bit);
                hashes.push(root(subtree.iter().copied()));
                rest = right;
            }
        }
        let leaves = tiles.first().map_or(&[][..], Vec::as_slice);
        let bundle = super::decode_entries(&entries, u16::try_from(leaves.len()).map_err(|_| Error::BadTile)?)?;
        if !bundle.iter().map(|entry| leaf_hash(entry)).eq(leaves.iter().copied()) {
            return Err(Error::BadTile);
        }
        Ok(Self { edge: Edge::from_hashes(size, hashes)?, tiles, entries, taken: size, full: Vec::new() })
    }

    /// Appends a leaf, and gives its index.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if it is empty or longer than [`MAX_ENTRY`]; nothing is appended then.
    pub fn push(&mut self, leaf: &[u8]) -> Result<u64, Error> {
        if leaf.is_empty() || leaf.len() > MAX_ENTRY {
            return Err(Error::BadLeaf);
        }
        let index = self.size();
        let hash = leaf_hash(leaf);
        self.entries.extend(u16::try_from(leaf.len()).expect("at most 16,384").to_be_bytes());
        self.entries.extend(leaf);
        self.edge.push(hash);
        self.push_hash(0, hash);
        Ok(index)
    }

    fn push_hash(&mut self, level: u8, hash: Hash) {
        let place = usize::from(level);
        if self.tiles.len() <= place {
            self.tiles.resize(place + 1, Vec::new());
        }
        self.tiles[place].push(hash);
        if self.tiles[place].len() < usize::from(WIDTH) {
            return;
        }
        let hashes = std::mem::take(&mut self.tiles[place]);
        let index = (self.size() - 1) >> (8 * (level + 1));
        let tile = Tile { level, index, width: WIDTH };
        if level == 0 {
            self.full.push(File { path: TilePath::Entries(tile), bytes: std::mem::take(&mut self.entries) });
        }
        self.full.push(File { path: TilePath::Hashes(tile), bytes: hashes.concat() });
        self.push_hash(level + 1, root(hashes));
    }

    /// How many leaves the log has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The right edge of the tree.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The full tiles and bundles that were finished since the last call: to write a long log without holding it.
    #[must_use]
    pub fn take_full(&mut self) -> Vec<File> {
        std::mem::take(&mut self.full)
    }

    /// The files that a checkpoint of this size needs beyond those of the size at which they were taken before.
    #[must_use]
    pub fn take_files(&mut self) -> Vec<File> {
        let mut files = std::mem::take(&mut self.full);
        for tile in super::growth(self.taken, self.size()).filter(|tile| tile.width < WIDTH) {
            if tile.level == 0 {
                files.push(File { path: TilePath::Entries(tile), bytes: self.entries.clone() });
            }
            files.push(File { path: TilePath::Hashes(tile), bytes: self.tiles[usize::from(tile.level)].concat() });
        }
        self.taken = self.size();
        files
    }
}
