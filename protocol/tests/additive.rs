//! Additive blinds (SPEC §5.1, §5.3): what a server evaluates and proves for them is what a client needs, and nothing on
//! the wire differs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use sha2::{Digest, Sha512};
use veilmatch_protocol::{
    Error,
    frame::{self, BatchId, FrameContext},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId},
    oprf::{self, Blind, Elements, Mode, SecretKey},
};

fn point(encoding: &[u8; 32]) -> RistrettoPoint {
    CompressedRistretto(*encoding).decompress().unwrap()
}

fn context() -> FrameContext {
    FrameContext {
        origin: Origin::of(&AgencyName::parse("agency.example").unwrap()),
        list: ListId::parse("baseline").unwrap(),
        epoch: Epoch(1),
        platform: PlatformId::parse("platform.example").unwrap(),
        batch: BatchId([7; 16]),
    }
}

/// H(x) + r·G for each item.
fn blinded(items: &[Vec<u8>], blinds: &[Scalar]) -> Elements {
    let ones: Vec<_> = items.iter().map(|_| Blind::danger_from_bytes(Scalar::ONE.to_bytes()).unwrap()).collect();
    let hashed = oprf::blind(Mode::Voprf, items, &ones).unwrap();
    let shifted = hashed.encodings().iter().zip(blinds).map(|(h, r)| point(h) + RistrettoPoint::mul_base(r));
    Elements::decode(&shifted.flat_map(|b| b.compress().to_bytes()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn additive_blinds_give_the_outputs_of_the_prf_under_a_proof_that_holds() {
    // SPEC §5.3, §6.7
    let key = SecretKey::for_epoch(&[3; 32], &context().list, Epoch(1)).unwrap();
    for n in [1_u8, 4, 16] {
        let items: Vec<_> = (0..n).map(|i| vec![i; 33]).collect();
        // Zero is a blind like any other here.
        let blinds: Vec<_> = (0..n).map(|i| Scalar::from(i) * Scalar::from(u64::MAX)).collect();
        let blinded = blinded(&items, &blinds);
        let answer = frame::answer(&context(), &key, &blinded, &mut rand::rng());
        let (evaluated, proof) = (answer.evaluated.as_flattened(), answer.proof.to_bytes());
        let evaluated = frame::verify_answer(&context(), key.public(), &blinded, evaluated, &proof).unwrap();
        let expected = oprf::evaluate(Mode::Voprf, &key, &items).unwrap();
        for (i, (item, r)) in items.iter().zip(&blinds).enumerate() {
            // N = D − r·pk
            let unblinded = point(&evaluated.encodings()[i]) - point(key.public().as_bytes()) * r;
            let encoding = unblinded.compress().to_bytes();
            let mut y = Sha512::new();
            for field in [&item[..], &encoding] {
                y.update(u16::try_from(field.len()).unwrap().to_be_bytes());
                y.update(field);
            }
            y.update("Finalize");
            assert_eq!(y.finalize()[..], expected[i].danger_as_bytes()[..], "item {i} of {n}");
        }
    }
}

#[test]
fn an_error_that_additive_unblinding_would_carry_into_the_output_is_refused() {
    // SPEC §5.3, §13.6
    let key = SecretKey::for_epoch(&[3; 32], &context().list, Epoch(1)).unwrap();
    let items: Vec<_> = (0..4).map(|i| vec![i; 33]).collect();
    let blinded = blinded(&items, &[Scalar::ONE, Scalar::ZERO, -Scalar::ONE, Scalar::from(9_u8)]);
    let answer = frame::answer(&context(), &key, &blinded, &mut rand::rng());
    let mut evaluated = answer.evaluated;
    for (at, shift) in [(0, Scalar::ONE), (1, -Scalar::ONE)] {
        evaluated[at] = (point(&evaluated[at]) + RistrettoPoint::mul_base(&shift)).compress().to_bytes();
    }
    let refused =
        frame::verify_answer(&context(), key.public(), &blinded, evaluated.as_flattened(), &answer.proof.to_bytes());
    assert!(matches!(refused, Err(Error::BadProof)));
}
