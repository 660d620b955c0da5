//! Derivations, requests, frames and proofs.

use std::convert::Infallible;

use ed25519_dalek::{Signer, SigningKey};
use rand::{TryCryptoRng, TryRng};
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{self, BatchId, FrameContext, View},
    item::{Item, Kind},
    label,
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    oprf::{self, AdditiveBlind, Blind, Elements, Mode, Output, Proof, SecretKey},
};

use super::{Case, made};

/// SHA-512 of a seed and a counter: the same bytes in every version of every library.
struct Fixed {
    seed: &'static str,
    counter: u64,
}

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(64) {
            let block = Sha512::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.counter += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

pub const SEED: [u8; 32] = [0xa3; 32];

pub fn context() -> FrameContext {
    FrameContext {
        origin: Origin::of(&AgencyName::parse("agency.example").expect("fits the grammar")),
        list: ListId::parse("baseline").expect("fits the grammar"),
        epoch: Epoch(1),
        platform: PlatformId::parse("platform.example").expect("fits the grammar"),
        batch: BatchId(std::array::from_fn(|i| i as u8)),
    }
}

pub fn key() -> SecretKey {
    SecretKey::for_epoch(&SEED, &context().list, Epoch(1)).expect("this seed gives a key")
}

pub fn items(n: usize) -> Vec<Item> {
    let item = |i: usize| {
        let kind = Kind::ALL[i % 4];
        let digest = Sha512::new().chain_update("synthetic item").chain_update((i as u64).to_be_bytes()).finalize();
        Item::new(kind, &digest[..kind.digest_len()]).expect("the kind's length")
    };
    (0..n).map(item).collect()
}

pub fn all() -> Vec<Case> {
    let mut cases: Vec<_> = items(4).iter().map(derivation).collect();
    for form in [Form::Mul, Form::Add] {
        let prefix = if form == Form::Mul { "frame" } else { "frame_add" };
        for n in [1, 4, 16] {
            cases.push(Case::new(format!("accept/{prefix}_{n}.json"), &Frame::of(form, n).json(None)));
        }
        cases.push(Case::new(format!("accept/{prefix}_256.json"), &seeded_frame(form, 256)));
    }
    cases.extend(refused_answers());
    cases.extend(refused_requests());
    cases
}

fn derivation(item: &Item) -> Case {
    let outputs = oprf::evaluate(Mode::Voprf, &key(), &[item.as_bytes()]).expect("no item maps to the identity");
    let okm = EpochContext { list: context().list, epoch: Epoch(1) }.okm(&outputs[0]);
    let text = b"a synthetic label";
    let sealed = label::seal(&okm.label_key(), text).expect("a legal length");
    let value = json!({
        "type": "derive",
        "list": "baseline",
        "epoch": 1,
        "seed": hex::encode(SEED),
        "public_key": hex::encode(key().public().as_bytes()),
        "item": hex::encode(item.as_bytes()),
        "output": hex::encode(outputs[0].danger_as_bytes()),
        "okm": hex::encode(okm.danger_as_bytes()),
        "tag": hex::encode(okm.tag().0),
        "label": hex::encode(text),
        "sealed_label": hex::encode(sealed),
    });
    Case::new(format!("accept/derive_{}.json", item.kind().name()), &value)
}

/// The form of a frame's blinds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Mul,
    Add,
}

/// The blinds of a frame.
enum Blinds {
    Mul(Vec<Blind>),
    Add(Vec<AdditiveBlind>),
}

impl Blinds {
    /// Scalars of wide integers, in order.
    fn of(form: Form, wide: impl Iterator<Item = [u8; 64]>) -> Self {
        let scalars = wide.map(|wide| oprf::Scalar::from_bytes_mod_order_wide(&wide).to_bytes());
        match form {
            Form::Mul => Self::Mul(scalars.map(|s| Blind::danger_from_bytes(s).expect("not zero")).collect()),
            Form::Add => Self::Add(scalars.map(|s| AdditiveBlind::danger_from_bytes(s).expect("canonical")).collect()),
        }
    }

    fn form(&self) -> &'static str {
        match self {
            Self::Mul(_) => "mul",
            Self::Add(_) => "add",
        }
    }

    fn hex(&self) -> Vec<String> {
        match self {
            Self::Mul(blinds) => blinds.iter().map(|blind| hex::encode(*blind.danger_to_bytes())).collect(),
            Self::Add(blinds) => blinds.iter().map(|blind| hex::encode(*blind.danger_to_bytes())).collect(),
        }
    }

    fn blind(&self, inputs: &[&[u8]]) -> Elements {
        match self {
            Self::Mul(blinds) => oprf::blind(Mode::Voprf, inputs, blinds),
            Self::Add(blinds) => oprf::blind_additive_with(Mode::Voprf, inputs, blinds),
        }
        .expect("no item maps to the identity")
    }

    fn finalize(&self, inputs: &[&[u8]], evaluated: &Elements) -> Vec<Output> {
        match self {
            Self::Mul(blinds) => oprf::finalize(inputs, blinds, evaluated),
            Self::Add(blinds) => {
                let outputs = oprf::finalize_additive(inputs, blinds, key().public(), evaluated);
                outputs.expect("no item maps to the identity")
            }
        }
    }
}

/// A frame and an answer to it, honest when made.
struct Frame {
    context: FrameContext,
    public_key: [u8; 32],
    items: Vec<Item>,
    blinds: Blinds,
    blinded: Elements,
    evaluated: Vec<u8>,
    proof: Vec<u8>,
    proof_random: [u8; 32],
}

impl Frame {
    fn of(form: Form, n: usize) -> Self {
        let items = items(n);
        let blinds = Blinds::of(form, (0..n as u64).map(|i| made("blinds", i)));
        let inputs: Vec<_> = items.iter().map(Item::as_bytes).collect();
        let blinded = blinds.blind(&inputs);
        let mut proof_random = [0; 32];
        let Ok(()) = Fixed { seed: "proof", counter: 0 }.try_fill_bytes(&mut proof_random);
        let answer = frame::answer(&context(), &key(), &blinded, &mut Fixed { seed: "proof", counter: 0 });
        Self {
            context: context(),
            public_key: *key().public().as_bytes(),
            items,
            blinds,
            blinded,
            evaluated: answer.evaluated.into_flattened(),
            proof: answer.proof.to_bytes().to_vec(),
            proof_random,
        }
    }

    fn json(&self, refusal: Option<(&str, &str)>) -> serde_json::Value {
        let exchange = json!({
            "origin": self.context.origin.as_str(),
            "list": self.context.list.as_str(),
            "epoch": self.context.epoch.0,
            "platform": self.context.platform.as_str(),
            "batch": hex::encode(self.context.batch.0),
            "public_key": hex::encode(self.public_key),
            "blinded_elements": hex::encode(self.blinded.as_bytes()),
            "evaluated_elements": hex::encode(&self.evaluated),
            "proof": hex::encode(&self.proof),
        });
        if let Some((expect, why)) = refusal {
            return json!({ "type": "answer", "exchange": exchange, "expect": expect, "why": why });
        }
        let (evaluated, _) = self.evaluated.as_chunks::<32>();
        let proof = Proof::from_bytes(&self.proof).expect("honest");
        let req = frame::request_digest(&self.context, self.blinded.encodings());
        let view = View { size: 3, root: [0x11; 32] };
        let message = frame::signed_message(&req, &view, Version(3), 29_000_000);
        let request_key = SigningKey::from_bytes(&[0x42; 32]);
        let inputs: Vec<_> = self.items.iter().map(Item::as_bytes).collect();
        let elements = Elements::decode(&self.evaluated).expect("honest");
        let outputs = self.blinds.finalize(&inputs, &elements);
        json!({
            "type": "frame",
            "form": self.blinds.form(),
            "exchange": exchange,
            "seed": hex::encode(SEED),
            "items": inputs.iter().map(hex::encode).collect::<Vec<_>>(),
            "blinds": self.blinds.hex(),
            "proof_random": hex::encode(self.proof_random),
            "outputs": outputs.iter().map(|y| hex::encode(y.danger_as_bytes())).collect::<Vec<_>>(),
            "element_root": hex::encode(frame::element_root(self.blinded.encodings())),
            "req": hex::encode(req.0),
            "resp": hex::encode(frame::response_digest(&req, evaluated, &proof).0),
            "version": 3,
            "view_size": view.size,
            "view_root": hex::encode(view.root),
            "minute": 29_000_000,
            "request_secret_key": hex::encode(request_key.to_bytes()),
            "request_public_key": hex::encode(request_key.verifying_key().to_bytes()),
            "signed_message": hex::encode(&message),
            "request_signature": hex::encode(request_key.sign(&message).to_bytes()),
        })
    }
}

/// A large frame, told by what its items and blinds are made of and by digests of what comes of them.
fn seeded_frame(form: Form, n: usize) -> serde_json::Value {
    const ITEMS: &str = "synthetic item";
    const BLINDS: &str = "synthetic blind";
    let digest =
        |i: u64| -> [u8; 32] { Sha256::new().chain_update(ITEMS).chain_update(i.to_be_bytes()).finalize().into() };
    let items: Vec<Item> =
        (0..n as u64).map(|i| Item::new(Kind::Sha256, &digest(i)).expect("the kind's length")).collect();
    let inputs: Vec<_> = items.iter().map(Item::as_bytes).collect();
    let blinds = Blinds::of(form, (0..n as u64).map(|i| made(BLINDS, i)));
    let blinded = blinds.blind(&inputs);
    let mut proof_random = [0; 32];
    let Ok(()) = Fixed { seed: "proof", counter: 0 }.try_fill_bytes(&mut proof_random);
    let answer = frame::answer(&context(), &key(), &blinded, &mut Fixed { seed: "proof", counter: 0 });
    let evaluated = answer.evaluated.as_flattened();
    let outputs = blinds.finalize(&inputs, &Elements::decode(evaluated).expect("honest"));
    let outputs: Vec<u8> = outputs.iter().flat_map(|y| *y.danger_as_bytes()).collect();
    let req = frame::request_digest(&context(), blinded.encodings());
    let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    json!({
        "type": "seeded_frame",
        "form": blinds.form(),
        "origin": context().origin.as_str(),
        "list": context().list.as_str(),
        "epoch": context().epoch.0,
        "platform": context().platform.as_str(),
        "batch": hex::encode(context().batch.0),
        "seed": hex::encode(SEED),
        "public_key": hex::encode(key().public().as_bytes()),
        "n": n,
        "items_of": ITEMS,
        "blinds_of": BLINDS,
        "proof_random": hex::encode(proof_random),
        "blinded_sha256": sha256(blinded.as_bytes()),
        "evaluated_sha256": sha256(evaluated),
        "outputs_sha256": sha256(&outputs),
        "proof": hex::encode(answer.proof.to_bytes()),
        "element_root": hex::encode(frame::element_root(blinded.encodings())),
        "req": hex::encode(req.0),
        "resp": hex::encode(frame::response_digest(&req, &answer.evaluated, &answer.proof).0),
    })
}

/// Answers that a client must refuse, each as `BAD_PROOF`.
fn refused_answers() -> Vec<Case> {
    type Spoil = fn(&mut Frame);
    let spoils: [(&str, &str, usize, Spoil); 19] = [
        ("one_element_wrong", "WRONG_ELEMENT", 4, |f| swap_in(f, 2)),
        ("single_element_wrong", "WRONG_ELEMENT", 1, |f| swap_in(f, 0)),
        ("two_elements_swapped", "WRONG_ORDER", 4, |f| {
            let (a, b) = f.evaluated.split_at_mut(64);
            a[32..].swap_with_slice(&mut b[..32]);
        }),
        ("element_identity", "IDENTITY_ELEMENT", 4, |f| f.evaluated[32..64].fill(0)),
        ("element_not_canonical", "NON_CANONICAL_ELEMENT", 4, |f| f.evaluated[63] |= 0x80),
        ("element_negative", "NON_CANONICAL_ELEMENT", 4, |f| f.evaluated[32] |= 1),
        ("element_field_prime", "NON_CANONICAL_ELEMENT", 4, |f| {
            f.evaluated[..32].fill(0xff);
            (f.evaluated[0], f.evaluated[31]) = (0xed, 0x7f);
        }),
        ("answer_short", "WRONG_COUNT", 4, |f| f.evaluated.truncate(96)),
        ("answer_long", "WRONG_COUNT", 4, |f| f.evaluated.extend_from_within(..32)),
        ("answer_empty", "WRONG_COUNT", 4, |f| f.evaluated.clear()),
        ("challenge_not_reduced", "NON_CANONICAL_SCALAR", 4, |f| f.proof[31] |= 0xf0),
        ("response_not_reduced", "NON_CANONICAL_SCALAR", 4, |f| f.proof[63] |= 0xf0),
        ("proof_short", "WRONG_LENGTH", 4, |f| f.proof.truncate(63)),
        ("proof_of_another_batch", "WRONG_TRANSCRIPT", 4, |f| f.context.batch.0[0] ^= 1),
        ("proof_for_another_platform", "WRONG_TRANSCRIPT", 4, |f| {
            f.context.platform = PlatformId::parse("other.example").expect("fits the grammar");
        }),
        ("proof_for_another_epoch", "WRONG_TRANSCRIPT", 4, |f| f.context.epoch = Epoch(2)),
        ("proof_for_another_agency", "WRONG_TRANSCRIPT", 4, |f| {
            f.context.origin = Origin::of(&AgencyName::parse("other.example").expect("fits the grammar"));
        }),
        ("wrong_key", "WRONG_KEY", 4, |f| {
            let other = SecretKey::for_epoch(&[0xb4; 32], &f.context.list, Epoch(1)).expect("this seed gives a key");
            f.public_key = *other.public().as_bytes();
        }),
        ("rfc_weights_for_four", "RFC_WEIGHTS", 4, |f| {
            let (evaluated, _) = f.evaluated.as_chunks::<32>();
            // Any nonce serves: the statement is true, and only the weights are the RFC's.
            let nonce = oprf::Scalar::from(7_u8);
            f.proof = oprf::generate_proof(&key(), &f.blinded, evaluated, &nonce).to_bytes().to_vec();
        }),
    ];
    spoils
        .into_iter()
        .map(|(name, why, n, spoil)| {
            let mut frame = Frame::of(Form::Mul, n);
            spoil(&mut frame);
            Case::new(format!("reject/answer_{name}.json"), &frame.json(Some(("BAD_PROOF", why))))
        })
        .collect()
}

/// Puts a canonical element that is not the key's multiple at `index`.
fn swap_in(frame: &mut Frame, index: usize) {
    let stranger = Frame::of(Form::Mul, 16).evaluated[15 * 32..].to_vec();
    frame.evaluated[index * 32..][..32].copy_from_slice(&stranger);
}

/// Elements of a request that a server must refuse, each as `BAD_FRAME`.
fn refused_requests() -> Vec<Case> {
    let honest = Frame::of(Form::Mul, 4).blinded.as_bytes().to_vec();
    let with = |at: usize, element: [u8; 32]| {
        let mut bytes = honest.clone();
        bytes[at * 32..][..32].copy_from_slice(&element);
        bytes
    };
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut one = [0; 32];
    one[0] = 1;
    let mut not_square = [0; 32];
    not_square[0] = 2;
    let cases = [
        ("element_identity", "IDENTITY_ELEMENT", with(0, [0; 32])),
        ("element_identity_last", "IDENTITY_ELEMENT", with(3, [0; 32])),
        ("element_all_ones", "NON_CANONICAL_ELEMENT", with(1, [0xff; 32])),
        ("element_field_prime", "NON_CANONICAL_ELEMENT", with(1, prime)),
        ("element_negative", "NON_CANONICAL_ELEMENT", with(2, one)),
        ("element_not_on_the_curve", "NON_CANONICAL_ELEMENT", with(2, not_square)),
    ];
    cases
        .into_iter()
        .map(|(name, why, bytes)| {
            let value = json!({
                "type": "elements",
                "blinded_elements": hex::encode(bytes),
                "expect": "BAD_FRAME",
                "why": why,
            });
            Case::new(format!("reject/{name}.json"), &value)
        })
        .collect()
}
