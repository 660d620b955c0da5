//! Bundles of entries as files: bytes and length prefixes, whether or not something can still be read.

use rand::{RngExt, rngs::StdRng};
use veilmatch_audit::{
    finding::{Code, Place},
    tile::{Tile, TilePath},
};

use super::{
    bytes::{ALL, Change, change},
    leaves::{TIMES, audit},
    seeded,
};
use crate::{
    scenarios::MONTH,
    world::{COSIGNED, at, log::Log, log::Memory, shown::cosigners},
};

/// The bundles of a log, each with its tile.
fn bundles(files: &Memory) -> Vec<Tile> {
    let entries = |path: &String| match path.parse() {
        Ok(TilePath::Entries(tile)) => Some(tile),
        _ => None,
    };
    files.0.keys().filter_map(entries).collect()
}

/// The entries of a bundle as far as they can be read, each with its length prefix.
fn entries(mut bundle: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || rest.len() < length {
            break;
        }
        let (entry, behind) = bundle.split_at(2 + length);
        entries.push(entry);
        bundle = behind;
    }
    entries
}

/// Exactly one finding: at the first entry that is another in this file.
fn found_at_the_first_that_differs(log: &Log, files: &Memory, tile: Tile, changed: Vec<u8>, how: &str) {
    let path = TilePath::Entries(tile).to_string();
    let original = entries(&files.0[&path]);
    let now = entries(&changed);
    let alike = original.iter().zip(&now).take_while(|(before, after)| before == after).count();
    let differs = alike.min(original.len() - 1);
    let place = Place::file(&log.origin, &path, Some(tile.start() + differs as u64));
    let mut files = files.clone();
    files.0.insert(path, changed.clone());
    let findings = audit(log, &files, Vec::new());
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
    assert_eq!(found, [(Code::L04, &place)], "{how}");
}

fn each(mut act: impl FnMut(&Log, &Memory, Tile, &mut StdRng)) {
    let mut rng = seeded();
    for log in MONTH.logs() {
        let files = log.files(log.leaves.len(), &cosigners(log), at(COSIGNED).unix());
        let tiles = bundles(&files);
        for _ in 0..TIMES {
            let tile = tiles[rng.random_range(0..tiles.len())];
            act(log, &files, tile, &mut rng);
        }
    }
}

#[test]
fn a_changed_byte_of_a_bundle_is_found_at_its_entry() {
    // SPEC §17.3
    each(|log, files, tile, rng| {
        let bundle = &files.0[&TilePath::Entries(tile).to_string()];
        for how in ALL {
            let mut changed = change(bundle, 1, how, rng);
            if how == Change::Truncate && changed.is_empty() {
                changed.push(0);
            }
            found_at_the_first_that_differs(log, files, tile, changed, &format!("{how:?}"));
        }
    });
}

#[test]
fn a_damaged_length_is_found_at_its_entry() {
    // SPEC §17.3
    each(|log, files, tile, rng| {
        let bundle = &files.0[&TilePath::Entries(tile).to_string()];
        let lengths: Vec<usize> = entries(bundle).iter().map(|entry| entry.len()).collect();
        let at: usize = lengths[..rng.random_range(0..lengths.len())].iter().sum();
        for bit in [0, 3, 7, 8, 15] {
            let mut changed = bundle.clone();
            changed[at + usize::from(bit < 8)] ^= 1 << (bit % 8);
            found_at_the_first_that_differs(log, files, tile, changed, &format!("bit {bit} of a length"));
        }
    });
}

#[test]
fn entries_that_changed_places_or_are_there_twice_are_found_at_the_first_of_them() {
    // SPEC §17.3
    each(|log, files, tile, rng| {
        let bundle = &files.0[&TilePath::Entries(tile).to_string()];
        let original = entries(bundle);
        for _ in 0..5 {
            let (one, other) = (rng.random_range(0..original.len() - 1), rng.random_range(0..original.len()));
            let (mut swapped, mut doubled) = (original.clone(), original.clone());
            swapped.swap(one, if other == one { one + 1 } else { other });
            doubled.insert(one, original[one]);
            found_at_the_first_that_differs(log, files, tile, swapped.concat(), "two entries changed places");
            found_at_the_first_that_differs(log, files, tile, doubled.concat(), "an entry is there twice");
        }
    });
}
