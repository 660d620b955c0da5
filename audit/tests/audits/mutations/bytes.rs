//! What is done to bytes.

use rand::{RngExt, rngs::StdRng};

/// How something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Flip,
    Drop,
    Swap,
    Duplicate,
    Truncate,
}

pub const ALL: [Change; 5] = [Change::Flip, Change::Drop, Change::Swap, Change::Duplicate, Change::Truncate];

/// Changes units of `width` bytes, so that something is other than before.
pub fn change(original: &[u8], width: usize, how: Change, rng: &mut StdRng) -> Vec<u8> {
    loop {
        let mut bytes = original.to_vec();
        let units = bytes.len() / width;
        let (one, other) = (rng.random_range(0..units), rng.random_range(0..units));
        let (at, to) = (one * width, other * width);
        match how {
            Change::Flip => bytes[at] ^= 1 << rng.random_range(0..8),
            Change::Drop => drop(bytes.drain(at..at + width)),
            Change::Swap => (0..width).for_each(|byte| bytes.swap(at + byte, to + byte)),
            Change::Duplicate => {
                let unit = bytes[at..at + width].to_vec();
                bytes.splice(at..at, unit);
            }
            Change::Truncate => bytes.truncate(at),
        }
        if bytes != original {
            return bytes;
        }
    }
}
