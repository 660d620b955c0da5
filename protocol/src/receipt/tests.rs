use rand::{SeedableRng, rngs::StdRng};
use sha2::Digest as _;

use super::*;
use crate::{
    derive::{EpochContext, Okm},
    frame::{FrameContext, RequestDigest, element_path, request_digest},
    item::{Item, Kind},
    manifest,
    name::Origin,
    oprf::{self, AdditiveBlind, Blind, Elements, Mode, SecretKey},
};

fn platform() -> PlatformId {
    PlatformId::parse("platform.example").unwrap()
}

fn context() -> FrameContext {
    FrameContext {
        origin: Origin::of(&AgencyName::parse("agency.example").unwrap()),
        list: ListId::parse("baseline").unwrap(),
        epoch: Epoch(1),
        platform: platform(),
        batch: BatchId([7; 16]),
    }
}

fn items() -> Vec<Item> {
    (0..16_u8).map(|i| Item::new(Kind::Sha256, &Sha256::digest([i])).unwrap()).collect()
}

fn okm(item: &Item) -> Okm {
    let key = SecretKey::for_epoch(&[6; 32], &context().list, Epoch(1)).unwrap();
    let outputs = oprf::evaluate(Mode::Voprf, &key, &[item.as_bytes()]).unwrap();
    EpochContext { list: context().list, epoch: Epoch(1) }.okm(&outputs[0])
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn verifier() -> Verifier {
    Verifier::new("platform.example/veilmatch/receipt", signing_key().verifying_key()).unwrap()
}

const POSITION: u16 = 5;

fn manifest() -> Manifest {
    manifest::tests::manifest(1)
}

fn receipt() -> Receipt {
    Receipt {
        agency: AgencyName::parse("agency.example").unwrap(),
        batch: context().batch,
        epoch: Epoch(1),
        label: b"A1".to_vec(),
        list: context().list,
        manifest: Hash(merkle::leaf_hash(&manifest().encode().unwrap())),
        matched: Timestamp::from_unix(1_780_000_040).minute(),
        object: "object-17".to_owned(),
        platform: platform(),
        position: POSITION,
        tag: okm(&items()[usize::from(POSITION)]).tag(),
        version: Version(1),
    }
}

fn secret() -> MatchSecret {
    okm(&items()[usize::from(POSITION)]).match_secret()
}

fn signed() -> SignedReceipt {
    receipt().sign(&secret(), &signing_key()).unwrap()
}

#[test]
fn a_receipt_is_read_as_it_was_signed_and_every_step_holds() {
    // SPEC §19.2, §19.4
    let receipt = SignedReceipt::open(signed().note(), &verifier()).unwrap();
    assert_eq!(receipt, signed());
    receipt.verify_secret(&secret()).unwrap();
    receipt.verify_manifest(&manifest()).unwrap();
    let salt = Salt::danger_from_bytes([1; 32]);
    receipt.verify_commitment(&commit(&salt, receipt.note()), &context().batch, &salt).unwrap();
    receipt.verify_position(FrameSize::Sixteen).unwrap();
    receipt.verify_label(b"A1").unwrap();
}

#[test]
fn the_text_is_two_lines_and_bind_is_the_mac_of_them_without_it() {
    // SPEC §19.2
    let text = note::open(signed().note(), &verifier()).unwrap().to_owned();
    assert!(text.starts_with("veilmatch/receipt/v1\n{\"agency\":\"agency.example\",\"batch\":\"Bwc"), "{text}");
    assert_eq!(text.matches('\n').count(), 2);
    let (before, rest) = text.split_once("\"bind\":\"").unwrap();
    let (_, after) = rest.split_once("\",").unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(secret().danger_as_bytes()).unwrap();
    let bind = mac.chain_update(format!("{before}{after}")).finalize().into_bytes();
    assert_eq!(signed().bind, Hash(bind.into()));
}

#[test]
fn every_changed_byte_of_a_note_is_refused() {
    // SPEC §19.4
    let note = signed().note().to_vec();
    for at in 0..note.len() {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert_eq!(SignedReceipt::open(&changed, &verifier()), Err(Fault::Signature), "byte {at}");
    }
}

#[test]
fn another_name_key_or_form_is_a_fault_of_the_signature() {
    // SPEC §19.4
    let open = |text: &str, name: &str| {
        let note = note::sign(text, name, &signing_key()).unwrap();
        SignedReceipt::open(note.as_bytes(), &Verifier::new(name, signing_key().verifying_key()).unwrap())
    };
    let name = "platform.example/veilmatch/receipt";
    let text = note::open(signed().note(), &verifier()).unwrap().to_owned();
    assert!(open(&text, name).is_ok());
    let bad = [
        text.replace("receipt/v1", "receipt/v2"),
        text.replace("\"object\":\"object-17\"", "\"object\":\"ob ject\""),
        text.replace("\"object\":\"object-17\",", ""),
        text.replace("\"position\":5", "\"position\":4096"),
        text.replace("\"position\":5", "\"position\": 5"),
        text.replace("\"version\":1", "\"version\":0"),
        text.replace("\"epoch\":1", "\"epoch\":2"),
        text.replace("{\"agency\"", "{\"a\":1,\"agency\""),
        text.replace(":00Z", ":01Z"),
        text.replace("\"label\":\"QTE=\"", "\"label\":\"QTF=\""),
        text.replace("\"bind\":\"", "\"bind\":\"A"),
        text.clone() + "\n",
        text.clone() + "more\n",
    ];
    for text in bad {
        assert_eq!(open(&text, name), Err(Fault::Signature), "{text}");
    }
    assert_eq!(open(&text, "other.example/veilmatch/receipt"), Err(Fault::Signature));
    assert_eq!(open(&text, "platform.example/veilmatch/match"), Err(Fault::Signature));
}

#[test]
fn a_member_outside_its_limits_or_a_foreign_secret_is_not_signed() {
    // SPEC §19.2
    let edits: [fn(&mut Receipt); 8] = [
        |r| r.epoch = Epoch(0),
        |r| r.version = Version(0),
        |r| r.position = 4_096,
        |r| r.label = vec![0; 65],
        |r| r.object = "x".repeat(65),
        |r| r.object = "a b".to_owned(),
        |r| r.matched = Timestamp::from_unix(1_780_000_041),
        |r| r.tag.0[0] ^= 1,
    ];
    for edit in edits {
        let mut receipt = receipt();
        edit(&mut receipt);
        assert_eq!(receipt.sign(&secret(), &signing_key()), Err(Error::Receipt));
    }
    assert_eq!(Error::Receipt.reason(), "BAD_RECEIPT");
}

#[test]
fn each_step_fails_with_the_finding_that_it_is() {
    // SPEC §19.4
    let signed = signed();
    let foreign = okm(&items()[0]).match_secret();
    assert_eq!(signed.verify_secret(&foreign), Err(Fault::Secret));

    let mut other = manifest();
    other.software.push('!');
    assert_eq!(signed.verify_manifest(&other), Err(Fault::Manifest));
    let salt = Salt::danger_from_bytes([1; 32]);
    let c = commit(&salt, signed.note());
    let wrong = Salt::danger_from_bytes([2; 32]);
    assert_eq!(signed.verify_commitment(&c, &context().batch, &wrong), Err(Fault::Commitment));
    assert_eq!(signed.verify_commitment(&c, &BatchId([8; 16]), &salt), Err(Fault::Commitment));
    assert_eq!(signed.verify_commitment(&commit(&salt, b"note"), &context().batch, &salt), Err(Fault::Commitment));
    assert_eq!(signed.verify_position(FrameSize::Four), Err(Fault::Frame));
    assert_eq!(signed.verify_label(b"A2"), Err(Fault::Label));

    let findings = [
        (Fault::Signature, "R01"),
        (Fault::Secret, "R02"),
        (Fault::NotListed, "R02"),
        (Fault::Manifest, "M06"),
        (Fault::Commitment, "R03"),
        (Fault::Frame, "R04"),
        (Fault::Label, "R06"),
        (Fault::Element, "R07"),
    ];
    assert!(findings.iter().all(|(fault, code)| fault.finding() == *code));
}

#[test]
fn a_receipt_counts_only_within_the_minutes_of_its_versions_validity() {
    // SPEC §19.4. A version that begins at 26:40 is in use in the minute 26:00, which is all that a receipt says.
    let (begins, ends) = (manifest().not_before.unix(), manifest().not_after.unix());
    let verify = |matched: u64| {
        let receipt = Receipt { matched: Timestamp::from_unix(matched).minute(), ..receipt() };
        receipt.sign(&secret(), &signing_key()).unwrap().verify_manifest(&manifest())
    };
    assert_ne!(begins % 60, 0);
    assert_eq!(verify(begins), Ok(()));
    assert_eq!(verify(ends), Ok(()));
    assert_eq!(verify(begins - 60), Err(Fault::Manifest));
    assert_eq!(verify(ends + 60), Err(Fault::Manifest));
}

#[test]
fn a_tag_without_a_record_is_not_listed() {
    // SPEC §19.4
    use crate::artifact::{Artifact, Layout, Writer, records};
    let layout = Layout::new(2).unwrap();
    let open = |listed: &[Item]| {
        let okms: Vec<_> = listed.iter().map(okm).collect();
        let labels = vec![&b"A1"[..]; okms.len()];
        let entries = records(layout, &okms, &labels).unwrap();
        let mut rows: Vec<_> = entries.chunks(layout.record_len()).map(<[u8]>::to_vec).collect();
        let dummies = crate::artifact::DummySeed::new([3; 32]);
        rows.extend((0..1_024 - rows.len() as u64).map(|i| dummies.record(i, layout)));
        rows.sort();
        let mut writer = Writer::new(std::io::Cursor::new(Vec::new()), layout, Epoch(1), 1_024).unwrap();
        rows.iter().for_each(|row| writer.push(row).unwrap());
        let (out, summary) = writer.finish().unwrap();
        let file = out.into_inner();
        let reference = summary.into_ref(Sha256::digest(&file).into());
        Artifact::open(file, &reference, Epoch(1)).unwrap()
    };
    let (with, without) = (open(&items()), open(&items()[..usize::from(POSITION)]));
    assert_eq!(signed().verify_listed(&with.look_ups()), Ok(()));
    assert_eq!(signed().verify_listed(&without.look_ups()), Err(Fault::NotListed));
}

/// A frame of sixteen in one form, and what opens each of its places.
fn frame(form: &str) -> (RequestDigest, Vec<ElementOpening>) {
    let mut rng = StdRng::seed_from_u64(4);
    let items = items();
    let inputs: Vec<_> = items.iter().map(Item::as_bytes).collect();
    let (blinds, elements): (Vec<_>, Elements) = if form == "mul" {
        let blinds: Vec<_> = (0..16).map(|_| Blind::random(&mut rng)).collect();
        let elements = oprf::blind(Mode::Voprf, &inputs, &blinds).unwrap();
        (blinds.into_iter().map(OpenedBlind::Mul).collect(), elements)
    } else {
        let (blinds, elements) = oprf::blind_additive(Mode::Voprf, &inputs, &mut rng);
        (blinds.into_iter().map(OpenedBlind::Add).collect(), elements)
    };
    let blinded = elements.encodings();
    let open = |(at, blind): (usize, OpenedBlind)| {
        let path = element_path(blinded, u16::try_from(at).unwrap());
        ElementOpening { blind, element: blinded[at], path }
    };
    (request_digest(&context(), blinded), blinds.into_iter().enumerate().map(open).collect())
}

#[test]
fn an_opened_blind_of_either_form_shows_its_item_at_its_place_and_no_other() {
    // SPEC §19.3, §19.4
    for form in ["mul", "add"] {
        let (req, openings) = frame(form);
        for (at, opening) in openings.iter().enumerate() {
            let receipt = Receipt { position: u16::try_from(at).unwrap(), ..receipt() };
            assert_eq!(opening.verify(&receipt, FrameSize::Sixteen, &req, &items()[at]), Ok(()));
            let other = &items()[(at + 1) % 16];
            assert_eq!(opening.verify(&receipt, FrameSize::Sixteen, &req, other), Err(Fault::Element));
            let elsewhere = Receipt { position: receipt.position ^ 1, ..receipt };
            assert_eq!(opening.verify(&elsewhere, FrameSize::Sixteen, &req, &items()[at]), Err(Fault::Element));
        }
    }
}

#[test]
fn an_opening_of_another_frame_form_or_scalar_is_refused() {
    // SPEC §19.4
    let (req, openings) = frame("mul");
    let item = &items()[usize::from(POSITION)];
    let good = &openings[usize::from(POSITION)];
    let refused = |opening: &ElementOpening, receipt: &Receipt, n, req: &RequestDigest| {
        assert_eq!(opening.verify(receipt, n, req, item), Err(Fault::Element));
    };
    let receipt = receipt();
    refused(good, &receipt, FrameSize::Sixteen, &frame("add").0);
    refused(good, &receipt, FrameSize::Quarter, &req);
    refused(good, &Receipt { batch: BatchId([8; 16]), ..receipt.clone() }, FrameSize::Sixteen, &req);
    let platform = PlatformId::parse("other.example").unwrap();
    refused(good, &Receipt { platform, ..receipt.clone() }, FrameSize::Sixteen, &req);
    let as_other_form = OpenedBlind::danger_from_bytes("add", *good.blind.danger_to_bytes()).unwrap();
    refused(&ElementOpening { blind: as_other_form, ..good.clone() }, &receipt, FrameSize::Sixteen, &req);
    let another_blind = openings[0].blind.clone();
    refused(&ElementOpening { blind: another_blind, ..good.clone() }, &receipt, FrameSize::Sixteen, &req);
    refused(&ElementOpening { path: good.path[1..].to_vec(), ..good.clone() }, &receipt, FrameSize::Sixteen, &req);
    // An element that was not sent, with a blind that does open it.
    let alone = AdditiveBlind::danger_from_bytes([3; 32]).map(|blind| vec![blind]).unwrap();
    let element = oprf::blind_additive_with(Mode::Voprf, &[item.as_bytes()], &alone).unwrap().encodings()[0];
    let invented = ElementOpening { blind: OpenedBlind::Add(alone[0].clone()), element, ..good.clone() };
    assert_eq!(verify_blind(&invented.blind, item, &element), Ok(()));
    refused(&invented, &receipt, FrameSize::Sixteen, &req);
}

#[test]
fn scalars_that_are_not_canonical_unknown_forms_and_zero_as_mul_open_nothing() {
    // SPEC §19.4
    let order_and_more = [0xff; 32];
    assert!(OpenedBlind::danger_from_bytes("mul", [0; 32]).is_none());
    assert!(OpenedBlind::danger_from_bytes("add", [0; 32]).is_some());
    for form in ["mul", "add"] {
        assert!(OpenedBlind::danger_from_bytes(form, order_and_more).is_none());
        assert_eq!(OpenedBlind::danger_from_bytes(form, [2; 32]).unwrap().form(), form);
    }
    for form in ["", "Mul", "sub"] {
        assert!(OpenedBlind::danger_from_bytes(form, [2; 32]).is_none());
    }
}
