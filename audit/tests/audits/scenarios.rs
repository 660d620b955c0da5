//! One scenario per finding code: exactly that code, at the right place.

mod generations;
mod halves;
mod keys;
mod logs;
mod manifests;
pub mod papers;
mod sides;

use std::{collections::BTreeMap, sync::LazyLock};

use veilmatch_audit::{
    finding::{Code, Finding, Place},
    leaf::{Leaf, Nonce, Pad},
};

use crate::world::{World, log::Log, shown::Shown};

pub static MONTH: LazyLock<World> = LazyLock::new(World::month);

pub const MANIFEST: &str = "agency.example/veilmatch/manifest";
pub const QUERY: &str = "agency.example/veilmatch/query/2026h2";
pub const MATCH: &str = "platform.example/veilmatch/match/agency.example/2026h2";
pub const PLATFORM: &str = "platform.example";

/// Exactly one finding, with this code at this place.
pub fn only(shown: &Shown, code: Code, place: &Place) {
    let findings = shown.findings(&MONTH);
    let found: Vec<(Code, &Place)> = findings.iter().map(|finding| (finding.code, &finding.place)).collect();
    assert_eq!(found, [(code, place)], "{}", text(&findings));
}

pub fn text(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The leaves of a log, read.
pub fn leaves(origin: &str) -> Vec<Leaf> {
    let logs = MONTH.logs();
    let log = logs.into_iter().find(|log| log.origin == origin).unwrap();
    log.leaves.iter().map(|leaf| Leaf::decode(leaf).unwrap()).collect()
}

/// The first leaf of a log of which this holds.
pub fn find(origin: &str, holds: impl Fn(&Leaf) -> bool) -> u64 {
    leaves(origin).iter().position(holds).unwrap() as u64
}

/// The last leaf of a log of which this holds.
pub fn find_last(origin: &str, holds: impl Fn(&Leaf) -> bool) -> u64 {
    leaves(origin).iter().rposition(holds).unwrap() as u64
}

pub fn leaf(origin: &str, index: u64) -> Leaf {
    leaves(origin).swap_remove(usize::try_from(index).unwrap())
}

/// Writes a leaf in the place of another.
pub fn put(logs: &mut BTreeMap<String, Log>, origin: &str, index: u64, leaf: &Leaf) {
    logs.get_mut(origin).unwrap().leaves[usize::try_from(index).unwrap()] = leaf.encode().unwrap();
}

pub fn pad() -> Leaf {
    Leaf::from(Pad { nonce: Nonce([9; 16]) })
}

/// The day leaf of a day, changed.
pub fn change_day(
    logs: &mut BTreeMap<String, Log>,
    origin: &str,
    t: veilmatch_protocol::manifest::Timestamp,
    change: impl Fn(&mut veilmatch_audit::leaf::Day),
) {
    let index = find(origin, |leaf| matches!(leaf, Leaf::Day(day) if day.date.contains(t)));
    let Leaf::Day(mut day) = leaf(origin, index) else { unreachable!("found as one") };
    change(&mut day);
    put(logs, origin, index, &Leaf::Day(day));
}

#[test]
fn every_code_has_a_scenario() {
    // SPEC §21.1
    let all = [
        include_str!("scenarios/logs.rs"),
        include_str!("scenarios/manifests.rs"),
        include_str!("scenarios/papers.rs"),
        include_str!("scenarios/sides.rs"),
    ]
    .concat();
    for code in Code::ALL {
        assert!(all.contains(&format!("Code::{code}")), "{code}");
    }
}
