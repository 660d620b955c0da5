use curve25519_dalek::constants::EIGHT_TORSION;
use ed25519_dalek::{Signer, SigningKey};

use super::*;

/// What both implementations say; they must say the same.
fn said(prepared: &PreparedKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    let ours = prepared.verifies_with_table(message, &signature);
    assert_eq!(ours, prepared.key().verify_strict(message, &signature).is_ok());
    ours
}

#[test]
fn says_what_the_library_says_of_signatures_with_any_bit_changed() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let prepared = PreparedKey::new(signer.verifying_key());
    for length in [0, 1, 63, 64, 200] {
        let message = vec![length as u8; length];
        let signature = signer.sign(&message).to_bytes();
        assert!(said(&prepared, &message, &signature));
        assert!(!said(&prepared, b"another message", &signature));
        for bit in 0..512 {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!said(&prepared, &message, &changed), "bit {bit}");
        }
    }
}

/// The challenge of a signature.
fn challenge(r: &[u8], key: &[u8], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

#[test]
fn says_what_the_library_says_of_points_with_a_part_of_small_order() {
    // A signer may add such a part to its key, to R, or to both, and then some messages verify and others do not.
    let (a, r) = (Scalar::from(1_234_567_u64), Scalar::from(7_654_321_u64));
    let (mut held, mut failed) = (0, 0);
    for of_key in EIGHT_TORSION {
        let key = (EdwardsPoint::mul_base(&a) + of_key).compress();
        let prepared = PreparedKey::new(VerifyingKey::from_bytes(key.as_bytes()).unwrap());
        for of_r in EIGHT_TORSION {
            for message in 0_u8..32 {
                let r_bytes = (EdwardsPoint::mul_base(&r) + of_r).compress().to_bytes();
                let s = r + challenge(&r_bytes, key.as_bytes(), &[message]) * a;
                let signature = [r_bytes, s.to_bytes()].concat().try_into().unwrap();
                let count = if said(&prepared, &[message], &signature) { &mut held } else { &mut failed };
                *count += 1;
            }
        }
    }
    assert!(held >= 32 && failed >= 32, "{held} held, {failed} failed");
}

#[test]
fn refuses_keys_and_r_of_small_order_and_an_s_that_is_not_reduced() {
    for point in EIGHT_TORSION {
        let weak = point.compress().to_bytes();
        // With s = 0 and A of small order it holds for R = −kA.
        let prepared = PreparedKey::new(VerifyingKey::from_bytes(&weak).unwrap());
        for r in EIGHT_TORSION {
            let signature = [r.compress().to_bytes(), [0; 32]].concat().try_into().unwrap();
            assert!(!said(&prepared, b"message", &signature));
        }
        // R of small order: s = k·a + 0.
        let a = Scalar::from(99_u8);
        let key = EdwardsPoint::mul_base(&a).compress();
        let s = challenge(&weak, key.as_bytes(), b"message") * a;
        let prepared = PreparedKey::new(VerifyingKey::from_bytes(key.as_bytes()).unwrap());
        assert!(!said(&prepared, b"message", &[weak, s.to_bytes()].concat().try_into().unwrap()));
    }
    let signer = SigningKey::from_bytes(&[8; 32]);
    let prepared = PreparedKey::new(signer.verifying_key());
    let mut signature = signer.sign(b"message").to_bytes();
    // s + L, with L = 2²⁵² + 27742317777372353535851937790883648493.
    let order = [&27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes()[..], &[0; 15], &[16]].concat();
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert!(!said(&prepared, b"message", &signature));
}

#[test]
fn says_the_same_before_and_after_the_table_is_made() {
    let signer = SigningKey::from_bytes(&[9; 32]);
    let prepared = PreparedKey::new(signer.verifying_key());
    let signature = signer.sign(b"message");
    for asked in 0..2 * WORTHWHILE {
        assert_eq!(prepared.table.get().is_some(), asked > WORTHWHILE, "after {asked}");
        assert!(prepared.verifies(b"message", &signature));
    }
    assert!(!prepared.verifies(b"another message", &signature));
}
