//! Openings, and the forgery drill: who can make a receipt that verifies, and to which level (SPEC §19.3).

mod world;

use veilmatch_protocol::{manifest::Hash, receipt::commit};

use super::*;
use world::{Asked, World, platform_key};

#[test]
fn an_honest_match_passes_both_levels_in_either_form() {
    // SPEC §19.4
    for form in ["mul", "add"] {
        let world = World::new();
        let asked = world.ask("platform.example", form, &[3, 4, 5, 6]);
        for position in 0..4 {
            let shown = world.shown(&asked, position);
            assert_eq!(world.level_1(&shown), Ok(()));
            assert_eq!(world.level_2(&shown, 3 + u8::try_from(position).unwrap()), Ok(()));
        }
    }
}

#[test]
fn an_outsider_with_the_published_list_cannot_bind_a_receipt() {
    // SPEC §19.3. The tags are public; what makes them is not.
    let world = World::new();
    let asked = world.ask("platform.example", "add", &[50, 51, 52, 53]);
    let mut said = world.receipt(&asked, 0, 50);
    said.tag = world.okm(3).tag();
    let guessed = MatchSecret::danger_from_bytes([9; 32]);
    assert!(said.clone().sign(&guessed, &platform_key("platform.example")).is_err());
    // With a key of a platform and `bind` made under another secret, the agency's own secret does not verify it.
    let own = world.receipt(&asked, 0, 50).sign(&world.okm(50).match_secret(), &platform_key("platform.example"));
    let text = String::from_utf8(own.unwrap().note().to_vec()).unwrap().split_once("\n\n").unwrap().0.to_owned() + "\n";
    let text = text.replace(&world::base64(&world.okm(50).tag().0), &world::base64(&said.tag.0));
    let name = "platform.example/veilmatch/receipt";
    let note = veilmatch_protocol::note::sign(&text, name, &platform_key("platform.example")).unwrap();
    let shown = world.shown_note(&asked, 0, note, Some(world.okm(3).match_secret()));
    assert_eq!(world.level_1(&shown), Err(Fault::Secret));
}

#[test]
fn the_agency_alone_cannot_make_a_receipt_of_a_platform() {
    // SPEC §19.3. It knows every secret, and has no platform's key.
    let world = World::new();
    let asked = world.ask("platform.example", "mul", &[50, 51, 52, 53]);
    let said = world.receipt(&asked, 0, 3);
    let forged = said.sign(&world.okm(3).match_secret(), &world.agency_key()).unwrap();
    let note = String::from_utf8(forged.note().to_vec()).unwrap();
    let shown = world.shown_note(&asked, 0, note, Some(world.okm(3).match_secret()));
    assert_eq!(world.level_1(&shown), Err(Fault::Signature));
}

#[test]
fn a_platform_that_was_given_a_secret_reaches_level_1_with_its_own_frame_and_never_level_2() {
    // SPEC §19.3. A gives B the secret of entry 3, for which B never asked; so does an auditor who owns a platform.
    let world = World::new();
    let (theirs, own) =
        (world.ask("platform.example", "mul", &[3, 4, 5, 6]), world.ask("other.example", "mul", &[50, 51, 52, 53]));
    let secret = world.okm(3).match_secret();
    let sign = |asked: &Asked| {
        let mut said = world.receipt(asked, 0, 3);
        said.platform = own.query.platform.clone();
        let signed = said.sign(&secret, &platform_key("other.example")).unwrap();
        String::from_utf8(signed.note().to_vec()).unwrap()
    };
    let mut shown = world.shown_note(&own, 0, sign(&own), Some(secret.clone()));
    assert_eq!(world.level_1(&shown), Ok(()));
    assert_eq!(world.level_2(&shown, 3), Err(Fault::Element));
    // No element of B's frame, and none of A's, opens to entry 3 for B.
    for element in own.openings.iter().chain(&theirs.openings) {
        shown.opening.element = Some(element.clone());
        assert_eq!(world.level_2(&shown, 3), Err(Fault::Element));
    }
    // With A's frame instead of its own it does not reach level 1.
    let borrowed = world.shown_note(&theirs, 0, sign(&theirs), Some(secret.clone()));
    assert_eq!(world.level_1(&borrowed), Err(Fault::Frame));
}

#[test]
fn a_borrowed_receipt_stays_the_lenders() {
    // SPEC §19.3
    let world = World::new();
    let (theirs, own) =
        (world.ask("platform.example", "add", &[3, 4, 5, 6]), world.ask("other.example", "add", &[50, 51, 52, 53]));
    let mut shown = world.shown(&theirs, 0);
    let note = shown.opening.receipt.clone();
    // In B's match log, committed to by B.
    shown.opening.log = world.match_log("other.example");
    assert_eq!(world.level_1(&shown), Err(Fault::Commitment));
    // Under B's own key.
    let mut as_own = world.shown_note(&own, 0, note, Some(world.okm(3).match_secret()));
    as_own.signer = "other.example".to_owned();
    assert_eq!(world.level_1(&as_own), Err(Fault::Signature));
}

#[test]
fn a_digest_that_was_merely_known_passes_both_levels() {
    // SPEC §19.3, §21.2: a receipt shows that a digest was evaluated, never that a file was there.
    let world = World::new();
    let asked = world.ask("platform.example", "mul", &[3, 3, 3, 3]);
    assert_eq!(world.level_2(&world.shown(&asked, 2), 3), Ok(()));
}

#[test]
fn each_step_fails_on_its_own_evidence() {
    // SPEC §19.4
    type Edit = (fn(&mut world::Shown), Fault);
    let world = World::new();
    let asked = world.ask("platform.example", "add", &[3, 4, 5, 6]);
    let honest = || world.shown(&asked, 1);
    let edits: [Edit; 15] = [
        (|s| s.opening.secret = None, Fault::Secret),
        (|s| s.opening.secret = Some(MatchSecret::danger_from_bytes([1; 32])), Fault::Secret),
        (|s| s.manifest.software.push('2'), Fault::Manifest),
        (|s| s.leaf.c = Hash([0; 32]), Fault::Commitment),
        (|s| s.leaf.batch.0[0] ^= 1, Fault::Commitment),
        (|s| s.opening.salt = Salt::danger_from_bytes([0; 32]), Fault::Commitment),
        (|s| s.frame.batch.0[0] ^= 1, Fault::Frame),
        (|s| s.frame.status = FrameStatus::Abandoned, Fault::Frame),
        (|s| s.frame.req.0[0] ^= 1, Fault::Frame),
        (|s| s.frame.resp = None, Fault::Frame),
        (|s| s.query.resp.as_mut().unwrap().0[0] ^= 1, Fault::Frame),
        (|s| s.query.status = QueryStatus::Refused, Fault::Frame),
        (|s| s.query.epoch.0 += 1, Fault::Frame),
        (|s| s.query.platform = "other.example".parse().unwrap(), Fault::Frame),
        (|s| s.label = b"A2".to_vec(), Fault::Label),
    ];
    for (at, (edit, fault)) in edits.into_iter().enumerate() {
        let mut shown = honest();
        edit(&mut shown);
        assert_eq!(world.level_1(&shown), Err(fault), "edit {at}");
    }
    let mut shown = honest();
    shown.opening.element.as_mut().unwrap().path.swap(0, 1);
    assert_eq!((world.level_1(&shown), world.level_2(&shown, 4)), (Ok(()), Err(Fault::Element)));
}

#[test]
fn an_opening_survives_its_line_with_and_without_what_may_be_left_out() {
    // SPEC §19.1
    let world = World::new();
    for form in ["mul", "add"] {
        let asked = world.ask("platform.example", form, &[3, 4, 5, 6]);
        let mut opening = world.shown(&asked, 2).opening;
        for _ in 0..3 {
            let line = opening.encode().unwrap();
            let read = Opening::decode(&line).unwrap();
            assert_eq!(read.encode().unwrap(), line);
            assert_eq!((&read.log, read.index, &read.receipt), (&opening.log, opening.index, &opening.receipt));
            assert!(read.salt == opening.salt && read.secret == opening.secret);
            // Level 2 first, then the secret.
            if opening.element.take().is_none() {
                opening.secret = None;
            }
        }
    }
}

#[test]
fn a_line_of_another_form_is_no_opening() {
    // SPEC §19.1
    let world = World::new();
    let shown = world.shown(&world.ask("platform.example", "mul", &[3, 4, 5, 6]), 0);
    let line = String::from_utf8(shown.opening.encode().unwrap().to_vec()).unwrap();
    let member = |name: &str| {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("\"{name}\":{}", value[name])
    };
    let bad = [
        line.replace("opening/v1", "opening/v2"),
        line.replace(&member("index"), "\"index\":9007199254740992"),
        line.replace(&member("log"), "\"log\":\"agency.example/veilmatch/manifest\""),
        line.replace(&member("form"), "\"form\":\"\""),
        line.replace(&member("form"), "\"form\":\"sub\""),
        line.replace(&member("blind"), "\"blind\":\"\""),
        line.replace(&member("blind"), &format!("\"blind\":\"{}\"", world::base64(&[0; 32]))),
        line.replace(&member("blind"), &format!("\"blind\":\"{}\"", world::base64(&[0xff; 32]))),
        line.replace(&member("element"), "\"element\":\"AA==\""),
        line.replace(&member("salt"), "\"salt\":\"\""),
        line.replace(&member("secret"), &format!("\"secret\":\"{}\"", world::base64(&[1; 33]))),
        line.replace(&member("secret"), &format!("\"secret\":\"{}\"", world::base64(&[1; 31]))),
        line.replace(
            &member("path"),
            &format!("\"path\":[{}]", vec![serde_json::json!(world::base64(&[0; 32])).to_string(); 13].join(",")),
        ),
        line.replace("{\"blind\"", "{\"a\":1,\"blind\""),
        line.replacen(':', ": ", 1),
        line.clone() + "\n",
        line[..line.len() - 1].to_owned(),
        " ".repeat(MAX_LINE_LEN + 1),
    ];
    for line in bad {
        assert_eq!(Opening::decode(line.as_bytes()).err(), Some(Error::BadOpening), "{line}");
    }
    let mut of_query_log = shown.opening.clone();
    of_query_log.log = LogOrigin::parse("agency.example/veilmatch/query/2026h2").unwrap();
    assert_eq!(of_query_log.encode().err(), Some(Error::BadOpening));
}

#[test]
fn a_commitment_hides_and_binds_its_record() {
    // SPEC §19.1
    let salts = [1, 2].map(|byte| Salt::danger_from_bytes([byte; 32]));
    assert_ne!(commit(&salts[0], b"record"), commit(&salts[1], b"record"));
    assert_ne!(commit(&salts[0], b"record"), commit(&salts[0], b"records"));
}
