use super::*;

fn receipt_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn ack_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn platform() -> Verifier {
    Verifier::new("platform.example/veilmatch/receipt", receipt_key().verifying_key()).unwrap()
}

fn agency() -> Verifier {
    Verifier::new("agency.example/veilmatch/ack", ack_key().verifying_key()).unwrap()
}

fn frame(i: u8, n: FrameSize) -> AnsweredFrame {
    AnsweredFrame { req: RequestDigest([i; 32]), resp: ResponseDigest([i ^ 0xff; 32]), n }
}

fn statement(frames: Vec<AnsweredFrame>) -> Closing {
    let day = Day {
        agency: AgencyName::parse("agency.example").unwrap(),
        platform: PlatformId::parse("platform.example").unwrap(),
        list: ListId::parse("baseline").unwrap(),
        epoch: Epoch(1),
        date: Date::parse("2026-05-28").unwrap(),
    };
    Closing::of(day, frames)
}

fn two() -> Closing {
    statement(vec![frame(2, FrameSize::One), frame(1, FrameSize::Full)])
}

#[test]
fn both_sides_sign_one_statement() {
    // SPEC §18.6
    let signed = two().sign(&receipt_key()).unwrap();
    assert_eq!(Closing::open(signed.as_bytes(), &platform()), Ok(two()));
    assert_eq!(Closing::open_countersigned(signed.as_bytes(), &platform(), &agency()), Err(Error::BadClosing));
    let both = two().countersign(&signed, &ack_key()).unwrap();
    assert_eq!(Closing::open(both.as_bytes(), &platform()), Ok(two()));
    assert_eq!(Closing::open_countersigned(both.as_bytes(), &platform(), &agency()), Ok(two()));
    let text = both.split_once("\n\n").unwrap().0.to_owned() + "\n";
    assert_eq!(two().digest(), Ok(Hash(Sha256::digest(text).into())));
}

#[test]
fn the_order_of_frames_does_not_count_and_every_frame_does() {
    // SPEC §18.6
    let (a, b) = (frame(1, FrameSize::Full), frame(2, FrameSize::One));
    assert_eq!(two(), statement(vec![a, b]));
    assert_eq!((two().frames, two().elements), (2, 4_097));
    let leaf = |frame: AnsweredFrame| merkle::leaf_hash(&[frame.req.0, frame.resp.0].concat());
    assert_eq!(two().tree.0, merkle::node_hash(&leaf(a), &leaf(b)));
    assert_ne!(statement(vec![a]).tree, two().tree);
    assert_eq!(statement(Vec::new()).tree.0, merkle::root([]));
}

#[test]
fn every_changed_byte_is_refused() {
    // SPEC §18.6
    let both = two().countersign(&two().sign(&receipt_key()).unwrap(), &ack_key()).unwrap().into_bytes();
    for at in 0..both.len() {
        let mut changed = both.clone();
        changed[at] ^= 1;
        let opened = Closing::open_countersigned(&changed, &platform(), &agency());
        assert_eq!(opened, Err(Error::BadClosing), "byte {at}");
    }
}

#[test]
fn a_statement_of_another_form_or_of_others_is_refused() {
    // SPEC §18.6
    let open = |text: &str| {
        let note = note::sign(text, platform().name(), &receipt_key()).unwrap();
        Closing::open(note.as_bytes(), &platform())
    };
    let text = two().text().unwrap();
    assert_eq!(open(&text), Ok(two()));
    let bad = [
        text.replace("close/v1", "close/v2"),
        text.replace("2026-05-28", "2026-05-32"),
        text.replace("\"epoch\":1", "\"epoch\":0"),
        text.replace("\"frames\":2", "\"frames\": 2"),
        text.replace("\"frames\":2", "\"frames\":9007199254740992"),
        text.replace("\"frames\":2,", ""),
        text.replace("{\"agency\"", "{\"a\":1,\"agency\""),
        text.replace("platform.example", "other.example"),
        text.clone() + "\n",
    ];
    for text in bad {
        assert_eq!(open(&text), Err(Error::BadClosing), "{text}");
    }
}

#[test]
fn the_agency_signs_no_statement_that_differs_from_its_own() {
    // SPEC §18.6
    let signed = two().sign(&receipt_key()).unwrap();
    let own = statement(vec![frame(1, FrameSize::Full)]);
    assert_eq!(own.countersign(&signed, &ack_key()), Err(Error::BadClosing));
    // The platform's line alone, under the agency's name, is not the agency's.
    let forged = two().countersign(&signed, &receipt_key()).unwrap();
    assert_eq!(Closing::open_countersigned(forged.as_bytes(), &platform(), &agency()), Err(Error::BadClosing));
}
