//! Logs that go on from one that was lost (SPEC §17.1, §18.2, §21.5): what is stated to be lost is told and not judged, and
//! nothing else may be missing.

use std::sync::LazyLock;

use veilmatch_audit::{
    finding::{Code, Finding, Place},
    leaf::{Key, Leaf, Nonce},
    origin::LogOrigin,
    verify::{Seen, Source},
};

use super::{MATCH, MONTH, PLATFORM, QUERY, find_last, only, pad, put, text};
use crate::world::{
    BEFORE, COSIGNED, World, at,
    log::Log,
    shown::{Shown, cosigners},
};

static LOST: LazyLock<World> = LazyLock::new(|| World::with_lost(PLATFORM));
static AGENCY_LOST: LazyLock<World> = LazyLock::new(|| World::with_lost("agency.example"));

fn second(origin: &str) -> String {
    format!("{origin}.2")
}

fn log<'a>(world: &'a World, origin: &str) -> &'a Log {
    world.logs().into_iter().find(|log| log.origin == origin).unwrap()
}

fn lost_from(world: &World) -> usize {
    usize::try_from(world.lost.as_ref().unwrap().1).unwrap()
}

/// The world as it is shown, with the first leaf of the second log changed.
fn stated(world: &World, origin: &str, change: impl FnOnce(&mut Key)) -> Shown {
    world.shown_with(|logs| {
        let first = &mut logs.get_mut(&second(origin)).unwrap().leaves[0];
        let Ok(Leaf::Key(mut key)) = Leaf::decode(first) else { panic!("the first leaf is a key") };
        change(&mut key);
        *first = key.encode().unwrap();
    })
}

/// Shows the first leaves of a log alone.
fn cut(world: &World, shown: &mut Shown, origin: &str, size: usize) {
    let log = log(world, origin);
    shown.logs.insert(origin.to_owned(), log.files(size, &cosigners(log), at(COSIGNED).unix()));
}

/// The auditor remembers so many leaves of a log.
fn remember(world: &World, shown: &mut Shown, origin: &str, size: usize) {
    let log = log(world, origin);
    let note = log.checkpoint(size, &cosigners(log), at(BEFORE).unix());
    shown.seen.insert(origin.to_owned(), vec![Seen { by: Source::LastAudit, note }]);
}

fn found(findings: &[Finding]) -> Vec<(Code, &Place)> {
    findings.iter().map(|finding| (finding.code, &finding.place)).collect()
}

fn only_in(world: &World, shown: &Shown, code: Code, place: &Place) {
    let findings = shown.findings(world);
    assert_eq!(found(&findings), [(code, place)], "{}", text(&findings));
}

/// The log before was read whole at the last audit; what is left of it is shown.
fn honest(world: &World, origin: &str) -> Shown {
    let mut shown = world.shown();
    cut(world, &mut shown, origin, lost_from(world));
    remember(world, &mut shown, origin, log(world, origin).leaves.len());
    shown
}

#[test]
fn what_is_stated_to_be_lost_is_told_and_not_judged() {
    // SPEC §17.1, §21.5
    let examined = honest(&LOST, MATCH).examine(&LOST);
    assert!(examined.findings.is_empty(), "{}", text(&examined.findings));
    let (from, to) = (lost_from(&LOST), log(&LOST, MATCH).leaves.len());
    let lines = &examined.reconciled.not_judged;
    let line = format!(
        "{MATCH}: leaves {from} to {}, written from 2026-10-17 to 2026-10-20 at most, are lost, as the first leaf of {} says",
        to - 1,
        second(MATCH)
    );
    assert_eq!(lines, &[line], "{lines:?}");
    let rows = veilmatch_audit::report::log_rows(&examined, at(crate::world::NOW).unix());
    let row = rows.iter().find(|row| row.origin == second(MATCH)).unwrap();
    assert_eq!((row.gaps[0].from, row.gaps[0].to, row.gaps[0].lost), (from as u64, to as u64, true));
}

#[test]
fn a_lost_log_that_is_shown_whole_is_judged_whole() {
    // SPEC §21.5: nothing is missing, and the days of what was called lost are judged.
    let examined = LOST.shown().examine(&LOST);
    assert!(examined.reconciled.not_judged.is_empty(), "{:?}", examined.reconciled.not_judged);
    assert!(!examined.findings.iter().any(|finding| finding.code == Code::L03), "{}", text(&examined.findings));
}

#[test]
fn l03_a_log_that_goes_on_without_saying_from_where() {
    // SPEC §21.5: an auditor that went by the origin alone began anew.
    let bare = |world: &World| {
        world.shown_with(|logs| logs.get_mut(&second(MATCH)).unwrap().leaves[0] = pad().encode().unwrap())
    };
    let findings = bare(&LOST).findings(&LOST);
    assert_eq!(found(&findings)[0], (Code::L03, &Place::leaf(&second(MATCH), 0)), "{}", text(&findings));
    let mut hidden = bare(&LOST);
    hidden.logs.remove(MATCH);
    let findings = hidden.findings(&LOST);
    assert_eq!(found(&findings)[0], (Code::L03, &Place::leaf(&second(MATCH), 0)), "{}", text(&findings));
    let theirs = LogOrigin::parse("videos.example/veilmatch/match/agency.example/2026h2").unwrap();
    let of_another = stated(&LOST, MATCH, |key| key.previous = Some(theirs));
    let findings = of_another.findings(&LOST);
    assert_eq!(found(&findings)[0], (Code::L03, &Place::leaf(&second(MATCH), 0)), "{}", text(&findings));
}

#[test]
fn l03_less_is_stated_to_be_lost_than_was_audited() {
    // SPEC §21.5
    let to = log(&LOST, MATCH).leaves.len();
    let mut shown = stated(&LOST, MATCH, |key| key.lost_to -= 1);
    cut(&LOST, &mut shown, MATCH, lost_from(&LOST));
    remember(&LOST, &mut shown, MATCH, to);
    only_in(&LOST, &shown, Code::L03, &Place::checkpoint(MATCH));
    remember(&LOST, &mut shown, MATCH, to - 1);
    assert!(shown.findings(&LOST).is_empty());
}

#[test]
fn l03_a_log_that_was_audited_is_hidden_behind_the_next_one() {
    // SPEC §21.5
    let mut shown = LOST.shown();
    shown.logs.remove(MATCH);
    only_in(&LOST, &shown, Code::L03, &Place::leaf(&second(MATCH), 0));
    // Nobody has seen it before: it is told what is not there.
    shown.seen.clear();
    let examined = shown.examine(&LOST);
    assert!(examined.findings.is_empty(), "{}", text(&examined.findings));
    let lines = &examined.reconciled.not_judged;
    assert!(lines.iter().any(|line| line.contains("at most, not shown, and in front of")), "{lines:?}");
    // A witness has.
    remember(&LOST, &mut shown, MATCH, 64);
    shown.seen.get_mut(MATCH).unwrap()[0].by = Source::Witness("witness.example".into());
    only_in(&LOST, &shown, Code::L03, &Place::leaf(&second(MATCH), 0));
}

#[test]
fn l03_leaves_in_front_of_what_is_stated_to_be_lost_are_missing() {
    // SPEC §21.5
    let mut shown = honest(&LOST, MATCH);
    shown.seen.clear();
    cut(&LOST, &mut shown, MATCH, lost_from(&LOST) - 1);
    only_in(&LOST, &shown, Code::L03, &Place::leaf(&second(MATCH), 0));
}

#[test]
fn t01_a_log_that_went_on_after_its_end() {
    // SPEC §21.5
    let findings = stated(&LOST, MATCH, |key| key.lost_to -= 1).findings(&LOST);
    let late: Vec<_> = found(&findings).into_iter().filter(|(code, _)| *code == Code::T01).collect();
    assert_eq!(late, [(Code::T01, &Place::leaf(&second(MATCH), 0))], "{}", text(&findings));
}

#[test]
fn l08_a_log_before_is_named_where_none_can_be() {
    // SPEC §18.2
    let Ok(Leaf::Key(key)) = Leaf::decode(&log(&LOST, &second(MATCH)).leaves[0]) else { panic!("a key") };
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)));
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Key(Key { nonce: Nonce([3; 16]), ..key })));
    only(&shown, Code::L08, &Place::leaf(MATCH, index));
}

#[test]
fn q01_what_was_acknowledged_and_is_lost_speaks_against_the_agency() {
    // SPEC §21.5: also where the log that it was promised in is not shown at all.
    let shown = honest(&AGENCY_LOST, QUERY);
    let (findings, acks) = (shown.findings(&AGENCY_LOST), &shown.acks);
    assert!(findings.len() > 4, "{}", text(&findings));
    assert!(findings.iter().all(|finding| finding.code == Code::Q01), "{}", text(&findings));
    for finding in &findings {
        let lines = &acks[&finding.place.origin];
        assert!(finding.place.to_string().contains("acknowledgement") && !lines.is_empty());
    }
    // Without them, nothing of those days is held against anybody.
    let mut silent = shown.clone();
    let late = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line).into_owned();
        ["2026-10-18T", "2026-10-19T"].iter().any(|day| line.contains(day))
    };
    silent.acks.values_mut().for_each(|lines| lines.retain(|line| !late(line)));
    let left = silent.findings(&AGENCY_LOST);
    assert!(left.is_empty(), "{}", text(&left));
}
