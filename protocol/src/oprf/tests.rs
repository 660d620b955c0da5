use curve25519_dalek::{RistrettoPoint, Scalar};
use serde::Deserialize;
use sha2::{Digest, Sha512};

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    source: String,
    mode: String,
    seed: String,
    key_info: String,
    secret_key: String,
    public_key: String,
    inputs: Vec<String>,
    blinds: Vec<String>,
    blinded_elements: Vec<String>,
    evaluated_elements: Vec<String>,
    outputs: Vec<String>,
    proof: String,
    proof_nonce: String,
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn scalar(text: &str) -> Scalar {
    Scalar::from_canonical_bytes(array(text)).unwrap()
}

fn cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/rfc9497");
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap()).collect()
}

#[test]
fn the_vectors_of_rfc_9497_pass_in_both_modes() {
    // SPEC §4.3
    let cases = cases();
    assert_eq!(cases.len(), 5, "two of OPRF and three of VOPRF");
    for case in cases {
        let mode = if case.mode == "oprf" { Mode::Oprf } else { Mode::Voprf };
        let hex_all = |elements: &[[u8; 32]]| elements.iter().map(hex::encode).collect::<Vec<_>>();
        let inputs: Vec<_> = case.inputs.iter().map(|input| hex::decode(input).unwrap()).collect();
        let blinds: Vec<_> = case.blinds.iter().map(|blind| Blind::danger_from_bytes(array(blind)).unwrap()).collect();

        let info = hex::decode(&case.key_info).unwrap();
        let key = SecretKey::derive(mode, &array(&case.seed), &info).unwrap();
        assert_eq!(key.scalar(), &scalar(&case.secret_key), "{}", case.source);

        let blinded = blind(mode, &inputs, &blinds).unwrap();
        assert_eq!(hex_all(blinded.encodings()), case.blinded_elements, "{}", case.source);
        let evaluated = blind_evaluate(&key, &blinded);
        assert_eq!(hex_all(&evaluated), case.evaluated_elements, "{}", case.source);
        let elements = Elements::decode(evaluated.as_flattened()).unwrap();
        if mode == Mode::Voprf {
            assert_eq!(hex::encode(key.public().as_bytes()), case.public_key, "{}", case.source);
            let proof = generate_proof(&key, &blinded, &evaluated, &scalar(&case.proof_nonce));
            assert_eq!(hex::encode(proof.to_bytes()), case.proof, "{}", case.source);
            verify_proof(key.public(), &blinded, &elements, &proof).unwrap();
        }

        let want: Vec<_> = case.outputs;
        let hex_outputs = |outputs: &[Output]| outputs.iter().map(|y| hex::encode(y.0)).collect::<Vec<_>>();
        assert_eq!(hex_outputs(&finalize(&inputs, &blinds, &elements)), want, "{}", case.source);
        assert_eq!(hex_outputs(&evaluate(mode, &key, &inputs).unwrap()), want, "{}", case.source);
    }
}

#[test]
fn the_published_voprf_crate_agrees_as_client_and_as_server_for_one_element() {
    // SPEC §6.6: the proof of a frame of one is RFC 9497's.
    use voprf::{Ristretto255 as Theirs, VoprfClient, VoprfServer};
    let mut theirs_rng = rand_core_06::OsRng;
    for input in [&b"\x03 a digest of thirty-two bytes.."[..], b"", &[0xff; 65]] {
        let seed = [9; 32];
        let ours = SecretKey::derive(Mode::Voprf, &seed, b"both sides").unwrap();
        let theirs = VoprfServer::<Theirs>::new_from_seed(&seed, b"both sides").unwrap();

        // Their client, our server.
        let client = VoprfClient::<Theirs>::blind(input, &mut theirs_rng).unwrap();
        let blinded = Elements::decode(&client.message.serialize()).unwrap();
        let evaluated = blind_evaluate(&ours, &blinded);
        let proof = generate_proof(&ours, &blinded, &evaluated, &Scalar::from(12_345_u64));
        let message = voprf::EvaluationElement::<Theirs>::deserialize(&evaluated[0]).unwrap();
        let their_proof = voprf::Proof::<Theirs>::deserialize(&proof.to_bytes()).unwrap();
        let output = client.state.finalize(input, &message, &their_proof, theirs.get_public_key()).unwrap();
        assert_eq!(output[..], evaluate(Mode::Voprf, &ours, &[input]).unwrap()[0].0);

        // Our client, their server.
        let blinds = [Blind(Scalar::from(99_u64))];
        let blinded = blind(Mode::Voprf, &[input], &blinds).unwrap();
        let message = voprf::BlindedElement::<Theirs>::deserialize(blinded.as_bytes()).unwrap();
        let result = theirs.blind_evaluate(&mut theirs_rng, &message);
        let evaluated = Elements::decode(&result.message.serialize()).unwrap();
        let proof = Proof::from_bytes(&result.proof.serialize()).unwrap();
        verify_proof(ours.public(), &blinded, &evaluated, &proof).unwrap();
        assert_eq!(finalize(&[input], &blinds, &evaluated)[0].0, output[..]);
    }
}

#[test]
fn elements_that_are_not_canonical_or_the_identity_fail_the_frame_with_one_error() {
    // SPEC §4.2
    let good = RistrettoPoint::mul_base(&Scalar::from(5_u8)).compress().to_bytes();
    let mut high_bit = good;
    high_bit[31] |= 0x80;
    let mut negative = good;
    negative[0] |= 1;
    let p = {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        p
    };
    for bad in [[0; 32], [0xff; 32], high_bit, negative, p] {
        for at in 0..4 {
            let mut frame = [good; 4];
            frame[at] = bad;
            assert_eq!(Elements::decode(frame.as_flattened()).err(), Some(Error::BadFrame));
        }
    }
    assert!(Elements::decode(&good[..31]).is_err());
    assert!(Elements::decode(&[&good[..], &[0]].concat()).is_err());
    assert_eq!(Elements::decode(&good).unwrap().encodings(), [good]);
}

#[test]
fn a_public_key_that_is_the_identity_or_not_canonical_is_refused() {
    // SPEC §8.3
    for bad in [vec![0; 32], vec![0xff; 32], vec![1; 31], Vec::new()] {
        assert_eq!(PublicKey::from_bytes(&bad), Err(Error::PublicKey));
    }
}

#[test]
fn proofs_with_scalars_that_are_not_canonical_are_refused() {
    // SPEC §6.7
    for at in [31, 63] {
        let mut bytes = [1; 64];
        bytes[at] = 0xff;
        assert_eq!(Proof::from_bytes(&bytes), Err(Error::BadProof));
    }
    for len in [0, 31, 32, 63, 65] {
        assert_eq!(Proof::from_bytes(&vec![0; len]), Err(Error::BadProof));
    }
}

#[test]
fn hash_to_group_is_not_a_multiple_of_the_generator_by_a_known_scalar() {
    // An item mapped as scalar times generator lets one evaluation answer for all; seen in another implementation.
    let bytes = |input: &[u8]| {
        let mut out = [[0; 32]];
        Mode::Voprf.hash_to_group(&[input]).multiply_each(&[Scalar::ONE], &mut out);
        out[0]
    };
    let input = b"\x03an item";
    let candidates = [
        Scalar::hash_from_bytes::<Sha512>(input),
        Mode::Voprf.hash_to_scalar(input),
        Scalar::from_bytes_mod_order_wide(&Sha512::digest(input).into()),
    ];
    for scalar in candidates {
        assert_ne!(RistrettoPoint::mul_base(&scalar).compress().to_bytes(), bytes(input));
    }
}

#[test]
fn keys_of_different_lists_or_epochs_are_independent() {
    // SPEC §4.4
    let key = |list: &str, epoch| {
        let list = ListId::parse(list).unwrap();
        *SecretKey::for_epoch(&[1; 32], &list, Epoch(epoch)).unwrap().public().as_bytes()
    };
    assert_ne!(key("a", 1), key("a", 2));
    assert_ne!(key("a", 1), key("b", 1));
    assert_eq!(key("a", 1), key("a", 1));
}
