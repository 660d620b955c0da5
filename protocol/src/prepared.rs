//! Verification under a key that signs much: with a table of the key a signature costs half as much.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    edwards::{CompressedEdwardsY, EdwardsBasepointTable},
    traits::BasepointTable,
};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha512};

/// Signatures after which a table, which costs some tens of them, has paid for itself; most keys are asked once.
const WORTHWHILE: u32 = 64;

/// An Ed25519 key that makes a table of its multiples, of 30 KiB, once it has verified some signatures.
pub struct PreparedKey {
    key: VerifyingKey,
    asked: AtomicU32,
    // Of −A, so that the equation is a sum. None if the key is of small order.
    table: OnceLock<Option<Box<EdwardsBasepointTable>>>,
}

impl PartialEq for PreparedKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PreparedKey {}

impl std::fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

impl PreparedKey {
    /// Takes a key.
    #[must_use]
    pub fn new(key: VerifyingKey) -> Self {
        Self { key, asked: AtomicU32::new(0), table: OnceLock::new() }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether [`VerifyingKey::verify_strict`] accepts it: RFC 8032, Section 5.1.7, without the cofactor, with a canonical s
    /// and R, and neither A nor R of small order. Variable time in the signature: everything here is public.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        if self.table.get().is_none() && self.asked.fetch_add(1, Ordering::Relaxed) < WORTHWHILE {
            return self.key.verify_strict(message, signature).is_ok();
        }
        self.verifies_with_table(message, signature)
    }

    fn verifies_with_table(&self, message: &[u8], signature: &Signature) -> bool {
        let Some(table) = self.table.get_or_init(|| table(&self.key)) else { return false };
        let Some(s) = Scalar::from_canonical_bytes(*signature.s_bytes()).into_option() else { return false };
        let hash = Sha512::new()
            .chain_update(signature.r_bytes())
            .chain_update(self.key.as_bytes())
            .chain_update(message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let r = EdwardsPoint::mul_base(&s) + &**table * &k;
        r.compress().as_bytes() == signature.r_bytes() && !r.is_small_order()
    }
}

fn table(key: &VerifyingKey) -> Option<Box<EdwardsBasepointTable>> {
    let point = CompressedEdwardsY(key.to_bytes()).decompress()?;
    (!point.is_small_order()).then(|| Box::new(EdwardsBasepointTable::create(&-point)))
}

#[cfg(test)]
mod tests;
