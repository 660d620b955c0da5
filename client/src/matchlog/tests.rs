mod published;

use std::fs;

use rand::rand_core::UnwrapErr as Infallible;
use veilmatch_audit::{
    checkpoint::Checkpoint, folder::LogFolder, leaf::Leaf, opening::Opening, origin::receipt_key, tree,
};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{self, BlindedFrame, FrameContext, FrameSize, RequestDigest, ResponseDigest, request_digest},
    item::{Item, Kind},
    name::{Epoch, Origin},
    note::{Note, Verifier},
    oprf::SecretKey,
};

use super::*;
use crate::{
    connection::Connection,
    fake::{self, FakeLogs, Home},
    held::Held,
    keys::Keys,
    results::Row,
    state_dir::create_private_dir,
    store::{Answered, Promise, Sent},
};

/// One item that was asked in a frame of four and is listed, with a label.
struct Asked {
    held: Held,
    item: Item,
    row: Row,
    req: RequestDigest,
    opened: Opened,
}

const LABEL: &[u8] = b"\0\0\x02\x01case";

/// The whole of a frame, with the agency's key, and a list that has the item.
fn asked(home: &Home, byte: u8) -> Asked {
    let item = Item::new(Kind::Sha256, &[byte; 32]).unwrap();
    let rng = &mut Infallible(SysRng);
    let (origin, list) = (Origin::of(&fake::agency()), fake::list());
    let batch = BatchId([byte; 16]);
    let context = FrameContext { origin, list: list.clone(), epoch: Epoch(1), platform: fake::platform(), batch };
    let key = SecretKey::for_epoch(&[6; 32], &list, Epoch(1)).unwrap();
    let blinded = BlindedFrame::blind(FrameSize::try_from(4).unwrap(), std::slice::from_ref(&item), rng);
    let elements = blinded.elements().encodings().to_vec();
    let req = request_digest(&context, &elements);
    let answer = frame::answer(&context, &key, blinded.elements(), rng);
    let proof = answer.proof.to_bytes();
    let verified = blinded.verify(&context, key.public(), answer.evaluated.as_flattened(), &proof).unwrap();
    let evaluated = verified.finalize().unwrap().pop().unwrap();
    let okm = EpochContext { list, epoch: Epoch(1) }.okm(&evaluated.output);
    let (signed, bytes) = fake::coded(&[(&okm, LABEL)]);
    create_private_dir(&home.dir.list(&fake::list())).unwrap();
    fs::write(home.dir.artifact(&fake::list(), Version(1)), bytes).unwrap();
    let held = Held::open(&home.dir, signed, Some(Arc::new(fake::code_book()))).unwrap();
    let row = Row { kind: Kind::Sha256, okm, batch, position: evaluated.position };
    Asked { held, item, row, req, opened: Opened::new(batch, elements, vec![(evaluated.position, evaluated.blind)]) }
}

impl Asked {
    fn hit(&self) -> Hit {
        Hit { row: self.row.clone(), label: LABEL.to_vec() }
    }

    fn answered(&self, home: &Home, opened: bool) {
        let opened = opened.then_some(&self.opened);
        home.log.answered(&self.held, opened, &[self.hit()], Counts::new(), now()).unwrap();
    }
}

fn leaves(home: &Home) -> Vec<Leaf> {
    let Some(log) = home.store.logs().unwrap().pop() else { return Vec::new() };
    let leaves = home.store.leaves(log.id, 0, log.leaves).unwrap();
    leaves.iter().map(|leaf| Leaf::decode(leaf).unwrap()).collect()
}

fn sent(home: &Home, byte: u8) {
    let list = fake::list();
    let (batch, req) = (BatchId([byte; 16]), RequestDigest([byte; 32]));
    let sent = Sent { batch, list: &list, epoch: Epoch(1), version: Version(1), n: 4, req, minute: 1 };
    home.log.frame_sent(&sent).unwrap();
}

fn answered() -> Ended {
    let acknowledged = (b"leaf".to_vec(), b"note".to_vec());
    let promise = Promise { origin: "agency.example/veilmatch/query/2026h1".to_owned(), number: 0, received: 1 };
    let (resp, day) = (ResponseDigest([7; 32]), "2026-05-28".to_owned());
    Ended::Answered(Answered { resp, ack: [8; 32], day, acknowledged, promise })
}

#[test]
fn what_came_with_an_answer_is_kept_and_handed_on_by_its_day() {
    // SPEC §21.4
    let home = Home::new();
    for byte in [1, 2, 3] {
        sent(&home, byte);
    }
    let ended = |byte, ended: Ended| home.log.frame_ended(&fake::list(), BatchId([byte; 16]), ended, 1).unwrap();
    ended(1, answered());
    ended(2, Ended::Refused("OVERLOADED"));
    // An end that comes twice counts once.
    ended(1, answered());
    let lines = |first: &str, last: &str| {
        let day = |text| Date::parse(text).unwrap();
        let mut lines = Vec::new();
        let keep = |line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        home.log.each_acknowledgement(&(day(first)..=day(last)), keep).unwrap();
        lines
    };
    let line = "{\"leaf\":\"leaf\",\"note\":\"note\",\"type\":\"veilmatch/acknowledged/v1\"}";
    assert_eq!(lines("2026-05-28", "2026-05-28"), [line]);
    assert!(lines("2026-05-01", "2026-05-27").is_empty() && lines("2026-05-29", "2026-06-01").is_empty());
}

fn first() -> Place {
    Place { log: None, index: 0 }
}

fn every_day() -> std::ops::RangeInclusive<Date> {
    Date::of(Timestamp::from_unix(0))..=Date::of(Timestamp::from_unix(u64::MAX))
}

#[test]
fn every_frame_has_one_leaf_that_says_how_it_ended() {
    // SPEC §18.5
    let home = Home::new();
    (1..=4).for_each(|byte| sent(&home, byte));
    let end = |byte, ended: Ended| home.log.frame_ended(&fake::list(), BatchId([byte; 16]), ended, 3).unwrap();
    end(1, answered());
    end(1, Ended::Abandoned);
    end(2, Ended::Refused("OVERLOADED"));
    // The third and the fourth were on their way when the process was killed.
    let home = home.again();
    assert_eq!(home.log.abandon_unfinished().unwrap(), 2);
    assert_eq!(home.log.abandon_unfinished().unwrap(), 0);
    let ends: Vec<_> = leaves(&home)
        .into_iter()
        .map(|leaf| match leaf {
            Leaf::Frame(frame) => (frame.batch.0[0], frame.status, frame.code.map(|code| code.to_string())),
            other => panic!("{other:?}"),
        })
        .collect();
    use FrameStatus::{Abandoned, Answered, Refused};
    let refused = Some("OVERLOADED".to_owned());
    assert_eq!(ends, [(1, Answered, None), (2, Refused, refused), (3, Abandoned, None), (4, Abandoned, None)]);
}

#[test]
fn what_is_handed_on_is_no_more_than_was_handed_out() {
    // SPEC §19.3. An export opened at level 2, with the secret, whatever had been handed out at level 1 without it.
    let home = Home::new();
    asked(&home, 3).answered(&home, true);
    assert_eq!(home.log.one_match(first()).unwrap().handed_out, None);
    for (level, secret, most) in [(1, false, (1, false)), (2, true, (2, true)), (1, false, (2, true))] {
        home.log.hand_out(first(), level, secret).unwrap();
        let opened = home.log.one_match(first()).unwrap();
        let handed_out = opened.handed_out.unwrap();
        assert_eq!((handed_out.level, handed_out.secret), most);
        let line = home.log.opening_line(&opened, handed_out).unwrap();
        let line = Opening::decode(line.trim_end().as_bytes()).unwrap();
        assert_eq!((line.element.is_some(), line.secret.is_some()), (most.0 == 2, most.1));
    }
}

#[test]
fn a_match_has_one_leaf_and_an_opening_that_verifies_at_both_levels() {
    // SPEC §18.5, §19.1, §19.4
    let home = Home::new();
    let asked = asked(&home, 3);
    for _ in 0..3 {
        asked.answered(&home, true);
    }
    let leaves = leaves(&home);
    let [Leaf::Match(leaf)] = &leaves[..] else { panic!("{leaves:?}") };
    let line = home.log.hand_out(first(), 2, true).unwrap();
    let opening = Opening::decode(line.trim_end().as_bytes()).unwrap();
    let key = Keys::read(&home.dir).unwrap().receipt.verifying_key();
    let receipt = opening.receipt(&Verifier::new(&receipt_key(&fake::platform()), key).unwrap()).unwrap();
    opening.verify_secret(&receipt).unwrap();
    opening.verify_commitment(&receipt, leaf).unwrap();
    receipt.verify_listed(&asked.held.artifact().look_ups()).unwrap();
    receipt.verify_manifest(asked.held.manifest()).unwrap();
    receipt.verify_label(LABEL).unwrap();
    let element = opening.element.as_ref().unwrap();
    element.verify(receipt.receipt(), FrameSize::try_from(4).unwrap(), &asked.req, &asked.item).unwrap();
    let other = Item::new(Kind::Sha256, &[9; 32]).unwrap();
    assert!(element.verify(receipt.receipt(), FrameSize::try_from(4).unwrap(), &asked.req, &other).is_err());
    let without = home.log.hand_out(first(), 1, false).unwrap();
    let without = Opening::decode(without.trim_end().as_bytes()).unwrap();
    assert!(without.secret.is_none() && without.element.is_none());
}

#[test]
fn a_match_of_kept_results_has_level_1_only() {
    // SPEC §19.3 NO_BLIND
    let home = Home::new();
    asked(&home, 3).answered(&home, false);
    assert!(home.log.hand_out(first(), 1, true).is_ok());
    assert_eq!(home.log.hand_out(first(), 2, true).unwrap_err().reason(), "NO_BLIND");
}

#[test]
fn what_was_done_is_kept_with_the_match_and_an_erased_record_is_gone_from_the_disk() {
    // SPEC §18.5, §19.1
    let home = Home::new();
    let asked = asked(&home, 3);
    asked.answered(&home, true);
    assert_eq!(home.log.act(first(), Taken::Reported, "CT-1").unwrap().index, 1);
    assert_eq!(home.log.act(first(), Taken::Rejected, "").unwrap().index, 2);
    let mut shown = Vec::new();
    home.log
        .each_match(every_day(), |opened| {
            shown.push(opened.view);
            Ok(())
        })
        .unwrap();
    let [view] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((view.scheme.as_str(), view.code.as_str(), view.level), ("uk", "A", 2));
    let actions: Vec<_> = view.actions.iter().map(|action| (&action.taken[..], &action.report[..])).collect();
    assert_eq!(actions, [("reported", "CT-1"), ("rejected", "")]);

    let log = home.store.logs().unwrap().pop().unwrap();
    let sealed = home.store.opening(log.id, 0).unwrap().unwrap().sealed.record;
    let part = sealed[40..72].to_vec();
    let on_disk = |home: &Home| {
        let files = [home.dir.database(), home.dir.database().with_extension("db-wal")];
        files.iter().any(|file| fs::read(file).is_ok_and(|bytes| bytes.windows(32).any(|window| window == part)))
    };
    assert!(on_disk(&home));
    let erased = home.log.erase(&[first()], "retention").unwrap();
    assert_eq!((erased[0].indices.as_slice(), erased[0].leaf.index), (&[0][..], 3));
    assert!(!on_disk(&home), "secure_delete, and the log emptied");
    assert_eq!(home.log.one_match(first()).map(drop).unwrap_err().reason(), "ERASED");
    assert_eq!(home.log.hand_out(first(), 1, true).unwrap_err().reason(), "ERASED");
    assert_eq!(home.store.openings_of(log.id, 0).unwrap().len(), 0, "what was done is gone with it");
    assert!(matches!(&leaves(&home)[3], Leaf::Erase(erase) if erase.indices == [0] && erase.basis == "retention"));
    asked.answered(&home, true);
    assert_eq!(leaves(&home).len(), 4, "an entry that was erased does not come again by itself");
}

#[test]
fn what_is_no_match_or_no_word_is_refused_by_name() {
    // NO_RECORD, LOG_WORD
    let home = Home::new();
    asked(&home, 3).answered(&home, true);
    home.log.act(first(), Taken::Removed, "").unwrap();
    for index in [1, 2] {
        let place = Place { log: None, index };
        assert_eq!(home.log.act(place, Taken::Removed, "").unwrap_err().reason(), "NO_RECORD");
    }
    for basis in ["", "With Blanks", &"a".repeat(33)] {
        assert_eq!(home.log.erase(&[first()], basis).unwrap_err().reason(), "LOG_WORD");
    }
    assert_eq!(home.log.act(first(), Taken::Removed, "a\nb").unwrap_err().reason(), "LOG_WORD");
}

#[test]
fn a_record_under_another_key_is_damaged_and_not_empty() {
    // RECORD_DAMAGED
    let home = Home::new();
    asked(&home, 3).answered(&home, true);
    Vault::make(&home.dir).unwrap();
    let home = home.again();
    assert_eq!(home.log.one_match(first()).map(drop).unwrap_err().reason(), "RECORD_DAMAGED");
}

#[test]
fn a_day_that_is_over_has_its_totals_and_a_day_of_nothing_has_zeros() {
    // SPEC §18.5
    let home = Home::new();
    let today = Date::of(now());
    let before = Date::of(Timestamp::from_unix(now().unix() - 2 * 86_400));
    home.store.next_day(fake::list().as_str(), &before.to_string()).unwrap();
    let total = |what: &str, n| ((fake::list().to_string(), before.to_string(), what.to_owned()), n);
    let totals = [total("offered", 9), total("not_checked:OFFLINE", 4), total("action:removed", 1), total("frames", 2)];
    home.store.add_totals(&totals.into_iter().collect()).unwrap();
    let lists = [fake::list()];
    home.log.end_days(&lists).unwrap();
    assert_eq!(home.log.end_days(&lists).unwrap(), 0, "once");
    let days: Vec<_> = leaves(&home)
        .into_iter()
        .map(|leaf| match leaf {
            Leaf::Day(day) => day,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(days.iter().all(|day| day.date < today));
    assert_eq!((days[0].date, days[0].offered, days[0].frames, days[0].matches), (before, 9, 2, 0));
    assert_eq!(days[0].not_checked.iter().map(|(code, n)| (code.as_str(), *n)).collect::<Vec<_>>(), [("OFFLINE", 4)]);
    assert_eq!(days[0].actions.get("removed"), Some(&1));
    assert_eq!((days[1].offered, days[1].frames, days[1].actions.len()), (0, 0, 0));
}

#[test]
fn leaves_show_nothing_of_what_matched() {
    // SPEC §18.1, §18.5
    let home = Home::new();
    let asked = asked(&home, 3);
    asked.answered(&home, true);
    let log = home.store.logs().unwrap().pop().unwrap();
    let bytes = home.store.leaves(log.id, 0, log.leaves).unwrap().concat();
    let text = String::from_utf8(bytes).unwrap();
    use base64::{Engine, engine::general_purpose::STANDARD};
    let secret = asked.row.okm.match_secret();
    for hidden in [asked.item.digest(), &asked.row.okm.tag().0, secret.danger_as_bytes(), LABEL] {
        assert!(!text.contains(&STANDARD.encode(hidden)) && !text.contains(&hex::encode(hidden)));
    }
}
