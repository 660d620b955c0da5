//! R01 to R08, C01, C02, E01: receipts and canaries.

use rand::{SeedableRng, rngs::StdRng};
use veilmatch_audit::{
    finding::{Code, Place},
    leaf::{Action, Erase, Leaf, Match, Nonce},
    opening::Opening,
    origin::LogOrigin,
    reconcile::{Items, Status},
};
use veilmatch_protocol::{
    derive::Tag,
    manifest::{Hash, Timestamp},
    note::Verifier,
    oprf::Blind,
    receipt::{OpenedBlind, Receipt, Salt, SignedReceipt, commit},
};

use super::{MATCH, MONTH, PLATFORM, change_day, find, find_last, leaf, only, pad, put, text};
use crate::world::{list, log::Log, platform::Platform, shown::Shown};

fn me() -> &'static Platform {
    &MONTH.platforms[0]
}

fn signed(opening: &Opening, platform: &Platform) -> SignedReceipt {
    let name = format!("{}/veilmatch/receipt", platform.name);
    opening.receipt(&Verifier::new(&name, platform.receipt_key.verifying_key()).unwrap()).unwrap()
}

fn is_canary(tag: Tag) -> bool {
    MONTH.canaries.iter().any(|line| line.opening.canary().tag == tag)
}

/// Number of an opening that is no canary's, and the opening.
fn plain_opening() -> (usize, &'static Opening) {
    let mut openings = me().openings.iter().enumerate();
    openings.find(|(_, opening)| !is_canary(signed(opening, me()).receipt().tag)).unwrap()
}

/// The month with the opening changed.
fn changed(change: impl FnOnce(&mut Opening)) -> (Shown, Place) {
    let (at, opening) = plain_opening();
    let mut opening = opening.clone();
    change(&mut opening);
    let mut shown = MONTH.shown();
    shown.openings.get_mut(PLATFORM).unwrap()[at] = opening.encode().unwrap().to_vec();
    (shown, Place::line(PLATFORM, "opening", at as u64 + 1))
}

/// The month with one more receipt, committed to in the place of a pad leaf.
pub fn with_receipt(receipt: Receipt, secret: &veilmatch_protocol::derive::MatchSecret) -> (Shown, Place) {
    let t = receipt.matched.day();
    with_receipt_of(receipt, secret, t)
}

/// The same, with a match leaf of this day.
fn with_receipt_of(receipt: Receipt, secret: &veilmatch_protocol::derive::MatchSecret, t: Timestamp) -> (Shown, Place) {
    let salt = Salt::random(&mut StdRng::seed_from_u64(3));
    let batch = receipt.batch;
    let signed = receipt.sign(secret, &me().receipt_key).unwrap();
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let leaf = Match { batch, c: commit(&salt, signed.note()), nonce: Nonce([8; 16]), t };
    let mut shown = MONTH.edited(|logs| {
        put(logs, MATCH, index, &Leaf::Match(leaf));
        change_day(logs, MATCH, t, |day| day.matches += 1);
    });
    let opening = Opening {
        log: LogOrigin::parse(MATCH).unwrap(),
        index,
        salt,
        receipt: String::from_utf8(signed.note().to_vec()).unwrap(),
        secret: Some(secret.clone()),
        element: None,
    };
    let openings = shown.openings.get_mut(PLATFORM).unwrap();
    openings.push(opening.encode().unwrap().to_vec());
    let line = openings.len() as u64;
    (shown, Place::line(PLATFORM, "opening", line))
}

#[test]
fn r01_a_receipt_that_the_platform_did_not_sign() {
    let (shown, place) = changed(|opening| {
        let other = me().openings.iter().find(|other| other.receipt != opening.receipt).unwrap();
        let line = other.receipt.rsplit_once("\n\n").unwrap().1;
        opening.receipt = format!("{}\n\n{line}", opening.receipt.rsplit_once("\n\n").unwrap().0);
    });
    only(&shown, Code::R01, &place);
}

#[test]
fn r02_a_secret_of_another_entry() {
    let (shown, place) = changed(|opening| {
        let mine = signed(opening, me()).receipt().tag;
        let other = me().openings.iter().find(|other| signed(other, me()).receipt().tag != mine).unwrap();
        opening.secret.clone_from(&other.secret);
    });
    only(&shown, Code::R02, &place);
}

#[test]
fn a_tag_that_cannot_be_looked_up_is_bound_to_nothing() {
    // SPEC §19.4: with no list at hand, a platform could make tag and secret up.
    let mut shown = MONTH.shown();
    shown.files.artifacts.clear();
    let examined = shown.examine(&MONTH);
    let receipts = &examined.reconciled.receipts[&me().name];
    assert_eq!(receipts.statuses[&Status::Signed], me().openings.len() as u64, "{:?}", receipts.statuses);
    let lines = &examined.reconciled.not_judged;
    let of_me = |line: &&String| line.contains("platform.example are listed");
    assert_eq!(lines.iter().filter(of_me).count(), 1, "{lines:?}");
    // None of them holds, and each canary is told: its secret is shown, so it is not missed either.
    assert!(receipts.good.is_empty() && examined.findings.is_empty(), "{}", text(&examined.findings));
    let told = |line: &&String| line.ends_with("the receipt of platform.example for it could not be judged");
    assert_eq!(lines.iter().filter(told).count(), 3, "{lines:?}");
}

/// Leaves the secret out of a released receipt, and with it what opens the blind.
fn without_secret(opening: &mut Opening) {
    (opening.secret, opening.element) = (None, None);
}

#[test]
fn a_receipt_without_its_secret_is_signed_alone() {
    // SPEC §19.4
    let clean = MONTH.shown().examine(&MONTH);
    let (shown, _) = changed(without_secret);
    let examined = shown.examine(&MONTH);
    assert_eq!(text(&examined.findings), "");
    let [before, after] = [&clean, &examined].map(|examined| &examined.reconciled.receipts[&me().name]);
    assert_eq!((after.statuses[&Status::Signed], after.good.len() + 1), (1, before.good.len()));
    let told = "1 receipts of platform.example are signed alone, without the secret: nothing shows that the digest was \
                evaluated";
    let lines = &examined.reconciled.not_judged;
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
    // Level 2 shows it without the secret.
    let (shown, _) = changed(|opening| opening.secret = None);
    assert_eq!(shown.examine(&MONTH).reconciled.receipts[&me().name].statuses, before.statuses);
}

#[test]
fn a_tag_that_the_agency_has_no_record_of_is_told() {
    // SPEC §19.4
    let (_, opening) = plain_opening();
    let receipt = signed(opening, me()).receipt().clone();
    let entry = MONTH.agency.entries.iter().find(|entry| entry.okms[receipt.epoch.0 as usize - 1].tag() == receipt.tag);
    let entry = entry.unwrap();
    let record = Items::line(&list(), receipt.epoch, receipt.tag, &entry.item, &entry.label).unwrap();
    let mut shown = MONTH.shown();
    shown.items.retain(|line| *line != record);
    let examined = shown.examine(&MONTH);
    let lines = &examined.reconciled.not_judged;
    assert!(lines.iter().any(|line| line.starts_with("level 2 of 1 receipts of platform.example")), "{lines:?}");
    assert_eq!(examined.reconciled.receipts[&me().name].statuses[&Status::LevelOne], 1);
}

#[test]
fn r03_a_salt_that_does_not_open_the_commitment() {
    let (shown, place) = changed(|opening| opening.salt = Salt::danger_from_bytes([1; 32]));
    only(&shown, Code::R03, &place);
}

#[test]
fn r03_a_receipt_that_says_another_day_than_its_leaf() {
    // SPEC §19.4
    let (_, opening) = plain_opening();
    let receipt = signed(opening, me()).receipt().clone();
    let t = Timestamp::from_unix(receipt.matched.unix() + 86_400).day();
    let (shown, place) = with_receipt_of(receipt, opening.secret.as_ref().unwrap(), t);
    only(&shown, Code::R03, &place);
}

#[test]
fn t01_a_match_that_is_older_than_its_frame() {
    // SPEC §19.4
    let (_, opening) = plain_opening();
    let mut receipt = signed(opening, me()).receipt().clone();
    receipt.matched = Timestamp::from_unix(receipt.matched.unix() - 2 * 3_600).minute();
    let (shown, place) = with_receipt(receipt, opening.secret.as_ref().unwrap());
    only(&shown, Code::T01, &place);
}

#[test]
fn r04_a_receipt_for_a_frame_of_another_platform() {
    // The other platform gave its secret away: the receipt is bound and committed to, but the frame is not this platform's.
    let other = &MONTH.platforms[1];
    let lent = &other.openings[0];
    let receipt = Receipt { platform: me().name.clone(), ..signed(lent, other).receipt().clone() };
    let (shown, place) = with_receipt(receipt, lent.secret.as_ref().unwrap());
    only(&shown, Code::R04, &place);
}

#[test]
fn a_receipt_of_a_frame_that_may_not_be_under_a_checkpoint_yet_is_not_judged() {
    // SPEC §21.5: a receipt handed out within the minute, and a query log that is published every half one, were R04.
    let other = &MONTH.platforms[1];
    let lent = other.openings.last().unwrap();
    let receipt = Receipt { platform: me().name.clone(), ..signed(lent, other).receipt().clone() };
    let day = receipt.matched.day().unix() + 86_400;
    let (mut shown, place) = with_receipt(receipt, lent.secret.as_ref().unwrap());
    let found = |shown: &Shown| shown.findings(&MONTH).iter().any(|finding| finding.place == place);
    shown.now = day + 3_599;
    assert!(!found(&shown));
    shown.now = day + 3_600;
    assert!(found(&shown));
}

#[test]
fn r05_two_tags_for_one_place_of_a_frame() {
    let (_, opening) = plain_opening();
    let mine = signed(opening, me()).receipt().clone();
    let mut others = MONTH.platforms[1].openings.iter().map(|opening| (opening, signed(opening, &MONTH.platforms[1])));
    let same_version = |other: &Receipt| other.epoch == mine.epoch && other.tag != mine.tag;
    let (lent, other) = others.find(|(_, other)| same_version(other.receipt())).unwrap();
    let (tag, label) = (other.receipt().tag, other.receipt().label.clone());
    let (shown, place) = with_receipt(Receipt { tag, label, ..mine }, lent.secret.as_ref().unwrap());
    only(&shown, Code::R05, &place);
}

#[test]
fn r06_a_label_that_the_agency_did_not_give() {
    let (at, opening) = plain_opening();
    let receipt = signed(opening, me()).receipt().clone();
    let entry = MONTH.agency.entries.iter().find(|entry| entry.okms[receipt.epoch.0 as usize - 1].tag() == receipt.tag);
    let mut label = receipt.label.clone();
    label[2] ^= 1;
    let mut shown = MONTH.shown();
    // Later lines count, as records do that were mended.
    shown.items.push(Items::line(&list(), receipt.epoch, receipt.tag, &entry.unwrap().item, &label).unwrap());
    only(&shown, Code::R06, &Place::line(PLATFORM, "opening", at as u64 + 1));
}

#[test]
fn r07_a_blind_that_does_not_make_the_element() {
    let (shown, place) = changed(|opening| {
        let element = opening.element.as_mut().unwrap();
        element.blind = OpenedBlind::Mul(Blind::random(&mut StdRng::seed_from_u64(4)));
    });
    only(&shown, Code::R07, &place);
}

#[test]
fn r08_a_match_without_a_receipt() {
    let (at, opening) = plain_opening();
    let mut shown = MONTH.shown();
    shown.openings.get_mut(PLATFORM).unwrap().remove(at);
    only(&shown, Code::R08, &Place::leaf(MATCH, opening.index));
}

#[test]
fn c01_a_canary_is_not_reported() {
    let canary = &MONTH.canaries[0];
    let of_it = |opening: &Opening| signed(opening, me()).receipt().tag == canary.opening.canary().tag;
    let at = me().openings.iter().position(of_it).unwrap();
    let mut shown = MONTH.shown();
    shown.terms.receipt_days = None;
    shown.openings.get_mut(PLATFORM).unwrap().remove(at);
    only(&shown, Code::C01, &Place::line("agency.example", "canary", 1));
}

#[test]
fn a_canary_is_due_once_its_receipt_is() {
    // SPEC §18.7: deadline, a day of grace, seven days until receipts are released, and one more.
    let canary = &MONTH.canaries[0];
    let of_it = |opening: &Opening| signed(opening, me()).receipt().tag == canary.opening.canary().tag;
    let at = me().openings.iter().position(of_it).unwrap();
    let mut shown = MONTH.shown();
    shown.openings.get_mut(PLATFORM).unwrap().remove(at);
    let missed = |days| {
        let mut shown = shown.clone();
        shown.terms.receipt_days = Some(days);
        shown.findings(&MONTH).iter().filter(|finding| finding.code == Code::C01).count()
    };
    let since = shown.now - canary.opening.canary().deadline * 60;
    assert_eq!(missed(since / 86_400 - 2), 1);
    assert_eq!(missed(since / 86_400 - 1), 0);
}

#[test]
fn c02_a_canary_is_opened_twice() {
    // SPEC §18.7
    let mut shown = MONTH.shown();
    let clean = shown.examine(&MONTH).reconciled.canaries[&me().name];
    shown.canaries.push(shown.canaries[0].clone());
    only(&shown, Code::C02, &Place::line("agency.example", "canary", shown.canaries.len() as u64));
    assert_eq!(shown.examine(&MONTH).reconciled.canaries[&me().name], clean);
}

#[test]
fn c02_an_entry_is_called_a_canary_afterwards() {
    let mut shown = MONTH.shown();
    let mut line = MONTH.canaries[1].clone();
    line.version = veilmatch_protocol::name::Version(2);
    shown.canaries[1] = line.encode().unwrap();
    only(&shown, Code::C02, &Place::line("agency.example", "canary", 2));
}

#[test]
fn e01_an_erased_record_still_opens() {
    let (at, opening) = plain_opening();
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let t = crate::world::at("2026-10-31T00:00:00Z");
    let (basis, indices) = ("request".into(), vec![opening.index]);
    let erase = Erase { basis, indices, log: opening.log.clone(), nonce: Nonce([7; 16]), t };
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Erase(erase)));
    only(&shown, Code::E01, &Place::line(PLATFORM, "opening", at as u64 + 1));
}

#[test]
fn e01_a_record_is_kept_too_long() {
    let mut shown = MONTH.shown();
    shown.terms.erase_days = Some(28);
    let findings = shown.findings(&MONTH);
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding.code == Code::E01));
}

/// The log of the half-year before, with one match.
fn earlier() -> Log {
    let Leaf::Match(found) = leaf(MATCH, find(MATCH, |leaf| matches!(leaf, Leaf::Match(_)))) else { unreachable!() };
    let found = Match { t: crate::world::at("2026-03-01T00:00:00Z"), ..found };
    let leaves = vec![found.encode().unwrap(), pad().encode().unwrap()];
    Log { origin: MATCH.replace("h2", "h1"), leaves, ..MONTH.platforms[0].log.clone() }
}

/// The last pad of the match log replaced.
fn with_last(leaf: &Leaf) -> (Shown, Place) {
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    (MONTH.edited(|logs| put(logs, MATCH, index, leaf)), Place::leaf(MATCH, index))
}

#[test]
fn what_was_done_about_a_match_of_an_earlier_log_is_judged_beside_that_log() {
    // SPEC §18.5
    let (log, nonce) = (LogOrigin::parse(&earlier().origin).unwrap(), Nonce([7; 16]));
    let t = crate::world::at("2026-10-31T00:00:00Z");
    let act = |log: &LogOrigin, index| Leaf::Action(Action { c: Hash([7; 32]), index, log: log.clone(), nonce, t });
    let erase = |indices| Leaf::Erase(Erase { basis: "request".into(), indices, log: log.clone(), nonce, t });
    // Whether it is a match there is not known without that log.
    assert_eq!(text(&with_last(&act(&log, 7)).0.findings(&MONTH)), "");
    let (mut shown, _) = with_last(&erase(vec![0]));
    shown.add(&earlier());
    assert_eq!(text(&shown.findings(&MONTH)), "", "an erased match needs no receipt");
    let (mut shown, place) = with_last(&erase(vec![0, 1]));
    shown.add(&earlier());
    only(&shown, Code::E01, &place);
    let (mut shown, place) = with_last(&act(&log, 1));
    shown.terms.receipt_days = None;
    shown.add(&earlier());
    only(&shown, Code::D02, &place);
    for other in [MATCH.replace("2026h2", "2027h1"), MATCH.replace("platform", "other")] {
        let (shown, place) = with_last(&act(&LogOrigin::parse(&other).unwrap(), 0));
        only(&shown, Code::D02, &place);
    }
}
