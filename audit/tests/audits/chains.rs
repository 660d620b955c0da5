//! Chains of logs, in small: whatever is handed over of them, nothing that was seen before may be left out (SPEC §21.5).

use veilmatch_audit::{
    date::Date,
    finding::Code,
    leaf::{Key, Leaf, Nonce, Pad, Role, VerifierKey},
    origin::{LogOrigin, match_log_key},
    verify::{Audited, Continuity, Known, Matches, Remembered, Seen, Source, follow, read_leaves, verify},
};

use crate::world::{at, key, log::Log};

const FIRST: &str = "platform.example/veilmatch/match/agency.example/2026h2";

/// A log of this generation with so many pads; behind the first, it begins with what it says of the one before.
fn log(generation: u32, pads: usize, lost: (u64, u64)) -> Log {
    let signer = key(5);
    let first = LogOrigin::parse(FIRST).unwrap();
    let name = |generation: u32| if generation == 1 { FIRST.to_owned() } else { format!("{FIRST}.{generation}") };
    let mut log = Log::new(&name(generation), &signer);
    if generation > 1 {
        let key = Key {
            cross: None,
            key: VerifierKey::signer(&first.key_name(), signer.verifying_key()).unwrap(),
            lost_from: lost.0,
            lost_to: lost.1,
            nonce: Nonce([1; 16]),
            old: None,
            previous: Some(LogOrigin::parse(&name(generation - 1)).unwrap()),
            role: Role::MatchLog,
            t: at("2026-10-20T00:00:00Z"),
        };
        log.leaves.push(key.encode().unwrap());
    }
    let pad = |at: usize| Leaf::from(Pad { nonce: Nonce([at as u8; 16]) }).encode().unwrap();
    log.leaves.extend((0..pads).map(pad));
    assert_eq!(
        first.key_name(),
        match_log_key(&veilmatch_protocol::name::PlatformId::parse("platform.example").unwrap())
    );
    log
}

fn read(log: &Log, remembered: &[Remembered]) -> (Audited, Matches) {
    let of_it = remembered.iter().filter(|seen| seen.origin.to_string() == log.origin);
    let seen = of_it.map(|seen| Seen { by: seen.by.clone(), note: seen.note.clone() }).collect();
    let files = log.files(log.leaves.len(), &[], 0);
    let known = Known { key: log.verifier(), policy: None, now: 0, seen, every_root: false };
    let mut audited = verify(&files, &known).unwrap();
    let mut matches = Matches::new(&log.origin, at("2026-11-01T00:00:00Z").unix(), &[]);
    read_leaves(&files, &mut audited, 1, &|_| true, |read| assert!(matches.take(read).is_empty())).unwrap();
    (audited, matches)
}

/// What the last audit had of a log.
fn seen(log: &Log, size: usize) -> Remembered {
    let note = log.checkpoint(size, &[], 0);
    Remembered { origin: LogOrigin::parse(&log.origin).unwrap(), size: size as u64, by: Source::LastAudit, note }
}

fn audit(shown: &[&Log], remembered: &[Remembered]) -> Continuity {
    let logs: Vec<_> = shown.iter().map(|log| read(log, remembered)).collect();
    let day = |text| Date::parse(text).unwrap();
    follow(&logs, remembered, &(day("2026-10-01")..=day("2026-10-31")), at("2026-11-01T00:00:00Z").unix())
}

fn found(continuity: &Continuity) -> Vec<(Code, String)> {
    continuity.findings.iter().map(|finding| (finding.code, finding.place.to_string())).collect()
}

fn place(log: &Log, part: &str) -> Vec<(Code, String)> {
    vec![(Code::L03, format!("{}: {part}", log.origin))]
}

#[test]
fn a_chain_of_three_states_each_loss_in_its_place() {
    let (one, two, three) = (log(1, 10, (0, 0)), log(2, 9, (10, 30)), log(3, 5, (10, 20)));
    let whole = audit(&[&one, &two, &three], &[seen(&one, 10), seen(&two, 10)]);
    assert!(found(&whole).is_empty(), "{:?}", found(&whole));
    let gaps: Vec<_> = whole.coverage.gaps.iter().map(|gap| (gap.from, gap.to, gap.lost)).collect();
    assert_eq!(gaps, [(10, 30, true), (10, 20, true)]);
    // Without the second, nobody says what was lost of the first, nor shows what of the second is not.
    let hidden = audit(&[&one, &three], &[seen(&log(1, 20, (0, 0)), 20), seen(&two, 10)]);
    let expected = [place(&one, "checkpoint"), place(&three, "leaf 0")].concat();
    assert_eq!(found(&hidden), expected);
}

#[test]
fn a_log_that_was_seen_cannot_be_left_out_beside_another_of_its_half_year() {
    let (one, two, three) = (log(1, 10, (0, 0)), log(2, 9, (0, 30)), log(3, 5, (0, 10)));
    // The newest was seen, and the first goes on in its place.
    assert_eq!(found(&audit(&[&one], &[seen(&two, 5)])), place(&two, "checkpoint"));
    // A third that follows a second that nobody saw, and says nothing of the first.
    assert_eq!(found(&audit(&[&three], &[seen(&one, 10)])), place(&one, "checkpoint"));
    // The second was audited, and with it what it said of the first; it is lost with that.
    let told = audit(&[&three], &[seen(&one, 10), seen(&two, 10)]);
    assert!(found(&told).is_empty() && told.not_judged.len() == 2, "{:?} {:?}", found(&told), told.not_judged);
    assert!(told.coverage.gaps.iter().any(|gap| gap.log.to_string() == FIRST), "a receipt of the first is not judged");
    // Nothing of the half-year is shown: nobody was asked for it, perhaps.
    let nothing = audit(&[], &[seen(&one, 10)]);
    assert!(found(&nothing).is_empty());
    assert_eq!(nothing.not_judged, [format!("{FIRST}: seen before with 10 leaves, and not shown")]);
}

#[test]
fn what_is_shown_may_be_less_than_was_seen_by_what_is_stated_alone() {
    let one = log(1, 10, (0, 0));
    let larger = log(1, 30, (0, 0));
    for (lost, clean) in [((10, 30), true), ((5, 40), true), ((10, 29), false), ((11, 30), false), ((30, 30), false)] {
        let two = log(2, 3, lost);
        let judged = audit(&[&one, &two], &[seen(&larger, 30)]);
        assert_eq!(found(&judged).is_empty(), clean, "{lost:?} {:?}", found(&judged));
        let hidden = audit(&[&two], &[seen(&larger, 30)]);
        assert!(!found(&hidden).is_empty(), "{lost:?}: the ten that are there are not shown");
        let wholly = audit(&[&log(2, 3, (0, lost.1))], &[seen(&larger, 30)]);
        assert_eq!(found(&wholly).is_empty(), lost.1 >= 30, "{lost:?}");
    }
}

#[test]
fn more_of_a_lost_log_may_be_stated_by_yet_another_one() {
    // SPEC §17.1
    let (one, two) = (log(1, 10, (0, 0)), log(2, 9, (10, 20)));
    let mut three = log(3, 5, (10, 30));
    let Ok(Leaf::Key(mut key)) = Leaf::decode(&three.leaves[0]) else { panic!("a key") };
    key.previous = Some(LogOrigin::parse(FIRST).unwrap());
    three.leaves[0] = key.encode().unwrap();
    let before = [seen(&log(1, 30, (0, 0)), 30), seen(&two, 10)];
    let whole = audit(&[&one, &two, &three], &before);
    assert!(found(&whole).is_empty(), "{:?}", found(&whole));
    assert_eq!(whole.coverage.gaps.iter().map(|gap| (gap.from, gap.to)).collect::<Vec<_>>(), [(10, 30)]);
    // Of the second nothing is stated to be lost: it must be there, if it was seen.
    assert_eq!(found(&audit(&[&one, &three], &before)), place(&two, "checkpoint"));
    let unseen = audit(&[&one, &three], &before[..1]);
    assert!(found(&unseen).is_empty());
    assert!(unseen.not_judged.iter().any(|line| line.starts_with(&format!("{FIRST}.2: what it has"))));
    // A later generation is none that was before.
    key.previous = Some(LogOrigin::parse(&format!("{FIRST}.4")).unwrap());
    three.leaves[0] = key.encode().unwrap();
    assert_eq!(found(&audit(&[&one, &two, &three], &before[1..])), place(&three, "leaf 0"));
}

#[test]
fn an_empty_log_states_nothing() {
    let mut two = log(2, 3, (0, 30));
    two.leaves.clear();
    assert_eq!(found(&audit(&[&two], &[])), place(&two, "checkpoint"));
}
