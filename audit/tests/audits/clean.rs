//! The month as it was: nothing to find.

use crate::world::World;

#[test]
fn a_clean_month_has_no_finding() {
    let world = World::month();
    let examined = world.shown().examine(&world);
    let findings: Vec<String> = examined.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(examined.reconciled.not_judged.is_empty(), "{:?}", examined.reconciled.not_judged);
}
