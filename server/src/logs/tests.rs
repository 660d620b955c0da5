use super::*;
use crate::world::World;

fn open(world: &World) -> Result<AgencyLogs, Error> {
    let agency = world.agency();
    AgencyLogs::open(agency.dir(), agency.config(), Arc::new(world.clock.clone()), |_| ())
}

#[test]
fn a_halt_outlives_the_process_and_the_half_year() {
    // SPEC §17.7
    let world = World::published(10);
    open(&world).unwrap();
    let origin = "agency.example/veilmatch/query/2020h1";
    let mut store = world.store();
    store.begin_log(origin).unwrap();
    let row = store.log(origin).unwrap().unwrap();
    store.halt_log(row.id, "another tree was seen", b"").unwrap();
    assert_eq!(open(&world).err().unwrap().reason(), "LOG_HALTED");
    // Also while a command is at work.
    let agency = world.agency();
    let _lock = agency.dir().lock_changes().unwrap();
    assert_eq!(open(&world).err().unwrap().reason(), "LOG_HALTED");
}
