use veilmatch_protocol::name::{Epoch, ListId};

use super::*;

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("state.db")).unwrap()
}

fn list() -> ListId {
    ListId::parse("baseline").unwrap()
}

fn block(store: &Store, shelf: Shelf, subjects: usize) -> NewBlock {
    let ids = (0..subjects).map(|n| ([n as u8; 16], n as u16)).collect();
    NewBlock { id: store.next_block(), shelf, subjects, sealed: vec![7; 10], ids }
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir));
    let raw = Connection::open(dir.path().join("state.db")).unwrap();
    raw.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    let opened = Store::open(&dir.path().join("state.db"));
    assert!(matches!(opened, Err(Error::NewerSchema { found: 2, known: 1, .. })));
}

#[test]
fn ids_of_blocks_are_not_used_again_after_the_last_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(&dir);
    let shelf = first.shelf(&list(), Epoch(1)).unwrap();
    let last = block(&first, shelf, 1);
    first.add_block(&last).unwrap();
    first.settled(&[last.id], &[], &[last.id]).unwrap();
    drop(first);
    assert!(store(&dir).next_block() > last.id);
}

#[test]
fn a_snapshot_does_not_see_what_is_added_or_merged_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let shelf = store.shelf(&list(), Epoch(1)).unwrap();
    let (a, b) = (block(&store, shelf, 2), block(&store, shelf, 3));
    store.add_block(&a).unwrap();
    store.add_block(&b).unwrap();
    let mut snapshot = store.snapshot(shelf).unwrap();
    assert_eq!(snapshot.next().unwrap().unwrap().0, a.id);
    let merged = block(&store, shelf, 5);
    store.settled(&[a.id, b.id], &[merged], &[a.id, b.id]).unwrap();
    assert_eq!(snapshot.next().unwrap().unwrap().0, b.id);
    assert!(snapshot.next().unwrap().is_none());
    assert_eq!(store.kept(&list(), Epoch(1)).unwrap(), 5);
    assert!(store.fresh(shelf).unwrap().is_empty());
}

#[test]
fn entries_are_found_where_they_were_put_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (one, two) = (store.shelf(&list(), Epoch(1)).unwrap(), store.shelf(&list(), Epoch(2)).unwrap());
    let place = Place { block: store.next_block(), subject: u16::MAX };
    store.index(one, &[([1; 16], place)]).unwrap();
    assert_eq!(store.seen(one, &[[0; 16], [1; 16]]).unwrap(), [None, Some(place)]);
    assert_eq!(store.seen(two, &[[1; 16]]).unwrap(), [None]);
}

#[test]
fn an_epoch_is_forgotten_with_all_that_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for epoch in [1, 2] {
        let shelf = store.shelf(&list(), Epoch(epoch)).unwrap();
        store.add_block(&block(&store, shelf, 4)).unwrap();
    }
    let old = store.shelves_before(&list(), Epoch(2)).unwrap();
    assert_eq!(old.len(), 1);
    assert_eq!(old[0].1, Epoch(1));
    store.forget(old[0].0).unwrap();
    assert_eq!(store.kept(&list(), Epoch(1)).unwrap(), 0);
    assert_eq!(store.kept(&list(), Epoch(2)).unwrap(), 4);
    assert!(store.shelves_before(&list(), Epoch(2)).unwrap().is_empty());
}
