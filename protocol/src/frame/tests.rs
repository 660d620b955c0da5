use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto};
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{item::Kind, name::AgencyName};

fn context() -> FrameContext {
    FrameContext {
        origin: Origin::of(&AgencyName::parse("agency.example").unwrap()),
        list: ListId::parse("baseline").unwrap(),
        epoch: Epoch(1),
        platform: PlatformId::parse("platform.example").unwrap(),
        batch: BatchId([7; 16]),
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::for_epoch(&[seed; 32], &context().list, Epoch(1)).unwrap()
}

fn items(n: usize) -> Vec<Item> {
    (0..n).map(|i| Item::new(Kind::Sha256, &sha2::Sha256::digest(i.to_be_bytes())).unwrap()).collect()
}

use sha2::Digest as _;

/// A frame, its honest answer, and a generator that repeats, so that the same frame can be made twice.
fn asked(size: FrameSize, n: usize) -> (BlindedFrame, Answer) {
    let mut rng = StdRng::seed_from_u64(size.len() as u64);
    let frame = BlindedFrame::blind(size, &items(n), &mut rng);
    let answer = answer(&context(), &key(1), frame.elements(), &mut rng);
    (frame, answer)
}

fn verify(frame: BlindedFrame, evaluated: &[[u8; 32]], proof: &Proof) -> Result<VerifiedFrame, Error> {
    frame.verify(&context(), key(1).public(), evaluated.as_flattened(), &proof.to_bytes())
}

#[test]
fn a_verified_frame_gives_the_outputs_that_the_key_holder_computes() {
    for (size, n) in [(FrameSize::One, 1), (FrameSize::Four, 1), (FrameSize::Four, 4), (FrameSize::Quarter, 200)] {
        let (frame, answer) = asked(size, n);
        let outputs = verify(frame, &answer.evaluated, &answer.proof).unwrap().finalize().unwrap();
        let inputs: Vec<_> = items(n).iter().map(|item| item.as_bytes().to_vec()).collect();
        let want = oprf::evaluate(Mode::Voprf, &key(1), &inputs).unwrap();
        assert_eq!(outputs.len(), n);
        assert!(outputs.iter().zip(&want).all(|(got, want)| got.output == *want));
    }
}

#[test]
fn one_wrong_item_is_refused_at_every_position() {
    // SPEC §6.7
    for size in [FrameSize::One, FrameSize::Four, FrameSize::Sixteen, FrameSize::Quarter] {
        let (_, answer) = asked(size, 1);
        for at in 0..size.len() {
            let mut evaluated = answer.evaluated.clone();
            evaluated[at] = shifted(&evaluated[at], Scalar::ONE);
            let (frame, _) = asked(size, 1);
            assert_eq!(verify(frame, &evaluated, &answer.proof).err(), Some(Error::BadProof), "{size:?} at {at}");
        }
    }
}

fn shifted(element: &[u8; 32], by: Scalar) -> [u8; 32] {
    (CompressedRistretto(*element).decompress().unwrap() + RistrettoPoint::mul_base(&by)).compress().to_bytes()
}

#[test]
fn one_wrong_item_two_swapped_and_errors_that_cancel_are_refused_in_the_largest_frames() {
    // SPEC §6.7
    for size in [FrameSize::Thousand, FrameSize::Full] {
        let (frame, honest) = asked(size, size.len());
        let proof = honest.proof.to_bytes();
        let verified = |evaluated: &[[u8; 32]]| {
            verify_answer(&context(), key(1).public(), frame.elements(), evaluated.as_flattened(), &proof).map(drop)
        };
        assert_eq!(verified(&honest.evaluated), Ok(()));
        let last = size.len() - 1;
        // The first and the last of a block of four weights among them.
        for at in [0, 1, 3, 4, 255, last / 2, last - 1, last] {
            let mut evaluated = honest.evaluated.clone();
            evaluated[at] = shifted(&evaluated[at], Scalar::ONE);
            assert_eq!(verified(&evaluated), Err(Error::BadProof), "{size:?} at {at}");
        }
        for (a, b) in [(0, 1), (0, last), (17, last / 2)] {
            let mut swapped = honest.evaluated.clone();
            swapped.swap(a, b);
            assert_eq!(verified(&swapped), Err(Error::BadProof), "{size:?}: {a} and {b} swapped");
            let mut opposite = honest.evaluated.clone();
            let error = Scalar::from(77_u8);
            opposite[a] = shifted(&opposite[a], error);
            opposite[b] = shifted(&opposite[b], -error);
            assert_eq!(verified(&opposite), Err(Error::BadProof), "{size:?}: errors at {a} and {b}");
        }
    }
}

#[test]
fn the_published_voprf_crate_agrees_with_a_frame_of_one_as_client_and_as_server() {
    // SPEC §6.6: through the steps that frames take, not only through the functions below them.
    use voprf::{Ristretto255 as Theirs, VoprfClient, VoprfServer};
    let (mut rng, mut theirs_rng) = (StdRng::seed_from_u64(9), rand_core_06::OsRng);
    // SPEC §4.4: I2OSP(len, 2) ‖ list ‖ I2OSP(epoch, 4)
    let info = [&[0, 8][..], b"baseline", &[0, 0, 0, 1]].concat();
    let theirs = VoprfServer::<Theirs>::new_from_seed(&[1; 32], &info).unwrap();
    for item in items(3) {
        let want = oprf::evaluate(Mode::Voprf, &key(1), &[item.as_bytes()]).unwrap();

        // Their client, our answer.
        let client = VoprfClient::<Theirs>::blind(item.as_bytes(), &mut theirs_rng).unwrap();
        let blinded = Elements::decode(&client.message.serialize()).unwrap();
        assert_eq!(FrameSize::try_from(blinded.len()), Ok(FrameSize::One));
        let answer = answer(&context(), &key(1), &blinded, &mut rng);
        let message = voprf::EvaluationElement::<Theirs>::deserialize(&answer.evaluated[0]).unwrap();
        let proof = voprf::Proof::<Theirs>::deserialize(&answer.proof.to_bytes()).unwrap();
        let output = client.state.finalize(item.as_bytes(), &message, &proof, theirs.get_public_key()).unwrap();
        assert_eq!(&output[..], want[0].danger_as_bytes());

        // Our frame, their server.
        let frame = BlindedFrame::blind(FrameSize::One, std::slice::from_ref(&item), &mut rng);
        let message = voprf::BlindedElement::<Theirs>::deserialize(frame.elements().as_bytes()).unwrap();
        let result = theirs.blind_evaluate(&mut theirs_rng, &message);
        let (evaluated, proof) = (result.message.serialize(), result.proof.serialize());
        let verified = frame.verify(&context(), key(1).public(), &evaluated, &proof).unwrap();
        assert!(verified.finalize().unwrap()[0].output == want[0]);
    }
}

#[test]
fn swapped_items_opposite_errors_and_short_or_foreign_answers_are_refused() {
    // SPEC §6.7
    let size = FrameSize::Sixteen;
    let refused = |evaluated: &[[u8; 32]], proof: &Proof| {
        let (frame, _) = asked(size, 16);
        assert_eq!(verify(frame, evaluated, proof).err(), Some(Error::BadProof));
    };
    let (_, honest) = asked(size, 16);

    let mut swapped = honest.evaluated.clone();
    swapped.swap(2, 9);
    refused(&swapped, &honest.proof);

    let mut opposite = honest.evaluated.clone();
    opposite[0] = shifted(&opposite[0], Scalar::from(77_u8));
    opposite[1] = shifted(&opposite[1], -Scalar::from(77_u8));
    refused(&opposite, &honest.proof);

    refused(&honest.evaluated[..15], &honest.proof);
    refused(&[], &honest.proof);
    let mut identity = honest.evaluated.clone();
    identity[4] = [0; 32];
    refused(&identity, &honest.proof);

    let mut rng = StdRng::seed_from_u64(3);
    let (frame, _) = asked(size, 16);
    let wrong_key = answer(&context(), &key(2), frame.elements(), &mut rng);
    refused(&wrong_key.evaluated, &wrong_key.proof);
    let other_batch = FrameContext { batch: BatchId([8; 16]), ..context() };
    let replayed = answer(&other_batch, &key(1), frame.elements(), &mut rng);
    refused(&replayed.evaluated, &replayed.proof);
    let other = BlindedFrame::blind(size, &items(16), &mut rng);
    let foreign = answer(&context(), &key(1), other.elements(), &mut rng);
    refused(&foreign.evaluated, &foreign.proof);
    refused(&honest.evaluated, &foreign.proof);
}

#[test]
fn rfc_style_weights_are_refused_for_a_larger_frame() {
    // SPEC §6.6: the RFC's batched proof can be forged by a k-list search.
    let (frame, honest) = asked(FrameSize::Four, 4);
    let proof = oprf::generate_proof(&key(1), frame.elements(), &honest.evaluated, &Scalar::from(5_u8));
    let elements = Elements::decode(honest.evaluated.as_flattened()).unwrap();
    oprf::verify_proof(key(1).public(), frame.elements(), &elements, &proof).unwrap();
    assert_eq!(verify(frame, &honest.evaluated, &proof).err(), Some(Error::BadProof));
}

#[test]
fn every_weight_changes_with_every_transcript_field_and_every_position() {
    // SPEC §6.6
    let (frame, answer) = asked(FrameSize::Sixteen, 16);
    let (blinded, evaluated) = (frame.elements().encodings().to_vec(), answer.evaluated);
    let key = key(1);
    let weights = |context: &FrameContext, public: &PublicKey, c: &[[u8; 32]], d: &[[u8; 32]]| {
        proof::weights(&proof::transcript(context, public, c, d), 16)
    };
    let base = weights(&context(), key.public(), &blinded, &evaluated);
    let mut all = vec![base];
    let edits: [fn(&mut FrameContext); 5] = [
        |c| c.origin = Origin::of(&AgencyName::parse("other.example").unwrap()),
        |c| c.list = ListId::parse("other").unwrap(),
        |c| c.epoch = Epoch(2),
        |c| c.platform = PlatformId::parse("other.example").unwrap(),
        |c| c.batch = BatchId([9; 16]),
    ];
    for edit in edits {
        let mut context = context();
        edit(&mut context);
        all.push(weights(&context, key.public(), &blinded, &evaluated));
    }
    all.push(weights(&context(), super::tests::key(2).public(), &blinded, &evaluated));
    // The number of elements is a field, too: a frame that goes on like another has other weights from the first on.
    for n in [4, 15] {
        let shorter = proof::transcript(&context(), key.public(), &blinded[..n], &evaluated[..n]);
        all.push(proof::weights(&shorter, n));
    }
    for at in 0..16 {
        for which in 0..2 {
            let mut sides = [blinded.clone(), evaluated.clone()];
            sides[which][at][0] ^= 2;
            all.push(weights(&context(), key.public(), &sides[0], &sides[1]));
        }
    }
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            assert!(a.iter().zip(b).all(|(a, b)| a != b));
        }
    }
}

#[test]
fn blinds_and_positions_are_fresh_for_every_frame() {
    // SPEC §5.1, §6.2
    let mut rng = StdRng::seed_from_u64(5);
    let one = items(1);
    let mut seen = std::collections::HashSet::new();
    let mut at = [0; 4];
    for _ in 0..200 {
        let frame = BlindedFrame::blind(FrameSize::Four, &one, &mut rng);
        at[usize::from(frame.positions[0])] += 1;
        for element in frame.elements().encodings() {
            assert!(seen.insert(*element), "no element repeats, although the item does");
        }
    }
    assert!(at.iter().all(|&count| count > 20), "{at:?}");
}

#[test]
fn a_thousand_proofs_of_one_statement_never_repeat_a_nonce() {
    // SPEC §6.6
    let (frame, _) = asked(FrameSize::One, 1);
    let mut rng = StdRng::seed_from_u64(6);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let proof = answer(&context(), &key(1), frame.elements(), &mut rng).proof;
        assert!(seen.insert(proof.to_bytes()));
    }
}

#[test]
fn the_digests_change_with_every_field() {
    // SPEC §6.4, §6.5, §6.8
    let (frame, answer) = asked(FrameSize::Four, 4);
    let blinded = frame.elements().encodings();
    let base = request_digest(&context(), blinded);
    let mut swapped = blinded.to_vec();
    swapped.swap(0, 1);
    assert_ne!(request_digest(&context(), &swapped), base);
    assert_ne!(request_digest(&FrameContext { epoch: Epoch(2), ..context() }, blinded), base);
    assert_ne!(request_digest(&FrameContext { batch: BatchId([8; 16]), ..context() }, blinded), base);

    let response = response_digest(&base, &answer.evaluated, &answer.proof);
    assert_ne!(response_digest(&base, &swapped, &answer.proof), response);

    let view = View { size: 1, root: [2; 32] };
    let message = signed_message(&base, &view, crate::name::Version(3), 4);
    assert_ne!(signed_message(&base, &View { size: 2, ..view }, crate::name::Version(3), 4), message);
    assert_ne!(signed_message(&base, &view, crate::name::Version(4), 4), message);
    assert_ne!(signed_message(&base, &view, crate::name::Version(3), 5), message);
}

#[test]
fn a_frame_has_one_of_six_sizes() {
    // SPEC §6.1
    let legal: Vec<_> = (0..=5_000).filter(|&n| FrameSize::try_from(n).is_ok()).collect();
    assert_eq!(legal, [1, 4, 16, 256, 1_024, 4_096]);
    let all = FrameSize::ALL;
    assert_eq!(FrameSize::smallest_for(5, &all), Some(FrameSize::Sixteen));
    assert_eq!(FrameSize::smallest_for(5_000, &all), Some(FrameSize::Full));
    assert_eq!(FrameSize::smallest_for(2, &[FrameSize::One, FrameSize::Quarter]), Some(FrameSize::Quarter));
    assert_eq!(FrameSize::smallest_for(1, &[]), None);
}
