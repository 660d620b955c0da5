//! Q01 to Q07, D01, D02: the same frames and days on both sides.

use ed25519_dalek::Signer;
use veilmatch_audit::{
    acknowledgement::Acknowledgement,
    date::Date,
    finding::{Code, Place},
    leaf::{Frame, FrameStatus, Leaf, Query, Signature},
    origin::LogOrigin,
    reconcile::Acknowledged,
};
use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest, signed_message},
    manifest::Hash,
};

use super::{MATCH, MONTH, PLATFORM, QUERY, change_day, find, find_last, leaf, leaves, only, pad, put};
use crate::world::shown::Shown;

/// An answered frame of the match log without a match, and its index.
fn plain_frame() -> (u64, Frame) {
    let all = leaves(MATCH);
    let matched = |batch: &BatchId| all.iter().any(|leaf| matches!(leaf, Leaf::Match(found) if found.batch == *batch));
    let plain = |leaf: &Leaf| matches!(leaf, Leaf::Frame(frame) if frame.status == FrameStatus::Answered && !matched(&frame.batch));
    let index = all.iter().position(plain).unwrap();
    let Leaf::Frame(frame) = all[index].clone() else { unreachable!("found as one") };
    (index as u64, frame)
}

fn query_of(batch: BatchId) -> (u64, Query) {
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.batch == batch));
    let Leaf::Query(query) = leaf(QUERY, index) else { unreachable!("found as one") };
    (index, query)
}

fn last_pad() -> u64 {
    find_last(MATCH, |leaf| matches!(leaf, Leaf::Pad(_)))
}

#[test]
fn q01_an_acknowledged_leaf_is_behind_the_end_of_the_log() {
    let (_, mut query) = query_of(plain_frame().1.batch);
    query.batch = BatchId([5; 16]);
    let origin = LogOrigin::parse(QUERY).unwrap();
    let index = MONTH.agency.query.leaves.len() as u64;
    let ack = Acknowledgement::of(origin, index, &query).unwrap().sign(&MONTH.agency.ack_key).unwrap();
    let leaf = String::from_utf8(query.encode().unwrap()).unwrap();
    let mut shown = MONTH.shown();
    let acks = shown.acks.get_mut(PLATFORM).unwrap();
    acks.push(Acknowledged::new(leaf, ack).encode().unwrap());
    let line = acks.len() as u64;
    only(&shown, Code::Q01, &Place::line(PLATFORM, "acknowledgement", line));
    // Where nobody says when the log ended, it may have been promised after that.
    shown.without_policy.push(QUERY.to_owned());
    let examined = shown.examine(&MONTH);
    assert!(examined.findings.is_empty());
    let told = format!(
        "1 acknowledgements of {PLATFORM}: {QUERY} ends before them, and no cosignature that is judged says when"
    );
    assert!(examined.reconciled.not_judged.contains(&told), "{:?}", examined.reconciled.not_judged);
}

#[test]
fn q02_the_platform_leaves_a_frame_out() {
    let (index, frame) = plain_frame();
    let shown = MONTH.edited(|logs| {
        put(logs, MATCH, index, &pad());
        change_day(logs, MATCH, frame.t, |day| {
            day.frames -= 1;
            day.queried -= frame.n.len() as u64;
        });
    });
    only(&shown, Code::Q02, &Place::leaf(QUERY, query_of(frame.batch).0));
}

#[test]
fn q03_a_frame_that_the_agency_does_not_have() {
    let (_, frame) = plain_frame();
    let other = Frame { batch: BatchId([6; 16]), req: RequestDigest([6; 32]), ..frame.clone() };
    let shown = MONTH.edited(|logs| {
        put(logs, MATCH, last_pad(), &Leaf::Frame(other));
        change_day(logs, MATCH, frame.t, |day| day.frames += 1);
    });
    only(&shown, Code::Q03, &Place::leaf(MATCH, last_pad()));
}

#[test]
fn q04_the_answers_differ() {
    let (index, frame) = plain_frame();
    let other = Frame { resp: Some(ResponseDigest([6; 32])), ..frame };
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Frame(other)));
    only(&shown, Code::Q04, &Place::leaf(MATCH, index));
}

#[test]
fn q04_a_query_that_the_platform_did_not_sign() {
    let refused = |query: &Query| query.resp.is_none();
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if refused(query)));
    let Leaf::Query(query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let invented = Query { req_sig: Signature([0; 64]), ..query };
    let shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Query(invented)));
    only(&shown, Code::Q04, &Place::leaf(QUERY, index));
}

#[test]
fn an_answer_that_was_recorded_and_never_arrived_is_no_difference() {
    // SPEC §21
    let (index, frame) = plain_frame();
    for (code, found) in [("NOT_SERVING", false), ("DEADLINE_EXCEEDED", false), ("CLOCK_SKEW", true)] {
        let code = Some(veilmatch_audit::leaf::Code::parse(code).unwrap());
        let refused = Frame { ack: None, code, resp: None, status: FrameStatus::Refused, ..frame.clone() };
        let findings = without_answer(index, refused).findings(&MONTH);
        let differs = |finding: &veilmatch_audit::finding::Finding| finding.code == Code::Q04;
        assert_eq!(findings.iter().any(differs), found, "{findings:?}");
    }
}

/// A frame that ended without its answer: there is no acknowledgement, and nobody could close the day.
fn without_answer(index: u64, frame: Frame) -> Shown {
    let (batch, date) = (frame.batch, Date::of(frame.t));
    let closes = |origin: &str| {
        find(
            origin,
            |leaf| matches!(leaf, Leaf::Close(close) if close.date == date && close.platform.as_str() == PLATFORM),
        )
    };
    let mut shown = MONTH.edited(|logs| {
        put(logs, MATCH, index, &Leaf::Frame(frame));
        [QUERY, MATCH].iter().for_each(|origin| put(logs, origin, closes(origin), &pad()));
    });
    shown.acks.get_mut(PLATFORM).unwrap().retain(|line| !is_about(line, batch));
    shown
}

/// A frame that was answered, and that the platform calls abandoned.
fn abandoned() -> (u64, Frame) {
    let (index, frame) = plain_frame();
    (index, Frame { ack: None, resp: None, status: FrameStatus::Abandoned, ..frame })
}

#[test]
fn q04_an_answer_is_in_the_closing_statement_and_was_never_finished() {
    // SPEC §21.1
    let (index, frame) = abandoned();
    let batch = frame.batch;
    let mut shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Frame(frame)));
    let line = shown.acks[PLATFORM].iter().position(|line| is_about(line, batch)).unwrap();
    shown.acks.get_mut(PLATFORM).unwrap().remove(line);
    only(&shown, Code::Q04, &Place::leaf(MATCH, index));
    assert_eq!(shown.findings(&MONTH)[0].proves, veilmatch_audit::finding::Proves::Platform);
}

#[test]
fn q04_an_answer_that_was_acknowledged_was_never_finished() {
    // SPEC §21.1
    let (index, frame) = abandoned();
    let batch = frame.batch;
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Frame(frame)));
    let line = shown.acks[PLATFORM].iter().position(|line| is_about(line, batch)).unwrap();
    let findings = shown.findings(&MONTH);
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.place.clone())).collect();
    let of_ack = Place::line(PLATFORM, "acknowledgement", line as u64 + 1);
    assert_eq!(found, [(Code::Q04, of_ack), (Code::Q04, Place::leaf(MATCH, index))], "{findings:?}");
}

#[test]
fn a_lost_answer_is_counted_and_leaves_its_day_open() {
    // SPEC §21.1: the platform cannot sign a statement with an answer that it never had.
    let (index, frame) = abandoned();
    let date = Date::of(frame.t);
    let shown = without_answer(index, frame);
    let examined = shown.examine(&MONTH);
    assert!(examined.findings.iter().all(|finding| finding.code == Code::Q06), "{:?}", examined.findings);
    assert!(examined.findings.len() == 2 && examined.findings[0].evidence.text.contains("1 of the day's frames"));
    let cell = examined.reconciled.days[&MONTH.platforms[0].name][&date];
    assert_eq!((cell.unfinished, cell.unclosed), (1, 1));
    let clean = MONTH.shown().examine(&MONTH).reconciled.days[&MONTH.platforms[0].name][&date];
    assert_eq!((clean.unfinished, clean.agreed), (0, cell.agreed + 1));
}

fn is_about(line: &[u8], batch: BatchId) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD};
    Acknowledged::decode(line).is_some_and(|line| line.note.contains(&STANDARD.encode(batch.0)))
}

#[test]
fn q05_a_batch_is_answered_twice() {
    let all = leaves(QUERY);
    let refused = |leaf: &Leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_none());
    let index = all.iter().position(refused).unwrap();
    let answered = |leaf: &&Leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_some());
    let before = all[..index].iter().rev().find(answered).unwrap();
    let shown = MONTH.edited(|logs| put(logs, QUERY, index as u64, before));
    only(&shown, Code::Q05, &Place::leaf(QUERY, index as u64));
}

#[test]
fn q06_a_closing_statement_is_of_other_frames() {
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Close(_)));
    let Leaf::Close(mut close) = leaf(QUERY, index) else { unreachable!("found as one") };
    close.digest = Hash([6; 32]);
    let shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Close(close)));
    only(&shown, Code::Q06, &Place::leaf(QUERY, index));
}

#[test]
fn q06_a_closing_statement_is_missing() {
    let index = find_last(MATCH, |leaf| matches!(leaf, Leaf::Close(_)));
    let Leaf::Close(close) = leaf(MATCH, index) else { unreachable!("found as one") };
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &pad()));
    only(&shown, Code::Q06, &Place::day(MATCH, &close.date.to_string(), "baseline", close.epoch.0));
}

#[test]
fn q07_a_frame_is_refused_for_a_clock_that_was_right() {
    let index = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.resp.is_none()));
    let Leaf::Query(mut query) = leaf(QUERY, index) else { unreachable!("found as one") };
    let platform = MONTH.platforms.iter().find(|platform| platform.name == query.platform).unwrap();
    query.minute = query.t.unix() / 60;
    let message = signed_message(&query.req, &query.view, query.version, query.minute);
    query.req_sig = Signature(platform.request_key.sign(&message).to_bytes());
    let shown = MONTH.edited(|logs| put(logs, QUERY, index, &Leaf::Query(query)));
    only(&shown, Code::Q07, &Place::leaf(QUERY, index));
}

#[test]
fn d01_a_day_without_totals() {
    let index = find(MATCH, |leaf| matches!(leaf, Leaf::Day(day) if day.frames == 0));
    let Leaf::Day(day) = leaf(MATCH, index) else { unreachable!("found as one") };
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &pad()));
    only(&shown, Code::D01, &Place::day(MATCH, &day.date.to_string(), "baseline", 0));
}

#[test]
fn d01_one_gap_is_one_finding() {
    let dates = ["2026-10-05", "2026-10-06", "2026-10-07"].map(|date| Date::parse(date).unwrap());
    let days: Vec<u64> =
        dates.iter().map(|date| find(MATCH, |leaf| matches!(leaf, Leaf::Day(day) if day.date == *date))).collect();
    let shown = MONTH.edited(|logs| days.iter().for_each(|&index| put(logs, MATCH, index, &pad())));
    only(&shown, Code::D01, &Place::day(MATCH, "2026-10-05", "baseline", 0));
    let findings = shown.findings(&MONTH);
    assert!(findings[0].evidence.text.contains("after 2026-10-07"), "{}", findings[0].evidence.text);
}

#[test]
fn d02_totals_that_the_leaves_do_not_give() {
    let index = find(MATCH, |leaf| matches!(leaf, Leaf::Day(_)));
    let Leaf::Day(mut day) = leaf(MATCH, index) else { unreachable!("found as one") };
    day.matches += 1;
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &Leaf::Day(day)));
    only(&shown, Code::D02, &Place::leaf(MATCH, index));
}
