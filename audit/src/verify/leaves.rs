//! Reads the leaves of a derived tree, decoded strictly, in order, in memory of a few bundles.

use std::{collections::BTreeSet, io, thread};

use veilmatch_protocol::merkle;

use super::{Audited, LogFiles, tree};
use crate::{
    finding::{Code, Finding, Place},
    leaf::Leaf,
    tile::{Tile, TilePath, WIDTH},
};

/// Bundles that are decoded at once.
const BUNDLES: u64 = 16;

/// One leaf as it was read.
#[derive(Debug)]
pub struct Read {
    /// Its index.
    pub index: u64,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// What it says, if it can be read.
    pub leaf: Option<Leaf>,
    /// Whether it passed the check that takes long.
    pub passed: bool,
}

/// Gives every leaf that is part of the signed tree, in order. `check` is what takes long, such as a signature; it is made
/// on `threads` threads. Entries that are not those of the first reading are L04 and end it: the files are then no tree.
///
/// # Errors
/// If a file could not be read.
pub fn read_leaves(
    files: &LogFiles<'_>,
    audited: &mut Audited,
    threads: usize,
    check: &(dyn Fn(&Leaf) -> bool + Sync),
    mut take: impl FnMut(Read),
) -> io::Result<()> {
    let last = audited.size().div_ceil(WIDTH.into());
    let mut first = 0;
    while audited.sound && first < last {
        let end = last.min(first + BUNDLES);
        let mut entries = Vec::new();
        for number in first..end {
            let tile = Tile::of(0, number, audited.size()).expect("below the size");
            if let Some(finding) = entries_of(files, tile, audited, &mut entries)? {
                audited.findings.push(finding);
                audited.sound = false;
                break;
            }
        }
        judge(entries, threads, check).into_iter().for_each(&mut take);
        first = end;
    }
    Ok(())
}

/// The exact bytes of some leaves of the signed tree, with their indices: of those that can be read, and are as they were
/// hashed.
pub(crate) fn leaves_at(
    files: &LogFiles<'_>,
    audited: &Audited,
    indices: &BTreeSet<u64>,
) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    let (mut entries, mut read) = (Vec::new(), None);
    for &index in indices.iter().filter(|_| audited.sound) {
        let Some(tile) = Tile::of(0, index / u64::from(WIDTH), audited.size()) else { break };
        if read.replace(tile.index) != Some(tile.index) {
            entries.clear();
            entries_of(files, tile, audited, &mut entries)?;
        }
        found.extend(entries.iter().find(|(at, _)| *at == index).cloned());
    }
    Ok(found)
}

/// Adds the entries of a stretch, if they are those that were hashed when the tree was derived.
fn entries_of(
    files: &LogFiles<'_>,
    tile: Tile,
    audited: &Audited,
    into: &mut Vec<(u64, Vec<u8>)>,
) -> io::Result<Option<Finding>> {
    let bundle = tree::bundle(files, tile)?.unwrap_or_default();
    let mut rest = &bundle[..];
    let (mut entries, mut hashes) = (Vec::new(), Vec::new());
    for index in tile.start()..tile.start() + u64::from(tile.width) {
        let Some((entry, behind)) = tree::next_entry(rest) else { break };
        rest = behind;
        if audited.holes.binary_search(&index).is_err() {
            hashes.push(merkle::leaf_hash(entry));
            entries.push((index, entry.to_vec()));
        }
    }
    let stretch = usize::try_from(tile.index).ok().and_then(|at| audited.stretches.get(at));
    if stretch == Some(&merkle::root(hashes)) {
        into.append(&mut entries);
        return Ok(None);
    }
    let name = TilePath::Entries(tile).to_string();
    let text = "read again, the bundle has other entries than were hashed before";
    let finding = Finding::new(Code::L04, Place::file(&audited.origin, &name, None), text);
    Ok(Some(finding.with(&name.replace('/', "-"), bundle)))
}

fn judge(entries: Vec<(u64, Vec<u8>)>, threads: usize, check: &(dyn Fn(&Leaf) -> bool + Sync)) -> Vec<Read> {
    let one = |(index, bytes): (u64, Vec<u8>)| {
        let leaf = Leaf::decode(&bytes).ok();
        let passed = leaf.as_ref().is_some_and(check);
        Read { index, bytes, leaf, passed }
    };
    let share = entries.len().div_ceil(threads.max(1)).max(1);
    let mut entries = entries.into_iter();
    let shares: Vec<Vec<_>> =
        std::iter::from_fn(|| Some(entries.by_ref().take(share).collect()).filter(|share: &Vec<_>| !share.is_empty()))
            .collect();
    if shares.len() < 2 {
        return shares.into_iter().flatten().map(one).collect();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().map(one).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("decoding does not panic")).collect()
    })
}
