//! The bytes behind findings. That each has the leaf that it names is asserted in every scenario.

use veilmatch_audit::{
    finding::{Code, Finding},
    leaf::{Frame, Leaf},
};
use veilmatch_protocol::frame::ResponseDigest;

use crate::{
    scenarios::{MATCH, MONTH, QUERY, find, leaf, pad, put},
    world::evidence::{MOST, file},
};

#[test]
fn a_difference_between_both_sides_keeps_the_leaves_of_both() {
    // SPEC §21.1
    let index = find(MATCH, |leaf| matches!(leaf, Leaf::Frame(frame) if frame.resp.is_some()));
    let Leaf::Frame(frame) = leaf(MATCH, index) else { unreachable!("found as one") };
    let query = find(QUERY, |leaf| matches!(leaf, Leaf::Query(query) if query.batch == frame.batch));
    let other = Leaf::Frame(Frame { resp: Some(ResponseDigest([6; 32])), ..frame });
    let shown = MONTH.edited(|logs| put(logs, MATCH, index, &other));
    let findings = shown.findings(&MONTH);
    let found = findings.iter().find(|finding| finding.code == Code::Q04).unwrap();
    assert_eq!(file(found, "leaf.json"), Some(&other.encode().unwrap()[..]));
    assert_eq!(file(found, "other-leaf.json"), Some(&leaf(QUERY, query).encode().unwrap()[..]));
}

#[test]
fn the_evidence_of_a_wrong_log_is_bounded() {
    // All frames are left out on one side: each is a finding, and the first of them have their leaves.
    let mut shown = MONTH.edited(|logs| {
        for log in logs.values_mut().filter(|log| log.origin.contains("/match/")) {
            let frames = log.leaves.iter_mut().filter(|leaf| matches!(Leaf::decode(leaf), Ok(Leaf::Frame(_))));
            frames.for_each(|leaf| *leaf = pad().encode().unwrap());
        }
    });
    shown.openings.clear();
    let findings = shown.findings(&MONTH);
    let missing: Vec<&Finding> = findings.iter().filter(|finding| finding.code == Code::Q02).collect();
    let with = missing.iter().filter(|finding| file(finding, "leaf.json").is_some()).count();
    assert!(missing.len() > MOST && with == MOST, "{with} of {}", missing.len());
}
