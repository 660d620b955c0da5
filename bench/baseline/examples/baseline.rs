//! The other side of each comparison: curve25519-dalek by itself, and the crate `voprf`. `veilmatch-bench` builds this
//! program twice, with the default flags and for the processor at hand, and asks both for one run at a time.

use std::{hint::black_box, process::ExitCode};

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto, traits::VartimeMultiscalarMul};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use veilmatch_baseline::{Task, serve};

fn main() -> ExitCode {
    serve("curve25519-dalek 5, crate voprf 0.5", prepare)
}

fn prepare(name: &str, n: usize) -> Option<Task> {
    Some(match name {
        "evaluate-obvious" => evaluate_obvious(n),
        "evaluate-best" => evaluate_best(n),
        "map" => map(n),
        "bare-build" => bare_build(n),
        "bare-server" => bare_server(n),
        "bare-client" => bare_client(n),
        "voprf-build" => rfc9497::build(n),
        "voprf-server" => rfc9497::server(n),
        "voprf-client" => rfc9497::client(n),
        _ => return None,
    })
}

fn scalars(n: usize) -> Vec<Scalar> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..n).map(|_| Scalar::random(&mut rng)).collect()
}

fn uniform(n: usize) -> Vec<[u8; 64]> {
    let mut rng = StdRng::seed_from_u64(2);
    (0..n).map(|_| std::array::from_fn(|_| rng.random())).collect()
}

fn encodings(n: usize) -> Vec<CompressedRistretto> {
    uniform(n).iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes).compress()).collect()
}

fn weights(n: usize) -> Vec<Scalar> {
    let mut rng = StdRng::seed_from_u64(3);
    (0..n).map(|_| Scalar::from(rng.random::<u128>())).collect()
}

fn decode(encodings: &[CompressedRistretto]) -> Vec<RistrettoPoint> {
    encodings.iter().map(|encoding| encoding.decompress().expect("canonical")).collect()
}

/// What a first program does: one element after the other.
fn evaluate_obvious(n: usize) -> Task {
    let (encodings, key) = (encodings(n), scalars(1)[0]);
    Box::new(move || {
        for encoding in &encodings {
            black_box((encoding.decompress().expect("canonical") * key).compress());
        }
    })
}

/// The best that we know of: half the scalar, and one inversion for all encodings.
fn evaluate_best(n: usize) -> Task {
    let (encodings, half) = (encodings(n), scalars(1)[0].div_by_2());
    Box::new(move || {
        let products: Vec<_> = decode(&encodings).iter().map(|point| point * half).collect();
        black_box(RistrettoPoint::double_and_compress_batch(&products));
    })
}

fn map(n: usize) -> Task {
    let uniform = uniform(n);
    Box::new(move || {
        black_box(uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect::<Vec<_>>());
    })
}

/// The group operations of a list build, without any protocol.
fn bare_build(n: usize) -> Task {
    let (uniform, key) = (uniform(n), scalars(1)[0]);
    Box::new(move || {
        let products: Vec<_> = uniform.iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes) * key).collect();
        black_box(RistrettoPoint::double_and_compress_batch(&products));
    })
}

/// The group operations of a server's answer with its proof.
fn bare_server(n: usize) -> Task {
    let (encodings, key, weights) = (encodings(n), scalars(1)[0], weights(n));
    Box::new(move || {
        let points = decode(&encodings);
        let products: Vec<_> = points.iter().map(|point| point * key).collect();
        black_box(RistrettoPoint::double_and_compress_batch(&products));
        black_box(RistrettoPoint::vartime_multiscalar_mul(&weights, &points));
    })
}

/// The group operations of a client's check.
fn bare_client(n: usize) -> Task {
    let (uniform, encodings, weights) = (uniform(n), encodings(n), weights(n));
    let mut rng = StdRng::seed_from_u64(4);
    Box::new(move || {
        let blinds: Vec<_> = (0..n).map(|_| Scalar::random(&mut rng)).collect();
        let pairs = uniform.iter().zip(&blinds);
        let blinded: Vec<_> = pairs.map(|(bytes, blind)| RistrettoPoint::from_uniform_bytes(bytes) * blind).collect();
        black_box(RistrettoPoint::double_and_compress_batch(&blinded));
        let evaluated = decode(&encodings);
        black_box(RistrettoPoint::vartime_multiscalar_mul(&weights, &blinded));
        black_box(RistrettoPoint::vartime_multiscalar_mul(&weights, &evaluated));
        let mut inverses = blinds;
        Scalar::invert_batch_alloc(&mut inverses);
        let unblinded: Vec<_> = evaluated.iter().zip(&inverses).map(|(point, inverse)| point * inverse).collect();
        black_box(RistrettoPoint::double_and_compress_batch(&unblinded));
    })
}

/// The same stages with an independent implementation of RFC 9497.
mod rfc9497 {
    use super::*;
    use voprf::{BlindedElement, EvaluationElement, Proof, Ristretto255, VoprfClient, VoprfServer};

    type Client = VoprfClient<Ristretto255>;
    type Server = VoprfServer<Ristretto255>;

    /// The generator that this crate's version of the traits wants, from the system's.
    type Rng = rand_core_06::OsRng;

    fn key() -> Server {
        Server::new_from_seed(&[1; 32], b"bench").expect("this seed gives a key")
    }

    fn inputs(n: usize) -> Vec<[u8; 33]> {
        let input = |n: usize| {
            let mut input = [3; 33];
            input[1..].copy_from_slice(&Sha256::digest(n.to_be_bytes()));
            input
        };
        (0..n).map(input).collect()
    }

    fn blind(inputs: &[[u8; 33]]) -> (Vec<Client>, Vec<Vec<u8>>) {
        let blind = |input: &[u8; 33]| {
            let blinded = Client::blind(input, &mut Rng {}).expect("a legal input");
            (blinded.state, blinded.message.serialize().to_vec())
        };
        inputs.iter().map(blind).unzip()
    }

    fn answer(server: &Server, frame: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let elements: Vec<BlindedElement<Ristretto255>> =
            frame.iter().map(|bytes| BlindedElement::deserialize(bytes).expect("canonical")).collect();
        let answer = server.batch_blind_evaluate(&mut Rng {}, &elements).expect("a legal batch");
        let bytes = answer.messages.iter().map(|element| element.serialize().to_vec()).collect();
        (bytes, answer.proof.serialize().to_vec())
    }

    pub(super) fn build(n: usize) -> Task {
        let (server, inputs) = (key(), inputs(n));
        Box::new(move || {
            for input in &inputs {
                black_box(server.evaluate(input).expect("a legal input"));
            }
        })
    }

    pub(super) fn server(n: usize) -> Task {
        let (server, (_, frame)) = (key(), blind(&inputs(n)));
        Box::new(move || {
            black_box(answer(&server, &frame));
        })
    }

    pub(super) fn client(n: usize) -> Task {
        let (server, inputs) = (key(), inputs(n));
        let (clients, frame) = blind(&inputs);
        let (evaluated, proof) = answer(&server, &frame);
        Box::new(move || {
            black_box(blind(&inputs));
            let elements: Vec<EvaluationElement<Ristretto255>> =
                evaluated.iter().map(|bytes| EvaluationElement::deserialize(bytes).expect("canonical")).collect();
            let proof = Proof::deserialize(&proof).expect("canonical");
            let outputs = Client::batch_finalize(&inputs, &clients, &elements, &proof, server.get_public_key());
            black_box(outputs.expect("an honest answer").collect::<Vec<_>>());
        })
    }
}
