//! Length prefixes, so that no two field sequences share an encoding (SPEC §4).

use sha2::digest::Update;

/// Absorbs I2OSP(len, 2) ‖ `field`.
///
/// # Panics
/// If `field` is longer than 65,535 bytes: callers pass fields whose length a type has bounded.
pub(crate) fn lp2(hash: &mut impl Update, field: &[u8]) {
    let len = u16::try_from(field.len()).expect("bounded by the field's type");
    hash.update(&len.to_be_bytes());
    hash.update(field);
}

/// Absorbs an 8-byte length ‖ `field`, for fields that hold whole frames.
pub(crate) fn lp8(hash: &mut impl Update, field: &[u8]) {
    hash.update(&(field.len() as u64).to_be_bytes());
    hash.update(field);
}

/// Appends I2OSP(len, 2) ‖ `field` to a message that is signed or hashed elsewhere.
pub(crate) fn push_lp2(message: &mut Vec<u8>, field: &[u8]) {
    let len = u16::try_from(field.len()).expect("bounded by the field's type");
    message.extend_from_slice(&len.to_be_bytes());
    message.extend_from_slice(field);
}
