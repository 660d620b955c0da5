//! The files of a log, as C2SP tlog-tiles names them (SPEC §17.3): tiles of hashes and bundles of entries.

mod growth;
mod view;

use std::{fmt, str::FromStr};

pub use growth::{File, Growth};
pub use view::{Files, View};

use crate::{Error, tree::Hash};

/// Most hashes or entries of one file.
pub const WIDTH: u16 = 256;

/// Longest entry that a log has (SPEC §17.3).
pub const MAX_ENTRY: usize = 16_384;

/// Longest entry bundle: all entries as long as can be.
pub const MAX_BUNDLE: usize = WIDTH as usize * (2 + MAX_ENTRY);

/// Levels that a tree of less than 2^64 leaves can have.
const LEVELS: u8 = 8;

/// A run of at most 256 neighbouring hashes of one level, each over a full tile of the level below, or over a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Number of the tile on its level.
    pub index: u64,
    /// How many hashes it has, 1 to 256. Fewer than 256 only at the right edge.
    pub width: u16,
}

/// Where a file of a log stands below the log's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`
    Hashes(Tile),
    /// `tile/entries/<N>[.p/<W>]`, the entries below a tile of level 0.
    Entries(Tile),
}

impl Tile {
    /// The tile with this number on this level in a tree of `size` leaves, if the tree has one.
    #[must_use]
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let nodes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let width = nodes.checked_sub(index.checked_mul(WIDTH.into())?)?.min(WIDTH.into());
        let width = u16::try_from(width).expect("at most 256");
        (width > 0).then_some(Self { level, index, width })
    }

    /// The same tile with all its hashes.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    /// Number of the first hash on its level.
    #[must_use]
    pub fn start(self) -> u64 {
        self.index * u64::from(WIDTH)
    }

    /// Reads the bytes of the file: as many hashes as the width says.
    ///
    /// # Errors
    /// [`Error::BadTile`] for another length.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<Hash>, Error> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() && hashes.len() == usize::from(self.width) {
            Ok(hashes.to_vec())
        } else {
            Err(Error::BadTile)
        }
    }

    /// All tiles of a tree, level by level, from left to right.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        growth(0, size)
    }
}

/// The tiles that a tree of `new_size` leaves has and one of `old_size` has not, the right-most of them partial: what is
/// to be written when a log grows. With those of level 0 go the bundles of the same number and width.
pub fn growth(old_size: u64, new_size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let [old, new] = [old_size, new_size].map(|size| size >> (8 * level));
        let first = old / u64::from(WIDTH);
        let end = if old < new { new.div_ceil(WIDTH.into()) } else { first };
        (first..end).filter_map(move |index| Tile::of(level, index, new_size))
    })
}

/// The bytes of an entry bundle.
///
/// # Errors
/// [`Error::BadLeaf`] if an entry is empty or longer than [`MAX_ENTRY`].
pub fn encode_entries<E: AsRef<[u8]>>(entries: impl IntoIterator<Item = E>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        if entry.is_empty() || entry.len() > MAX_ENTRY {
            return Err(Error::BadLeaf);
        }
        bytes.extend(u16::try_from(entry.len()).expect("at most 16,384").to_be_bytes());
        bytes.extend(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle of `width`.
///
/// # Errors
/// [`Error::BadTile`] if there are more or fewer, a byte is left over, or an entry is empty or longer than [`MAX_ENTRY`].
pub fn decode_entries(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, Error> {
    let mut entries = Vec::with_capacity(width.min(WIDTH).into());
    for _ in 0..width {
        let (len, rest) = bytes.split_first_chunk::<2>().ok_or(Error::BadTile)?;
        let len = usize::from(u16::from_be_bytes(*len));
        if !(1..=MAX_ENTRY).contains(&len) {
            return Err(Error::BadTile);
        }
        let (entry, rest) = rest.split_at_checked(len).ok_or(Error::BadTile)?;
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(Error::BadTile) }
}

impl TilePath {
    /// Most bytes that the file may have; the exact number for a tile of hashes.
    #[must_use]
    pub fn limit(self) -> usize {
        match self {
            Self::Hashes(tile) => usize::from(tile.width) * 32,
            Self::Entries(tile) => usize::from(tile.width) * (2 + MAX_ENTRY),
        }
    }

    /// The tile whose hashes or entries the file has.
    #[must_use]
    pub fn tile(self) -> Tile {
        match self {
            Self::Hashes(tile) | Self::Entries(tile) => tile,
        }
    }

    /// The file of the full tile.
    #[must_use]
    pub fn full(self) -> Self {
        match self {
            Self::Hashes(tile) => Self::Hashes(tile.full()),
            Self::Entries(tile) => Self::Entries(tile.full()),
        }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(tile) => write!(f, "tile/{}/", tile.level)?,
            Self::Entries(_) => f.write_str("tile/entries/")?,
        }
        let Tile { index, width, .. } = self.tile();
        let digits = format!("{index:03}");
        let digits = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
        for at in (0..digits.len()).step_by(3) {
            let (group, last) = (&digits[at..at + 3], at + 3 == digits.len());
            if last { f.write_str(group)? } else { write!(f, "x{group}/")? }
        }
        if width < WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = Error;

    /// # Errors
    /// [`Error::BadTile`] unless the text is the one that [`TilePath`] is written as.
    fn from_str(path: &str) -> Result<Self, Error> {
        let (kind, rest) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(Error::BadTile)?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().map_err(|_| Error::BadTile)?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            let group: u16 = group.trim_start_matches('x').parse().map_err(|_| Error::BadTile)?;
            index = index.checked_mul(1_000).and_then(|index| index.checked_add(group.into())).ok_or(Error::BadTile)?;
        }
        let parsed = match kind {
            "entries" => Self::Entries(Tile { level: 0, index, width }),
            _ => Self::Hashes(Tile { level: kind.parse().map_err(|_| Error::BadTile)?, index, width }),
        };
        // Whatever else was read above, sign, zeros or a group of four digits, is not written like that again.
        let last = u64::MAX / u64::from(WIDTH);
        let in_tree = parsed.tile().level < LEVELS && index <= last && (1..=WIDTH).contains(&width);
        if in_tree && parsed.to_string() == path { Ok(parsed) } else { Err(Error::BadTile) }
    }
}

#[cfg(test)]
mod tests;
