//! The three stages that cost arithmetic: building a list, evaluating a frame, checking items.

use std::hint::black_box;

use curve25519_dalek::{RistrettoPoint, Scalar, ristretto::CompressedRistretto, traits::VartimeMultiscalarMul};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{self, BatchId, BlindedFrame, FrameContext, FrameSize},
    item::{Item, Kind},
    label,
    name::{AgencyName, Epoch, ListId, Origin, PlatformId},
    oprf::{self, Mode, SecretKey},
};

use crate::{
    measure::{Spread, in_turn},
    report::Figure,
};

/// Measures every stage with frames of `n` items.
pub fn all(n: usize, rounds: u32) -> Vec<Figure> {
    let size = FrameSize::smallest_for(n, &FrameSize::ALL).expect("there are size classes");
    let world = World::new(size.len());
    vec![world.build(rounds), world.evaluate(rounds, size), world.check(rounds, size)]
}

struct World {
    context: FrameContext,
    key: SecretKey,
    items: Vec<Item>,
    // What the bare operations work on: the same amount, without any protocol.
    uniform: Vec<[u8; 64]>,
    encodings: Vec<CompressedRistretto>,
    scalars: Vec<Scalar>,
    weights: Vec<Scalar>,
}

impl World {
    fn new(n: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let list = ListId::parse("bench").expect("fits the grammar");
        let uniform: Vec<[u8; 64]> = (0..n).map(|_| std::array::from_fn(|_| rng.random())).collect();
        Self {
            context: FrameContext {
                origin: Origin::of(&AgencyName::parse("agency.example").expect("fits the grammar")),
                list: list.clone(),
                epoch: Epoch(1),
                platform: PlatformId::parse("platform.example").expect("fits the grammar"),
                batch: BatchId([1; 16]),
            },
            key: SecretKey::for_epoch(&[1; 32], &list, Epoch(1)).expect("this seed gives a key"),
            items: (0..n)
                .map(|i| Item::new(Kind::Sha256, &Sha256::digest(i.to_be_bytes())).expect("32 bytes"))
                .collect(),
            encodings: uniform.iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes).compress()).collect(),
            uniform,
            scalars: (0..n).map(|_| Scalar::random(&mut rng)).collect(),
            weights: (0..n).map(|_| Scalar::from(rng.random::<u128>())).collect(),
        }
    }

    fn figure(&self, stage: &'static str, baseline: &'static str, limit: f64, spreads: [Spread; 2]) -> Figure {
        let per_item = |time: std::time::Duration| time.as_secs_f64() * 1e6 / self.items.len() as f64;
        let [ours, bare] = spreads;
        Figure {
            stage,
            baseline,
            ours_us: per_item(ours.min),
            ours_max_us: per_item(ours.max),
            baseline_us: per_item(bare.min),
            baseline_max_us: per_item(bare.max),
            ratio: ours.min.as_secs_f64() / bare.min.as_secs_f64(),
            limit,
        }
    }

    fn build(&self, rounds: u32) -> Figure {
        let context = EpochContext { list: self.context.list.clone(), epoch: self.context.epoch };
        let inputs: Vec<_> = self.items.iter().map(Item::as_bytes).collect();
        let ours = || {
            let outputs = oprf::evaluate(Mode::Voprf, &self.key, &inputs).expect("no item maps to the identity");
            for output in &outputs {
                let okm = context.okm(output);
                black_box((okm.tag(), label::seal(&okm.label_key(), b"four").expect("a legal length")));
            }
        };
        let bare = || {
            let key = self.scalars[0];
            let products: Vec<_> =
                self.uniform.iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes) * key).collect();
            black_box(RistrettoPoint::double_and_compress_batch(&products));
        };
        self.figure("list build", "map, multiply, batch-encode", 1.6, in_turn(rounds, ours, bare))
    }

    fn evaluate(&self, rounds: u32, size: FrameSize) -> Figure {
        let mut rng = StdRng::seed_from_u64(2);
        let blinded = BlindedFrame::blind(size, &self.items, &mut rng).expect("no item maps to the identity");
        let bytes = blinded.elements().as_bytes().to_vec();
        let ours = || {
            let elements = oprf::Elements::decode(&bytes).expect("canonical");
            let answer = frame::answer(&self.context, &self.key, &elements, &mut rng);
            black_box((answer.evaluated, answer.proof.to_bytes()));
        };
        let bare = || {
            let key = self.scalars[0];
            let points = self.decode();
            let products: Vec<_> = points.iter().map(|point| point * key).collect();
            black_box(RistrettoPoint::double_and_compress_batch(&products));
            black_box(RistrettoPoint::vartime_multiscalar_mul(&self.weights, &points));
        };
        let baseline = "decode, multiply, batch-encode, one weighted sum";
        self.figure("server: evaluate with proof", baseline, 1.35, in_turn(rounds, ours, bare))
    }

    fn check(&self, rounds: u32, size: FrameSize) -> Figure {
        let mut rng = StdRng::seed_from_u64(3);
        let mut server_rng = StdRng::seed_from_u64(4);
        let epoch = EpochContext { list: self.context.list.clone(), epoch: self.context.epoch };
        // The answer is the server's work: it is made once, for the frame that every round blinds anew from one seed.
        let frame = BlindedFrame::blind(size, &self.items, &mut StdRng::seed_from_u64(5)).expect("no identity");
        let answer = frame::answer(&self.context, &self.key, frame.elements(), &mut server_rng);
        let (evaluated, proof) = (answer.evaluated.into_flattened(), answer.proof.to_bytes());
        let ours = || {
            let frame = BlindedFrame::blind(size, &self.items, &mut StdRng::seed_from_u64(5)).expect("no identity");
            let verified = frame.verify(&self.context, self.key.public(), &evaluated, &proof).expect("honest");
            for item in verified.finalize() {
                black_box(epoch.okm(&item.output).tag());
            }
        };
        let bare = || {
            let blinds: Vec<_> = (0..self.items.len()).map(|_| Scalar::random(&mut rng)).collect();
            let pairs = self.uniform.iter().zip(&blinds);
            let blinded: Vec<_> =
                pairs.map(|(bytes, blind)| RistrettoPoint::from_uniform_bytes(bytes) * blind).collect();
            black_box(RistrettoPoint::double_and_compress_batch(&blinded));
            let evaluated = self.decode();
            black_box(RistrettoPoint::vartime_multiscalar_mul(&self.weights, &blinded));
            black_box(RistrettoPoint::vartime_multiscalar_mul(&self.weights, &evaluated));
            let mut inverses = blinds;
            Scalar::invert_batch_alloc(&mut inverses);
            let unblinded: Vec<_> = evaluated.iter().zip(&inverses).map(|(point, inverse)| point * inverse).collect();
            black_box(RistrettoPoint::double_and_compress_batch(&unblinded));
        };
        let baseline = "map, multiply, encode; decode, two weighted sums; invert, multiply, encode";
        self.figure("client: blind, verify, finalize", baseline, 1.4, in_turn(rounds, ours, bare))
    }

    fn decode(&self) -> Vec<RistrettoPoint> {
        self.encodings.iter().map(|encoding| encoding.decompress().expect("canonical")).collect()
    }
}
