//! Our side of each comparison, as a program that is asked for one run at a time.

use std::{hint::black_box, process::ExitCode};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use veilmatch_baseline::{Task, serve};
use veilmatch_protocol::{
    artifact::{self, Layout},
    derive::EpochContext,
    frame::{self, BatchId, BlindedFrame, FrameContext, FrameSize},
    item::{Item, Kind},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId},
    oprf::{self, Elements, Mode, SecretKey},
};
use veilmatch_ristretto::{Points, Scalar, SharedScalar};

/// Answers the measuring program.
pub fn run() -> ExitCode {
    serve(veilmatch_ristretto::backend(), prepare)
}

fn prepare(name: &str, n: usize) -> Option<Task> {
    Some(match name {
        "multiply-shared" => multiply_shared(n),
        "multiply-each" => multiply_each(n),
        "evaluate" => evaluate(n),
        "map" => map(n),
        "decode" => decode(n),
        "weighted-sum" => weighted_sum(n),
        "build" => build(n),
        "server" => server(n),
        "client" => client(n),
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

fn encodings(n: usize) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; n];
    Points::from_uniform(&uniform(n)).multiply_shared(&SharedScalar::new(&Scalar::ONE), &mut out);
    out
}

fn points(n: usize) -> Points {
    Points::decode(&encodings(n)).expect("encoded above")
}

fn multiply_shared(n: usize) -> Task {
    let (points, scalar, mut out) = (points(n), SharedScalar::new(&scalars(1)[0]), vec![[0; 32]; n]);
    Box::new(move || points.multiply_shared(&scalar, black_box(&mut out)))
}

fn multiply_each(n: usize) -> Task {
    let (points, scalars, mut out) = (points(n), scalars(n), vec![[0; 32]; n]);
    Box::new(move || points.multiply_each(&scalars, black_box(&mut out)))
}

/// Decode, multiply by one scalar, encode.
fn evaluate(n: usize) -> Task {
    let (encodings, scalar, mut out) = (encodings(n), SharedScalar::new(&scalars(1)[0]), vec![[0; 32]; n]);
    Box::new(move || {
        Points::decode(&encodings).expect("canonical").multiply_shared(&scalar, black_box(&mut out));
    })
}

fn map(n: usize) -> Task {
    let uniform = uniform(n);
    Box::new(move || drop(black_box(Points::from_uniform(&uniform))))
}

fn decode(n: usize) -> Task {
    let encodings = encodings(n);
    Box::new(move || drop(black_box(Points::decode(&encodings))))
}

fn weighted_sum(n: usize) -> Task {
    let mut rng = StdRng::seed_from_u64(3);
    let (points, weights) = (points(n), (0..n).map(|_| rng.random()).collect::<Vec<u128>>());
    Box::new(move || {
        black_box(points.weighted_sum(&weights));
    })
}

struct World {
    context: FrameContext,
    key: SecretKey,
    items: Vec<Item>,
    size: FrameSize,
}

impl World {
    fn new(n: usize) -> Self {
        let list = ListId::parse("bench").expect("fits the grammar");
        let item = |n: usize| Item::new(Kind::Sha256, &Sha256::digest(n.to_be_bytes())).expect("32 bytes");
        Self {
            context: FrameContext {
                origin: Origin::of(&AgencyName::parse("agency.example").expect("fits the grammar")),
                list: list.clone(),
                epoch: Epoch(1),
                platform: PlatformId::parse("platform.example").expect("fits the grammar"),
                batch: BatchId([1; 16]),
            },
            key: SecretKey::for_epoch(&[1; 32], &list, Epoch(1)).expect("this seed gives a key"),
            items: (0..n).map(item).collect(),
            size: FrameSize::smallest_for(n, &FrameSize::ALL).expect("there are size classes"),
        }
    }

    fn epoch(&self) -> EpochContext {
        EpochContext { list: self.context.list.clone(), epoch: self.context.epoch }
    }

    // Every round blinds the same frame, so that one answer fits all of them.
    fn blinded(&self) -> BlindedFrame {
        BlindedFrame::blind(self.size, &self.items, &mut StdRng::seed_from_u64(5))
    }
}

/// From an entry to its published record, with a label of four bytes.
fn build(n: usize) -> Task {
    let world = World::new(n);
    let epoch = world.epoch();
    let layout = Layout::new(4).expect("a legal length");
    Box::new(move || {
        let inputs: Vec<_> = world.items.iter().map(Item::as_bytes).collect();
        let outputs = oprf::evaluate(Mode::Voprf, &world.key, &inputs).expect("no item is the identity");
        let labels = vec![&b"four"[..]; outputs.len()];
        black_box(artifact::records(layout, &epoch.okms(&outputs), &labels).expect("a legal length"));
    })
}

/// From a frame's bytes to the answer's.
fn server(n: usize) -> Task {
    let world = World::new(n);
    let bytes = world.blinded().elements().as_bytes().to_vec();
    let mut rng = StdRng::seed_from_u64(6);
    Box::new(move || {
        let elements = Elements::decode(&bytes).expect("canonical");
        let answer = frame::answer(&world.context, &world.key, &elements, &mut rng);
        black_box((answer.evaluated, answer.proof.to_bytes()));
    })
}

/// From items to a frame, and from the answer's bytes to tags.
fn client(n: usize) -> Task {
    let world = World::new(n);
    let epoch = world.epoch();
    let answer = frame::answer(&world.context, &world.key, world.blinded().elements(), &mut StdRng::seed_from_u64(6));
    let (evaluated, proof) = (answer.evaluated.into_flattened(), answer.proof.to_bytes());
    let key = world.key.public().clone();
    Box::new(move || {
        let verified = world.blinded().verify(&world.context, &key, &evaluated, &proof).expect("honest");
        let evaluated = verified.finalize().expect("no item is the identity");
        let outputs: Vec<_> = evaluated.into_iter().map(|evaluated| evaluated.output).collect();
        for okm in epoch.okms(&outputs) {
            black_box(okm.tag());
        }
    })
}
