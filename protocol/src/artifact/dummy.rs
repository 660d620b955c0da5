//! Dummy records: they pad the count to a class and look like any other (SPEC §7.3).

use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Layout;

/// Fewest records of a list.
const MIN_COUNT: u64 = 1_024;

/// The count that a list of `n` entries is padded to: the next multiple of 2^(⌊log2 n⌋ − 5), at least 1,024.
#[must_use]
pub fn padded_count(n: u64) -> u64 {
    if n <= MIN_COUNT {
        return MIN_COUNT;
    }
    n.next_multiple_of(1 << (n.ilog2() - 5))
}

/// Makes the dummies of one (list, epoch). Who has it can tell dummies from entries, so it stays with the key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DummySeed([u8; 32]);

impl DummySeed {
    /// Takes 32 random bytes, drawn for one epoch of one list.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// Dummy number `index`: bytes that are uniform to everybody else. Numbers are used in order and never again, so that
    /// a dummy, like an entry, that was removed does not come back.
    #[must_use]
    pub fn record(&self, index: u64, layout: Layout) -> Vec<u8> {
        let mut record = Vec::with_capacity(128);
        for block in 0_u32..2 {
            let hash = Sha512::new()
                .chain_update(b"veilmatch/v1/dummy")
                .chain_update(self.0)
                .chain_update(index.to_be_bytes())
                .chain_update(block.to_be_bytes());
            record.extend_from_slice(&hash.finalize());
        }
        record.truncate(layout.record_len());
        record
    }
}
