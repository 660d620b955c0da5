//! Re-derives a tree from its entries, and compares every tile on the way (SPEC §17.3, `L04`, `L09`).
//!
//! Where an entry and its hash in the tile differ, the level above tells which of the two was changed. So a single changed
//! byte is found at its place, and everything else is still judged.

use std::{collections::BTreeMap, io};

use veilmatch_protocol::merkle;

use super::LogFiles;
use crate::{
    checkpoint::Checkpoint,
    finding::{Code, Finding, Place},
    tile::{Tile, TilePath, WIDTH},
    tree::{Edge, Hash},
};

/// What a log's files give.
#[derive(Debug, Default)]
pub struct Derived {
    /// Root over the leaf hashes that the signed tree has, as far as that could be told.
    pub root: Option<Hash>,
    /// Roots at the sizes that were asked for.
    pub roots: BTreeMap<u64, Hash>,
    /// Whether this is the signed tree: if not, no leaf is evidence of anything.
    pub sound: bool,
    /// Indices of leaves whose entry is missing or is not what was hashed.
    pub holes: Vec<u64>,
    /// One root for each 256 leaves, over the hashes of those that are no holes.
    pub stretches: Vec<Hash>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Findings about the files of one log that are told one by one, and those whose file is kept as evidence: a keeper could
/// make an auditor hold as many files as it likes.
const TOLD: usize = 100;
const KEPT: usize = 20;

/// Re-derives the tree of `signed`; also gives its root at each of `sizes`, which ascend, or at `every` size.
///
/// # Errors
/// If a file could not be read, which says nothing about the log.
pub fn derive(files: &LogFiles<'_>, signed: &Checkpoint, sizes: &[u64], every: bool) -> io::Result<Derived> {
    let mut walk = Walk {
        files,
        signed,
        sizes,
        every,
        more: 0,
        edge: Edge::default(),
        levels: Vec::new(),
        tiles: vec![0],
        derived: Derived::default(),
    };
    walk.note_root();
    for number in 0..signed.size.div_ceil(WIDTH.into()) {
        let tile = Tile::of(0, number, signed.size).expect("below the size");
        let Some(hashes) = walk.leaves_of(tile)? else { return Ok(walk.told()) };
        walk.remember(tile, &hashes);
        walk.take(&hashes)?;
    }
    walk.partial_tiles()?;
    Ok(walk.finish())
}

struct Walk<'a> {
    files: &'a LogFiles<'a>,
    signed: &'a Checkpoint,
    // Ascending; those that were passed are gone.
    sizes: &'a [u64],
    every: bool,
    // Findings that were not told.
    more: usize,
    edge: Edge,
    // Hashes of the open tile of each level above 0, and the number of tiles that are complete there.
    levels: Vec<Vec<Hash>>,
    tiles: Vec<u64>,
    derived: Derived,
}

/// What the two files of one stretch of leaves say.
struct Stretch {
    tile: Tile,
    // Leaf hashes of the entries that could be read, from the first on.
    entries: Vec<Hash>,
    entries_there: bool,
    entries_whole: bool,
    hashes: Option<Vec<Hash>>,
    hashes_there: bool,
}

impl Stretch {
    /// The first leaf of which entry and hash differ.
    fn difference(&self) -> Option<u64> {
        let hashes = self.hashes.as_deref()?;
        let alike = self.entries.iter().zip(hashes).take_while(|(a, b)| a == b).count() as u64;
        let width = u64::from(self.tile.width);
        (alike < width || !self.complete()).then_some(self.tile.start() + alike.min(width - 1))
    }

    fn complete(&self) -> bool {
        self.entries_whole && self.entries.len() == usize::from(self.tile.width)
    }

    fn agrees(&self) -> bool {
        self.complete() && self.hashes.as_ref() == Some(&self.entries)
    }
}

impl Walk<'_> {
    /// The leaf hashes of a tile, or nothing if neither file has them.
    fn leaves_of(&mut self, tile: Tile) -> io::Result<Option<Vec<Hash>>> {
        let bundle = bundle(self.files, tile)?;
        let (entries, entries_whole) = leaf_hashes(bundle.as_deref().unwrap_or_default(), tile.width);
        let (hashes_there, hashes) = self.tile(tile)?;
        let entries_there = bundle.is_some();
        let stretch = Stretch { tile, entries, entries_there, entries_whole, hashes, hashes_there };
        if stretch.agrees() {
            return Ok(Some(stretch.entries));
        }
        let by_entries = stretch.complete() && self.leads_up(tile, &stretch.entries)?;
        let by_tile = match &stretch.hashes {
            Some(hashes) => self.leads_up(tile, hashes)?,
            None => false,
        };
        Ok(self.judge(stretch, by_entries, by_tile))
    }

    /// Whether these leaf hashes give what is above: the hash in the next level, or for the last, partial stretch, which has
    /// none of its own, the signed root.
    fn leads_up(&self, tile: Tile, hashes: &[Hash]) -> io::Result<bool> {
        if tile.width < WIDTH {
            let mut edge = self.edge.clone();
            hashes.iter().for_each(|hash| edge.push(*hash));
            return Ok(edge.root() == self.signed.root);
        }
        let width = u64::from(WIDTH);
        let parent = Tile::of(1, tile.index / width, self.signed.size).expect("a full tile has a hash above");
        let above = self.tile(parent)?.1;
        let at = usize::try_from(tile.index % width).expect("below 256");
        Ok(above.is_some_and(|above| above[at] == merkle::root(hashes.iter().copied())))
    }

    /// A tile's hashes, if it is there and as long as its path says.
    fn tile(&self, tile: Tile) -> io::Result<(bool, Option<Vec<Hash>>)> {
        for found in [tile, tile.full()] {
            let path = TilePath::Hashes(found);
            if let Some(bytes) = self.files.read(&path.to_string(), path.limit())? {
                let hashes = found.decode(&bytes).ok();
                return Ok((
                    true,
                    hashes.map(|mut hashes| {
                        hashes.truncate(tile.width.into());
                        hashes
                    }),
                ));
            }
        }
        Ok((false, None))
    }

    /// Decides for entries or tile, and says what is wrong with the other. Nothing, if neither can be read.
    fn judge(&mut self, stretch: Stretch, by_entries: bool, by_tile: bool) -> Option<Vec<Hash>> {
        if by_entries || (stretch.complete() && !by_tile) {
            self.blame_tile(&stretch);
            return Some(stretch.entries);
        }
        self.blame_entries(&stretch);
        let Some(hashes) = stretch.hashes else {
            self.blame_tile(&stretch);
            return None;
        };
        let readable = if stretch.entries_whole { &stretch.entries[..] } else { &[] };
        let holes = (0..hashes.len()).filter(|&at| readable.get(at) != Some(&hashes[at]));
        self.derived.holes.extend(holes.map(|at| stretch.tile.start() + at as u64));
        Some(hashes)
    }

    fn blame_tile(&mut self, stretch: &Stretch) {
        let text = match (&stretch.hashes, stretch.hashes_there) {
            (Some(_), _) => "the tile has another hash than the entry gives",
            (None, true) => "the tile has another length than its path says",
            (None, false) => "the tile is missing",
        };
        self.found(Code::L04, TilePath::Hashes(stretch.tile), stretch.difference(), text);
    }

    fn blame_entries(&mut self, stretch: &Stretch) {
        let path = TilePath::Entries(stretch.tile);
        if !stretch.entries_there {
            return self.found(Code::L09, path, None, "the entries were not handed over");
        }
        let text = match (stretch.entries_whole, stretch.complete()) {
            (true, true) => "the entry does not hash to what the tile and the tree above have",
            (false, _) => "the bundle does not end with an entry",
            (true, false) => "the bundle has another number of entries than its path says",
        };
        self.found(Code::L04, path, stretch.difference(), text);
    }

    fn found(&mut self, code: Code, path: TilePath, index: Option<u64>, text: &str) {
        if self.derived.findings.len() == TOLD {
            self.more += 1;
            return;
        }
        let name = path.to_string();
        let mut finding = Finding::new(code, Place::file(&self.signed.origin, &name, index), text);
        if self.derived.findings.len() < KEPT
            && let Ok(Some(bytes)) = self.files.read(&name, path.limit())
        {
            finding = finding.with(&name.replace('/', "-"), bytes);
        }
        self.derived.findings.push(finding);
    }

    /// Keeps what a second reading of the entries is compared with.
    fn remember(&mut self, tile: Tile, hashes: &[Hash]) {
        let indexed = (tile.start()..).zip(hashes);
        let whole = indexed.filter(|(index, _)| self.derived.holes.binary_search(index).is_err());
        self.derived.stretches.push(merkle::root(whole.map(|(_, hash)| *hash)));
    }

    fn take(&mut self, hashes: &[Hash]) -> io::Result<()> {
        for hash in hashes {
            self.edge.push(*hash);
            self.note_root();
        }
        if hashes.len() == usize::from(WIDTH) { self.climb(merkle::root(hashes.iter().copied())) } else { Ok(()) }
    }

    /// A full tile of a level is one hash of the level above.
    fn climb(&mut self, mut hash: Hash) -> io::Result<()> {
        for level in 1.. {
            if self.levels.len() < level {
                self.levels.push(Vec::new());
                self.tiles.push(0);
            }
            let open = &mut self.levels[level - 1];
            open.push(hash);
            if open.len() < usize::from(WIDTH) {
                return Ok(());
            }
            let full = std::mem::take(open);
            self.compare(level, self.tiles[level], &full)?;
            self.tiles[level] += 1;
            hash = merkle::root(full);
        }
        Ok(())
    }

    fn partial_tiles(&mut self) -> io::Result<()> {
        for level in 1..=self.levels.len() {
            let open = std::mem::take(&mut self.levels[level - 1]);
            if !open.is_empty() {
                self.compare(level, self.tiles[level], &open)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, level: usize, index: u64, ours: &[Hash]) -> io::Result<()> {
        let level = u8::try_from(level).expect("at most 8");
        let tile = Tile { level, index, width: u16::try_from(ours.len()).expect("at most 256") };
        let path = TilePath::Hashes(tile);
        match self.tile(tile)? {
            (_, Some(theirs)) => {
                if let Some(at) = ours.iter().zip(&theirs).position(|(a, b)| a != b) {
                    let text = "the tile has another hash than the tree below it";
                    self.found(Code::L04, path, Some(tile.start() + at as u64), text);
                }
            }
            (true, None) => self.found(Code::L04, path, None, "the tile has another length than its path says"),
            (false, None) => self.found(Code::L04, path, None, "the tile is missing"),
        }
        Ok(())
    }

    fn note_root(&mut self) {
        if self.every {
            self.derived.roots.insert(self.edge.size(), self.edge.root());
        }
        while let Some((&size, rest)) = self.sizes.split_first().filter(|(size, _)| **size <= self.edge.size()) {
            if size == self.edge.size() {
                self.derived.roots.insert(size, self.edge.root());
            }
            self.sizes = rest;
        }
    }

    fn finish(mut self) -> Derived {
        let root = self.edge.root();
        self.derived.root = Some(root);
        self.derived.sound = root == self.signed.root;
        // A changed stretch that led nowhere is already named; without one the root itself is what differs.
        if !self.derived.sound {
            let text = "the entries and tiles agree with each other and give another root than the checkpoint";
            let text = if self.derived.findings.is_empty() { text } else { "the files give another root" };
            self.derived.findings.push(Finding::new(Code::L04, Place::checkpoint(&self.signed.origin), text));
        }
        self.told()
    }

    /// Says with the last finding that was told how many were not.
    fn told(mut self) -> Derived {
        if let Some(last) = self.derived.findings.get_mut(TOLD - 1).filter(|_| self.more > 0) {
            last.evidence.text += &format!("; and {} files more", self.more);
        }
        self.derived
    }
}

/// The bytes of a bundle. A partial file may be gone once the full one is there.
pub(super) fn bundle(files: &LogFiles<'_>, tile: Tile) -> io::Result<Option<Vec<u8>>> {
    let read = |path: TilePath| files.read(&path.to_string(), path.limit());
    let path = TilePath::Entries(tile);
    if let Some(bytes) = read(path)? {
        return Ok(Some(bytes));
    }
    let Some(full) = (if tile.width < WIDTH { read(path.full())? } else { None }) else { return Ok(None) };
    let mut rest = &full[..];
    for _ in 0..tile.width {
        let Some((_, behind)) = next_entry(rest) else { return Ok(Some(full)) };
        rest = behind;
    }
    let end = full.len() - rest.len();
    Ok(Some(full[..end].to_vec()))
}

/// Hashes of the entries of a bundle, at most `width`, and whether the bytes are entries to the end.
fn leaf_hashes(mut bytes: &[u8], width: u16) -> (Vec<Hash>, bool) {
    let mut hashes = Vec::new();
    while let Some((entry, rest)) = next_entry(bytes) {
        hashes.push(merkle::leaf_hash(entry));
        bytes = rest;
        if hashes.len() > usize::from(width) {
            break;
        }
    }
    (hashes, bytes.is_empty())
}

/// The first entry of a bundle, and what is behind it.
pub(super) fn next_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
