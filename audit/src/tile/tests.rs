//! Tests of paths, bundles and of logs that grow, against a plain model of their files.

use std::collections::BTreeMap;

use proptest::prelude::*;
use veilmatch_protocol::merkle::{leaf_hash, root};

use super::*;
use crate::tree::{Nodes, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion};

/// The files of a log in memory.
#[derive(Debug, Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    fn write(&mut self, files: Vec<File>) {
        for File { path, bytes } in files {
            let before = self.0.insert(path.to_string(), bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "{path} is immutable");
        }
    }
}

impl Files for Memory {
    type Error = Error;

    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(path).map(|bytes| bytes.iter().copied().take(limit + 1).collect()))
    }
}

fn leaf(n: u64) -> Vec<u8> {
    format!("leaf {n}").into_bytes()
}

fn grow(growth: &mut Growth, size: u64) {
    while growth.size() < size {
        let n = growth.size();
        assert_eq!(growth.push(&leaf(n)), Ok(n));
    }
}

/// A log that was published at each of these sizes.
fn published(sizes: &[u64]) -> (Memory, Growth) {
    let (mut memory, mut growth) = (Memory::default(), Growth::new());
    for &size in sizes {
        grow(&mut growth, size);
        memory.write(growth.take_files());
    }
    (memory, growth)
}

fn hashes(number: u64) -> Vec<Hash> {
    (0..number).map(|n| leaf_hash(&leaf(n))).collect()
}

#[test]
fn paths_are_those_of_c2sp() {
    // SPEC §17.3
    let hashes = |level, index, width| TilePath::Hashes(Tile { level, index, width });
    let entries = |index, width| TilePath::Entries(Tile { level: 0, index, width });
    for (path, text) in [
        (hashes(0, 0, 256), "tile/0/000"),
        (hashes(0, 1, 44), "tile/0/001.p/44"),
        (hashes(1, 0, 1), "tile/1/000.p/1"),
        (hashes(7, 999, 255), "tile/7/999.p/255"),
        (hashes(0, 1_000, 256), "tile/0/x001/000"),
        (entries(1_234_067, 3), "tile/entries/x001/x234/067.p/3"),
        (entries(0, 256), "tile/entries/000"),
        (hashes(0, u64::MAX / 256, 256), "tile/0/x072/x057/x594/x037/x927/935"),
    ] {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
}

#[test]
fn a_path_that_is_not_written_like_that_is_refused() {
    // SPEC §17.3
    for text in [
        "",
        "checkpoint",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/0/+01",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/xx01/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "/tile/0/000",
        "tile//0/000",
        "tile/0/../000",
        "tile/x/000",
        "tile/0/000 ",
        "tile/entries/0/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/００0",
        "tile/0/000?",
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(Error::BadTile), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_path_is_read_as_what_it_was_written_from(level in 0_u8..8, index in 0..=u64::MAX / 256, width in 1_u16..=256) {
        for path in [
            TilePath::Hashes(Tile { level, index, width }),
            TilePath::Entries(Tile { level: 0, index, width }),
        ] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn a_log_that_grows_has_all_files_of_every_size_that_it_published(
        mut sizes in proptest::collection::vec(0_u64..3_000, 1..6)
    ) {
        sizes.sort_unstable();
        let (memory, growth) = published(&sizes);
        let leaf_hashes = hashes(growth.size());
        prop_assert_eq!(growth.root(), root(leaf_hashes.iter().copied()));
        for size in sizes {
            let view = View::new(&memory, size);
            for tile in Tile::all(size) {
                let hashes: Vec<Hash> = (tile.start()..).take(tile.width.into())
                    .map(|index| leaf_hashes[..].node(tile.level * 8, index).unwrap()).collect();
                prop_assert_eq!(&memory.0[&TilePath::Hashes(tile).to_string()], &hashes.concat());
                if tile.level == 0 {
                    let bundle = encode_entries((tile.start()..).take(tile.width.into()).map(leaf)).unwrap();
                    prop_assert_eq!(&memory.0[&TilePath::Entries(tile).to_string()], &bundle);
                }
            }
            prop_assert_eq!(root_at(&view, size).unwrap(), root(leaf_hashes[..size as usize].iter().copied()));
        }
    }

    #[test]
    fn a_log_that_is_taken_up_again_goes_on_as_if_it_had_not_stopped(first in 0_u64..1_200, more in 0_u64..600) {
        let (mut memory, _) = published(&[first]);
        let mut resumed = View::new(&memory, first).growth().unwrap();
        prop_assert_eq!(resumed.size(), first);
        grow(&mut resumed, first + more);
        memory.write(resumed.take_files());
        let (straight, growth) = published(&[first, first + more]);
        prop_assert_eq!(resumed.root(), growth.root());
        prop_assert_eq!(memory.0, straight.0);
    }

    #[test]
    fn bytes_from_outside_never_make_a_bundle_that_is_not_written_like_that(
        bytes in proptest::collection::vec(any::<u8>(), 0..64), width in 0_u16..8
    ) {
        if let Ok(entries) = decode_entries(&bytes, width) {
            prop_assert_eq!(entries.len(), usize::from(width));
            prop_assert_eq!(encode_entries(entries).unwrap(), bytes);
        }
    }
}

#[test]
fn a_tree_of_seventy_thousand_has_the_tiles_that_c2sp_counts() {
    // SPEC §17.3
    let tiles: Vec<Tile> = Tile::all(70_000).collect();
    let of = |level: u8, full: bool| tiles.iter().filter(|t| t.level == level && (t.width == 256) == full).count();
    assert_eq!([of(0, true), of(0, false), of(1, true), of(1, false), of(2, true), of(2, false)], [273, 1, 1, 1, 0, 1]);
    assert_eq!(tiles.len(), 277);
    let widths: Vec<u16> = tiles.iter().filter(|tile| tile.width < 256).map(|tile| tile.width).collect();
    assert_eq!(widths, [112, 17, 1]);
    assert_eq!(Tile::all(256).map(|tile| (tile.level, tile.width)).collect::<Vec<_>>(), [(0, 256), (1, 1)]);
    assert_eq!(Tile::all(0).count(), 0);
}

#[test]
fn a_growth_writes_only_what_changed() {
    let paths = |old, new| growth(old, new).map(|tile| TilePath::Hashes(tile).to_string()).collect::<Vec<_>>();
    assert_eq!(paths(5, 5), Vec::<String>::new());
    assert_eq!(paths(250, 255), ["tile/0/000.p/255"]);
    assert_eq!(paths(255, 256), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(paths(256, 257), ["tile/0/001.p/1"]);
    assert_eq!(paths(300, 513), ["tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"]);
    assert_eq!(Tile::of(7, u64::MAX / 256, u64::MAX), None);
    assert_eq!(Tile::of(0, u64::MAX / 256, u64::MAX).map(|tile| tile.width), Some(255));
}

#[test]
fn proofs_come_from_the_files_of_three_levels() {
    let (memory, growth) = published(&[1, 255, 256, 65_535, 65_536, 66_000]);
    let (size, root) = (growth.size(), growth.root());
    let view = View::new(&memory, size);
    for index in [0, 255, 256, 65_535, 65_536, 65_999] {
        let proof = inclusion_proof(&view, index, size).unwrap();
        assert_eq!(verify_inclusion(&leaf_hash(&leaf(index)), index, size, &proof, &root), Ok(()), "{index}");
    }
    for old in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 66_000] {
        let proof = consistency_proof(&view, old, size).unwrap();
        let old_root = root_at(&view, old).unwrap();
        assert_eq!(verify_consistency(old, &old_root, size, &root, &proof), Ok(()), "{old}");
    }
    assert_eq!(view.hashes(0, 258), Err(Error::NotInTree));
    assert_eq!(view.node(0, size), Err(Error::NotInTree));
    assert_eq!(view.node(63, 1), Err(Error::NotInTree));
    assert_eq!(view.node(7, u64::MAX), Err(Error::NotInTree));
}

#[test]
fn a_view_reads_a_range_of_leaves_across_bundles_and_ends_at_the_first_error() {
    let (mut memory, _) = published(&[600]);
    let read = |memory: &Memory, range| View::new(memory, 600).leaves(range).collect::<Result<Vec<_>, _>>();
    assert_eq!(read(&memory, 250..520), Ok((250..520).map(|n| (n, leaf(n))).collect()));
    assert_eq!(read(&memory, 600..600), Ok(Vec::new()));
    assert_eq!(read(&memory, 599..601), Ok(vec![(599, leaf(599))]), "what the tree does not have is not invented");
    memory.0.remove("tile/entries/001");
    assert_eq!(read(&memory, 0..600), Err(Error::BadTile));
    let view = View::new(&memory, 600);
    assert_eq!(view.leaves(0..600).filter(Result::is_ok).count(), 256);
    assert_eq!(view.leaves(0..600).filter(Result::is_err).count(), 1);
}

#[test]
fn a_partial_tile_may_be_gone_once_the_full_one_is_there() {
    // SPEC §17.3
    let (mut memory, _) = published(&[100, 300]);
    assert!(memory.0.remove("tile/0/000.p/100").is_some() && memory.0.remove("tile/entries/000.p/100").is_some());
    let view = View::new(&memory, 100);
    assert_eq!(root_at(&view, 100).unwrap(), root(hashes(100)));
    assert_eq!(view.entries(0).unwrap(), (0..100).map(leaf).collect::<Vec<_>>());
    memory.0.remove("tile/0/000");
    assert_eq!(View::new(&memory, 100).hashes(0, 0), Err(Error::BadTile));
}

#[test]
fn a_tile_of_another_length_than_its_path_says_is_refused() {
    // SPEC §17.3
    let tile = Tile { level: 0, index: 1, width: 44 };
    assert_eq!(tile.decode(&[7; 44 * 32]), Ok(vec![[7; 32]; 44]));
    for len in [0, 1, 43 * 32, 44 * 32 - 1, 44 * 32 + 1, 45 * 32] {
        assert_eq!(tile.decode(&vec![7; len]), Err(Error::BadTile), "{len}");
    }
    let (mut memory, _) = published(&[300]);
    memory.0.get_mut("tile/0/001.p/44").unwrap().pop();
    assert_eq!(View::new(&memory, 300).hashes(0, 1), Err(Error::BadTile));
    memory.0.get_mut("tile/0/001.p/44").unwrap().extend([0, 0]);
    assert_eq!(View::new(&memory, 300).hashes(0, 1), Err(Error::BadTile));
}

#[test]
fn a_bundle_with_a_byte_too_many_or_too_few_is_refused() {
    // SPEC §17.3
    let bundle = encode_entries([b"a".as_slice(), b"bc"]).unwrap();
    assert_eq!(bundle, b"\x00\x01a\x00\x02bc");
    assert_eq!(decode_entries(&bundle, 2), Ok(vec![b"a".as_slice(), b"bc"]));
    assert_eq!(decode_entries(&bundle, 1), Err(Error::BadTile));
    assert_eq!(decode_entries(&bundle, 3), Err(Error::BadTile));
    assert_eq!(decode_entries(&[&bundle[..], b"\0"].concat(), 2), Err(Error::BadTile));
    for len in 0..bundle.len() {
        assert_eq!(decode_entries(&bundle[..len], 2), Err(Error::BadTile), "{len}");
    }
    assert_eq!(decode_entries(b"\x00\x00\x00\x01a", 2), Err(Error::BadTile), "an empty entry");
}

#[test]
fn entries_have_one_to_16384_bytes() {
    // SPEC §17.3
    let mut growth = Growth::new();
    for entry in [vec![], vec![0; MAX_ENTRY + 1]] {
        assert_eq!(growth.push(&entry), Err(Error::BadLeaf));
        assert_eq!(encode_entries([&entry]), Err(Error::BadLeaf));
    }
    assert_eq!((growth.size(), growth.take_files()), (0, Vec::new()));
    let longest = encode_entries([vec![7; MAX_ENTRY]]).unwrap();
    assert_eq!(decode_entries(&longest, 1).unwrap(), [vec![7; MAX_ENTRY]]);
    let longer = [&[0x40, 1][..], &[7; MAX_ENTRY + 1]].concat();
    assert_eq!(decode_entries(&longer, 1), Err(Error::BadTile));
}

#[test]
fn an_edge_that_does_not_fit_its_size_or_its_entries_is_not_taken_up() {
    // SPEC §17.3
    let entries = encode_entries((0..3).map(leaf)).unwrap();
    assert!(Growth::resume(3, vec![hashes(3)], entries.clone()).is_ok());
    for (size, tiles, entries) in [
        (2, vec![hashes(3)], entries.clone()),
        (3, vec![], entries.clone()),
        (3, vec![hashes(3), hashes(1)], entries.clone()),
        (256 + 3, vec![hashes(3)], entries.clone()),
        (3, vec![hashes(3)], Vec::new()),
        (3, vec![vec![[0; 32]; 3]], entries),
    ] {
        assert_eq!(Growth::resume(size, tiles, entries).unwrap_err(), Error::BadTile);
    }
}
