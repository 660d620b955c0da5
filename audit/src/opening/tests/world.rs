//! An agency, a list of which every item is listed, and platforms that ask and vouch.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand::{SeedableRng, rngs::StdRng};
use veilmatch_protocol::{
    artifact::{self, Layout},
    derive::{EpochContext, MatchSecret, Okm},
    frame::{self, BatchId, FrameContext, FrameSize, View, element_path, request_digest, response_digest},
    item::{Item, Kind},
    manifest::{ArtifactRef, DeltaRef, Hash, Manifest, Publication, Quota, Timestamp, no_canaries},
    merkle,
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    note::Verifier,
    oprf::{self, Blind, Mode, SecretKey},
    receipt::{ElementOpening, Fault, OpenedBlind, Receipt, Salt, commit},
};

use super::super::{Opening, verify_frame};
use crate::{
    leaf::{Frame, FrameStatus, Match, Nonce, Query, QueryStatus, Signature},
    origin::LogOrigin,
};

const NOW: &str = "2026-08-28T20:26:00Z";

pub struct World {
    agency: AgencyName,
    list: ListId,
    key: SecretKey,
    manifest: Manifest,
}

/// A frame that was answered, in both logs, and what opens its elements.
pub struct Asked {
    pub frame: Frame,
    pub query: Query,
    pub openings: Vec<ElementOpening>,
    items: Vec<u8>,
}

/// What an auditor is shown of a match.
pub struct Shown {
    pub opening: Opening,
    pub signer: String,
    pub leaf: Match,
    pub frame: Frame,
    pub query: Query,
    pub manifest: Manifest,
    pub label: Vec<u8>,
}

pub fn platform_key(platform: &str) -> SigningKey {
    SigningKey::from_bytes(&merkle::leaf_hash(platform.as_bytes()))
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn item(i: u8) -> Item {
    Item::new(Kind::Sha256, &[i; 32]).unwrap()
}

impl World {
    pub fn new() -> Self {
        let (agency, list) = (AgencyName::parse("agency.example").unwrap(), ListId::parse("baseline").unwrap());
        let key = SecretKey::for_epoch(&[6; 32], &list, Epoch(1)).unwrap();
        let now = Timestamp::parse(NOW).unwrap().unix();
        let manifest = Publication {
            agency: agency.clone(),
            list: list.clone(),
            epoch: Epoch(1),
            version: Version(1),
            prev: None,
            not_before: Timestamp::from_unix(now - 600),
            not_after: Timestamp::from_unix(now + 600),
            oprf_key: key.public().clone(),
            artifact: ArtifactRef {
                format: 1,
                count: 1_024,
                label_bytes: 2,
                record_bytes: 22,
                shard_bits: 0,
                bytes: artifact::file_len(Layout::new(2).unwrap(), 1_024),
                sha256: Hash([8; 32]),
                root: Hash([9; 32]),
            },
            delta: DeltaRef::NONE,
            kinds: vec![Kind::Sha256],
            categories: None,
            frame_sizes: FrameSize::ALL.to_vec(),
            quota: Quota { elements: 1_000, frames: 10 },
            canary_root: no_canaries(),
            software: "test".to_owned(),
        };
        Self { agency, list, key, manifest: manifest.into() }
    }

    pub fn agency_key(&self) -> SigningKey {
        SigningKey::from_bytes(&[0xaa; 32])
    }

    pub fn okm(&self, i: u8) -> Okm {
        let outputs = oprf::evaluate(Mode::Voprf, &self.key, &[item(i).as_bytes()]).unwrap();
        EpochContext { list: self.list.clone(), epoch: Epoch(1) }.okm(&outputs[0])
    }

    pub fn match_log(&self, platform: &str) -> LogOrigin {
        LogOrigin::parse(&format!("{platform}/veilmatch/match/{}/2026h2", self.agency)).unwrap()
    }

    /// A frame of four in one form, as both sides log it.
    pub fn ask(&self, platform: &str, form: &str, items: &[u8]) -> Asked {
        let mut rng = StdRng::seed_from_u64(platform.len() as u64);
        let asked: Vec<_> = items.iter().map(|&i| item(i)).collect();
        let inputs: Vec<_> = asked.iter().map(Item::as_bytes).collect();
        let (blinds, elements): (Vec<_>, _) = if form == "mul" {
            let blinds: Vec<_> = inputs.iter().map(|_| Blind::random(&mut rng)).collect();
            let elements = oprf::blind(Mode::Voprf, &inputs, &blinds).unwrap();
            (blinds.into_iter().map(OpenedBlind::Mul).collect(), elements)
        } else {
            let (blinds, elements) = oprf::blind_additive(Mode::Voprf, &inputs, &mut rng);
            (blinds.into_iter().map(OpenedBlind::Add).collect(), elements)
        };
        let context = FrameContext {
            origin: Origin::of(&self.agency),
            list: self.list.clone(),
            epoch: Epoch(1),
            platform: PlatformId::parse(platform).unwrap(),
            batch: BatchId::random(&mut rng),
        };
        let answer = frame::answer(&context, &self.key, &elements, &mut rng);
        let blinded = elements.encodings();
        let req = request_digest(&context, blinded);
        let resp = Some(response_digest(&req, &answer.evaluated, &answer.proof));
        let open = |(at, blind): (usize, OpenedBlind)| {
            let path = element_path(blinded, u16::try_from(at).unwrap());
            ElementOpening { blind, element: blinded[at], path }
        };
        let openings = blinds.into_iter().enumerate().map(open).collect();
        let (n, t) = (FrameSize::Four, Timestamp::parse(NOW).unwrap());
        let query = Query {
            batch: context.batch,
            code: None,
            epoch: Epoch(1),
            list: self.list.clone(),
            minute: t.unix() / 60,
            n,
            nonce: Nonce([1; 16]),
            platform: context.platform,
            req,
            req_sig: Signature([0; 64]),
            resp,
            status: QueryStatus::Ok,
            t,
            version: Version(1),
            view: View { size: 1, root: [2; 32] },
        };
        let frame = Frame {
            ack: Some(Hash([3; 32])),
            batch: context.batch,
            code: None,
            epoch: Epoch(1),
            list: self.list.clone(),
            n,
            nonce: Nonce([4; 16]),
            req,
            resp,
            status: FrameStatus::Answered,
            t: t.hour(),
        };
        Asked { frame, query, openings, items: items.to_vec() }
    }

    /// What the platform says about entry `entry` at a place of its frame.
    pub fn receipt(&self, asked: &Asked, position: usize, entry: u8) -> Receipt {
        Receipt {
            agency: self.agency.clone(),
            batch: asked.query.batch,
            epoch: Epoch(1),
            label: b"A1".to_vec(),
            list: self.list.clone(),
            manifest: Hash(merkle::leaf_hash(&self.manifest.encode().unwrap())),
            matched: Timestamp::parse(NOW).unwrap(),
            object: String::new(),
            platform: asked.query.platform.clone(),
            position: u16::try_from(position).unwrap(),
            tag: self.okm(entry).tag(),
            version: Version(1),
        }
    }

    /// An honest receipt, opened to level 2.
    pub fn shown(&self, asked: &Asked, position: usize) -> Shown {
        let entry = asked.items[position];
        let secret = self.okm(entry).match_secret();
        let key = platform_key(asked.query.platform.as_str());
        let signed = self.receipt(asked, position, entry).sign(&secret, &key).unwrap();
        self.shown_note(asked, position, String::from_utf8(signed.note().to_vec()).unwrap(), Some(secret))
    }

    /// Any note, committed to in the log of the platform that it names.
    pub fn shown_note(&self, asked: &Asked, position: usize, receipt: String, secret: Option<MatchSecret>) -> Shown {
        let salt = Salt::danger_from_bytes([5; 32]);
        let c = commit(&salt, receipt.as_bytes());
        let batch = asked.query.batch;
        let mut named = ["other.example", "platform.example"].into_iter();
        let signer = named.rfind(|name| receipt.contains(&format!("\"platform\":\"{name}\""))).unwrap();
        let element = Some(asked.openings[position].clone());
        Shown {
            opening: Opening { log: self.match_log(signer), index: 17, salt, receipt, secret, element },
            signer: signer.to_owned(),
            leaf: Match { batch, c, nonce: Nonce([6; 16]), t: Timestamp::parse(NOW).unwrap().day() },
            frame: asked.frame.clone(),
            query: asked.query.clone(),
            manifest: self.manifest.clone(),
            label: b"A1".to_vec(),
        }
    }

    /// The steps of SPEC §19.4 in their order, without those about whole logs and files.
    pub fn level_1(&self, shown: &Shown) -> Result<(), Fault> {
        let name = format!("{}/veilmatch/receipt", shown.signer);
        let verifier = Verifier::new(&name, platform_key(&shown.signer).verifying_key()).unwrap();
        let receipt = shown.opening.receipt(&verifier)?;
        shown.opening.verify_secret(&receipt)?;
        receipt.verify_manifest(&shown.manifest)?;
        shown.opening.verify_commitment(&receipt, &shown.leaf)?;
        verify_frame(&receipt, &shown.frame, &shown.query)?;
        receipt.verify_label(&shown.label)
    }

    /// Level 2 after level 1, for the agency's own item.
    pub fn level_2(&self, shown: &Shown, entry: u8) -> Result<(), Fault> {
        self.level_1(shown)?;
        let name = format!("{}/veilmatch/receipt", shown.signer);
        let verifier = Verifier::new(&name, platform_key(&shown.signer).verifying_key()).unwrap();
        let receipt = shown.opening.receipt(&verifier)?;
        let element = shown.opening.element.as_ref().ok_or(Fault::Element)?;
        element.verify(receipt.receipt(), shown.query.n, &shown.query.req, &item(entry))
    }
}
