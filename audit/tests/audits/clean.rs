//! The month as it was: nothing to find.

use crate::world::World;

#[test]
fn what_was_not_given_is_told() {
    // SPEC §21.3
    let world = World::month();
    let mut shown = world.shown();
    shown.terms.receipt_days = None;
    shown.acks.remove("platform.example");
    shown.files.artifacts.clear();
    let lines = shown.examine(&world).reconciled.not_judged;
    for told in ["matches without a receipt: no", "acknowledgements of platform.example:", "lists: no artifact"] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(told)).count(), 1, "{told} {lines:?}");
    }
}

#[test]
fn a_clean_month_has_no_finding() {
    let world = World::month();
    let examined = world.shown().examine(&world);
    let findings: Vec<String> = examined.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(examined.reconciled.not_judged.is_empty(), "{:?}", examined.reconciled.not_judged);
}
