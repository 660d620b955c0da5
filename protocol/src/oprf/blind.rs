//! The two forms of a blind, each a type of its own: what opens one as the other opens nothing (SPEC §5).

use curve25519_dalek::Scalar;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A fresh scalar that multiplies one item's element, form `mul`. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Blind(pub(super) Scalar);

impl Blind {
    /// Draws a uniform scalar other than zero (RFC 9497, Section 2.1, RandomScalar).
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            let scalar = Scalar::random(rng);
            if scalar != Scalar::ZERO {
                return Self(scalar);
            }
        }
    }

    /// Takes a canonical scalar other than zero, for vectors and for opening a level-2 receipt.
    ///
    /// # Security
    /// A blind serves one item once.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes))?;
        (scalar != Scalar::ZERO).then_some(Self(scalar))
    }

    /// The scalar, little-endian: kept sealed for matches only (SPEC §5.2).
    #[must_use]
    pub fn danger_to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub(super) fn scalars(blinds: &[Self]) -> Zeroizing<Vec<Scalar>> {
        Zeroizing::new(blinds.iter().map(|blind| blind.0).collect())
    }
}

/// A fresh scalar whose multiple of the generator is added to one item's element, form `add`. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AdditiveBlind(Scalar);

impl AdditiveBlind {
    /// Draws `n` uniform scalars, zero included, in one call of the generator.
    pub fn draw(n: usize, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<Self> {
        let mut wide = Zeroizing::new(vec![[0; 64]; n]);
        rng.fill_bytes(wide.as_flattened_mut());
        wide.iter().map(|wide| Self(Scalar::from_bytes_mod_order_wide(wide))).collect()
    }

    /// Takes a canonical scalar, for vectors and for opening a level-2 receipt.
    ///
    /// # Security
    /// A blind serves one item once.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 32]) -> Option<Self> {
        Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes)).map(Self)
    }

    /// The scalar, little-endian: kept sealed for matches only (SPEC §5.2).
    #[must_use]
    pub fn danger_to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub(super) fn scalars(blinds: &[Self]) -> Zeroizing<Vec<Scalar>> {
        Zeroizing::new(blinds.iter().map(|blind| blind.0).collect())
    }
}
