//! Salted commitments, which are all that a match log has of a match (SPEC §19.1).

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::manifest::Hash;

/// 32 random bytes that hide what is committed to. Whoever destroys them has erased the record; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Draws a salt; each serves one commitment.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// A salt from a sealed store, or from an opening.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The salt for a sealed store, or for an opening.
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Salt {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// c = SHA-256("veilmatch/v1/commit" ‖ salt ‖ record): a receipt's note, or the canonical JSON of an action record.
#[must_use]
pub fn commit(salt: &Salt, record: &[u8]) -> Hash {
    let hash = Sha256::new().chain_update(b"veilmatch/v1/commit").chain_update(salt.0).chain_update(record);
    Hash(hash.finalize().into())
}
